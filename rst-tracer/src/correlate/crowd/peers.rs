//! How far away a host is, and by which neighbour its frames come, as its other connections showed.
//!
//! In: the flows of resets. Out: what is known about the source of another reset, and whether this place sees both
//! directions. Only flows that ended in a reset are seen here, so little is known, and silence says nothing. What is old
//! says nothing either: paths change, and addresses change hands.

use rst_tracer_common::{flow::flag, wire::Address};

use super::super::bounded::Bounded;
use crate::{
    classify::{Past, handshake_trip_ns},
    source::Reset,
};

/// How many hosts are remembered.
const MOST: usize = 4_096;
/// How many different ones are remembered before there are too many to mean anything.
const FEW: usize = 4;
/// How long what a host showed last holds.
const HOLDS_NS: u64 = 3_600_000_000_000;

/// What a host's other connections showed at this place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The time to live of its segments; `None` when not known, or when it varies.
    pub ttl: Option<u8>,
    /// The hardware addresses that its frames came from, as far as they are few; zeros: none.
    pub macs: [[u8; 6]; FEW],
    /// The shortest time from here to it and back, in nanoseconds.
    pub least_rtt_ns: Option<u64>,
    /// Of how many connections.
    pub connections: u32,
}

/// What is remembered of a host.
#[derive(Default)]
struct Known {
    ttls: Vec<u8>,
    macs: Vec<[u8; 6]>,
    least_rtt_ns: Option<u64>,
    connections: u32,
    last_ns: u64,
}

impl Known {
    fn holds(&self, now: u64) -> bool {
        now.saturating_sub(self.last_ns) <= HOLDS_NS
    }
}

/// All hosts.
pub(super) struct Peers {
    hosts: Bounded<Address, Known>,
    /// Connections whose receiver of the reset had been heard before, so that both directions pass here.
    both_ways: u32,
    /// Connections whose receiver had not.
    one_way: u32,
    /// When the first segment of all of them passed.
    since_ns: u64,
}

impl Default for Peers {
    fn default() -> Self {
        Self { hosts: Bounded::new(MOST), both_ways: 0, one_way: 0, since_ns: u64::MAX }
    }
}

impl Peers {
    /// Learns from the connection that a reset ended: about the side in whose name it travels, of
    /// which the reset itself is no part, and about the other one.
    pub(super) fn learn(&mut self, reset: &Reset) {
        let head = &reset.rst.head;
        let heard = flag::HEARD << (head.side ^ 1);
        let both = reset.flow.as_deref().is_some_and(|state| state.hot.flags & heard != 0);
        let count = if both { &mut self.both_ways } else { &mut self.one_way };
        *count = count.saturating_add(1);
        let Some(state) = reset.flow.as_deref() else { return };
        self.since_ns = self.since_ns.min(state.flow.first_ns);
        for (side, address) in
            [(head.side, head.segment.src.address), (head.side ^ 1, head.segment.dst.address)]
        {
            let past = Past::of(state, side);
            // A host that has said one thing may be a stranger in its name.
            if past.mine().packets < 2 {
                continue;
            }
            let known = self.hosts.at(address, Known::default);
            if !known.holds(head.time_ns) {
                *known = Known::default();
            }
            known.last_ns = head.time_ns;
            known.connections = known.connections.saturating_add(1);
            if let Some(ttl) = past.my_ttl() {
                note(&mut known.ttls, ttl);
            }
            note(&mut known.macs, past.my_facts().mac);
            if let Some(trip) = handshake_trip_ns(&past) {
                known.least_rtt_ns = Some(known.least_rtt_ns.map_or(trip, |least| least.min(trip)));
            }
        }
    }

    /// Whether connections pass here both ways, nearly all of them, and have for longer than an answer takes: then a
    /// segment that was not seen did not pass.
    pub(super) fn come_both_ways(&self, now: u64) -> bool {
        const SEVERAL: u32 = 8;
        const LONGEST_TRIP_NS: u64 = 3_000_000_000;
        let long = now.saturating_sub(LONGEST_TRIP_NS) >= self.since_ns;
        long && self.both_ways >= SEVERAL && self.both_ways / 4 >= self.one_way
    }

    /// Whether segments of a host were seen not long before `now`.
    pub(super) fn knows(&self, address: Address, now: u64) -> bool {
        self.known(address, now).is_some()
    }

    fn known(&self, address: Address, now: u64) -> Option<&Known> {
        self.hosts.get(&address).filter(|known| known.holds(now))
    }

    /// What is known about a host at `now`.
    pub(super) fn about(&self, address: Address, now: u64) -> Option<Peer> {
        let known = self.known(address, now)?;
        let mut macs = [[0; 6]; FEW];
        if known.macs.len() <= FEW {
            for (mac, known) in macs.iter_mut().zip(&known.macs) {
                *mac = *known;
            }
        }
        let ttl = match known.ttls.as_slice() {
            [ttl] => Some(*ttl),
            _ => None,
        };
        let (least_rtt_ns, connections) = (known.least_rtt_ns, known.connections);
        Some(Peer { ttl, macs, least_rtt_ns, connections })
    }
}

/// Adds what is new; one more than a few shows that there are many.
fn note<T: PartialEq>(seen: &mut Vec<T>, one: T) {
    if seen.len() <= FEW && !seen.contains(&one) {
        seen.push(one);
    }
}
