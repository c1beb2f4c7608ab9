//! The resets that still wait: for other sightings, and for their aftermath.

use std::collections::{HashMap, VecDeque};

use super::Joined;
use crate::source::{Record, Reset};

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How long a reset waits for its aftermath, in nanoseconds.
    pub settle_ns: u64,
    /// Within how many nanoseconds two sightings may be of the same RST; 0 never joins.
    pub merge_ns: u64,
    /// How many resets may wait at once; the oldest go out early beyond that.
    pub most: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self { settle_ns: 1_000_000_000, merge_ns: 50_000_000, most: 1 << 16 }
    }
}

/// Resets in order of arrival, found by the flow they belong to.
pub struct Correlator {
    rules: Rules,
    waiting: VecDeque<Joined>,
    /// Number of the first one in `waiting`.
    first: u64,
    /// Numbers of the waiting resets of a flow.
    of_flow: HashMap<u64, Vec<u64>>,
    merged: u64,
}

impl Correlator {
    /// Nothing waits yet.
    pub fn new(rules: Rules) -> Self {
        let (waiting, of_flow) = (VecDeque::new(), HashMap::new());
        Self { rules, waiting, first: 0, of_flow, merged: 0 }
    }

    /// Takes a record in.
    pub fn take(&mut self, record: Record) {
        match record {
            Record::After(after) => {
                let flow = after.head.flow_hash;
                self.each_of(flow, |joined| joined.aftermath.push(after.clone()));
            }
            Record::Reset(reset) => self.take_reset(reset),
            Record::Notice(_) => {}
        }
    }

    fn take_reset(&mut self, reset: Reset) {
        let flow = reset.rst.head.flow_hash;
        let numbers = self.of_flow.get(&flow).map(Vec::as_slice).unwrap_or_default();
        for &number in numbers {
            let at = (number - self.first) as usize;
            if is_sighting_of(&self.waiting[at], &reset, self.rules.merge_ns) {
                self.waiting[at].sightings.push(reset);
                self.merged += 1;
                return;
            }
        }
        self.each_of(flow, |joined| joined.later_resets.push(reset.clone()));
        let number = self.first + self.waiting.len() as u64;
        self.of_flow.entry(flow).or_default().push(number);
        self.waiting.push_back(Joined::new(reset));
    }

    fn each_of(&mut self, flow: u64, mut add: impl FnMut(&mut Joined)) {
        for number in self.of_flow.get(&flow).into_iter().flatten() {
            add(&mut self.waiting[(number - self.first) as usize]);
        }
    }

    /// The next reset for which nothing more is awaited at `now` (nanoseconds since the epoch).
    pub fn due(&mut self, now: u64) -> Option<Joined> {
        let oldest = self.waiting.front()?;
        let is_due = now.saturating_sub(oldest.reset.time.0) >= self.wait_ns();
        if is_due || self.waiting.len() > self.rules.most { self.release() } else { None }
    }

    /// The next reset, whatever it waits for: the source has ended.
    pub fn release(&mut self) -> Option<Joined> {
        let joined = self.waiting.pop_front()?;
        let flow = joined.reset.rst.head.flow_hash;
        if let Some(numbers) = self.of_flow.get_mut(&flow) {
            numbers.retain(|&number| number != self.first);
            if numbers.is_empty() {
                self.of_flow.remove(&flow);
            }
        }
        self.first += 1;
        Some(joined)
    }

    /// When the next one is due, in nanoseconds since the epoch.
    pub fn next_due(&self) -> Option<u64> {
        self.waiting.front().map(|joined| joined.reset.time.0.saturating_add(self.wait_ns()))
    }

    fn wait_ns(&self) -> u64 {
        self.rules.settle_ns.max(self.rules.merge_ns)
    }

    /// How many wait.
    pub fn pending(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// How many further sightings were joined to a reset.
    pub fn merged(&self) -> u64 {
        self.merged
    }
}

/// Whether `reset` is the same RST as `joined`, seen at a place where that one was not seen yet.
fn is_sighting_of(joined: &Joined, reset: &Reset, merge_ns: u64) -> bool {
    let same = |a: &Reset, b: &Reset| {
        let (a, b) = (&a.rst.head.segment, &b.rst.head.segment);
        a.src == b.src
            && a.dst == b.dst
            && a.tcp.seq == b.tcp.seq
            && a.tcp.ack == b.tcp.ack
            && a.tcp.flags == b.tcp.flags
            && a.tcp.window == b.tcp.window
            && a.ip_id == b.ip_id
    };
    let place = |r: &Reset| (r.rst.head.ifindex, r.rst.head.hook);
    let apart = reset.time.0.abs_diff(joined.reset.time.0);
    merge_ns > 0
        && apart <= merge_ns
        && same(&joined.reset, reset)
        && std::iter::once(&joined.reset).chain(&joined.sightings).all(|r| place(r) != place(reset))
}
