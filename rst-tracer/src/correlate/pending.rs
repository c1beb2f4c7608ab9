//! The resets that still wait: for other sightings, for what the kernel says, for their aftermath.
//!
//! In: records in the order of the source, and the time on its clock. Out: [`Joined`] resets, each
//! once. They go out in the order in which nothing more is awaited for them.

mod statements;

use std::{
    collections::{BTreeSet, HashMap, VecDeque, hash_map::Entry},
    hash::Hash,
    sync::Arc,
};

use foldhash::fast::RandomState;
use rst_tracer_common::wire::Endpoint;

use super::{
    Joined, Witnesses,
    crowd::{Arrival, Gathering},
    early::Early,
    hearing, settled,
};
use crate::{
    event::Process,
    source::{After, Record, Reset},
};

/// How long to wait for what, and whom to believe.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How long a reset waits for its aftermath, in nanoseconds.
    pub settle_ns: u64,
    /// Within how many nanoseconds two sightings may be of the same RST; 0 never joins.
    pub merge_ns: u64,
    /// Whether segments are seen at one interface only.
    pub one_interface: bool,
    /// How many resets may wait at once; those that are due first go out early beyond that.
    pub most: usize,
    /// Which tracepoints are listened to.
    pub witnesses: Witnesses,
    /// Inode of the network namespace that the tracer stands in; `None` for captures.
    pub netns: Option<u32>,
    /// Whether only that namespace is believed: the others play other hosts.
    pub only_netns: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            settle_ns: 1_000_000_000,
            merge_ns: 50_000_000,
            one_interface: false,
            most: 1 << 16,
            witnesses: Witnesses::default(),
            netns: None,
            only_netns: false,
        }
    }
}

/// How far a reset may be from a loss of statements whose own may be among the lost.
const DOUBT_NS: u64 = 5_000_000_000;
/// How long a reset that was seen at the only interface may take to be seen there again, forwarded back out by it:
/// the kernel does that in one go. What it says of a reset that it sent itself comes as soon.
const BACK_OUT_NS: u64 = 200_000;

impl Rules {
    /// How long a reset waits at most. A tenth more than for its aftermath: what is sent again after a
    /// second, as a lost SYN-ACK is (RFC 6298 section 2), comes a little later than that.
    pub(super) fn longest_ns(&self) -> u64 {
        self.settle_ns.saturating_add(self.settle_ns / 10).max(self.sightings_ns())
    }

    /// How long other sightings of a reset are waited for.
    pub(super) fn sightings_ns(&self) -> u64 {
        if self.one_interface { self.merge_ns.min(BACK_OUT_NS) } else { self.merge_ns }
    }
}

/// So many resets that followed another one of their flow are looked at: a volley has a handful.
const MOST_LATER: usize = 32;
/// So many segments that followed a reset are looked at.
const MOST_AFTER: usize = 64;
/// Statements about sent resets that may wait for their packet.
const MOST_SENT: usize = 1 << 14;
/// Statements about dropped segments that may wait for the reset that answers them.
const MOST_DROPS: usize = 1 << 12;

/// Resets in order of arrival, found by the flow they belong to.
pub struct Correlator {
    rules: Rules,
    /// By number, which is the order of arrival. Boxed: they are large, and moved on their way.
    waiting: HashMap<u64, Box<Waiting>, RandomState>,
    /// When each is due, and its number.
    queue: BTreeSet<(u64, u64)>,
    next: u64,
    /// Numbers of the waiting resets of a flow, in order.
    of_flow: HashMap<u64, VecDeque<u64>, RandomState>,
    /// Numbers of those that this host wrote, by who gets them, in order.
    to: HashMap<Endpoint, VecDeque<u64>, RandomState>,
    /// The last due time given out: resets that nothing settles keep their order even when the
    /// clock of a capture jumps.
    last_due: u64,
    crowd: Gathering,
    /// When a statement was last found to be lost.
    lost_ns: Option<u64>,
    sent_early: Early,
    drops_early: Early,
    merged: u64,
    unmatched: u64,
}

/// A reset that waits.
struct Waiting {
    joined: Joined,
    arrival: Arrival,
    due: u64,
    /// When it is due if nothing settles it.
    last_due: u64,
    /// The process that sent it, and the one that received it.
    sender: Option<Process>,
    receiver: Option<Process>,
}

impl Correlator {
    /// Nothing waits yet.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            waiting: HashMap::default(),
            queue: BTreeSet::new(),
            next: 0,
            of_flow: HashMap::default(),
            to: HashMap::default(),
            last_due: 0,
            crowd: Gathering::default(),
            lost_ns: None,
            sent_early: Early::new(hearing::SENT_NS, MOST_SENT),
            drops_early: Early::new(hearing::ANSWER_NS, MOST_DROPS),
            merged: 0,
            unmatched: 0,
        }
    }

    /// Says at how many interfaces segments are seen from now on.
    pub fn watch(&mut self, interfaces: usize) {
        self.rules.one_interface = interfaces == 1;
    }

    /// Takes a record in.
    pub fn take(&mut self, record: Record) {
        match record {
            Record::After(after) => self.take_after(after),
            Record::Reset(reset) => self.take_reset(reset),
            Record::Notice(notice) => self.take_notice(notice, None),
            // What hosts and connections elsewhere showed says nothing about those here.
            Record::AnotherStory(_) => self.crowd = Gathering::default(),
        }
    }

    /// Makes a reset due by what is known about it now.
    fn reschedule(&mut self, number: u64) {
        let Some(waiting) = self.waiting.get(&number) else { return };
        let wait_ns = settled::wait_ns(&waiting.joined, &self.rules);
        let due = if wait_ns < self.longest_ns() {
            waiting.joined.reset.rst.head.time_ns.saturating_add(wait_ns)
        } else {
            waiting.last_due
        };
        self.postpone(number, due);
    }

    fn longest_ns(&self) -> u64 {
        self.rules.longest_ns()
    }

    /// Makes a reset due at another time, at the latest when it would be if nothing settled it.
    fn postpone(&mut self, number: u64, due: u64) {
        let Some(waiting) = self.waiting.get_mut(&number) else { return };
        let due = due.min(waiting.last_due);
        if due == waiting.due {
            return;
        }
        self.queue.remove(&(waiting.due, number));
        waiting.due = due;
        self.queue.insert((waiting.due, number));
    }

    fn take_reset(&mut self, reset: Reset) {
        let head = &reset.rst.head;
        let (flow, time) = (head.flow_hash, head.time_ns);
        let dst = head.segment.dst;
        if let Some(number) = self.seen_before(&reset)
            && let Some(waiting) = self.waiting.get_mut(&number)
        {
            waiting.joined.sightings.push(reset);
            self.merged += 1;
            return self.recall(number, dst);
        }
        self.tell_earlier(&reset);
        let number = self.next;
        self.next += 1;
        let departs = hearing::is_departure(&reset.rst.head);
        let mut joined = Joined::new(reset);
        joined.testimony.witnesses = self.rules.witnesses;
        let arrival = self.crowd.arrive(&joined.reset, &mut joined.crowd);
        let due = time.saturating_add(self.longest_ns());
        if due.saturating_add(self.longest_ns()) < self.last_due {
            self.let_go();
        }
        let due = due.max(self.last_due);
        self.last_due = due;
        let (sender, receiver) = (None, None);
        let waiting = Waiting { joined, arrival, due, last_due: due, sender, receiver };
        self.waiting.insert(number, Box::new(waiting));
        self.queue.insert((due, number));
        self.of_flow.entry(flow).or_default().push_back(number);
        if departs {
            self.to.entry(dst).or_default().push_back(number);
        }
        self.recall(number, dst);
    }

    /// The first of the latest resets that this may be another sighting of.
    fn seen_before(&self, reset: &Reset) -> Option<u64> {
        let (now, merge_ns) = (reset.rst.head.time_ns, self.rules.merge_ns);
        if merge_ns == 0 {
            return None;
        }
        let numbers = self.of_flow.get(&reset.rst.head.flow_hash)?;
        let joined = |number: &u64| self.waiting.get(number).map(|waiting| &waiting.joined);
        let is_late =
            |joined: &Joined| joined.reset.rst.head.time_ns.saturating_add(merge_ns) >= now;
        let late = numbers.iter().rev().take_while(|number| joined(number).is_some_and(is_late));
        let mut candidates = numbers.iter().skip(numbers.len() - late.count()).copied();
        candidates.find(|number| {
            joined(number).is_some_and(|joined| is_sighting_of(joined, reset, merge_ns))
        })
    }

    /// Adds a segment to what followed the resets of its flow. An earlier reset has seen what a later one has, and
    /// more: before one that has seen enough, all have.
    fn take_after(&mut self, after: After) {
        let after = Arc::new(after);
        for number in self.of_flow.get(&after.head.flow_hash).into_iter().flatten().rev() {
            let Some(waiting) = self.waiting.get_mut(number) else { continue };
            if waiting.joined.aftermath.len() >= MOST_AFTER {
                break;
            }
            waiting.joined.aftermath.push(after.clone());
        }
    }

    /// Adds a reset to what followed those of its flow. Only the latest of these have not seen enough yet.
    fn tell_earlier(&mut self, reset: &Reset) {
        let Some(earlier) = self.of_flow.get(&reset.rst.head.flow_hash) else { return };
        let reset = Arc::new(*reset.rst);
        for number in earlier.iter().rev().take(MOST_LATER) {
            if let Some(waiting) = self.waiting.get_mut(number) {
                waiting.joined.later_resets.push(reset.clone());
            }
        }
    }

    /// Makes everything due that waits: the clock of a capture went back, and it may never come to that time again.
    fn let_go(&mut self) {
        self.last_due = 0;
        for (_, number) in std::mem::take(&mut self.queue) {
            if let Some(waiting) = self.waiting.get_mut(&number) {
                (waiting.due, waiting.last_due) = (0, 0);
                self.queue.insert((0, number));
            }
        }
    }

    /// The next reset for which nothing more is awaited at `now`, on the clock of the source.
    pub fn due(&mut self, now: u64) -> Option<Joined> {
        loop {
            let &(due, number) = self.queue.first()?;
            if self.waiting.len() > self.rules.most {
                return self.release();
            }
            if now < due {
                return None;
            }
            let waiting = self.waiting.get_mut(&number)?;
            let last_due = waiting.last_due;
            if due >= last_due {
                return self.release();
            }
            waiting.joined.crowd =
                self.crowd.look(&waiting.joined, waiting.arrival, self.rules.netns);
            if !settled::is_open(&waiting.joined) {
                return self.release();
            }
            self.postpone(number, last_due);
        }
    }

    /// The next reset, whatever it waits for: the source has ended.
    pub fn release(&mut self) -> Option<Joined> {
        let (_, number) = self.queue.pop_first()?;
        let waiting = self.waiting.remove(&number)?;
        let Waiting { mut joined, arrival, sender, receiver, .. } = *waiting;
        let head = &joined.reset.rst.head;
        forget(&mut self.of_flow, head.flow_hash, number);
        if hearing::is_departure(head) {
            forget(&mut self.to, head.segment.dst, number);
        }
        let time = joined.reset.rst.head.time_ns;
        let is_doubted = |lost: u64| time.abs_diff(lost) <= DOUBT_NS;
        if self.lost_ns.is_some_and(is_doubted) && joined.testimony.sent.is_none() {
            joined.testimony.witnesses = Witnesses::default();
        }
        joined.crowd = self.crowd.look(&joined, arrival, self.rules.netns);
        joined.crowd.reset_alike = self.crowd.leave(&joined, arrival);
        let other_leg = |process: &Process| self.crowd.other_leg_ns(process.pid, &joined);
        joined.crowd.other_leg_ns = sender.as_ref().and_then(other_leg);
        joined.process = statements::named(hearing::ends_here(&joined), sender, receiver);
        Some(joined)
    }

    /// When the next one is due, on the clock of the source.
    pub fn next_due(&self) -> Option<u64> {
        self.queue.first().map(|&(due, _)| due)
    }

    /// How many wait.
    pub fn pending(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// How many further sightings were joined to a reset.
    pub fn merged(&self) -> u64 {
        self.merged
    }

    /// How many statements of the kernel were about no reset that was seen on the wire.
    pub fn unmatched(&self) -> u64 {
        self.unmatched + self.sent_early.dropped() + self.drops_early.dropped()
    }
}

/// Takes a number out of the list of a key.
fn forget<K: Eq + Hash>(lists: &mut HashMap<K, VecDeque<u64>, RandomState>, key: K, number: u64) {
    if let Entry::Occupied(mut list) = lists.entry(key) {
        // Nearly always the first.
        if let Some(place) = list.get().iter().position(|&other| other == number) {
            list.get_mut().remove(place);
        }
        if list.get().is_empty() {
            list.remove();
        }
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
    let apart = reset.rst.head.time_ns.abs_diff(joined.reset.rst.head.time_ns);
    apart <= merge_ns
        && same(&joined.reset, reset)
        && std::iter::once(&joined.reset).chain(&joined.sightings).all(|r| place(r) != place(reset))
}
