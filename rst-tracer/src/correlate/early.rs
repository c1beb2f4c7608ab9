//! Statements of the kernel that came before the reset they are about.
//!
//! In: statements in order of time. Out: the one that fits a reset, once. They are found by who gets the reset: its
//! source may be translated on its way to where it is seen. Bounded in time and number: the oldest is
//! dropped, and counted.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;
use rst_tracer_common::{notice::Point, wire::Endpoint};

use crate::{event::Process, source::Notice};

/// A statement, and the process that it is about, looked up when it came.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) notice: Box<Notice>,
    pub(super) process: Option<Process>,
}

impl Heard {
    /// Who gets the reset: of one that was sent its destination, of one that answers a dropped segment that one's
    /// source.
    pub(super) fn receiver(&self) -> Endpoint {
        let said = &self.notice.wire;
        if said.point == Point::DROP { said.src } else { said.dst }
    }
}

/// Statements that wait for their reset.
pub(super) struct Early {
    /// How long one waits.
    keep_ns: u64,
    most: usize,
    to: HashMap<Endpoint, Vec<(u64, Heard)>, RandomState>,
    /// When, about a reset to whom and with which number each came; those taken since are skipped.
    order: VecDeque<(u64, Endpoint, u64)>,
    next: u64,
    dropped: u64,
}

impl Early {
    /// Keeps at most this many for so long.
    pub(super) fn new(keep_ns: u64, most: usize) -> Self {
        let (to, order) = Default::default();
        Self { keep_ns, most, to, order, next: 0, dropped: 0 }
    }

    /// Keeps one.
    pub(super) fn keep(&mut self, heard: Heard) {
        let (time, receiver) = (heard.notice.wire.time_ns, heard.receiver());
        self.forget_before(time.saturating_sub(self.keep_ns));
        while self.order.len() >= self.most {
            self.forget_oldest();
        }
        self.to.entry(receiver).or_default().push((self.next, heard));
        self.order.push_back((time, receiver, self.next));
        self.next += 1;
    }

    /// Takes out the first about a reset to `receiver` with the highest rank; `None` ranks nothing.
    pub(super) fn take<R: Ord>(
        &mut self,
        receiver: Endpoint,
        rank: impl Fn(&Notice) -> Option<R>,
    ) -> Option<Heard> {
        let kept = self.to.get_mut(&receiver)?;
        let ranked = kept.iter().enumerate();
        let best = ranked.filter_map(|(at, (_, heard))| Some((rank(&heard.notice)?, at)));
        // Of equal ones the first.
        let (_, at) = best.reduce(|best, other| if other.0 > best.0 { other } else { best })?;
        let (_, heard) = kept.remove(at);
        if kept.is_empty() {
            self.to.remove(&receiver);
        }
        Some(heard)
    }

    fn forget_before(&mut self, time: u64) {
        while self.order.front().is_some_and(|&(then, ..)| then < time) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, receiver, number)) = self.order.pop_front() else { return };
        let Some(kept) = self.to.get_mut(&receiver) else { return };
        let before = kept.len();
        kept.retain(|(other, _)| *other != number);
        self.dropped += (before - kept.len()) as u64;
        if kept.is_empty() {
            self.to.remove(&receiver);
        }
    }

    /// How many were given up: no reset came for them.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use rst_tracer_common::notice;

    use super::*;
    use crate::event::Timestamp;

    fn to(port: u32) -> Endpoint {
        Endpoint { port, ..Endpoint::default() }
    }

    fn heard(port: u32, time_ns: u64, uid: u32) -> Heard {
        let wire = notice::Notice { time_ns, dst: to(port), uid, ..Default::default() };
        let (reason, state, state_before) = Default::default();
        let notice = Notice { time: Timestamp(time_ns), wire, reason, state, state_before };
        Heard { notice: Box::new(notice), process: None }
    }

    #[test]
    fn each_is_taken_once_and_the_first_of_equals_first() {
        let mut early = Early::new(100, 8);
        early.keep(heard(7, 1, 10));
        early.keep(heard(7, 2, 20));
        let mut take = || early.take(to(7), |_| Some(())).map(|heard| heard.notice.wire.uid);
        assert_eq!([take(), take(), take()], [Some(10), Some(20), None]);
        assert_eq!(early.dropped(), 0);
    }

    #[test]
    fn the_old_and_those_beyond_the_bound_are_dropped_and_counted() {
        let mut early = Early::new(100, 2);
        early.keep(heard(1, 1, 0));
        early.keep(heard(2, 150, 0));
        assert_eq!(early.dropped(), 1);
        early.keep(heard(3, 150, 0));
        early.keep(heard(4, 150, 0));
        assert_eq!(early.dropped(), 2);
        assert!(early.take(to(2), |_| Some(())).is_none());
        assert!(early.take(to(4), |_| Some(())).is_some());
    }
}
