//! What every segment leaves: counters, and a slot of the flight recorder.

use super::{
    super::{Count, Entry, Hot, SLOTS, Slot, slot_trait},
    advance::Step,
};
use crate::{
    wire::{Segment, option},
    words,
};

/// The counters of a side.
#[inline(always)]
pub(super) fn count(entry: &mut Entry<'_>, side: u32, segment: &Segment, step: &Step) {
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
pub(super) fn record(
    entry: &mut Entry<'_>,
    side: u32,
    segment: &Segment,
    is_retransmit: bool,
    now: u64,
) -> u32 {
    let is_after_gap = close_gap(entry.hot);
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
        | u8::from(is_retransmit) << 3
        | is_after_gap;
    // Past the end the count restarts at a full ring, keeping its place in it.
    entry.hot.recorded = if n == 0xffff { SLOTS as u16 } else { (n + 1) as u16 };
    at
}

/// After segments that were not recorded: a side that sent some has no last one now. Returns the trait of the slot that
/// comes next.
#[inline(always)]
fn close_gap(hot: &mut Hot) -> u8 {
    if !hot.has_gap() {
        return 0;
    }
    for count in &mut hot.counts {
        if count.latest == Count::UNRECORDED {
            count.latest = 0;
        }
    }
    slot_trait::AFTER_GAP
}

/// Keeps the last segment of a side if its slot is the next to be taken.
#[inline(always)]
pub(super) fn keep(entry: &mut Entry<'_>, side: u32) {
    let side = side as usize & 1;
    let at = u32::from(entry.hot.recorded) & (SLOTS - 1);
    let latest = &mut entry.hot.counts[side].latest;
    if u32::from(*latest) == at + 1 {
        *latest = Count::KEPT;
        words::copy(&mut entry.flow.kept[side], &entry.recorder.slots[at as usize]);
    }
}
