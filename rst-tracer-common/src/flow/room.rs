//! Which way of its bucket a flow has, and which one a newcomer takes.
//!
//! A bucket has eight ways. A newcomer takes an empty way, else that of a closed or abandoned flow,
//! else the oldest half-open one, and never that of a live confirmed connection: a flood of SYNs
//! evicts half-open flows only.

use super::{Bucket, Identity, Listing, WAYS, ticks_of_secs};
use crate::bits;

/// A confirmed connection silent for so long may be evicted by a newcomer.
const ABANDONED: u32 = ticks_of_secs(600);
/// A closed connection is remembered at least so long, for late segments.
const LINGER: u32 = ticks_of_secs(5);

/// Whether a segment began a flow, and whose place that took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Began(pub u32);

impl Began {
    /// The flow was known.
    pub const NOT: Self = Self(0);
    /// In an empty place.
    pub const IN_EMPTY: Self = Self(1);
    /// In that of a connection that was closed or abandoned.
    pub const FOR_FINISHED: Self = Self(2);
    /// In that of a half-open one.
    pub const FOR_HALF_OPEN: Self = Self(3);
}

/// The way of a flow in its bucket. Of one that is not there only the listings are read.
#[inline(always)]
pub fn find(bucket: &Bucket, id: &Identity) -> Option<u32> {
    let mut i = 0;
    while i < WAYS {
        let way = id.way(i);
        // Two CPUs may have given one way to two flows at once: the entry's tag decides.
        if bucket.listings[way as usize].tag == id.tag() && bucket.hot[way as usize].tag == id.tag()
        {
            return Some(way);
        }
        i += 1;
    }
    None
}

/// The same for a flow that is expected to be there: most are in the first or the second way that is looked at, whose
/// entry is read in any case.
#[inline(always)]
pub fn find_known(bucket: &Bucket, id: &Identity) -> Option<u32> {
    let mut i = 0;
    while i < WAYS {
        let way = id.way(i);
        if bucket.hot[way as usize].tag == id.tag() {
            return Some(way);
        }
        i += 1;
    }
    None
}

/// How readily a way is given to a newcomer: its class (4 minus a [`Began`], so that empty places come first, then
/// finished connections, then half-open ones; 0 never), below that its age in ticks. Free of jumps: see [`bits`].
#[inline(always)]
fn readiness(listing: Listing, now: u32) -> u64 {
    let idle = Listing::idle(listing.state, now);
    let empty = bits::less(listing.tag, 1);
    let (confirmed, closed) = (listing.state & 1, listing.state >> 1 & 1);
    let finished = closed & bits::less(LINGER, idle) | bits::less(ABANDONED, idle);
    let half_open = (closed | confirmed ^ 1) & (finished ^ 1);
    let class = (empty | finished) << 1 | empty | half_open;
    u64::from(class) << CLASS_SHIFT | u64::from(idle) << DISTANCE_BITS
}

/// Bits for a distance in [`choose`], and where the class begins above those of the age.
const DISTANCE_BITS: u32 = WAYS.trailing_zeros();
const CLASS_SHIFT: u32 = 40;

/// The listing of a way, as far as a newcomer is concerned true: where a live connection seems abandoned, its entry
/// tells when it was really heard last, and so does the listing from then on.
#[inline(always)]
fn list(bucket: &mut Bucket, way: u32, now: u32) -> Listing {
    let way = way as usize;
    let Listing { tag, state } = bucket.listings[way];
    if state & Listing::CONFIRMED != 0 && Listing::idle(state, now) > ABANDONED {
        bucket.listings[way].state = Listing::state_of(&bucket.hot[way]);
    }
    Listing { tag, state: bucket.listings[way].state }
}

/// Picks the way that a newcomer takes: of those that give way alike, the one where the search for it
/// will look first.
#[inline(always)]
pub(super) fn choose(bucket: &mut Bucket, id: &Identity, now: u32) -> Option<(u32, Began)> {
    let first = id.way(0);
    if bucket.listings[first as usize].tag == 0 {
        return Some((first, Began::IN_EMPTY));
    }
    // How near the way is stands in the low bits, so that there is one number to follow.
    let mut best = 0;
    let mut distance = 0;
    while distance < WAYS {
        let way = id.way(distance);
        let nearness = u64::from(WAYS - 1 - distance);
        best = bits::greater_of(best, readiness(list(bucket, way, now), now) | nearness);
        distance += 1;
    }
    let class = (best >> CLASS_SHIFT) as u32;
    if class == 0 {
        return None;
    }
    Some((id.way(WAYS - 1 - best as u32 % WAYS), Began(4 - class)))
}
