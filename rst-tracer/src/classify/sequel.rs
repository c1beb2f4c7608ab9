//! What the flow did after the reset: segments that prove or refute it.

use rst_tracer_common::wire::{Flags, Seq};

use super::Past;
use crate::{correlate::Joined, source::After};

/// The segments after a reset, seen from its claimed sender.
#[derive(Clone, Copy, Debug)]
pub struct Sequel<'a> {
    joined: &'a Joined,
}

impl<'a> Sequel<'a> {
    /// What came after this reset.
    pub fn of(joined: &'a Joined) -> Self {
        Self { joined }
    }

    /// Nanoseconds between the reset and a later segment.
    pub fn delay_ns(&self, after: &After) -> u64 {
        after.head.time_ns.saturating_sub(self.joined.reset.rst.head.time_ns)
    }

    /// Segments of the claimed sender.
    pub fn mine(&self) -> impl Iterator<Item = &'a After> {
        let side = self.joined.reset.rst.head.side;
        self.joined
            .aftermath
            .iter()
            .map(|after| &**after)
            .filter(move |after| after.head.side == side)
    }

    /// Segments of the receiver.
    pub fn theirs(&self) -> impl Iterator<Item = &'a After> {
        let side = self.joined.reset.rst.head.side;
        self.joined
            .aftermath
            .iter()
            .map(|after| &**after)
            .filter(move |after| after.head.side != side)
    }

    /// The genuine SYN-ACK of a server in whose name the SYN was refused.
    pub fn late_syn_ack(&self, past: &Past<'a>) -> Option<&'a After> {
        self.mine().find(|after| {
            let tcp = &after.head.segment.tcp;
            tcp.flags.has(Flags::SYN) && tcp.flags.has(Flags::ACK) && tcp.ack == past.their_end()
        })
    }

    /// New data or a FIN of the receiver, later than what was under way when the reset passed.
    pub fn receiver_goes_on(&self, past: &Past<'a>) -> Option<&'a After> {
        const MARGIN_NS: u64 = 10_000_000;
        let rtt = past.rtt_ns().unwrap_or(200_000_000);
        let under_way = rtt.saturating_mul(2).saturating_add(MARGIN_NS);
        self.theirs().find(|after| {
            let segment = &after.head.segment;
            let flags = segment.tcp.flags;
            flags.0 & (Flags::SYN.0 | Flags::RST.0) == 0
                && segment.seq_end().is_after(past.their_end())
                && self.delay_ns(after) > under_way
        })
    }

    /// A pure ACK of the receiver that repeats where it stands, as RFC 5961 section 3.2 asks for: it has acknowledged
    /// no less before, and the reset can have reached it by then.
    pub fn challenge_ack(&self, past: &Past<'a>, expected: Seq) -> Option<&'a After> {
        const SOON_NS: u64 = 1_000_000_000;
        let least = past.trip_to_the_receiver_ns().unwrap_or(0) / 2;
        let (mut acked, mut stood) = (expected, past.their_ack().is_some());
        self.theirs().find(|after| {
            let tcp = &after.head.segment.tcp;
            if !tcp.flags.has(Flags::ACK) {
                return false;
            }
            let is_pure = tcp.flags == Flags::ACK && tcp.payload_len == 0;
            let repeats = stood && tcp.ack == acked;
            if tcp.ack.since(acked) >= 0 {
                (acked, stood) = (tcp.ack, true);
            }
            let delay = self.delay_ns(after);
            is_pure && repeats && (least..SOON_NS).contains(&delay)
        })
    }
}
