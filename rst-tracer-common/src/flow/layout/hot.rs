//! The hot entry: what every segment of a connection reads and writes, a cache line.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::wire::Seq;

/// Bits of [`Hot::flags`]. Those of a side are shifted left by the side's number.
pub mod flag {
    /// A SYN was seen.
    pub const SYN: u16 = 1 << 0;
    /// A SYN-ACK was seen that answers the SYN.
    pub const SYN_ACK: u16 = 1 << 1;
    /// The handshake was completed.
    pub const ESTABLISHED: u16 = 1 << 2;
    /// Side 1 opened the connection (meaningful once SYN or SYN_ACK is set).
    pub const OPENED_BY_1: u16 = 1 << 3;
    /// Side 0 sent a FIN; side 1 is the next bit.
    pub const FIN: u16 = 1 << 4;
    /// The FIN of side 0 was acknowledged; side 1 is the next bit.
    pub const FIN_ACKED: u16 = 1 << 6;
    /// A reset was seen that ends the connection.
    pub const RESET: u16 = 1 << 8;
    /// Side 0 was heard; side 1 is the next bit.
    pub const HEARD: u16 = 1 << 9;
    /// Side 0 sent a pure ACK; side 1 is the next bit.
    pub const ACKED: u16 = 1 << 11;
    /// Side 0 sent data; side 1 is the next bit.
    pub const DATA: u16 = 1 << 13;
    /// Some reset was seen, whether or not it could end the connection.
    pub const RST_SEEN: u16 = 1 << 15;

    /// Both FINs were acknowledged.
    pub const BOTH_FINS_ACKED: u16 = FIN_ACKED | FIN_ACKED << 1;
    /// Both sides were heard.
    pub const BOTH_HEARD: u16 = HEARD | HEARD << 1;
}

const SYN_SHIFT: u32 = flag::SYN.trailing_zeros();
const ESTABLISHED_SHIFT: u32 = flag::ESTABLISHED.trailing_zeros();
const FIN_ACKED_SHIFT: u32 = flag::FIN_ACKED.trailing_zeros();
const RESET_SHIFT: u32 = flag::RESET.trailing_zeros();
const HEARD_SHIFT: u32 = flag::HEARD.trailing_zeros();

/// What every segment of a side writes.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Count {
    /// Payload bytes, retransmissions included.
    pub bytes: u64,
    /// Segments.
    pub packets: u32,
    /// Segments that brought new data; stays at its maximum.
    pub data_segments: u8,
    /// Last time to live.
    pub ttl: u8,
    /// 1 when more than one time to live was seen.
    pub ttl_varies: u8,
    /// Where its last segment stands that was no RST: one more than the number of its slot in the recorder;
    /// [`Count::KEPT`]: in [`Flow::kept`](super::Flow::kept), for its slot was taken; [`Count::UNRECORDED`]: nowhere;
    /// 0: there was none, or it was not recorded and what the other side sent since was.
    pub latest: u8,
}

impl Count {
    /// See [`Count::latest`].
    pub const KEPT: u8 = u8::MAX;
    /// See [`Count::latest`]: the recorder is off, and the segment was one amid a connection.
    pub const UNRECORDED: u8 = u8::MAX - 1;

    /// Whether its last segment that was no RST is known.
    pub const fn has_latest(&self) -> bool {
        self.latest != 0 && self.latest != Self::UNRECORDED
    }
}

/// What every segment reads and writes.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Hot {
    /// Low bits of the identity; 0 when the entry is empty.
    pub tag: u32,
    /// When a segment was last seen, in [`ticks`](super::ticks).
    pub last: u32,
    /// Highest sequence number seen plus one, per side.
    pub seq_end: [Seq; 2],
    /// Highest acknowledgment sent, per side.
    pub ack: [Seq; 2],
    /// At which port of this host each side is observed (see [`Port`](crate::flow::Port)).
    pub ports: [u16; 2],
    /// Bits of [`flag`].
    pub flags: u16,
    /// Segments recorded; the next one goes to this number modulo [`SLOTS`](super::SLOTS).
    pub recorded: u16,
    /// The counters of each side.
    pub counts: [Count; 2],
}

impl Hot {
    /// Whether the connection is over: reset, or both FINs acknowledged.
    #[inline(always)]
    pub const fn is_closed(&self) -> bool {
        self.closed_bit() != 0
    }

    /// [`Hot::is_closed`] as a number, for arithmetic without jumps.
    #[inline(always)]
    pub(in crate::flow) const fn closed_bit(&self) -> u32 {
        let flags = self.flags as u32;
        (flags >> RESET_SHIFT | flags >> FIN_ACKED_SHIFT & flags >> (FIN_ACKED_SHIFT + 1)) & 1
    }

    /// Whether more than a first word was exchanged: a completed handshake of which both sides were heard, or traffic
    /// both ways of a connection older than the tracer. Only such flows are protected from newcomers: what a stranger
    /// writes in a name of its own choice, SYN and ACK, is one side only.
    #[inline(always)]
    pub const fn is_confirmed(&self) -> bool {
        self.confirmed_bit() != 0
    }

    /// [`Hot::is_confirmed`] as a number.
    #[inline(always)]
    pub(in crate::flow) const fn confirmed_bit(&self) -> u32 {
        let flags = self.flags as u32;
        let both_heard = flags >> HEARD_SHIFT & flags >> (HEARD_SHIFT + 1);
        self.open_bit() & both_heard
    }

    /// Whether no handshake is under way: it was completed, or nothing of it was seen.
    #[inline(always)]
    pub(in crate::flow) const fn is_open(&self) -> bool {
        self.open_bit() != 0
    }

    #[inline(always)]
    const fn open_bit(&self) -> u32 {
        let flags = self.flags as u32;
        let handshake = flags >> SYN_SHIFT | flags >> (SYN_SHIFT + 1);
        (flags >> ESTABLISHED_SHIFT | !handshake) & 1
    }

    /// Whether segments were not recorded since the last one that was.
    #[inline(always)]
    pub const fn has_gap(&self) -> bool {
        self.counts[0].latest == Count::UNRECORDED || self.counts[1].latest == Count::UNRECORDED
    }

    /// The side that opened the connection, if a SYN or SYN-ACK was seen.
    #[inline(always)]
    pub const fn opener(&self) -> Option<u32> {
        if self.flags & (flag::SYN | flag::SYN_ACK) == 0 {
            return None;
        }
        Some((self.flags >> 3 & 1) as u32)
    }
}
