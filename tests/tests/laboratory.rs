//! The whole laboratory plays, with tracers on all hosts: every reset passes where its true sender puts it and nowhere
//! else, and the engine is as right about them as it was measured to be.
//!
//! Needs root. `RST_TRACER_LAB=name,name` plays only scenarios whose names contain one of these.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::Result;
use rst_tracer::demo::lab::{Lab, Place};
use rst_tracer::demo::scenarios::{Scenario, run_all};
use rst_tracer::demo::truth::{GroundTruth, Reset, Side};
use rst_tracer::event::{Cause, Endpoint, RstEvent};
use rst_tracer::exit::{Code, code_of};
use rst_tracer_tests::accuracy::{
    goals::{regressions, regressions_unrecorded},
    judge::{judge, judge_unrecorded},
    play::{Played, play},
};
use rst_tracer_tests::laboratory::check::check;
use rst_tracer_tests::laboratory::{PORTS_EACH, ROOM, laboratory};
use rst_tracer_tests::skip::skipped;

/// The laboratory takes two minutes on two CPUs; this is for machines with something else to do.
const LIMIT: Duration = Duration::from_secs(360);
/// Of a thousand scenarios so many may have to be played again.
const MOST_REPEATED: usize = 40;

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

/// The laboratory is played once for all tests here: it takes two minutes.
static PLAYED: OnceLock<Result<Trial>> = OnceLock::new();

/// What was played, and what was wrong about it.
struct Trial {
    /// Scenarios of which the witnesses tell the same as the truth; for the others see `failures`.
    played: Played,
    failures: Vec<String>,
    took: Duration,
}

/// The laboratory as played, or nothing where that is impossible.
fn trial() -> Result<Option<&'static Trial>> {
    if !nix::unistd::geteuid().is_root() {
        skipped("the laboratory needs root (network namespaces, BPF); repeat with sudo");
        return Ok(None);
    }
    match PLAYED.get_or_init(play_all) {
        Ok(trial) => Ok(Some(trial)),
        Err(error) => anyhow::bail!("{error:#}"),
    }
}

fn play_all() -> Result<Trial> {
    let wanted = wanted();
    let is_wanted = |one: &Scenario| wanted.split(',').any(|part| one.id.contains(part));
    let scenarios: Vec<Scenario> = laboratory().into_iter().filter(is_wanted).collect();
    let start = Instant::now();
    let mut played = play(&scenarios, |_, _| {})?;
    let took = start.elapsed();
    let lab = &played.lab;
    let mut again = Vec::new();
    for (scenario, truth) in &mut played.scenes {
        let name = name(scenario);
        if let Ok(known) = &truth
            && let Err(error) = check(lab, known)
        {
            *truth = Err(error);
        }
        match truth {
            Ok(truth) => println!("{name}: {}", told(truth)),
            Err(error) if code_of(error) == Code::UNAVAILABLE => {
                skipped(&format!("{name}: {error:#}"));
            }
            Err(error) => {
                skipped(&format!("{name} is played again: {error:#}"));
                again.push((scenario.clone(), format!("{name}: {error:#}")));
            }
        }
    }
    let failures = repeat(&again)?;
    Ok(Trial { played, failures, took })
}

/// What still fails when little runs beside it. A busy machine keeps some scenarios waiting beyond their deadlines;
/// and where one of its processors stands still for some milliseconds, a segment that left before a FIN or a reset
/// comes to its receiver after it, which answers as to one from a connection that is over.
fn repeat(again: &[(Scenario, String)]) -> Result<Vec<String>> {
    let told = |failure: &str, alone: &str| format!("{failure}\nand again: {alone}");
    if again.len() > MOST_REPEATED {
        let why = format!("not played, as {} others failed too", again.len() - 1);
        return Ok(again.iter().map(|(_, failure)| told(failure, &why)).collect());
    }
    let lab = Lab::with_room(ROOM)?;
    let scenarios: Vec<Scenario> = again.iter().map(|(scenario, _)| scenario.clone()).collect();
    let mut failures = Vec::new();
    run_all(&lab, &scenarios, 1, |scenario, truth| {
        if let Err(error) = truth.and_then(|truth| check(&lab, &truth)) {
            let first = again.iter().find(|(one, _)| name(one) == name(scenario));
            failures.push(told(first.map_or("", |(_, failure)| failure), &format!("{error:#}")));
        }
    });
    Ok(failures)
}

fn wanted() -> String {
    std::env::var("RST_TRACER_LAB").unwrap_or_default()
}

fn name(scenario: &Scenario) -> String {
    format!("{} over {}", scenario.id, scenario.family)
}

#[test]
fn every_scenario_plays_and_its_resets_pass_where_they_must() -> Result<()> {
    let Some(Trial { played, failures, took }) = trial()? else { return Ok(()) };
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    let truths = || played.scenes.iter().filter_map(|(_, truth)| truth.as_ref().ok());
    println!("{} scenarios in {took:?}", truths().count());
    assert!(truths().count() > 0, "not one scenario could run");
    let connections = truths().flat_map(|truth| &truth.connections);
    for reset in connections.flat_map(|connection| &connection.resets) {
        check_names(reset.class, reset.cause, reset.also)?;
    }
    assert!(*took < LIMIT, "the laboratory took {took:?}");
    for place in Place::ALL {
        assert_eq!(played.lab.sniffer(place).dropped()?, 0, "frames lost at {place:?}");
    }
    Ok(())
}

#[test]
fn a_replay_of_the_routers_captures_tells_each_reset_once() -> Result<()> {
    let Some(Trial { played, .. }) = trial()? else { return Ok(()) };
    let mut failures = Vec::new();
    for (place, events) in &played.captures {
        check_capture(*place, events, &played.scenes, &mut failures);
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    Ok(())
}

#[test]
fn the_engine_is_as_right_as_it_was_measured() -> Result<()> {
    holds_of_the_whole(|played| regressions(&judge(played)))
}

#[test]
fn without_the_recorder_it_is_less_sure_and_no_more_often_wrong() -> Result<()> {
    holds_of_the_whole(|played| regressions_unrecorded(&judge_unrecorded(played)))
}

/// Shares of right verdicts mean something of all scenarios only; `worse` says which are too small.
fn holds_of_the_whole(worse: fn(&Played) -> Vec<String>) -> Result<()> {
    let Some(Trial { played, .. }) = trial()? else { return Ok(()) };
    if !wanted().is_empty() {
        skipped("shares of right verdicts are told of the whole laboratory: unset RST_TRACER_LAB");
        return Ok(());
    }
    let worse = worse(played);
    assert!(worse.is_empty(), "{}", worse.join("\n"));
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

/// What a replay of the capture at `place` told against what passed there, once, in order.
fn check_capture(
    place: Place,
    told: &[RstEvent],
    scenes: &[(Scenario, Result<GroundTruth>)],
    failures: &mut Vec<String>,
) {
    let mut events: HashMap<(Endpoint, Endpoint), Vec<u64>> = HashMap::new();
    for event in told {
        let times = events.entry((event.src, event.dst)).or_default();
        times.push(event.time.0);
    }
    for (scenario, truth) in scenes {
        let Ok(truth) = truth else { continue };
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
                    let (name, found) = (name(scenario), times.len());
                    failures.push(format!(
                        "{name}: {expected} resets by the {side:?} passed {place:?}, {found} replayed"
                    ));
                }
            }
        }
    }
    for (scenario, _) in scenes.iter().filter(|(_, truth)| truth.is_err()) {
        // Nobody knows what passed, only at which ports.
        let ports = scenario.port()..scenario.port() + PORTS_EACH;
        events.retain(|(src, dst), _| !ports.contains(&src.port) && !ports.contains(&dst.port));
    }
    if !events.is_empty() {
        failures.push(format!("resets out of nowhere at {place:?}: {events:?}"));
    }
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
