//! Which endpoints were seen to accept a connection, and when.
//!
//! In: SYN-ACKs that answer a SYN. Out, for the source of a reset: how long ago that was. A small
//! table of sets, each a cache line: of the endpoints whose keyed hash falls into one set the eight
//! that accepted last are remembered. So silence proves nothing, and what is remembered is true.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Identity, Memory, Place, flag, layout::ticks_since, ticks};
use crate::{
    bits,
    wire::{self, Flags, Segment},
};

/// Sets in the table.
pub const SERVER_SETS: u32 = 1 << 11;
/// Endpoints in a set.
pub const SERVER_WAYS: u32 = 8;

/// One endpoint, written and read as one word: no CPU sees half of what another one writes.
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

    /// Which endpoint it is; 0 when there is none.
    #[inline(always)]
    const fn tag(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// How many [`ticks`] ago it last accepted a connection.
    #[inline(always)]
    fn ago(self, now: u32) -> u32 {
        ticks_since(now, self.0 as u32)
    }
}

/// Endpoints that share a set: a cache line.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Servers(pub [Server; SERVER_WAYS as usize]);

impl Servers {
    /// Where an endpoint stands, if it is remembered.
    #[inline(always)]
    fn find(&self, tag: u32) -> Option<u32> {
        let mut way = 0;
        while way < SERVER_WAYS {
            if self.0[way as usize].tag() == tag {
                return Some(way);
            }
            way += 1;
        }
        None
    }

    /// Where a newcomer is written: in an empty place, else in that of the endpoint that accepted nothing for the
    /// longest time. Free of jumps: see [`bits`].
    #[inline(always)]
    fn choose(&self, now: u32) -> u32 {
        let mut best = 0;
        let mut way = 0;
        while way < SERVER_WAYS {
            let server = self.0[way as usize];
            let is_empty = bits::less(server.tag(), 1);
            let readiness = u64::from(is_empty) << 32 | u64::from(server.ago(now));
            best = bits::greater_of(best, readiness << WAY_BITS | u64::from(way));
            way += 1;
        }
        best as u32 % SERVER_WAYS
    }
}

/// Bits for a way in [`Servers::choose`].
const WAY_BITS: u32 = SERVER_WAYS.trailing_zeros();

const _: () = assert!(size_of::<Servers>() == 64);

impl Identity {
    /// The set of the end that spoke.
    #[inline(always)]
    pub const fn server_set(&self) -> u32 {
        (self.source >> 32) as u32 & (SERVER_SETS - 1)
    }

    /// What tells it from others in that set.
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
    if let Some(servers) = memory.servers(id.server_set()) {
        let (tag, now) = (id.server_tag(), ticks(now));
        let way = servers.find(tag).unwrap_or_else(|| servers.choose(now));
        // Which way it was is not to be followed by the verifier one by one.
        servers.0[(wire::forget(way) % SERVER_WAYS) as usize] = Server::of(tag, now);
    }
}

/// How many [`ticks`] ago the source of a segment was last seen to accept a connection, plus one;
/// 0 when that was not seen.
#[inline(always)]
pub fn accepted_ago<M: Memory>(memory: &mut M, id: &Identity, now: u64) -> u32 {
    let Some(servers) = memory.servers(id.server_set()) else { return 0 };
    let tag = id.server_tag();
    // As above; of one that is not there some other is looked at.
    let way = wire::forget(servers.find(tag).unwrap_or(0)) % SERVER_WAYS;
    let server = servers.0[way as usize];
    let is_known = bits::less(server.tag() ^ tag, 1);
    bits::select(is_known, server.ago(ticks(now)) + 1, 0)
}
