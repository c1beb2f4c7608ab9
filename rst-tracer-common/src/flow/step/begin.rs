//! Where a flow begins: in a new place, or in that of a former one between the same two ends.

use super::super::{Entry, Facts, Flow, Hot, flag, layout::ticks_since, ticks, ticks_of_secs};
use crate::{
    wire::{Flags, NO_SCALE, Segment},
    words,
};

/// A connection of which one side was heard, and that for so long not, may be replaced by a SYN between the same two ends.
const IDLE_BEFORE_REUSE: u32 = ticks_of_secs(30);

/// Makes an entry that of a new flow. The tag is written by the caller, last.
#[inline(always)]
pub(in crate::flow) fn begin(entry: &mut Entry<'_>, side: u32, segment: &Segment, now: u64) {
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
pub(super) fn meet(hot: &Hot, flow: &mut Flow, side: u32) {
    let side = side as usize & 1;
    if hot.counts[side].packets == 0 {
        words::clear_first::<_, { Facts::FRESH }>(&mut flow.facts[side]);
        flow.facts[side].scale = NO_SCALE;
    }
}

/// Makes an entry that of the next connection between the same two ends. What belongs to the pair
/// of ends stays: the budget of reports. Where the sender is seen is known; the other side may answer another way.
#[inline(always)]
pub(super) fn begin_again(entry: &mut Entry<'_>, side: u32, segment: &Segment, now: u64) {
    let (me, tag) = (side as usize & 1, entry.hot.tag);
    let port = entry.hot.ports[me];
    let (reuses, reported) = (entry.flow.reuses, entry.flow.reported);
    let reported_elsewhere = entry.flow.reported_elsewhere;
    let reported_ending = entry.flow.reported_ending;
    let reset_window = entry.flow.reset_window;
    begin(entry, side, segment, now);
    entry.hot.tag = tag;
    entry.hot.ports[me] = port;
    entry.flow.reuses = reuses.saturating_add(1);
    entry.flow.reported = reported;
    entry.flow.reported_elsewhere = reported_elsewhere;
    entry.flow.reported_ending = reported_ending;
    entry.flow.reset_window = reset_window;
}

/// Whether a SYN may start a new connection in place of the one remembered. One that crosses the
/// other side's SYN does not: both open the same connection (RFC 9293 section 3.5).
#[inline(always)]
fn replaces(hot: &Hot, flow: &Flow, side: u32, segment: &Segment, now: u64) -> bool {
    let spoke = hot.counts[side as usize & 1].packets > 0;
    let retransmitted = spoke && flow.facts[side as usize & 1].isn == segment.tcp.seq;
    let another_attempt = spoke && hot.flags & flag::ESTABLISHED == 0 && !hot.is_confirmed();
    // Where both sides were heard the other one's answer decides, however long they were silent.
    let idle = !hot.is_confirmed() && ticks_since(ticks(now), hot.last) > IDLE_BEFORE_REUSE;
    !retransmitted && (hot.is_closed() || another_attempt || idle)
}

/// A new SYN on a closed connection, or one that was heard one way and is idle, or the SYN-ACK that answers a contesting SYN.
#[inline(always)]
pub(in crate::flow) fn opens_anew(
    hot: &Hot,
    flow: &Flow,
    side: u32,
    segment: &Segment,
    now: u64,
) -> bool {
    if hot.flags == 0 {
        return false;
    }
    if segment.tcp.flags.has(Flags::ACK) {
        return flow.contested != 0 && segment.tcp.ack == flow.contesting_syn + 1;
    }
    replaces(hot, flow, side, segment, now)
}

/// The same; a SYN that does not is remembered, for an answer may decide.
#[inline(always)]
pub(super) fn restarts(entry: &mut Entry<'_>, side: u32, segment: &Segment, now: u64) -> bool {
    let (hot, flow) = (&*entry.hot, &mut *entry.flow);
    if opens_anew(hot, flow, side, segment, now) {
        return true;
    }
    note_contest(hot, flow, side, segment);
    false
}

/// Remembers a SYN that may open another connection between the same two ends.
#[inline(always)]
pub(in crate::flow) fn note_contest(hot: &Hot, flow: &mut Flow, side: u32, segment: &Segment) {
    let side = side as usize & 1;
    let known = hot.counts[side].packets > 0;
    let contests = known && !segment.tcp.flags.has(Flags::ACK);
    if contests && flow.facts[side].isn != segment.tcp.seq {
        flow.contesting_syn = segment.tcp.seq;
        flow.contested = 1;
    }
}
