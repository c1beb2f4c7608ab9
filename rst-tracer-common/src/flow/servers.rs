//! Which endpoints were seen to accept a connection, and when.
//!
//! In: SYN-ACKs that answer a SYN. Out, for the source of a reset: how long ago that was. A small
//! table: endpoints whose keyed hash falls into one slot push each other out, and the last one
//! stays. So silence proves nothing, and what is remembered is true.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Identity, Memory, Place, flag, ticks};
use crate::{
    bits,
    wire::{Flags, Segment},
};

/// Slots in the table.
pub const SERVERS: u32 = 1 << 12;

/// One slot, written and read as one word: no CPU sees half of what another one writes.
#[repr(transparent)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Server(pub u64);

impl Server {
    /// An endpoint, and when it accepted a connection, in [`ticks`].
    #[inline(always)]
    const fn of(tag: u32, last: u32) -> Self {
        Self((tag as u64) << 32 | last as u64)
    }

    /// Which endpoint it is; 0 when the slot is empty.
    #[inline(always)]
    const fn tag(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// When it last accepted a connection, in [`ticks`].
    #[inline(always)]
    const fn last(self) -> u32 {
        self.0 as u32
    }
}

impl Identity {
    /// The slot of the end that spoke.
    #[inline(always)]
    pub const fn server_slot(&self) -> u32 {
        (self.source >> 32) as u32 & (SERVERS - 1)
    }

    /// What tells it from others in that slot.
    #[inline(always)]
    const fn server_tag(&self) -> u32 {
        self.source as u32 | 1
    }
}

/// Remembers who accepted a connection, if this segment is a SYN-ACK that its flow took for one.
#[inline(always)]
pub fn note_server<M: Memory>(
    memory: &mut M,
    place: Place,
    id: &Identity,
    segment: &Segment,
    now: u64,
) {
    if !segment.tcp.flags.has(Flags(Flags::SYN.0 | Flags::ACK.0)) {
        return;
    }
    let Some(entry) = memory.entry(place.bucket, place.way) else { return };
    let hot = &*entry.hot;
    let accepts = hot.flags & flag::SYN_ACK != 0 && hot.opener() == Some(id.side & 1 ^ 1);
    if !accepts {
        return;
    }
    if let Some(server) = memory.server(id.server_slot()) {
        *server = Server::of(id.server_tag(), ticks(now));
    }
}

/// How many [`ticks`] ago the source of a segment was last seen to accept a connection, plus one;
/// 0 when that was not seen.
#[inline(always)]
pub fn accepted_ago<M: Memory>(memory: &mut M, id: &Identity, now: u64) -> u32 {
    let Some(server) = memory.server(id.server_slot()) else { return 0 };
    let server = *server;
    let is_known = bits::less(server.tag() ^ id.server_tag(), 1);
    let ago = ticks(now).wrapping_sub(server.last());
    // The clock of a capture may have gone back.
    let ago = bits::select(ago >> 31, 0, ago);
    bits::select(is_known, ago + 1, 0)
}
