//! Kernel and userspace agree on every packet: what they count, report and remember, to the bit.
//!
//! Generated conversations, sound and broken, go through the programs and through the same steps in
//! userspace with the same keys; after each packet everything that either could have touched is
//! compared, times included. A disagreement is reported with the shortest script that shows it.

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use rst_tracer_common::{
    event::Counters,
    flow::SERVER_WAYS,
    wire::{Malformed, NotOurs},
};
use rst_tracer_tests::kernel::{self, Kernel, OPTIONS, Options, Recording};

use duel::Duel;
use script::Action;

mod damage;
mod duel;
mod listeners;
mod script;
mod swing;
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
    let mut kernel = Kernel::load(Options { flows: PLACES, ..OPTIONS });
    // The same packets every time: a failure in one run is a failure in the next.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut tally = Tally::default();
    for _ in 0..SCRIPTS {
        let script = script::steps(STEPS).new_tree(&mut runner).expect("a script").current();
        let actions = script::render(&script);
        match play(&mut kernel, &actions) {
            Ok(played) => tally.add(&played),
            Err(what) => {
                let fails = |actions: &[Action]| play(&mut kernel, actions).err();
                panic!("{what}\n{}", shortest(fails, actions))
            }
        }
    }
    tally.covers_what_matters();
}

/// How many connections in full swing are played.
const SWINGS: u64 = 120;

#[test]
fn the_short_way_leaves_what_the_long_way_would() {
    swing(Recording::On);
}

#[test]
fn without_the_recorder_all_else_is_as_with_it() {
    let behind_gaps = swing(Recording::Off);
    assert!(behind_gaps.is_none_or(|number| number >= 10), "{behind_gaps:?} resets behind gaps");
}

/// Plays connections in full swing; says how many resets found the last segments unrecorded, or `None` where that cannot
/// be played.
fn swing(recorder: Recording) -> Option<u64> {
    if !kernel::can_load() {
        return None;
    }
    let mut kernel = Kernel::load(Options { flows: PLACES, recorder, ..OPTIONS });
    let mut tally = Tally::default();
    for number in 0..SWINGS {
        let actions = swing::connection(number);
        match play_with(recorder, &mut kernel, &actions) {
            Ok(played) => tally.add(&played),
            Err(what) => {
                let fails = |actions: &[Action]| play_with(recorder, &mut kernel, actions).err();
                panic!("connection {number}: {what}\n{}", shortest(fails, actions))
            }
        }
    }
    let (usual, tracked) = (tally.usual, tally.counted.tracked);
    println!("{usual} of {tracked} tracked segments went the short way");
    assert!(usual * 5 > tracked, "only {usual} of {tracked} went the short way");
    assert!(usual * 4 < tracked * 3, "nearly all, {usual} of {tracked}: nothing odd among them");
    Some(tally.behind_gaps)
}

#[test]
fn of_listeners_that_share_a_set_both_remember_as_many_as_it_holds() {
    if !kernel::can_load() {
        return;
    }
    let mut kernel = Kernel::load(Options { flows: PLACES, ..OPTIONS });
    let listeners = SERVER_WAYS as usize + 5;
    let played = play(&mut kernel, &listeners::of_one_set(listeners));
    let tally = played.unwrap_or_else(|what| panic!("{what}"));
    assert_eq!(tally.with_flow, listeners as u64, "each of them refused a connection");
    assert_eq!(tally.of_servers, u64::from(SERVER_WAYS), "so many were known to have accepted one");
}

/// Lets both sides play a script from the beginning.
fn play(kernel: &mut Kernel, actions: &[Action]) -> Result<Tally, String> {
    play_with(Recording::On, kernel, actions)
}

fn play_with(
    recorder: Recording,
    kernel: &mut Kernel,
    actions: &[Action],
) -> Result<Tally, String> {
    kernel.reset();
    let mut duel = Duel::new(kernel, PLACES, recorder);
    for action in actions {
        duel.fight(action)?;
    }
    Ok(Tally {
        counted: duel.counted(),
        with_flow: duel.with_flow,
        with_sack: duel.with_sack,
        with_words: duel.with_words,
        of_servers: duel.of_servers,
        reuses: duel.reuses,
        usual: duel.usual(),
        behind_gaps: duel.behind_gaps,
    })
}

/// Leaves out of a failing script whatever it fails without; says what is left, as frames to replay.
fn shortest(
    mut fails: impl FnMut(&[Action]) -> Option<String>,
    mut actions: Vec<Action>,
) -> String {
    let mut chunk = actions.len();
    while chunk > 0 {
        let mut at = 0;
        while at < actions.len() {
            let end = actions.len().min(at + chunk);
            let without = [&actions[..at], &actions[end..]].concat();
            if fails(&without).is_some() {
                actions = without;
            } else {
                at = end;
            }
        }
        chunk /= 2;
    }
    let script: String = actions.iter().map(|action| format!("  {action}\n")).collect();
    let what = fails(&actions).unwrap_or_else(|| "it does not fail every time".to_owned());
    format!("kernel and userspace disagree after\n{script}{what}")
}

/// How often what came up: equality proves nothing about what never happened.
#[derive(Debug, Default)]
struct Tally {
    counted: Counters,
    with_flow: u64,
    with_sack: u64,
    with_words: u64,
    of_servers: u64,
    reuses: u64,
    usual: u64,
    behind_gaps: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.counted.add(&other.counted);
        self.with_flow += other.with_flow;
        self.with_sack += other.with_sack;
        self.with_words += other.with_words;
        self.of_servers += other.of_servers;
        self.reuses += other.reuses;
        self.usual += other.usual;
        self.behind_gaps += other.behind_gaps;
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
            // Capture files alone have unknown link types. What is skipped comes up by chance.
            by_kind(&NotOurs::NAMES[..3], &counted.not_ours),
            vec![("skipped", counted.not_ours[NotOurs::SKIPPED..].iter().sum())],
            vec![
                ("tracked", counted.tracked),
                ("second sightings", counted.second_sightings),
                ("table full", counted.table_full),
                ("evicted finished", counted.evicted_finished),
                ("evicted half-open", counted.evicted_half_open),
                ("resets with a flow", self.with_flow),
                ("resets behind SACK", self.with_sack),
                ("resets behind telling words", self.with_words),
                ("resets of a known server", self.of_servers),
                ("resets without", counted.delivered - self.with_flow),
                ("suppressed", counted.suppressed + counted.suppressed_no_flow),
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
