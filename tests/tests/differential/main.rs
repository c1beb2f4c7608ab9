//! Kernel and userspace agree on every packet: what they count, report and remember, to the bit.
//!
//! Generated conversations, sound and broken, go through the programs and through the same steps in
//! userspace with the same keys; after each packet everything that either could have touched is
//! compared, times included. A disagreement is shrunk to the shortest script that shows it.

use std::cell::RefCell;

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};
use rst_tracer_common::{
    event::Counters,
    wire::{Malformed, NotOurs},
};
use rst_tracer_tests::kernel::{self, Kernel, OPTIONS, Options};

use duel::Duel;

mod damage;
mod duel;
mod script;
mod traffic;
mod twin;
mod wrapping;

/// Scripts of this many steps at most; half of that on average.
const STEPS: usize = 400;
const SCRIPTS: u32 = 100;
/// So few that connections compete for them.
const PLACES: u32 = 8;

#[test]
fn kernel_and_userspace_agree_on_every_packet() {
    if !kernel::can_load() {
        return;
    }
    let kernel = Kernel::load(Options { flows: PLACES, ..OPTIONS });
    let config = Config {
        cases: SCRIPTS,
        max_shrink_iters: 400,
        failure_persistence: None,
        ..Config::default()
    };
    // The same packets every time: a failure in one run is a failure in the next.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let (kernel, tally) = (RefCell::new(kernel), RefCell::new(Tally::default()));
    let scripts = script::steps(STEPS).prop_map(Script);
    let result = TestRunner::new_with_rng(config, rng).run(&scripts, |script| {
        let played = play(&mut kernel.borrow_mut(), &script.0).map_err(TestCaseError::fail)?;
        tally.borrow_mut().add(&played);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    tally.borrow().covers_what_matters();
}

/// A script that prints as what a person can replay.
struct Script(Vec<script::Step>);

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f)?;
        script::render(&self.0).iter().try_for_each(|action| writeln!(f, "  {action}"))
    }
}

/// Lets both sides play a script from the beginning.
fn play(kernel: &mut Kernel, steps: &[script::Step]) -> Result<Tally, String> {
    kernel.reset();
    let mut duel = Duel::new(kernel, PLACES);
    for action in script::render(steps) {
        duel.fight(&action).map_err(|what| format!("{action}\n{what}"))?;
    }
    Ok(Tally { counted: duel.counted(), with_flow: duel.with_flow, reuses: duel.reuses })
}

/// How often what came up: equality proves nothing about what never happened.
#[derive(Debug, Default)]
struct Tally {
    counted: Counters,
    with_flow: u64,
    reuses: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.counted.add(&other.counted);
        self.with_flow += other.with_flow;
        self.reuses += other.reuses;
    }

    fn covers_what_matters(&self) {
        let counted = &self.counted;
        assert!(counted.frames >= 20_000, "only {} packets", counted.frames);
        println!("{} packets, {} segments", counted.frames, counted.segments);
        let by_kind = |names: &[&'static str], numbers: &[u64]| -> Vec<(&'static str, u64)> {
            names.iter().copied().zip(numbers.iter().copied()).collect()
        };
        let kinds = [
            by_kind(&Malformed::NAMES, &counted.malformed),
            // Capture files alone have unknown link types.
            by_kind(&NotOurs::NAMES[..4], &counted.not_ours),
            vec![
                ("tracked", counted.tracked),
                ("second sightings", counted.second_sightings),
                ("table full", counted.table_full),
                ("evicted finished", counted.evicted_finished),
                ("evicted half-open", counted.evicted_half_open),
                ("resets with a flow", self.with_flow),
                ("resets without", counted.delivered - self.with_flow),
                ("suppressed", counted.suppressed),
                ("aftermath", counted.aftermath),
                ("resets of a reused place", self.reuses),
            ],
        ];
        for (kind, number) in kinds.concat() {
            println!("{number:>7} {kind}");
            assert!(number >= 10, "{kind} came up {number} times only");
        }
    }
}
