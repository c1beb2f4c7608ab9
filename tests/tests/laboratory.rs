//! The whole laboratory plays: every reset passes where its true sender puts it and nowhere else.
//!
//! Needs root. `RST_TRACER_LAB=name,name` plays only scenarios whose names contain one of these.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use rst_tracer::demo::lab::{Lab, Place};
use rst_tracer::demo::scenarios::{Scenario, run_all};
use rst_tracer::event::Cause;
use rst_tracer::exit::{Code, code_of};
use rst_tracer_tests::laboratory::check::check;
use rst_tracer_tests::laboratory::laboratory;
use rst_tracer_tests::skip::skipped;

#[test]
fn names_and_ports_are_unique() {
    let all = laboratory();
    let names: HashSet<_> = all.iter().map(|one| (one.id, one.family)).collect();
    let ports: HashSet<_> = all.iter().map(Scenario::port).collect();
    assert_eq!((names.len(), ports.len()), (all.len(), all.len()));
}

#[test]
fn every_scenario_plays_and_its_resets_pass_where_they_must() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        skipped("the laboratory needs root (network namespaces); repeat with sudo");
        return Ok(());
    }
    let wanted = std::env::var("RST_TRACER_LAB").unwrap_or_default();
    let is_wanted = |one: &Scenario| wanted.split(',').any(|part| one.id.contains(part));
    let scenarios: Vec<Scenario> = laboratory().into_iter().filter(is_wanted).collect();
    let lab = Lab::new()?;
    let (mut played, mut failures) = (0, Vec::new());
    let start = Instant::now();
    run_all(&lab, &scenarios, |scenario, result| {
        let name = format!("{} over {}", scenario.id, scenario.family);
        let checked = result.and_then(|truth| {
            check(&lab, &truth)?;
            for reset in truth.connections.iter().flat_map(|connection| &connection.resets) {
                check_names(reset.class, reset.cause, reset.also)?;
            }
            Ok(())
        });
        match checked {
            Ok(()) => played += 1,
            Err(error) if code_of(&error) == Code::UNAVAILABLE => {
                skipped(&format!("{name}: {error:#}"));
            }
            Err(error) => failures.push(format!("{name}: {error:#}")),
        }
    });
    let took = start.elapsed();
    println!("{played} scenarios in {took:?}");
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    assert!(played > 0, "not one scenario could run");
    assert!(took < Duration::from_secs(180), "the laboratory took {took:?}");
    for place in Place::ALL {
        assert_eq!(lab.sniffer(place).dropped()?, 0, "frames lost at {place:?}");
    }
    Ok(())
}

/// The names of a truth are those of the taxonomy.
fn check_names(class: &str, cause: &str, also: &[&str]) -> Result<()> {
    let find = |id: &str| Cause::ALL.iter().find(|cause| cause.id() == id);
    let of_cause = find(cause).map(|cause| cause.class().id());
    anyhow::ensure!(of_cause == Some(class), "no such cause: {class}/{cause}");
    for other in also {
        anyhow::ensure!(find(other).is_some(), "no such cause: {other}");
    }
    Ok(())
}
