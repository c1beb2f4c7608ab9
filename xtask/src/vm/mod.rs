//! `vm`: boots Debian's kernels in an emulated machine and runs our static binary in each.
//!
//! Comes in: which kernels, and perhaps a command. Goes out: a table of how each command went on
//! each kernel; the consoles are kept as target/vm/NAME.log.

mod boot;
mod cpio;
mod debian;
mod fetch;
mod guest;
mod kernels;
mod modules;
mod report;
mod sources;

use crate::workspace::Workspace;
use crate::{apt, packages, program};
use anyhow::{Context, Result, anyhow, bail};
use boot::Boot;
pub(crate) use debian::{run as run_debian, table};
pub(crate) use guest::Step;
use kernels::Kernel;
use report::Run;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What `vm` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// 5.10, 6.1, 6.12, newest, all, or any series such as 6.18.
    #[arg(long, default_value = "all")]
    kernel: String,
    /// Run this in the guest's shell instead of the table of commands.
    #[arg(long, value_name = "COMMAND")]
    run: Option<String>,
    /// Give the guest this BPF object, as /object.bpf.o; the demo runs it.
    #[arg(long, value_name = "FILE")]
    object: Option<PathBuf>,
}

impl Args {
    /// What `test` boots: the kernel of Debian 12.
    pub(crate) fn for_tests() -> Self {
        Self { kernel: "6.1".to_owned(), run: None, object: None }
    }
}

/// Carries out the verb; returns a sentence that sums it up.
///
/// # Errors
/// When a kernel cannot be had or booted, or a command failed on it; the table is printed first.
pub(crate) fn run_matrix(workspace: &Workspace, args: &Args) -> Result<String> {
    let kernels = kernels::named(&args.kernel).map_err(|sentence| anyhow!(sentence))?;
    apt::install(packages::VM)?;
    let binary = program::build(workspace)?;
    let mut runs = Vec::new();
    for kernel in &kernels {
        eprintln!("\nkernel {}: {}", kernel.name, kernel.why);
        let started = Instant::now();
        // The next kernel is worth booting when this one cannot be had.
        let run = try_kernel(workspace, kernel, &binary, args).unwrap_or_else(|error| Run {
            kernel: kernel.name.to_string(),
            took: started.elapsed(),
            steps: vec![],
            refused_modules: vec![],
            trouble: Some(format!("{error:#}")),
        });
        runs.push(run);
    }
    eprint!("{}", report::table(&runs));
    let list = |choose: fn(&Run) -> bool| {
        let chosen: Vec<&str> =
            runs.iter().filter(|run| choose(run)).map(|run| &*run.kernel).collect();
        chosen.join(", ")
    };
    let (failed, degraded) = (list(Run::failed), list(Run::degraded));
    if !failed.is_empty() {
        bail!("failed on {failed}; the consoles are in target/vm");
    }
    let all = list(|_| true);
    Ok(if degraded.is_empty() { all } else { format!("{all}; degraded on {degraded}") })
}

fn try_kernel(workspace: &Workspace, kernel: &Kernel, binary: &Path, args: &Args) -> Result<Run> {
    let place = workspace.target.join("vm");
    let directory = place.join(&*kernel.name);
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let unpacked = fetch::fetch(kernel, &directory)?;
    let modules = modules::collect(&unpacked.modules(), modules::WANTED)?;
    let steps: Vec<Step> = match &args.run {
        Some(command) => guest::one_step(command),
        None => guest::steps(args.object.is_some()),
    };
    let initramfs = directory.join("initramfs.cpio");
    fs::write(&initramfs, guest::initramfs(binary, args.object.as_deref(), &modules, &steps)?)
        .with_context(|| format!("cannot write {}", initramfs.display()))?;

    let log = place.join(format!("{}.log", kernel.name));
    eprintln!(
        "booting {} with {} modules; console: {}",
        unpacked.release,
        modules.len(),
        log.display()
    );
    let boot = boot::boot(&unpacked.image(), &initramfs, &log, None)?;
    Ok(finished(boot, unpacked.release, steps, &log))
}

/// What came of the steps.
fn finished(boot: Boot, kernel: String, steps: Vec<Step>, log: &Path) -> Run {
    let outcomes = guest::outcomes(&boot.console, &steps);
    let said_done = boot.console.lines().any(|line| line.trim_end() == "@@ done");
    let trouble = match boot.stopped {
        Some(reason) => Some(format!("the machine was stopped: {reason}")),
        None if !said_done => Some(format!("the guest ended early; read {}", log.display())),
        None => None,
    };
    Run {
        kernel,
        took: boot.took,
        steps: steps.into_iter().zip(outcomes).collect(),
        refused_modules: refused_modules(&boot.console),
        trouble,
    }
}

fn refused_modules(console: &str) -> Vec<String> {
    let refused = |line: &str| line.trim_end().strip_prefix("@@ no-module ").map(str::to_owned);
    console.lines().filter_map(refused).collect()
}
