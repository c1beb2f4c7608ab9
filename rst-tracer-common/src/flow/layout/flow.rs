//! What is known of one connection beyond its hot entry.

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Count, Facts, HEAD, Hot, Slot};
use crate::wire::{Endpoint, Seq};

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

/// Letters that a history holds at most: nine kinds, each once per direction, are eighteen.
pub const HISTORY: usize = 23;

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
    /// Start of the current budget of reports, in [`ticks`](super::ticks).
    pub reset_window: u32,
    /// Resets reported in full since `reset_window`, where their side is at home.
    pub reported: u8,
    /// The same elsewhere: of those, what is seen once more.
    pub reported_elsewhere: u8,
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
    /// Resets since `reset_window` that end the connection, and were reported after the others had spent the budget.
    pub reported_ending: u8,
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
    pub(in crate::flow) const FRESH: usize = offset_of!(Self, history);

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
