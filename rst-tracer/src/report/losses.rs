//! Is anything missing? What the numbers of the lines and the stats lines say about it.
//!
//! In: every line in the order of the files. Out: how many lines are not there, and what the tracer itself says it lost.
//! Each host counts for itself; a number that begins anew is another run.

use std::{collections::HashMap, ops::RangeInclusive};

use crate::event::{Event, StatsEvent, Timestamp};

/// Hosts that are told apart; lines of more are counted only.
const HOSTS: usize = 1_000;
/// Gaps of a host that can still be filled by lines that come late.
const OPEN_GAPS: usize = 1_000;

/// What is missing, of all hosts.
#[derive(Debug, Default)]
pub(super) struct Losses {
    hosts: HashMap<String, Host>,
    /// Lines of hosts beyond those that are told apart.
    unwatched: u64,
}

/// The lines of a host.
#[derive(Debug, Default)]
struct Host {
    sums: Sums,
    next: u64,
    last: Timestamp,
    gaps: Vec<RangeInclusive<u64>>,
    stats: Option<StatsEvent>,
}

/// What is said of one host or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) lines: u64,
    pub(super) runs: u64,
    /// Lines that are not there, amid those that are.
    pub(super) missing: u64,
    /// In so many places.
    pub(super) gaps: u64,
    /// Lines of a run before the first that is there.
    pub(super) before: u64,
    /// Lines without a number.
    pub(super) unnumbered: u64,
    /// Lines that came twice, or of two runs at once.
    pub(super) again: u64,
    /// Stats lines.
    pub(super) stats: u64,
    /// Resets by the stats lines: all, those that found no room on their way from the kernel, those only counted.
    pub(super) rsts: u64,
    pub(super) lost: u64,
    pub(super) suppressed: u64,
    /// Lines for which an output had no room.
    pub(super) dropped: u64,
}

impl Losses {
    pub(super) fn take(&mut self, event: &Event) {
        let name = event.host();
        if !self.hosts.contains_key(name) {
            if self.hosts.len() == HOSTS {
                self.unwatched += 1;
                return;
            }
            self.hosts.insert(name.to_owned(), Host::default());
        }
        if let Some(host) = self.hosts.get_mut(name) {
            host.take(event);
        }
    }

    /// What is said of all hosts together.
    pub(super) fn sums(&self) -> Sums {
        let mut all = Sums::default();
        self.hosts.values().map(Host::sums).for_each(|sums| all.add(&sums));
        all
    }

    /// Their names.
    pub(super) fn hosts(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.hosts.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Lines of more hosts than are told apart.
    pub(super) fn unwatched(&self) -> u64 {
        self.unwatched
    }
}

impl Host {
    fn take(&mut self, event: &Event) {
        self.sums.lines += 1;
        match event.seq() {
            None => self.sums.unnumbered += 1,
            Some(seq) => self.number(seq, event.time()),
        }
        self.last = self.last.max(event.time());
        if let Event::Stats(stats) = event {
            self.sums.stats += 1;
            if self.stats.as_ref().is_some_and(|before| before.segments > stats.segments) {
                self.close();
            }
            self.stats = Some(StatsEvent::clone(stats));
        }
    }

    fn number(&mut self, seq: u64, time: Timestamp) {
        if seq == self.next {
            self.next += 1;
        } else if seq > self.next && self.sums.runs > 0 {
            self.sums.gaps += 1;
            self.sums.missing = self.sums.missing.saturating_add(seq - self.next);
            if self.gaps.len() == OPEN_GAPS {
                self.gaps.remove(0);
            }
            self.gaps.push(self.next..=seq - 1);
            self.next = seq.saturating_add(1);
        } else if !self.fill(seq) {
            self.number_anew(seq, time);
        }
    }

    /// A number that was before, or is the first.
    fn number_anew(&mut self, seq: u64, time: Timestamp) {
        if seq > 1 && self.sums.runs > 0 && time <= self.last {
            self.sums.again += 1;
            return;
        }
        self.sums.runs += 1;
        self.sums.before = self.sums.before.saturating_add(seq - 1);
        self.gaps.clear();
        self.close();
        self.next = seq.saturating_add(1);
    }

    /// Whether a line closes a gap, or a part of one.
    fn fill(&mut self, seq: u64) -> bool {
        let Some(at) = self.gaps.iter().position(|gap| gap.contains(&seq)) else { return false };
        let gap = self.gaps.swap_remove(at);
        self.sums.missing -= 1;
        self.sums.gaps -= 1;
        let rests = [*gap.start()..=seq - 1, seq.saturating_add(1)..=*gap.end()];
        for rest in rests.into_iter().filter(|rest| !rest.is_empty()) {
            self.sums.gaps += 1;
            self.gaps.push(rest);
        }
        true
    }

    /// The counters of a run are final: they count from its start.
    fn close(&mut self) {
        if let Some(stats) = self.stats.take() {
            self.sums.count(&stats);
        }
    }

    fn sums(&self) -> Sums {
        let mut sums = self.sums;
        self.stats.iter().for_each(|stats| sums.count(stats));
        sums
    }
}

impl Sums {
    fn count(&mut self, stats: &StatsEvent) {
        let dropped = stats.outputs.iter().map(|output| output.dropped);
        self.add(&Self {
            rsts: stats.rsts,
            lost: stats.lost,
            suppressed: stats.suppressed,
            dropped: dropped.fold(0, u64::saturating_add),
            ..Self::default()
        });
    }

    fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.lines, other.lines),
            (&mut self.runs, other.runs),
            (&mut self.missing, other.missing),
            (&mut self.gaps, other.gaps),
            (&mut self.before, other.before),
            (&mut self.unnumbered, other.unnumbered),
            (&mut self.again, other.again),
            (&mut self.stats, other.stats),
            (&mut self.rsts, other.rsts),
            (&mut self.lost, other.lost),
            (&mut self.suppressed, other.suppressed),
            (&mut self.dropped, other.dropped),
        ];
        // A file may claim anything.
        pairs.into_iter().for_each(|(sum, n)| *sum = sum.saturating_add(n));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(seq: u64, second: u64, segments: u64, lost: u64) -> Event {
        let time = Timestamp(second * 1_000_000_000);
        let host = "web-1".to_owned();
        Event::from(StatsEvent { seq, time, host, segments, lost, ..StatsEvent::default() })
    }

    fn sums(numbers: &[u64]) -> Sums {
        let mut losses = Losses::default();
        (1..).zip(numbers).for_each(|(second, seq)| losses.take(&stats(*seq, second, second, 0)));
        losses.sums()
    }

    #[test]
    fn a_gap_is_as_large_as_what_is_not_there() {
        let Sums { runs, missing, gaps, before, .. } = sums(&[1, 2, 5, 6, 10]);
        assert_eq!((runs, missing, gaps, before), (1, 5, 2, 0));
    }

    #[test]
    fn what_comes_late_is_not_missing() {
        let Sums { missing, gaps, again, .. } = sums(&[1, 2, 6, 4, 3, 7]);
        assert_eq!((missing, gaps, again), (1, 1, 0));
    }

    #[test]
    fn a_number_that_begins_anew_is_another_run() {
        let Sums { runs, missing, before, .. } = sums(&[1, 2, 3, 1, 2, 3, 4]);
        assert_eq!((runs, missing, before), (2, 0, 0));
    }

    #[test]
    fn a_file_that_begins_amid_a_run_says_how_much_came_before() {
        let Sums { runs, missing, before, .. } = sums(&[501, 502]);
        assert_eq!((runs, missing, before), (1, 0, 500));
    }

    #[test]
    fn the_same_line_again_is_no_other_run() {
        let mut losses = Losses::default();
        for (seq, second) in [(1, 1), (2, 2), (3, 3), (2, 2), (3, 3), (4, 4)] {
            losses.take(&stats(seq, second, second, 0));
        }
        let Sums { runs, again, missing, .. } = losses.sums();
        assert_eq!((runs, again, missing), (1, 2, 0));
    }

    #[test]
    fn counters_are_those_of_the_last_line_of_each_run() {
        let mut losses = Losses::default();
        for (seq, segments, lost) in [(1, 10, 1), (2, 20, 3), (1, 5, 0), (2, 9, 4)] {
            losses.take(&stats(seq, 10 + segments, segments, lost));
        }
        assert_eq!(losses.sums().lost, 7);
    }

    #[test]
    fn hosts_count_for_themselves() {
        let mut losses = Losses::default();
        for n in 0..2_000 {
            let Event::Stats(mut line) = stats(1 + n / 1_000, 1, 1, 0) else { panic!("stats") };
            line.host = format!("host-{}", n % 1_500);
            losses.take(&Event::Stats(line));
        }
        assert_eq!(losses.hosts().len(), HOSTS);
        assert_eq!(losses.sums().missing, 0);
        assert!(losses.unwatched() > 0);
    }
}
