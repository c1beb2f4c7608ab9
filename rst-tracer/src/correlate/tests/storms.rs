//! Thousands of resets of one connection at once cost no more each than a few do.

use nix::time::{ClockId, clock_gettime};

use crate::correlate::{
    Correlator, Rules,
    story::{Server, Story},
};
use crate::source::{After, Record, Reset};

/// CPU time of this thread: others on the machine do not count.
fn spent_ns() -> u64 {
    let spent = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    spent.tv_sec() as u64 * 1_000_000_000 + spent.tv_nsec() as u64
}

/// What so many resets of one capture's connection take, with a segment behind each if there is one.
fn taken_in(count: u32, reset: &Reset, after: Option<&After>) -> u64 {
    let mut correlator = Correlator::new(Rules { merge_ns: 0, ..Rules::default() });
    let began = spent_ns();
    for _ in 0..count {
        correlator.take(Record::Reset(reset.clone()));
        if let Some(after) = after {
            correlator.take(Record::After(after.clone()));
        }
    }
    let out = std::iter::from_fn(|| correlator.release()).count();
    assert_eq!(out, count as usize);
    spent_ns() - began
}

#[test]
fn resets_of_one_time_and_segments_between_them_take_time_with_their_number() {
    let reset = Story::v4().handshake().abort(Server).joined().reset;
    let after = After { time: reset.time, head: reset.rst.head };
    for after in [None, Some(&after)] {
        taken_in(100, &reset, after);
        let (few, many) = (taken_in(500, &reset, after), taken_in(8_000, &reset, after));
        // Sixteen times as long, not 256 times.
        assert!(many < few * 64, "{few} ns for 500, {many} ns for 8000 ({})", after.is_some());
    }
}

#[test]
fn each_of_many_resets_sees_the_first_segments_behind_it() {
    let reset = Story::v4().handshake().abort(Server).joined().reset;
    let after = After { time: reset.time, head: reset.rst.head };
    let mut correlator = Correlator::new(Rules { merge_ns: 0, ..Rules::default() });
    for _ in 0..100 {
        correlator.take(Record::Reset(reset.clone()));
        correlator.take(Record::After(after.clone()));
    }
    let seen = std::iter::from_fn(|| correlator.release()).map(|joined| joined.aftermath.len());
    let expected = (1..=100).rev().map(|left| left.min(64));
    assert!(seen.eq(expected));
}
