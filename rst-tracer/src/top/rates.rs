//! How much there was lately: counts of a key in the last minute, and rates from counters.

use std::collections::VecDeque;

use crate::event::StatsEvent;

/// Parts that the last minute is counted in.
pub(super) const PARTS: usize = 12;
const PART_NS: u64 = 5_000_000_000;
/// Rates that are kept, one a second.
const SECONDS: usize = 240;

/// What came in the last minute.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recent {
    /// The latest part, counted from the start of the clock.
    part: u64,
    counts: [u32; PARTS],
}

impl Recent {
    pub(super) fn count(&mut self, now_ns: u64) {
        self.pass(now_ns);
        let at = (self.part % PARTS as u64) as usize;
        self.counts[at] = self.counts[at].saturating_add(1);
    }

    /// Forgets what is older than a minute.
    fn pass(&mut self, now_ns: u64) {
        let now = now_ns / PART_NS;
        let passed = now.saturating_sub(self.part).min(PARTS as u64);
        for part in now + 1 - passed..=now {
            self.counts[(part % PARTS as u64) as usize] = 0;
        }
        self.part = self.part.max(now);
    }

    /// The parts, the oldest first.
    pub(super) fn parts(mut self, now_ns: u64) -> [u32; PARTS] {
        self.pass(now_ns);
        std::array::from_fn(|at| self.counts[((self.part + 1 + at as u64) % PARTS as u64) as usize])
    }

    /// All of the last minute.
    pub(super) fn sum(self, now_ns: u64) -> u64 {
        self.parts(now_ns).into_iter().map(u64::from).sum()
    }
}

/// Rates of counters that only grow.
#[derive(Debug, Default)]
pub(super) struct Rates {
    last: Option<StatsEvent>,
    /// Of resets, the newest last.
    pub(super) rsts: VecDeque<u64>,
    pub(super) segments: u64,
}

impl Rates {
    pub(super) fn take(&mut self, stats: &StatsEvent) {
        if let Some(last) = &self.last {
            let ns = stats.time.0.saturating_sub(last.time.0).max(1);
            let a_second = |n: u64, before: u64| {
                (u128::from(n.saturating_sub(before)) * 1_000_000_000 / u128::from(ns)) as u64
            };
            if self.rsts.len() == SECONDS {
                self.rsts.pop_front();
            }
            self.rsts.push_back(a_second(stats.rsts, last.rsts));
            self.segments = a_second(stats.segments, last.segments);
        }
        self.last = Some(stats.clone());
    }

    /// The counters as they were read last.
    pub(super) fn counters(&self) -> Option<&StatsEvent> {
        self.last.as_ref()
    }
}
