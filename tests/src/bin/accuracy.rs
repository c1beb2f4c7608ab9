//! `cargo xtask accuracy`: plays the laboratory, prints how often the engine was right, and writes
//! the report to the file that is named.

use std::process::ExitCode;

use anyhow::{Context, Result};
use rst_tracer::demo::scenarios::Scenario;
use rst_tracer_tests::accuracy::{
    goals,
    judge::{Judged, judge, judge_unrecorded},
    kinds::kinds_of_verdicts,
    play::play,
    report::report,
};

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Arguments: the file to write, or `-` for none; then names of scenarios, or none for all; with
/// `--explain` among them every miss is told with its evidence, save those kept aside; with `--kinds` how often each
/// kind of verdict was right, likewise; with `--recorder-off` only the captures are judged, as if nothing amid connections
/// had been recorded.
fn run() -> Result<ExitCode> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let explain = arguments.iter().any(|one| one == "--explain");
    arguments.retain(|one| one != "--explain");
    let kinds = arguments.iter().any(|one| one == "--kinds");
    arguments.retain(|one| one != "--kinds");
    let unrecorded = arguments.iter().any(|one| one == "--recorder-off");
    arguments.retain(|one| one != "--recorder-off");
    let (file, only) = arguments.split_first().context("name the file to write, or -")?;
    let wanted = |one: &Scenario| only.is_empty() || only.iter().any(|id| id == one.id);
    let scenarios: Vec<Scenario> =
        rst_tracer_tests::laboratory::laboratory().into_iter().filter(wanted).collect();
    anyhow::ensure!(!scenarios.is_empty(), "there is no such scenario");
    let played = play(&scenarios, |scenario, truth| {
        if let Err(error) = truth {
            eprintln!("SKIPPED: {} over {}: {error:#}", scenario.id, scenario.family);
        }
    })?;
    let (mut judged, without) = (judge(&played), judge_unrecorded(&played));
    if unrecorded {
        judged = without.clone();
    }
    let release = nix::sys::utsname::uname().context("asking for the kernel's version")?;
    let kernel = release.release().to_string_lossy().into_owned();
    let text = report(&judged, &without, &kernel);
    println!("{text}");
    if explain {
        // Nobody is to learn from what was kept aside.
        judged.iter().filter(|one| !one.cause_is_right() && !one.held_out).for_each(tell);
    }
    if kinds {
        print!("{}", kinds_of_verdicts(judged.iter().filter(|one| !one.held_out)));
    }
    if file != "-" {
        std::fs::write(file, text).with_context(|| format!("writing {file}"))?;
    }
    let missed = goals::missed(&judged);
    for line in &missed {
        eprintln!("goal missed: {line}");
    }
    Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A miss with everything that led to it.
fn tell(one: &Judged) {
    println!("\n== {}: is {}", one.name(), one.truth.cause);
    let Some(event) = &one.event else { return println!("not reported") };
    let others: Vec<String> = event
        .alternatives
        .iter()
        .map(|other| format!("{} {}", other.cause.id(), other.confidence.value()))
        .collect();
    println!("{} {} else {}", event.cause.id(), event.confidence.value(), others.join(", "));
    println!("{:?} {:?} {:?} {:?}", event.stage, event.effect, event.origin, event.segment);
    println!("{:?} {:?} {:?} {:?}", event.kernel, event.process, event.local_role, event.direction);
    for reason in &event.evidence {
        println!("  {:+.1} {}: {}", reason.weight.value(), reason.id, reason.text);
    }
    for slot in &event.recent {
        println!(
            "  -{:>9} us {:?} {} seq {} ack {} len {} win {} ttl {}",
            slot.ago_us, slot.from, slot.flags, slot.seq, slot.ack, slot.len, slot.window, slot.ttl
        );
    }
}
