//! The engine against the laboratory: how often it must be right, and what it must never do. Needs root.

use anyhow::Result;
use rst_tracer_tests::{
    accuracy::{goals::regressions, judge::judge, play::play},
    laboratory::laboratory,
    skip::skipped,
};

#[test]
fn the_engine_is_as_right_as_it_was_measured() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        skipped("accuracy needs root for namespaces and BPF; repeat with sudo");
        return Ok(());
    }
    let played = play(&laboratory(), |scenario, truth| {
        if let Err(error) = truth {
            skipped(&format!("{} over {}: {error:#}", scenario.id, scenario.family));
        }
    })?;
    let worse = regressions(&judge(&played));
    assert!(worse.is_empty(), "{}", worse.join("\n"));
    Ok(())
}
