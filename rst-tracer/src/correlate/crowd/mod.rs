//! What happens on other connections around a reset.
//!
//! In: every reset, once when it comes and once when it goes out, and listeners that close. Out: the
//! facts of [`Crowd`]. Everything is bounded: numbers saturate, and what is oldest is forgotten.

mod histogram;
mod peers;

use rst_tracer_common::wire::{Address, Endpoint};

use self::{histogram::Histogram, peers::Peers};
use super::{Crowd, Joined, bounded::Bounded, describe::Roles};
use crate::{
    classify::{Form, Past},
    event::Stage,
    source::{Notice, Reset},
};

const MS: u64 = 1_000_000;
/// Resets that belong together: one process closes all its sockets.
const AT_ONCE_NS: u64 = 50 * MS;
/// Around a stop or restart.
const SECOND_NS: u64 = 1_000 * MS;
/// A listener closes with its process, before or after the connections.
const LISTENER_NS: u64 = 100 * MS;
/// How long a refused port counts as one of a scan.
const SCAN_NS: u64 = 10_000 * MS;
/// Residual censorship lasts minutes: 180 s in most measured cases.
const RESIDUAL_NS: u64 = 180_000 * MS;
/// How long a proxy takes to end one leg when the other was reset.
const LEG_NS: u64 = 100 * MS;
/// Shorter intervals are bursts.
const LEAST_INTERVAL_NS: u64 = 100 * MS;
/// How many equal intervals make a habit.
const LEAST_RUN: u32 = 3;
/// How far intervals may differ, in percent.
const JITTER: u64 = 15;
/// How many places are remembered, of each kind.
const MOST: usize = 4_096;
/// How many of each are counted at most.
const MANY: usize = 64;

pub use peers::Peer;

/// What is remembered of all resets.
pub(super) struct Gathering {
    endpoints: Bounded<Endpoint, Histogram>,
    hosts: Bounded<Address, Histogram>,
    /// When a flow was counted last: a flow counts once a second.
    flows: Bounded<u64, u64>,
    /// Ports that refused, and when, by who refused whom.
    refusals: Bounded<(Address, Address), Vec<(u32, u64)>>,
    /// When resets of one kind passed.
    habits: Bounded<Habit, Vec<u64>>,
    /// When resets in the server's or client's name, not made by a TCP, passed.
    alike: Bounded<(Endpoint, Stage), Vec<u64>>,
    /// What hosts' connections showed.
    peers: Peers,
    /// The last connection of a process of this host on which it got a reset.
    legs: Bounded<u32, Leg>,
    /// When listeners closed, in which network namespace.
    closed: Bounded<(u32, u32), Vec<(Address, u64)>>,
}

/// What is the same about resets that recur: the client's address, the server, how far the
/// connection had come, and who reset it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Habit {
    client: Address,
    server: Endpoint,
    stage: Stage,
    by_client: bool,
}

/// A connection of a process of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leg {
    flow_hash: u64,
    /// Whether the process opened it.
    opened: bool,
    time_ns: u64,
}

/// What a reset was worth when it came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arrival {
    /// When its flow was counted.
    counted_ns: u64,
    /// It was counted itself, not another of its flow a moment before.
    is_first: bool,
}

impl Default for Gathering {
    fn default() -> Self {
        Self {
            endpoints: Bounded::new(MOST),
            hosts: Bounded::new(MOST),
            flows: Bounded::new(4 * MOST),
            refusals: Bounded::new(MOST),
            habits: Bounded::new(MOST),
            alike: Bounded::new(MOST),
            peers: Peers::default(),
            legs: Bounded::new(MOST),
            closed: Bounded::new(MOST),
        }
    }
}

impl Gathering {
    /// Takes a reset in; what lies behind it is written into `crowd`.
    pub(super) fn arrive(&mut self, reset: &Reset, crowd: &mut Crowd) -> Arrival {
        let head = &reset.rst.head;
        let (now, src, dst) = (head.time_ns, head.segment.src, head.segment.dst);
        let arrival = self.count(head.flow_hash, now);
        let endpoint = self.endpoints.at(src, Histogram::default);
        if arrival.is_first {
            endpoint.count(now);
            self.hosts.at(src.address, Histogram::default).count(now);
        }
        crowd.src_peer = self.peers.about(src.address, now);
        crowd.sees_dst = self.peers.knows(dst.address, now);
        crowd.sees_both_ways = self.peers.come_both_ways(now);
        if arrival.is_first {
            self.peers.learn(reset);
        }
        let past = past(reset);
        if Form::of(&head.segment, past.as_ref()) == Form::PassiveToSyn {
            endpoint.refuse(now);
            crowd.refused_ports = self.refuse(src, dst.address, now);
        }
        let roles = Roles::of(&head.segment, past.as_ref(), None);
        if let Some(by_client) = roles.src_opened {
            let (client, server) = if by_client { (src, dst) } else { (dst, src) };
            let stage = super::describe::stage(past.as_ref());
            let habit = Habit { client: client.address, server, stage, by_client };
            if arrival.is_first {
                crowd.periodic = periodic(remember(self.habits.at(habit, Vec::new), now));
            }
        }
        arrival
    }

    /// A flow counts once a second, however many resets it has.
    fn count(&mut self, flow: u64, now: u64) -> Arrival {
        let last = self.flows.get(&flow).copied();
        let is_first = last.is_none_or(|last| now.abs_diff(last) >= SECOND_NS);
        if is_first {
            *self.flows.at(flow, || now) = now;
        }
        Arrival { counted_ns: if is_first { now } else { last.unwrap_or(now) }, is_first }
    }

    /// Ports of `src` that refused `dst` a moment ago, this one included.
    fn refuse(&mut self, src: Endpoint, dst: Address, now: u64) -> u32 {
        let ports = self.refusals.at((src.address, dst), Vec::new);
        ports.retain(|&(port, then)| port != src.port && now.abs_diff(then) <= SCAN_NS);
        if ports.len() == MANY {
            ports.remove(0);
        }
        ports.push((src.port, now));
        ports.len() as u32
    }

    /// Takes in that a listener opened or closed.
    pub(super) fn listener_closes(&mut self, notice: &Notice) {
        let (said, end) = (&notice.wire, notice.wire.src);
        let closed = self.closed.at((said.netns, end.port), Vec::new);
        closed.retain(|&(_, then)| said.time_ns.abs_diff(then) <= SECOND_NS);
        if closed.len() < MANY {
            closed.push((end.address, said.time_ns));
        }
    }

    /// Takes in that a process of this host got a reset.
    pub(super) fn leg_falls(&mut self, pid: u32, joined: &Joined) {
        let head = &joined.reset.rst.head;
        let Some(src_opened) = src_opened(joined) else { return };
        let leg = Leg { flow_hash: head.flow_hash, opened: !src_opened, time_ns: head.time_ns };
        *self.legs.at(pid, || leg) = leg;
    }

    /// How long before this reset its sender got one on the other leg of what it passes on.
    pub(super) fn other_leg_ns(&self, pid: u32, joined: &Joined) -> Option<u64> {
        let head = &joined.reset.rst.head;
        let (leg, opened) = (self.legs.get(&pid)?, src_opened(joined)?);
        let ago = head.time_ns.checked_sub(leg.time_ns)?;
        let is_other = leg.flow_hash != head.flow_hash && leg.opened != opened;
        (is_other && ago <= LEG_NS).then_some(ago)
    }

    /// What is known about the surroundings of a reset now.
    pub(super) fn look(&self, joined: &Joined, arrival: Arrival, netns: Option<u32>) -> Crowd {
        let head = &joined.reset.rst.head;
        let (now, src) = (head.time_ns, head.segment.src);
        let around = |seen: Option<&Histogram>, ns: u64| {
            let (from, to) = (now.saturating_sub(ns), now.saturating_add(ns));
            let all = seen.map_or(0, |seen| seen.between(from, to));
            // Not itself.
            all.saturating_sub(u32::from(histogram::covers(from, to, arrival.counted_ns)))
        };
        let endpoint = self.endpoints.get(&src);
        Crowd {
            of_endpoint: around(endpoint, AT_ONCE_NS),
            of_host: around(self.hosts.get(&src.address), AT_ONCE_NS),
            of_endpoint_within_1s: around(endpoint, SECOND_NS),
            refused_later: endpoint
                .is_some_and(|seen| seen.refused_after(now, now.saturating_add(SECOND_NS))),
            listener_closed: self.listener_closed(joined, netns),
            ..joined.crowd
        }
    }

    /// Whether the listener of the source closed around the reset.
    fn listener_closed(&self, joined: &Joined, netns: Option<u32>) -> bool {
        let head = &joined.reset.rst.head;
        let (now, src) = (head.time_ns, head.segment.src);
        let said = joined.testimony.sent.as_ref().map(|sent| sent.wire.netns).or(netns);
        let closed = said.and_then(|netns| self.closed.get(&(netns, src.port)));
        closed.into_iter().flatten().any(|&(address, then)| {
            now.abs_diff(then) <= LISTENER_NS && is_bound(address, src.address)
        })
    }

    /// Takes a reset in that goes out, with everything known about it.
    pub(super) fn leave(&mut self, joined: &Joined, arrival: Arrival) -> u32 {
        let reset = &joined.reset;
        let head = &reset.rst.head;
        let past = past(reset);
        let roles = Roles::of(&head.segment, past.as_ref(), None);
        let form = Form::of(&head.segment, past.as_ref());
        let Some(by_client) = roles.src_opened else { return 0 };
        let server = if by_client { head.segment.dst } else { head.segment.src };
        let key = (server, super::describe::stage(past.as_ref()));
        let recent = |times: &[u64]| {
            let recent =
                |then: &&u64| **then <= head.time_ns && head.time_ns - **then <= RESIDUAL_NS;
            times.iter().filter(recent).count() as u32
        };
        let count = self.alike.get(&key).map_or(0, |times| recent(times));
        if arrival.is_first && !form.is_passive() && joined.testimony.sent.is_none() {
            remember(self.alike.at(key, Vec::new), head.time_ns);
        }
        count
    }
}

/// Whether the source of a reset opened the connection.
fn src_opened(joined: &Joined) -> Option<bool> {
    Roles::of(&joined.reset.rst.head.segment, past(&joined.reset).as_ref(), None).src_opened
}

fn past(reset: &Reset) -> Option<Past<'_>> {
    reset.flow.as_deref().map(|state| Past::of(state, reset.rst.head.side))
}

/// Whether a socket bound to `bound` has the address: it is that one, or any. `::` takes IPv4 too,
/// unless it was told not to (IPV6_V6ONLY): that is for the caller to know.
pub(crate) fn is_bound(bound: Address, address: Address) -> bool {
    const ANY_V4: Address = Address::v4(0);
    const ANY_V6: Address = Address([0; 4]);
    bound == address || bound == ANY_V6 || bound == ANY_V4 && address.is_v4()
}

/// Appends a time; the oldest makes room.
fn remember(times: &mut Vec<u64>, now: u64) -> &[u64] {
    if times.len() == MANY {
        times.remove(0);
    }
    times.push(now);
    times
}

/// How many went before the last one at equal intervals, and the mean interval in milliseconds.
fn periodic(times: &[u64]) -> Option<(u32, u64)> {
    let mut intervals = times.windows(2).rev().map(|pair| pair[1].saturating_sub(pair[0]));
    let last = intervals.next().filter(|&ns| ns >= LEAST_INTERVAL_NS)?;
    let is_equal = |ns: &u64| ns.abs_diff(last) <= last / 100 * JITTER;
    let equal: Vec<u64> = std::iter::once(last).chain(intervals.take_while(is_equal)).collect();
    let count = equal.len() as u32;
    (count >= LEAST_RUN).then(|| (count, equal.iter().sum::<u64>() / u64::from(count) / MS))
}

#[cfg(test)]
mod tests {
    use super::periodic;

    const S: u64 = 1_000_000_000;

    #[test]
    fn equal_intervals_are_a_habit_from_the_third_on() {
        assert_eq!(periodic(&[0, 2 * S, 4 * S]), None);
        assert_eq!(periodic(&[0, 2 * S, 4 * S, 6 * S + S / 10]), Some((3, 2033)));
    }

    #[test]
    fn another_interval_ends_the_habit() {
        assert_eq!(periodic(&[0, 2 * S, 4 * S, 6 * S, 11 * S]), None);
        assert_eq!(periodic(&[0, 5 * S, 6 * S, 7 * S, 8 * S]), Some((3, 1000)));
    }

    #[test]
    fn a_burst_is_no_habit() {
        assert_eq!(periodic(&[0, 1000, 2000, 3000, 4000]), None);
    }
}
