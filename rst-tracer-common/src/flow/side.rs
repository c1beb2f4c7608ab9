//! One direction of a connection, gathered from where it lies.

use super::{Count, Flow, Hot, Recorder, SLOTS, Slot, slot_trait};

/// Bits of [`Side::traits`].
pub mod side_trait {
    /// The last segment had the don't-fragment bit.
    pub const DONT_FRAGMENT: u8 = 1;
    /// The last segment carried timestamps.
    pub const TIMESTAMPS: u8 = 2;
    /// More than one time to live was seen from this side.
    pub const TTL_VARIES: u8 = 4;
    /// Nothing is known of the last segment: it was not recorded, or there was none but resets.
    pub const LAST_UNKNOWN: u8 = 8;
}

/// What is known of a direction. The last segment is the last one that was no RST.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Payload bytes, retransmissions included.
    pub bytes: u64,
    /// Segments.
    pub packets: u32,
    /// Timestamp value of the last segment; 0 if it had none.
    pub tsval: u32,
    /// Last IPv4 identification.
    pub ip_id: u16,
    /// Last window, unscaled.
    pub window: u16,
    /// Segments that repeated data already seen; stays at its maximum.
    pub retransmits: u16,
    /// Segments that brought new data; stays at its maximum.
    pub data_segments: u8,
    /// Last time to live.
    pub ttl: u8,
    /// Last type of service.
    pub tos: u8,
    /// Bits of [`side_trait`].
    pub traits: u8,
    /// Window scale shift of the SYN, or [`NO_SCALE`](crate::wire::NO_SCALE).
    pub scale: u8,
}

impl Side {
    /// Both directions of a connection, of which former ones are forgotten ([`Flow::forget_former`]).
    pub fn both(hot: &Hot, flow: &Flow, recorder: &Recorder) -> [Self; 2] {
        [0, 1].map(|side| {
            let count = &hot.counts[side];
            let last = latest(hot, flow, recorder, side);
            let has = |bit: u8| last.traits & bit != 0;
            let when = |is_so: bool, bit: u8| if is_so { bit } else { 0 };
            Self {
                bytes: count.bytes,
                packets: count.packets,
                tsval: last.tsval,
                ip_id: last.ip_id,
                window: last.window,
                retransmits: flow.retransmits[side],
                data_segments: count.data_segments,
                ttl: count.ttl,
                tos: last.tos,
                traits: when(has(slot_trait::DONT_FRAGMENT), side_trait::DONT_FRAGMENT)
                    | when(has(slot_trait::TIMESTAMPS), side_trait::TIMESTAMPS)
                    | when(count.ttl_varies != 0, side_trait::TTL_VARIES)
                    | when(count.packets > 0 && !count.has_latest(), side_trait::LAST_UNKNOWN),
                scale: flow.facts[side].scale,
            }
        })
    }
}

/// The last segment of a side that was no RST; zeros if there was none or it was not recorded.
fn latest(hot: &Hot, flow: &Flow, recorder: &Recorder, side: usize) -> Slot {
    match hot.counts[side].latest {
        0 | Count::UNRECORDED => Slot::default(),
        Count::KEPT => flow.kept[side],
        latest => recorder.slots[usize::from(latest - 1) % SLOTS as usize],
    }
}
