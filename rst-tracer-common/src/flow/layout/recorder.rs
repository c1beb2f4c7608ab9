//! The flight recorder: the last segments of a connection.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::SLOTS;
use crate::wire::{Flags, Seq};

/// Bits of [`Slot::traits`].
pub mod slot_trait {
    /// Sent by side 1.
    pub const SIDE_1: u8 = 1;
    /// Don't-fragment was set.
    pub const DONT_FRAGMENT: u8 = 2;
    /// `tsval` is valid.
    pub const TIMESTAMPS: u8 = 4;
    /// Repeated data already seen.
    pub const RETRANSMIT: u8 = 8;
    /// `time_ns` may be up to a tick of the kernel too early (10 ms at HZ 100, 1 ms at HZ 1000).
    pub const COARSE: u8 = 16;
    /// Others were not recorded between the segment before it and this one.
    pub const AFTER_GAP: u8 = 32;
}

/// One recorded segment.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Slot {
    /// When it was seen, in nanoseconds of the source's clock.
    pub time_ns: u64,
    /// Sequence number.
    pub seq: Seq,
    /// Acknowledgment field.
    pub ack: Seq,
    /// Payload length in bytes.
    pub len: u32,
    /// Timestamp value.
    pub tsval: u32,
    /// Window, unscaled.
    pub window: u16,
    /// IPv4 identification.
    pub ip_id: u16,
    /// Control bits.
    pub flags: Flags,
    /// Time to live.
    pub ttl: u8,
    /// Bits of [`slot_trait`].
    pub traits: u8,
    /// Type of service.
    pub tos: u8,
}

/// The last segments of a flow. Slots that were never written hold older flows' segments:
/// [`Hot::recorded`](super::Hot::recorded) says which are valid.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Recorder {
    /// A ring.
    pub slots: [Slot; SLOTS as usize],
}
