//! What is kept per direction and written rarely.

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::HEAD;
use crate::wire::{NO_SCALE, Seq};

/// What is kept per direction and written rarely. It belongs to a former flow until the side is heard: as long as
/// [`Count::packets`](super::Count::packets) is 0.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Facts {
    /// Initial sequence number, or the first one seen.
    pub isn: Seq,
    /// IPv6 flow label of the first segment.
    pub flow_label: u32,
    /// Highest right edge of the SACK blocks in its last segment that carried any.
    pub sack_right: Seq,
    /// The acknowledgment of that segment; both are 0 when there was none.
    pub sack_ack: Seq,
    /// The sequence number behind the segment that `words` are from. What was said since moved
    /// [`Hot::seq_end`](super::Hot::seq_end) away from it.
    pub words_end: Seq,
    /// Maximum segment size offered.
    pub mss: u16,
    /// Options of the SYN or SYN-ACK: bits of [`option`](crate::wire::option).
    pub options: u16,
    /// Window of the first segment.
    pub first_window: u16,
    /// Keepalive and zero-window probes sent.
    pub probes: u16,
    /// IPv4 identification of the first segment.
    pub first_ip_id: u16,
    /// Time to live of the first segment.
    pub first_ttl: u8,
    /// How many bytes of `head` are valid.
    pub head_len: u8,
    /// Hardware address of the first segment.
    pub mac: [u8; 6],
    /// How many bytes of `words` are valid.
    pub words_len: u8,
    /// Window scale shift of the SYN, or [`NO_SCALE`].
    pub scale: u8,
    /// First payload bytes. If there are none these are a former flow's, as are `words`.
    pub head: [u8; HEAD],
    /// First bytes of the last segment that may say why a connection ends: a TLS alert record or an
    /// HTTP status line.
    pub words: [u8; HEAD],
}

impl Facts {
    /// What is known of a side that was not heard.
    pub const NONE: Self = Self {
        isn: Seq(0),
        flow_label: 0,
        sack_right: Seq(0),
        sack_ack: Seq(0),
        words_end: Seq(0),
        mss: 0,
        options: 0,
        first_window: 0,
        probes: 0,
        first_ip_id: 0,
        first_ttl: 0,
        head_len: 0,
        mac: [0; 6],
        words_len: 0,
        scale: NO_SCALE,
        head: [0; HEAD],
        words: [0; HEAD],
    };

    /// Bytes that are written when the side is first heard.
    pub(in crate::flow) const FRESH: usize = offset_of!(Self, head);
}
