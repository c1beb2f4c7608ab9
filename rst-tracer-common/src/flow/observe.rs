//! What one segment does to a flow.
//!
//! In: the flow's three parts, a segment, which side sent it, and now. Out: nothing but the state.
//! Resets are noted by [`note_reset`] after they have been reported, so that the report shows the
//! flow as it stood before.

use super::{
    Count, Entry, Facts, Flow, Hot, OpenedBy, SLOTS, Slot, flag,
    history::{self, Letter},
    slot_trait, ticks, ticks_of_secs,
};
use crate::{
    wire::{self, Flags, NO_SCALE, Segment, Seq, option},
    words,
};

/// A connection that was silent so long may be replaced by a SYN between the same two ends.
const IDLE_BEFORE_REUSE: u32 = ticks_of_secs(30);
/// Sequence numbers further ahead than the largest window (RFC 7323 2.2) are not believed.
pub(super) const LARGEST_WINDOW: i32 = 1 << 30;

/// Makes an entry that of a new flow. The tag is written by the caller, last.
#[inline(always)]
pub(super) fn begin(entry: &mut Entry<'_>, side: u32, segment: &Segment, now: u64) {
    let hot = &mut *entry.hot;
    words::clear(hot);
    hot.last = ticks(now);
    let flow = &mut *entry.flow;
    words::clear_first::<_, { Flow::FRESH }>(flow);
    flow.first_ns = now;
    words::copy(&mut flow.ends[side as usize & 1], &segment.src);
    words::copy(&mut flow.ends[(side ^ 1) as usize & 1], &segment.dst);
}

/// Forgets what a former flow left of a side that is heard for the first time.
#[inline(always)]
fn meet(hot: &Hot, flow: &mut Flow, side: u32) {
    let side = side as usize & 1;
    if hot.counts[side].packets == 0 {
        words::clear_first::<_, { Facts::FRESH }>(&mut flow.facts[side]);
        flow.facts[side].scale = NO_SCALE;
    }
}

/// Makes an entry that of the next connection between the same two ends. What belongs to the pair
/// of ends stays: where they are seen, and the budget of reports.
#[inline(always)]
fn begin_again(entry: &mut Entry<'_>, side: u32, segment: &Segment, now: u64) {
    let (tag, ports) = (entry.hot.tag, entry.hot.ports);
    let (reuses, reported) = (entry.flow.reuses, entry.flow.reported);
    let reset_window = entry.flow.reset_window;
    begin(entry, side, segment, now);
    entry.hot.tag = tag;
    entry.hot.ports = ports;
    entry.flow.reuses = reuses.saturating_add(1);
    entry.flow.reported = reported;
    entry.flow.reset_window = reset_window;
}

/// Whether a SYN may start a new connection in place of the one remembered. One that crosses the
/// other side's SYN does not: both open the same connection (RFC 9293 section 3.5).
#[inline(always)]
fn replaces(hot: &Hot, flow: &Flow, side: u32, segment: &Segment, now: u64) -> bool {
    let spoke = hot.counts[side as usize & 1].packets > 0;
    let retransmitted = spoke && flow.facts[side as usize & 1].isn == segment.tcp.seq;
    let another_attempt = spoke && !hot.is_confirmed();
    let idle = ticks(now).wrapping_sub(hot.last) > IDLE_BEFORE_REUSE;
    !retransmitted && (hot.is_closed() || another_attempt || idle)
}

/// Applies one segment that is not a RST.
#[inline(always)]
pub(super) fn apply(entry: &mut Entry<'_>, side: u32, segment: &Segment, now: u64) {
    let side = side & 1;
    let flags = segment.tcp.flags;
    if flags.has(Flags::SYN) && restarts(entry, side, segment, now) {
        begin_again(entry, side, segment, now);
    }
    meet(entry.hot, entry.flow, side);
    if flags.has(Flags::SYN) {
        note_syn(entry.hot, entry.flow, side, segment, now);
    }
    let fresh = entry.hot.counts[side as usize].packets == 0;
    if fresh {
        note_first(entry.hot, entry.flow, side, segment);
    }
    let entry = &mut entry.in_memory();
    let kind = advance(entry.hot, entry.flow, side, segment, fresh, now).forget();
    let entry = &mut entry.in_memory();
    history::note_segment(entry.hot, entry.flow, side, segment);
    if kind.is_retransmit {
        history::note(entry.flow, side, Letter::Retransmit);
    }
    count(entry, side, segment, &kind);
    keep(entry, side ^ 1);
    let at = record(entry, side, segment, kind.is_retransmit, now);
    entry.hot.counts[side as usize].latest = (at + 1) as u8;
    entry.hot.last = ticks(now);
    if segment.tcp.options & option::SACK != 0 {
        let facts = &mut entry.flow.facts[side as usize];
        facts.sack_right = segment.tcp.sack_right;
        facts.sack_ack = segment.tcp.ack;
    }
}

/// A new SYN on a closed or idle connection, or the SYN-ACK that answers a contesting SYN.
#[inline(always)]
fn restarts(entry: &mut Entry<'_>, side: u32, segment: &Segment, now: u64) -> bool {
    let (hot, flow) = (&*entry.hot, &mut *entry.flow);
    if hot.flags == 0 {
        return false;
    }
    if segment.tcp.flags.has(Flags::ACK) {
        return flow.contested != 0 && segment.tcp.ack == flow.contesting_syn + 1;
    }
    if replaces(hot, flow, side, segment, now) {
        return true;
    }
    let known = hot.counts[side as usize].packets > 0;
    if known && flow.facts[side as usize].isn != segment.tcp.seq {
        flow.contesting_syn = segment.tcp.seq;
        flow.contested = 1;
    }
    false
}

#[inline(always)]
fn note_syn(hot: &mut Hot, flow: &mut Flow, side: u32, segment: &Segment, now: u64) {
    let answers = segment.tcp.flags.has(Flags::ACK);
    let opener = if answers { side ^ 1 } else { side };
    let known_opener = hot.opener();
    let first = hot.counts[side as usize].packets == 0;
    if first {
        let facts = &mut flow.facts[side as usize];
        facts.isn = segment.tcp.seq;
        facts.mss = segment.tcp.mss;
        facts.options = segment.tcp.options;
        facts.scale = segment.tcp.scale;
    }
    if known_opener.is_none() {
        if hot.flags & flag::BOTH_HEARD != 0 {
            // A SYN amid a connection picked up in mid-stream says nothing about who opened it.
            return;
        }
        hot.flags |= (opener as u16) << 3;
        flow.opened_by = if answers { OpenedBy::SYN_ACK } else { OpenedBy::SYN };
    }
    if !answers {
        if known_opener.is_none_or(|opener| opener == side) {
            hot.flags |= flag::SYN;
            flow.syn_ns = now;
            // A SYN-ACK may echo any of its SYNs, from the first one on
            // (net/ipv4/tcp_input.c `tcp_rcv_synsent_state_process`).
            if flow.syn_tsval == 0 {
                flow.syn_tsval = segment.tcp.tsval;
            }
        }
        return;
    }
    let ours = known_opener.is_none_or(|opener| opener != side);
    let fits = hot.flags & flag::SYN == 0
        || segment.tcp.ack == flow.facts[opener as usize & 1].isn + 1
        || segment.tcp.ack == hot.seq_end[opener as usize & 1];
    if !(ours && fits) {
        return;
    }
    flow.syn_ack_tsecr = segment.tcp.tsecr;
    if hot.flags & flag::SYN_ACK == 0 {
        hot.flags |= flag::SYN_ACK;
        flow.syn_ack_ns = now;
    }
}

/// What a side's first segment tells.
#[inline(always)]
fn note_first(hot: &mut Hot, flow: &mut Flow, side: u32, segment: &Segment) {
    let facts = &mut flow.facts[side as usize & 1];
    facts.isn = segment.tcp.seq;
    facts.flow_label = segment.flow_label;
    facts.first_window = segment.tcp.window;
    facts.first_ttl = segment.ttl;
    facts.first_ip_id = segment.ip_id;
    words::copy(&mut facts.mac, &segment.mac);
    hot.counts[side as usize & 1].ttl = segment.ttl;
}

/// What kind of step a segment was.
struct Step {
    is_retransmit: bool,
    brings_data: bool,
}

impl Step {
    /// The verifier need not follow each kind to the end.
    #[inline(always)]
    fn forget(self) -> Self {
        Self {
            is_retransmit: wire::forget(u32::from(self.is_retransmit)) != 0,
            brings_data: wire::forget(u32::from(self.brings_data)) != 0,
        }
    }
}

/// Moves sequence and acknowledgment numbers and the handshake and FIN marks.
#[inline(always)]
fn advance(
    hot: &mut Hot,
    flow: &mut Flow,
    side: u32,
    segment: &Segment,
    fresh: bool,
    now: u64,
) -> Step {
    let me = side as usize & 1;
    let flags = segment.tcp.flags;
    let end = segment.seq_end();
    let known = hot.seq_end[me];
    let ahead = end.since(known);
    // A SYN counts as a side's first segment only: one on a live connection may be forged, and what
    // it says stands in `contesting_syn`.
    let follows = ahead > 0 && ahead < LARGEST_WINDOW && !flags.has(Flags::SYN);
    let is_new = fresh || follows;
    let has_data = segment.tcp.payload_len > 0;
    let is_probe = !fresh
        && !flags.has(Flags::SYN)
        && !flags.has(Flags::FIN)
        && segment.tcp.payload_len <= 1
        && segment.tcp.seq + 1 == known;
    if is_probe {
        let probes = &mut flow.facts[me].probes;
        *probes = probes.saturating_add(1);
    }
    if is_new {
        hot.seq_end[me] = end;
    }
    if flags.has(Flags::FIN) {
        hot.flags |= flag::FIN << side;
    }
    if flags.has(Flags::ACK) {
        let progress = segment.tcp.ack.since(hot.ack[me]);
        // A SYN has no acknowledgment: the first segment with one sets the number.
        let first_ack = hot.ack[me] == Seq(0);
        if first_ack || (progress > 0 && progress < LARGEST_WINDOW) {
            hot.ack[me] = segment.tcp.ack;
        }
        note_ack(hot, flow, side, segment, now);
    }
    hot.flags |= flag::HEARD << side;
    Step { is_retransmit: has_data && !is_new && !is_probe, brings_data: has_data && is_new }
}

/// An acknowledgment may complete the handshake or confirm the peer's FIN.
#[inline(always)]
fn note_ack(hot: &mut Hot, flow: &mut Flow, side: u32, segment: &Segment, now: u64) {
    let peer = (side ^ 1) as usize & 1;
    let covers_peer = segment.tcp.ack.since(hot.seq_end[peer]) >= 0;
    if hot.flags & (flag::FIN << (side ^ 1)) != 0 && covers_peer {
        hot.flags |= flag::FIN_ACKED << (side ^ 1);
    }
    if hot.flags & flag::ESTABLISHED != 0 || segment.tcp.flags.has(Flags::SYN) {
        return;
    }
    let Some(opener) = hot.opener() else { return };
    let peer_heard = hot.flags & (flag::HEARD << (side ^ 1)) != 0;
    let answers_syn_ack =
        hot.flags & flag::SYN_ACK != 0 && segment.tcp.ack.since(flow.facts[peer].isn) > 0;
    // In a capture of one direction only, the opener's ACK is all there is to see.
    if opener == side && (answers_syn_ack || !peer_heard) {
        hot.flags |= flag::ESTABLISHED;
        flow.established_ns = now;
    }
}

/// The counters of a side.
#[inline(always)]
fn count(entry: &mut Entry<'_>, side: u32, segment: &Segment, step: &Step) {
    let side = side as usize & 1;
    let count = &mut entry.hot.counts[side];
    count.bytes = count.bytes.wrapping_add(u64::from(segment.tcp.payload_len));
    count.packets = count.packets.wrapping_add(1);
    count.data_segments = count.data_segments.saturating_add(u8::from(step.brings_data));
    count.ttl_varies |= u8::from(count.ttl != segment.ttl);
    count.ttl = segment.ttl;
    let retransmits = &mut entry.flow.retransmits[side];
    *retransmits = retransmits.saturating_add(u16::from(step.is_retransmit));
}

/// Writes the next slot of the flight recorder, and returns its number.
#[inline(always)]
fn record(
    entry: &mut Entry<'_>,
    side: u32,
    segment: &Segment,
    is_retransmit: bool,
    now: u64,
) -> u32 {
    let n = u32::from(entry.hot.recorded);
    let at = n & (SLOTS - 1);
    let slot: &mut Slot = &mut entry.recorder.slots[at as usize];
    slot.time_ns = now;
    slot.seq = segment.tcp.seq;
    slot.ack = segment.tcp.ack;
    slot.len = segment.tcp.payload_len;
    slot.tsval = segment.tcp.tsval;
    slot.window = segment.tcp.window;
    slot.ip_id = segment.ip_id;
    slot.flags = segment.tcp.flags;
    slot.ttl = segment.ttl;
    slot.tos = segment.tos;
    let has_ts = segment.tcp.options & option::TIMESTAMPS != 0;
    slot.traits = (side as u8 & slot_trait::SIDE_1)
        | (segment.traits & Segment::DONT_FRAGMENT) << 1
        | u8::from(has_ts) << 2
        | u8::from(is_retransmit) << 3;
    // Past the end the count restarts at a full ring, keeping its place in it.
    entry.hot.recorded = if n == 0xffff { SLOTS as u16 } else { (n + 1) as u16 };
    at
}

/// Keeps the last segment of a side if its slot is the next to be taken.
#[inline(always)]
fn keep(entry: &mut Entry<'_>, side: u32) {
    let side = side as usize & 1;
    let at = u32::from(entry.hot.recorded) & (SLOTS - 1);
    let latest = &mut entry.hot.counts[side].latest;
    if u32::from(*latest) == at + 1 {
        *latest = Count::KEPT;
        words::copy(&mut entry.flow.kept[side], &entry.recorder.slots[at as usize]);
    }
}

/// Notes a RST that has been reported.
#[inline(always)]
pub(super) fn note_reset(entry: &mut Entry<'_>, side: u32, segment: &Segment, now: u64) {
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
fn ends_connection(hot: &Hot, flow: &Flow, side: u32, segment: &Segment) -> bool {
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
