//! A set of the table: its hot entries, and the line in which they are listed.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Hot, WAYS, ticks_since};

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
    pub(in crate::flow) const fn state_of(hot: &Hot) -> u32 {
        hot.last << 2 | hot.closed_bit() << 1 | hot.confirmed_bit()
    }

    /// Says what became of the entry. While a connection lives its listing stays as it is: usual segments, whose way
    /// is short, do not write it either.
    #[inline(always)]
    pub(in crate::flow) fn follow(&mut self, hot: &Hot) {
        const BITS: u32 = Listing::CONFIRMED | Listing::CLOSED;
        let state = Self::state_of(hot);
        if state & BITS != Self::CONFIRMED || self.state & BITS != Self::CONFIRMED {
            self.state = state;
        }
    }

    /// Ticks since a segment was last seen, or more; none if that time is ahead.
    #[inline(always)]
    pub(in crate::flow) fn idle(state: u32, now: u32) -> u32 {
        ticks_since(now << 2, state & !(Self::CONFIRMED | Self::CLOSED)) >> 2
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
