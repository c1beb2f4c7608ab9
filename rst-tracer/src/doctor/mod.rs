//! `rst-tracer doctor`: what this host can offer, what is missing, and what that costs.
//!
//! Really loads the programs, but attaches nothing. `--clean` removes what killed tracers left.

use std::io::Write;

use anyhow::{Context, Result};
use rst_tracer_common::flow::Keys;
use serde::Serialize;

mod dry_run;
mod evidence;
mod interfaces;
mod kernel;
mod memory;
mod programs;
mod text;

use crate::{
    capabilities::{self, Capability},
    exit::Code,
    links, netns,
    source::live::{
        attach,
        btf::Btf,
        evidence::{self as live_evidence, Layout},
        kernel as kernel_side, object,
        rings::Cut,
    },
};
pub use dry_run::dry_run;
use evidence::Evidence;
use interfaces::Interface;
use kernel::Kernel;
use memory::Memory;
use programs::ProgramCheck;

/// Maps that are large enough to load the programs with.
const SMALL: kernel_side::Options = kernel_side::Options {
    flows: 1024,
    rings: Cut::one(1 << 16),
    no_flow_rate: 0,
    wanted: None,
    tunnels: true,
    clock: kernel_side::Clock::Coarse,
    recorder: kernel_side::Recording::On,
    keys: Keys([0; 6]),
};

/// Options of `rst-tracer doctor`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DoctorArgs {
    /// Print the report as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Examine this network namespace: a name of `ip netns`, a path such as /proc/PID/ns/net, or the id of a process
    #[arg(long, value_name = "NAME|PATH|PID")]
    pub netns: Option<String>,
    /// Remove the clsact filters that killed tracers left behind, then report
    #[arg(long)]
    pub clean: bool,
}

/// Everything that doctor found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Version of this layout.
    pub schema: &'static str,
    /// Whether live tracing can work here at all.
    pub can_trace: bool,
    /// What prevents it, with the remedy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// What `--clean` removed: interface and filter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cleaned: Vec<String>,
    /// The kernel.
    pub kernel: Kernel,
    /// The capabilities that matter.
    pub capabilities: Vec<Capability>,
    /// The hook programs, after an attempt to load each.
    pub programs: Vec<ProgramCheck>,
    /// The tracepoints that tell what the kernel knows about a reset.
    pub evidence: Vec<Evidence>,
    /// What the memory options cost here.
    pub memory: Memory,
    /// The interfaces of this network namespace.
    pub interfaces: Vec<Interface>,
    #[serde(skip)]
    code: Code,
}

/// Examines the host and writes the report; exit code 0 when live tracing can work, else 77 or 69
/// as attaching would exit.
///
/// # Errors
/// When the report cannot be written, `--clean` is not permitted, or netlink cannot be spoken.
pub fn run(args: &DoctorArgs, out: &mut impl Write) -> Result<Code> {
    args.netns.as_deref().map(netns::enter).transpose()?;
    let cleaned = if args.clean { clean()? } else { Vec::new() };
    let mut report = examine()?;
    report.cleaned = cleaned;
    if args.json {
        serde_json::to_writer(&mut *out, &report).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        if args.clean && report.cleaned.is_empty() {
            writeln!(out, "nothing to clean: no killed tracer left filters here\n")?;
        }
        text::write(&report, out)?;
    }
    Ok(report.code)
}

/// Examines the kernel, this process's rights, and every interface of this namespace.
///
/// # Errors
/// When netlink cannot be spoken.
pub fn examine() -> Result<Report> {
    object::lift_memlock_limit();
    let (btf, btf_problem) = match Btf::of_running_kernel() {
        Ok(btf) => (btf, None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    let links = links::inventory()?;
    let mut problems = Vec::new();
    let mut code = Code::OK;
    let layout = Layout::of(btf.as_ref());
    let mut listening = None;
    let programs = match kernel_side::load_for(object::OBJECT, &SMALL, &layout, None) {
        Ok(mut ebpf) => {
            listening = Some(live_evidence::load(&mut ebpf, &layout));
            programs::check(ebpf)
        }
        Err(failure) => Err(failure),
    };
    let programs = programs.unwrap_or_else(|failure| {
        code = failure.code;
        problems.push(failure.message);
        Vec::new()
    });
    let capabilities = capabilities::effective()?;
    if code == Code::OK && !capabilities::has(&capabilities, "CAP_NET_ADMIN") {
        code = Code::NO_PERMISSION;
        problems.push("CAP_NET_ADMIN is missing: nothing can be attached".into());
    }
    let jitted = programs.iter().find(|p| p.loads).and_then(|p| p.jitted);
    Ok(Report {
        schema: "rst-tracer-doctor/1",
        can_trace: code == Code::OK,
        problems,
        cleaned: Vec::new(),
        kernel: kernel::describe(btf.is_some(), btf_problem, jitted),
        capabilities,
        programs,
        evidence: evidence::available(btf.as_ref(), listening.as_ref()),
        memory: memory::describe(),
        interfaces: interfaces::describe(&links, attach::XdpMode::Auto),
        code,
    })
}

/// Removes leftovers from every interface; says what and where.
fn clean() -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for link in links::inventory()? {
        let names = attach::clean(link.index)
            .with_context(|| format!("cannot clean {}; it needs CAP_NET_ADMIN", link.name))?;
        removed.extend(names.into_iter().map(|name| format!("{}: {name}", link.name)));
    }
    Ok(removed)
}
