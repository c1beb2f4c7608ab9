//! What a reset leaves in the flow, once it has been reported.

use super::{
    super::{
        Entry, Flow, Hot, flag,
        history::{self, Letter},
        ticks,
    },
    begin::meet,
    record::{keep, record},
};
use crate::wire::{Flags, Segment, Seq};

/// Notes a RST that has been reported.
#[inline(always)]
pub(in crate::flow) fn note_reset(entry: &mut Entry<'_>, side: u32, segment: &Segment, now: u64) {
    let side = side & 1;
    keep(entry, 0);
    keep(entry, 1);
    meet(entry.hot, entry.flow, side);
    let (hot, flow) = (&mut *entry.hot, &mut *entry.flow);
    if ends_connection(hot, flow, side, segment) {
        hot.flags |= flag::RESET;
    }
    hot.flags |= flag::RST_SEEN;
    hot.last = ticks(now);
    flow.resets = flow.resets.wrapping_add(1);
    flow.suppressed = 0;
    flow.reset_ns = now;
    flow.aftermath = 0;
    let sender = &mut hot.counts[side as usize];
    sender.packets = sender.packets.wrapping_add(1);
    history::note(flow, side, Letter::of(segment));
    record(entry, side, segment, false, now);
}

/// Whether the receiver would believe this RST, as far as one can tell from outside: exactly the
/// next sequence number it expects (RFC 5961 section 3.2), or an answer to its SYN that
/// acknowledges it (RFC 9293 section 3.10.7.3).
#[inline(always)]
pub(in crate::flow) fn ends_connection(
    hot: &Hot,
    flow: &Flow,
    side: u32,
    segment: &Segment,
) -> bool {
    let (me, peer) = (side as usize & 1, (side ^ 1) as usize & 1);
    // A side that was not heard yet has no number: zero is not one to hit.
    let heard = hot.flags & (flag::HEARD << side) != 0;
    let peer_acked = hot.flags & (flag::HEARD << (side ^ 1)) != 0 && hot.ack[peer] != Seq(0);
    let exact = heard && segment.tcp.seq == hot.seq_end[me]
        || peer_acked && segment.tcp.seq == hot.ack[peer];
    let in_syn_sent = hot.flags & flag::SYN != 0 && hot.flags & flag::SYN_ACK == 0;
    let answers_syn = in_syn_sent
        && hot.opener() == Some(side ^ 1)
        && segment.tcp.flags.has(Flags::ACK)
        && segment.tcp.ack.since(flow.facts[peer].isn) > 0;
    answers_syn || exact
}
