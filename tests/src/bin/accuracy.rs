//! `cargo xtask accuracy`: plays the laboratory, prints how often the engine was right, and writes
//! the report to the file that is named.

use std::process::ExitCode;

use anyhow::{Context, Result};
use rst_tracer::demo::scenarios::Scenario;
use rst_tracer_tests::{
    accuracy::{
        goals,
        judge::{Judged, judge, judge_unrecorded},
        kinds::kinds_of_verdicts,
        play::play_over,
        report::report,
    },
    cable::Conduct,
    laboratory::{distance::far, laboratory},
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
/// `--explain` among them every miss is told with its evidence, save those kept aside, with `--explain-all` what is right
/// as well; with `--kinds` how often each kind of verdict was right, likewise; with `--recorder-off` only the captures are
/// judged, as if nothing amid connections had been recorded; with `--far MS` the hosts are so many milliseconds away from
/// the router between them, and what is kept aside is not played.
fn run() -> Result<ExitCode> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut is_given = |option: &str| {
        let before = arguments.len();
        arguments.retain(|one| one != option);
        arguments.len() < before
    };
    let (explain, explain_all) = (is_given("--explain"), is_given("--explain-all"));
    let (kinds, unrecorded) = (is_given("--kinds"), is_given("--recorder-off"));
    let distance = far_from(&mut arguments)?;
    let (file, only) = arguments.split_first().context("name the file to write, or -")?;
    let wanted = |one: &Scenario| only.is_empty() || only.iter().any(|id| id == one.id);
    let skipped = |scenario: &Scenario, why: &dyn std::fmt::Display| {
        eprintln!("SKIPPED: {} over {}: {why:#}", scenario.id, scenario.family);
    };
    let mut scenarios = match distance {
        Some(_) => far(|scenario, why| skipped(scenario, &why)),
        None => laboratory(),
    };
    scenarios.retain(wanted);
    anyhow::ensure!(!scenarios.is_empty(), "there is no such scenario");
    let mut played = play_over(distance, &scenarios, |scenario, truth| {
        if let Err(error) = truth {
            skipped(scenario, error);
        }
    })?;
    if distance.is_some() {
        played.hold_to_the_witnesses(|scenario, error| skipped(scenario, error));
    }
    let (mut judged, without) = (judge(&played), judge_unrecorded(&played));
    if unrecorded {
        judged = without.clone();
    }
    let release = nix::sys::utsname::uname().context("asking for the kernel's version")?;
    let kernel = release.release().to_string_lossy().into_owned();
    let text = report(&judged, &without, &kernel);
    println!("{text}");
    if explain || explain_all {
        // Nobody is to learn from what was kept aside.
        let open = judged.iter().filter(|one| !one.held_out);
        open.filter(|one| explain_all || !one.cause_is_right()).for_each(tell);
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

/// Takes `--far MS` out of the arguments.
fn far_from(arguments: &mut Vec<String>) -> Result<Option<Conduct>> {
    let Some(at) = arguments.iter().position(|one| one == "--far") else { return Ok(None) };
    let ms = arguments.get(at + 1).and_then(|ms| ms.parse().ok());
    let ms =
        ms.context("--far needs the milliseconds between the router and each host, such as 20")?;
    arguments.drain(at..at + 2);
    Ok(Some(Conduct::of_ms(ms)))
}

/// A verdict with everything that led to it.
fn tell(one: &Judged) {
    let right = if one.cause_is_right() { " (right)" } else { "" };
    println!("\n== {}: is {}{right}", one.name(), one.truth.cause);
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
