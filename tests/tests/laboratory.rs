//! The whole laboratory plays: every reset passes where its true sender puts it and nowhere else.
//!
//! Needs root. `RST_TRACER_LAB=name,name` plays only scenarios whose names contain one of these.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::Result;
use rst_tracer::demo::lab::{Lab, Place};
use rst_tracer::demo::scenarios::{Scenario, run_all};
use rst_tracer::demo::truth::{GroundTruth, Reset, Side};
use rst_tracer::event::{Cause, Endpoint};
use rst_tracer::exit::{Code, code_of};
use rst_tracer_tests::accuracy::play::replayed;
use rst_tracer_tests::laboratory::check::check;
use rst_tracer_tests::laboratory::laboratory;
use rst_tracer_tests::skip::skipped;

#[test]
fn names_and_ports_are_unique() {
    let all = laboratory();
    let names: HashSet<_> = all.iter().map(|one| (one.id, one.family)).collect();
    let ports: HashSet<_> = all.iter().map(Scenario::port).collect();
    assert_eq!((names.len(), ports.len()), (all.len(), all.len()));
    let ids: HashSet<_> = all.iter().map(|one| one.id).collect();
    assert!(ids.len() >= 100, "{} different scenarios", ids.len());
    assert!(all.iter().all(|one| !one.what_was_done.is_empty() && one.title.len() < 64));
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
    let lab = Lab::with_room(rst_tracer_tests::laboratory::ROOM)?;
    let (mut truths, mut failures) = (Vec::new(), Vec::new());
    let start = Instant::now();
    run_all(&lab, &scenarios, |scenario, result| {
        let name = format!("{} over {}", scenario.id, scenario.family);
        let checked = result.and_then(|truth| {
            check(&lab, &truth)?;
            println!("{name}: {}", told(&truth));
            truths.push((name.clone(), truth.clone()));
            for reset in truth.connections.iter().flat_map(|connection| &connection.resets) {
                check_names(reset.class, reset.cause, reset.also)?;
            }
            Ok(())
        });
        match checked {
            Ok(()) => {}
            Err(error) if code_of(&error) == Code::UNAVAILABLE => {
                skipped(&format!("{name}: {error:#}"));
            }
            Err(error) => failures.push(format!("{name}: {error:#}")),
        }
    });
    let took = start.elapsed();
    println!("{} scenarios in {took:?}", truths.len());
    for place in [Place::RouterClientSide, Place::RouterServerSide] {
        check_capture(&lab, place, &truths, &mut failures)?;
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    assert!(!truths.is_empty(), "not one scenario could run");
    assert!(took < Duration::from_secs(180), "the laboratory took {took:?}");
    for place in Place::ALL {
        assert_eq!(lab.sniffer(place).dropped()?, 0, "frames lost at {place:?}");
    }
    Ok(())
}

/// The resets of a truth in one line.
fn told(truth: &GroundTruth) -> String {
    let one = |reset: &Reset| {
        let Reset { sender, maker, stage, class, cause, also, effect, proof_available } = reset;
        let mut text = format!("{sender:?} {maker:?} {} {class}/{cause} {effect:?}", stage.name());
        for other in *also {
            text += &format!(" or {other}");
        }
        if *proof_available { text + " refuted" } else { text }
    };
    let all = truth.connections.iter().flat_map(|connection| &connection.resets);
    all.map(one).collect::<Vec<_>>().join("; ")
}

/// A replay of what passed the router tells each reset that passed there, once, in order.
fn check_capture(
    lab: &Lab,
    place: Place,
    truths: &[(String, GroundTruth)],
    failures: &mut Vec<String>,
) -> Result<()> {
    let mut file = Vec::new();
    lab.sniffer(place).write_pcap(&mut file)?;
    let mut events: HashMap<(Endpoint, Endpoint), Vec<u64>> = HashMap::new();
    for event in replayed(&file)? {
        let times = events.entry((event.src, event.dst)).or_default();
        times.push(event.time.0);
    }
    for (name, truth) in truths {
        for connection in &truth.connections {
            for side in [Side::Client, Side::Server] {
                let passing = connection.resets.iter().filter(|reset| {
                    let is_here = |(at, _): &(Place, _)| *at == place;
                    reset.sender.claimed() == side && reset.path().iter().any(is_here)
                });
                let (from, to) = match side {
                    Side::Client => (connection.client, connection.server),
                    Side::Server => (connection.server, connection.client),
                };
                let times = events.remove(&(from.into(), to.into())).unwrap_or_default();
                let expected = passing.count();
                if times.len() != expected {
                    let found = times.len();
                    failures.push(format!(
                        "{name}: {expected} resets by the {side:?} passed {place:?}, {found} replayed"
                    ));
                }
            }
        }
    }
    if !events.is_empty() {
        failures.push(format!("resets out of nowhere at {place:?}: {events:?}"));
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
