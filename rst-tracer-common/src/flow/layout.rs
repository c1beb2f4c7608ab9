//! What is kept per flow, and where: hot entries in buckets, the flow, the flight recorder.
//!
//! The layout is the ABI between kernel and agent: `zerocopy` proves it free of padding at compile
//! time. A segment amid a connection writes the hot entry, which is a cache line, and a slot of the
//! recorder; the rest is written at the handshake, FIN and RST only. What a bucket holds is listed
//! in a line of its own, so that nothing else is read for a flow that is not there.

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::wire::{Endpoint, Flags, NO_SCALE, Seq};

/// Entries per bucket.
pub const WAYS: u32 = 8;
/// Segments in a flight recorder.
pub const SLOTS: u32 = 16;
/// First payload bytes that are kept per side, and bytes of its last words.
pub const HEAD: usize = 16;

/// Coarse time: units of 2^20 ns (1.05 ms), modulo 2^32 (52 days).
#[inline(always)]
pub const fn ticks(ns: u64) -> u32 {
    (ns >> 20) as u32
}

/// Ticks in so many seconds.
pub const fn ticks_of_secs(secs: u64) -> u32 {
    ticks(secs * 1_000_000_000)
}

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
    /// [`Count::KEPT`]: in [`Flow::kept`], for its slot was taken; 0: there was none.
    pub latest: u8,
}

impl Count {
    /// See [`Count::latest`].
    pub const KEPT: u8 = u8::MAX;
}

/// What every segment reads and writes.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Hot {
    /// Low bits of the identity; 0 when the entry is empty.
    pub tag: u32,
    /// When a segment was last seen, in [`ticks`].
    pub last: u32,
    /// Highest sequence number seen plus one, per side.
    pub seq_end: [Seq; 2],
    /// Highest acknowledgment sent, per side.
    pub ack: [Seq; 2],
    /// At which port of this host each side is observed (see [`Port`](super::Port)).
    pub ports: [u16; 2],
    /// Bits of [`flag`].
    pub flags: u16,
    /// Segments recorded; the next one goes to this number modulo [`SLOTS`].
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
    pub(super) const fn closed_bit(&self) -> u32 {
        let flags = self.flags as u32;
        (flags >> RESET_SHIFT | flags >> FIN_ACKED_SHIFT & flags >> (FIN_ACKED_SHIFT + 1)) & 1
    }

    /// Whether more than a first word was exchanged: a completed handshake, or traffic both ways of
    /// a connection older than the tracer. Only such flows are protected from newcomers.
    #[inline(always)]
    pub const fn is_confirmed(&self) -> bool {
        self.confirmed_bit() != 0
    }

    /// [`Hot::is_confirmed`] as a number.
    #[inline(always)]
    pub(super) const fn confirmed_bit(&self) -> u32 {
        let flags = self.flags as u32;
        let handshake = flags >> SYN_SHIFT | flags >> (SYN_SHIFT + 1);
        let both_heard = flags >> HEARD_SHIFT & flags >> (HEARD_SHIFT + 1);
        (flags >> ESTABLISHED_SHIFT | !handshake & both_heard) & 1
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

/// What is known of a way without reading its entry: who is there, and how readily it gives way.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Listing {
    /// [`Hot::tag`]; 0 when the way is empty.
    pub tag: u32,
    /// Bits [`Listing::CONFIRMED`] and [`Listing::CLOSED`]; above them the lower bits of [`Hot::last`], which moves on
    /// while the connection lives.
    pub state: u32,
}

impl Listing {
    /// [`Hot::is_confirmed`].
    pub const CONFIRMED: u32 = 1;
    /// [`Hot::is_closed`].
    pub const CLOSED: u32 = 2;

    /// [`Listing::state`] of an entry.
    #[inline(always)]
    pub(super) const fn state_of(hot: &Hot) -> u32 {
        hot.last << 2 | hot.closed_bit() << 1 | hot.confirmed_bit()
    }

    /// Says what became of the entry. While a connection lives its listing stays as it is: usual segments, whose way
    /// is short, do not write it either.
    #[inline(always)]
    pub(super) fn follow(&mut self, hot: &Hot) {
        const BITS: u32 = Listing::CONFIRMED | Listing::CLOSED;
        let state = Self::state_of(hot);
        if state & BITS != Self::CONFIRMED || self.state & BITS != Self::CONFIRMED {
            self.state = state;
        }
    }

    /// Ticks since a segment was last seen, or more.
    #[inline(always)]
    pub(super) const fn idle(state: u32, now: u32) -> u32 {
        (now << 2).wrapping_sub(state & !(Self::CONFIRMED | Self::CLOSED)) >> 2
    }
}

/// One set of the table.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Bucket {
    /// What is in the ways: a cache line.
    pub listings: [Listing; WAYS as usize],
    /// The entries.
    pub hot: [Hot; WAYS as usize],
}

/// What is kept per direction and written rarely. It belongs to a former flow until the side is heard: as long as
/// [`Count::packets`] is 0.
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
    /// [`Hot::seq_end`] away from it.
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
    /// Window scale shift of the SYN, or [`NO_SCALE`](crate::wire::NO_SCALE).
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
    pub(super) const FRESH: usize = offset_of!(Self, head);
}

/// How we know who opened the connection.
#[repr(transparent)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct OpenedBy(pub u8);

impl OpenedBy {
    /// Not known: picked up in mid-stream.
    pub const UNKNOWN: Self = Self(0);
    /// Its SYN was seen.
    pub const SYN: Self = Self(1);
    /// The SYN-ACK that answered it was seen.
    pub const SYN_ACK: Self = Self(2);
}

/// Letters that a history holds at most: ten kinds, each once per direction.
pub const HISTORY: usize = 24;

/// What is known of one connection beyond its hot entry. A new one writes the first two cache lines, and one of its
/// own [`Facts`]; what lies behind says elsewhere whether it is valid.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Flow {
    /// The two ends.
    pub ends: [Endpoint; 2],
    /// When the first segment was seen, in nanoseconds of the source's clock.
    pub first_ns: u64,
    /// When the (last) SYN was seen; 0 if none.
    pub syn_ns: u64,
    /// When the (first) SYN-ACK was seen; 0 if none.
    pub syn_ack_ns: u64,
    /// When the handshake was completed; 0 if that was not seen.
    pub established_ns: u64,
    /// When the last reset was seen; 0 if none.
    pub reset_ns: u64,
    /// Which history letters stand in `history`.
    pub history_seen: u32,
    /// Timestamp value of the first SYN of the side that opened; 0 if none.
    pub syn_tsval: u32,
    /// Timestamp echo reply of the last SYN-ACK that answered it; 0 if none.
    pub syn_ack_tsecr: u32,
    /// Sequence number of a SYN that contests a live connection; with [`Flow::contested`].
    pub contesting_syn: Seq,
    /// Resets seen on this flow.
    pub resets: u32,
    /// Resets of this flow that were only counted since the last one that was reported.
    pub suppressed: u32,
    /// Start of the current budget of reports, in [`ticks`].
    pub reset_window: u32,
    /// Resets reported in full since `reset_window`.
    pub reported: u16,
    /// Times this entry was reused by the same two endpoints.
    pub reuses: u16,
    /// Segments of each side that repeated data already seen; stay at their maximum.
    pub retransmits: [u16; 2],
    /// How many letters the history has.
    pub history_len: u8,
    /// How we know who opened it.
    pub opened_by: OpenedBy,
    /// 1 when a SYN contests this live connection.
    pub contested: u8,
    /// Segments reported as aftermath of the last reset.
    pub aftermath: u8,
    /// Zeek-like history letters in order of first occurrence (see `history`).
    pub history: [u8; HISTORY],
    /// What is written rarely, per side.
    pub facts: [Facts; 2],
    /// The last segment of each side, when it is no longer in the recorder ([`Count::KEPT`]).
    pub kept: [Slot; 2],
    /// Fills the last cache line, so that the next flow begins with one.
    pub unused: [u64; 4],
}

impl Flow {
    /// Bytes that are written when a flow begins.
    pub(super) const FRESH: usize = offset_of!(Self, history);

    /// Forgets what former flows left where this one has written nothing.
    pub fn forget_former(&mut self, hot: &Hot) {
        let letters = usize::from(self.history_len).min(HISTORY);
        self.history[letters..].fill(0);
        for ((facts, kept), count) in self.facts.iter_mut().zip(&mut self.kept).zip(&hot.counts) {
            if count.packets == 0 {
                *facts = Facts::NONE;
            }
            if facts.head_len == 0 {
                facts.head = [0; HEAD];
            }
            if facts.words_len == 0 {
                facts.words = [0; HEAD];
            }
            if count.latest != Count::KEPT {
                *kept = Slot::default();
            }
        }
    }
}

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
/// [`Hot::recorded`] says which are valid.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Recorder {
    /// A ring.
    pub slots: [Slot; SLOTS as usize],
}

/// Bytes in a cache line.
const LINE: usize = 64;

const _: () = {
    assert!(size_of::<Hot>() == 64);
    assert!(size_of::<Bucket>() == 576);
    assert!(size_of::<Facts>() == 72);
    assert!(size_of::<Flow>() == 6 * LINE);
    assert!(Flow::FRESH <= 2 * LINE);
    let facts = offset_of!(Flow, facts);
    let own = [facts, facts + size_of::<Facts>()];
    assert!(own[0] / LINE == (own[0] + Facts::FRESH - 1) / LINE);
    assert!(own[1] / LINE == (own[1] + Facts::FRESH - 1) / LINE);
    assert!(size_of::<Slot>() == 32);
    assert!(size_of::<Recorder>() == 512);
};
