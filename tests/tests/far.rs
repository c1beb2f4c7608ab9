//! The laboratory with real round trips: nothing that is said with certainty is wrong because hosts are far apart.
//!
//! Needs root. The cables on both sides of the router hold every frame for 20 ms: a round trip takes 80 ms, and segments
//! cross on their way. `RST_TRACER_FAR=all` plays every scenario of the families that are not kept aside,
//! `RST_TRACER_FAR=name,name` those whose names contain one of these.

use anyhow::Result;
use rst_tracer::demo::scenarios::{Scenario, catalogue};
use rst_tracer::exit::{Code, code_of};
use rst_tracer_tests::accuracy::{goals::regressions_far, judge::judge, play::play_over};
use rst_tracer_tests::cable::Conduct;
use rst_tracer_tests::laboratory::distance::far;
use rst_tracer_tests::skip::skipped;

/// How long a frame takes on each of the two cables.
const EACH_WAY_MS: u64 = 20;
/// Of those played so many may fail: a busy machine keeps some waiting beyond their deadlines.
const MOST_FAILED: usize = 12;

/// What is played where nobody asks for more.
fn wanted(one: &Scenario) -> bool {
    match std::env::var("RST_TRACER_FAR").as_deref() {
        Ok("all") => true,
        Ok(names) => names.split(',').any(|part| one.id.contains(part)),
        Err(_) => !one.slow && !one.alone || catalogue().iter().any(|known| known.id == one.id),
    }
}

#[test]
fn what_is_sure_is_right_at_a_distance_too() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        skipped("the laboratory needs root (network namespaces, BPF); repeat with sudo");
        return Ok(());
    }
    let mut scenarios = far(|one, why| skipped(&format!("{} over {}: {why}", one.id, one.family)));
    scenarios.retain(wanted);
    let mut failed = Vec::new();
    let distance = Some(Conduct::of_ms(EACH_WAY_MS));
    let mut played = play_over(distance, &scenarios, |_, truth| match truth {
        Ok(_) => {}
        Err(error) if code_of(error) == Code::UNAVAILABLE => skipped(&format!("{error:#}")),
        Err(error) => failed.push(format!("{error:#}")),
    })?;
    played.hold_to_the_witnesses(|one, error| {
        failed.push(format!("{} over {}: {error:#}", one.id, one.family));
    });
    for failure in &failed {
        skipped(&format!("not judged: {failure}"));
    }
    let lost: u64 = played.cables.iter().map(|cable| cable.lost()).sum();
    assert_eq!(lost, 0, "the cables lost frames");
    let judged = judge(&played);
    let worse = regressions_far(&judged);
    assert!(worse.is_empty(), "{} of {}:\n{}", worse.len(), judged.len(), worse.join("\n"));
    assert!(failed.len() <= MOST_FAILED, "{} failed:\n{}", failed.len(), failed.join("\n"));
    assert!(!judged.is_empty(), "not one scenario could run");
    Ok(())
}
