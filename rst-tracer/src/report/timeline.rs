//! How many resets of each cause there were over time, with as many points as a chart can show.
//!
//! In: times in any order. Out: counts in steps that became wider as the time became longer; each width is a multiple
//! of the one before, so that nothing is counted anew.

use std::collections::BTreeMap;

use crate::event::{Cause, Timestamp};

/// Points at most.
const POINTS: u64 = 120;
const SECOND: u64 = 1_000_000_000;
const WIDTHS: [u64; 18] = [
    SECOND / 1000,
    SECOND / 100,
    SECOND / 10,
    SECOND,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    60 * SECOND,
    300 * SECOND,
    600 * SECOND,
    1_800 * SECOND,
    3_600 * SECOND,
    7_200 * SECOND,
    21_600 * SECOND,
    43_200 * SECOND,
    86_400 * SECOND,
    7 * 86_400 * SECOND,
    // As far as a timestamp reaches.
    63 * 86_400 * SECOND,
];

/// Counts over time.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// Which of the widths.
    width: usize,
    /// By the number of the step since the epoch.
    steps: BTreeMap<u64, BTreeMap<Cause, u64>>,
}

impl Timeline {
    pub(super) fn count(&mut self, time: Timestamp, cause: Cause) {
        let step = time.0 / self.width_ns();
        *self.steps.entry(step).or_default().entry(cause).or_default() += 1;
        while self.is_too_fine() {
            self.widen();
        }
    }

    fn is_too_fine(&self) -> bool {
        let (first, last) = self.ends();
        last - first >= POINTS && self.width + 1 < WIDTHS.len()
    }

    fn widen(&mut self) {
        let old = self.width_ns();
        self.width += 1;
        let factor = self.width_ns() / old;
        for (step, counts) in std::mem::take(&mut self.steps) {
            let wider = self.steps.entry(step / factor).or_default();
            counts.into_iter().for_each(|(cause, n)| *wider.entry(cause).or_default() += n);
        }
    }

    fn ends(&self) -> (u64, u64) {
        let end = |entry: Option<(&u64, _)>| entry.map_or(0, |(step, _)| *step);
        (end(self.steps.first_key_value()), end(self.steps.last_key_value()))
    }

    /// How long a step is.
    pub(super) fn width_ns(&self) -> u64 {
        WIDTHS[self.width]
    }

    /// Every step from the first to the last, those without a reset too.
    pub(super) fn steps(&self) -> Vec<(Timestamp, BTreeMap<Cause, u64>)> {
        let (first, last) = self.ends();
        let at = |step: u64| {
            let counts = self.steps.get(&step).cloned().unwrap_or_default();
            (Timestamp(step.saturating_mul(self.width_ns())), counts)
        };
        if self.steps.is_empty() { Vec::new() } else { (first..=last).map(at).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_width_is_a_multiple_of_the_one_before() {
        assert!(WIDTHS.windows(2).all(|pair| pair[1] % pair[0] == 0 && pair[1] > pair[0]));
    }

    #[test]
    fn nothing_is_lost_while_steps_become_wider() {
        let mut timeline = Timeline::default();
        let mut time = 1_700_000_000 * SECOND;
        for n in 0..5_000_u64 {
            time += n * SECOND / 7;
            // Not in order.
            timeline.count(Timestamp(time - n % 3 * SECOND), Cause::ClosedPort);
            assert!(timeline.steps().len() as u64 <= POINTS);
        }
        let steps = timeline.steps();
        assert!(steps.len() as u64 > POINTS / 8, "too coarse: {}", steps.len());
        let sum: u64 = steps.iter().flat_map(|(_, counts)| counts.values()).sum();
        assert_eq!(sum, 5_000);
    }

    #[test]
    fn a_time_out_of_this_world_is_no_trouble() {
        let mut timeline = Timeline::default();
        for time in [0, u64::MAX, 1_700_000_000 * SECOND] {
            timeline.count(Timestamp(time), Cause::Unknown);
        }
        assert!(timeline.steps().len() < 4_000);
    }
}
