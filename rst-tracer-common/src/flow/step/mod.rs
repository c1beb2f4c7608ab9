//! What one segment does to a flow.
//!
//! In: the flow's three parts, a segment, which side sent it, and now. Out: nothing but the state.
//! Resets are noted by [`note_reset`] after they have been reported, so that the report shows the
//! flow as it stood before.

mod advance;
mod begin;
mod opening;
mod record;
mod reset;

use super::{
    Entry,
    history::{self, Letter},
    ticks,
};
use crate::wire::{Flags, Segment, option};

pub(super) use begin::{begin, note_contest, opens_anew};
pub(super) use reset::{ends_connection, note_reset};

use advance::advance;
use begin::{begin_again, meet, restarts};
use opening::{note_first, note_syn};
use record::{count, keep, record};

/// Sequence numbers further ahead than the largest window (RFC 7323 2.2) are not believed.
pub(super) const LARGEST_WINDOW: i32 = 1 << 30;

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
