//! `rst-tracer trace --dry-run`: what would be attached where and how, and what memory that takes.
//!
//! In: the options of a trace. Out: lines for people. Loads and attaches nothing; whether the kernel takes the programs
//! says `rst-tracer doctor`.

use std::io::Write;

use anyhow::Result;

use super::{interfaces, memory, text};
use crate::{
    cli::TraceArgs,
    exit::{Code, Failure},
    links, netns, run,
    source::live::object,
};

/// Writes the plan; exit code 0 where there is something to trace.
///
/// # Errors
/// As a trace would where the options are wrong, or nothing is chosen; when the plan cannot be written.
pub fn dry_run(args: &TraceArgs, out: &mut impl Write) -> Result<Code> {
    args.live.netns.as_deref().map(netns::enter).transpose()?;
    let options = run::live_options(args)?;
    let known = links::inventory()?;
    let selection = links::select(&options.interfaces, &known)?;
    if selection.chosen.is_empty() {
        return Err(Failure::new(Code::FAILURE, "there is no interface to trace").into());
    }
    writeln!(out, "nothing is attached: this is what `trace` would do")?;
    writeln!(out, "\ninterfaces")?;
    let chosen: Vec<_> = selection.chosen.into_iter().map(|chosen| chosen.link).collect();
    let plans = interfaces::describe(&chosen, options.xdp_mode);
    plans.iter().try_for_each(|plan| text::line(plan, out))?;
    let skipped = selection.skipped.iter().map(|it| format!("{}: {}", it.link.name, it.reason));
    let left_out: Vec<String> = selection.unknown.iter().cloned().chain(skipped).collect();
    if !left_out.is_empty() {
        writeln!(out, "\nnot traced")?;
        left_out.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
    }
    writeln!(out, "\nmemory")?;
    let asked = args.live.ring_size << 20;
    let cost = memory::cost(options.kernel.table_size(), asked, options.kernel.rings);
    cost.lines().iter().try_for_each(|line| writeln!(out, "  {line}"))?;
    if let Err(failure) = object::check_permission() {
        writeln!(out, "\nas this user it would fail: {failure}")?;
    }
    out.flush()?;
    Ok(Code::OK)
}
