//! The report for people: the verdict first, then each part, with what is missing under it.

use std::io::{self, Write};

use super::{Interface, Report};

/// Writes the whole report.
pub(super) fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for removed in &report.cleaned {
        writeln!(out, "removed {removed}")?;
    }
    match report.problems.as_slice() {
        [] => writeln!(out, "live tracing works here")?,
        problems => {
            writeln!(out, "live tracing does NOT work here")?;
            notes(out, problems)?;
        }
    }

    let kernel = &report.kernel;
    let btf = if kernel.btf { "BTF" } else { "no BTF" };
    let jit = match kernel.jit {
        Some(true) => ", JIT on",
        Some(false) => ", JIT off",
        None => "",
    };
    writeln!(out, "\nkernel {} ({btf}{jit})", kernel.release)?;
    notes(out, &kernel.notes)?;

    writeln!(out, "\ncapabilities")?;
    for capability in &report.capabilities {
        let mark = mark(capability.effective);
        writeln!(out, "  {mark} {:<20} to {}", capability.name, capability.needed_to)?;
    }

    if !report.programs.is_empty() {
        writeln!(out, "\nprograms")?;
    }
    for program in &report.programs {
        let size = program.verified_instructions.map(|n| format!("{n} instructions verified"));
        let said = program.refusal.clone().or(size).unwrap_or_default();
        writeln!(out, "  {} {:<20} {said}", mark(program.loads), program.name)?;
    }

    writeln!(out, "\nkernel evidence")?;
    for evidence in &report.evidence {
        let arguments: Vec<String> = evidence
            .arguments
            .iter()
            .map(|a| a.name.clone().unwrap_or_else(|| a.c_type.clone()))
            .collect();
        let cost = evidence.cost.unwrap_or_default();
        let said = match (&evidence.refusal, evidence.loads) {
            (Some(refusal), _) => format!("{refusal}: {cost}"),
            (None, false) => format!("not tried: {cost}"),
            (None, true) if cost.is_empty() => arguments.join(", "),
            (None, true) => format!("{}; {cost}", arguments.join(", ")),
        };
        writeln!(out, "  {} {:<20} {said}", mark(evidence.loads), evidence.tracepoint)?;
    }

    writeln!(out, "\nmemory that a tracer takes")?;
    report.memory.lines().iter().try_for_each(|line| writeln!(out, "  {line}"))?;

    writeln!(out, "\ninterfaces")?;
    report.interfaces.iter().try_for_each(|interface| line(interface, out))
}

pub(super) fn line(interface: &Interface, out: &mut impl Write) -> io::Result<()> {
    let driver = match &interface.driver {
        Some(driver) if *driver != interface.kind => format!(" {driver}"),
        _ => String::new(),
    };
    let state = if interface.up { "" } else { ", down" };
    write!(out, "  {} ({}{driver}{state}): ", interface.name, interface.kind)?;
    write!(out, "ingress {}", interface.ingress)?;
    if let Some(reason) = &interface.reason {
        write!(out, " ({reason})")?;
    }
    writeln!(out, ", egress {}", interface.egress)?;
    notes(out, &interface.notes)
}

fn notes(out: &mut impl Write, notes: &[String]) -> io::Result<()> {
    notes.iter().try_for_each(|note| writeln!(out, "    ! {note}"))
}

fn mark(good: bool) -> &'static str {
    if good { "ok" } else { "--" }
}
