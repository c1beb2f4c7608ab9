//! The bounded, set-associative table, and what happens to a segment in it.
//!
//! A bucket has eight ways. A newcomer takes an empty way, else that of a closed or abandoned flow,
//! else the oldest half-open one, and never that of a live confirmed connection: a flood of SYNs
//! evicts half-open flows only. When every way holds a live connection the newcomer is not tracked
//! and that is counted.

use super::{
    Bucket, Entry, Hot, Identity, Listing, Recorder, SLOTS, Server, WAYS, flag, observe as step,
    slot_trait, ticks, ticks_of_secs,
};
use crate::{
    bits,
    wire::{self, Flags, Segment},
    words,
};

/// A confirmed connection silent for so long may be evicted by a newcomer.
const ABANDONED: u32 = ticks_of_secs(600);
/// A closed connection is remembered at least so long, for late segments.
const LINGER: u32 = ticks_of_secs(5);
/// How long after a RST the flow's segments are reported as aftermath.
const AFTERMATH_NS: u64 = 5_000_000_000;
/// How many of them at most.
const AFTERMATH_LIMIT: u8 = 8;
/// How many resets of one flow are reported one by one within a second.
pub const RESET_BUDGET: u16 = 16;
const BUDGET_WINDOW: u32 = ticks_of_secs(1);

/// Where the table lives: kernel maps or plain memory.
pub trait Memory {
    /// One less than the number of buckets, which is a power of two.
    fn mask(&self) -> u32;
    /// How many resets of one flow are reported one by one within a second.
    fn reset_budget(&self) -> u16 {
        RESET_BUDGET
    }
    /// A bucket.
    fn bucket(&mut self, bucket: u32) -> Option<&mut Bucket>;
    /// The parts of the flow in a way of a bucket.
    fn entry(&mut self, bucket: u32, way: u32) -> Option<Entry<'_>>;
    /// What a segment amid a connection writes, if its flow is known.
    #[inline(always)]
    fn known(&mut self, id: &Identity) -> Option<(&mut Hot, &mut Recorder)> {
        let index = id.bucket(self.mask());
        let way = find_known(self.bucket(index)?, id)?;
        let Entry { hot, recorder, .. } = self.entry(index, way)?;
        Some((hot, recorder))
    }
    /// A slot of the table of servers, which has [`SERVERS`](super::SERVERS); `None` where none are
    /// remembered.
    fn server(&mut self, _slot: u32) -> Option<&mut Server> {
        None
    }
}

/// A place of this host where segments are seen: interface index and direction. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port(pub u16);

impl Port {
    /// Whether segments arrive here, and not leave.
    #[inline(always)]
    pub const fn is_ingress(self) -> bool {
        self.0 & 3 == 1
    }

    /// Seen arriving at this interface.
    #[inline(always)]
    pub const fn ingress(ifindex: u32) -> Self {
        Self((ifindex as u16) << 2 | 1)
    }

    /// Seen leaving through this interface.
    #[inline(always)]
    pub const fn egress(ifindex: u32) -> Self {
        Self((ifindex as u16) << 2 | 3)
    }
}

/// Where a flow lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The bucket.
    pub bucket: u32,
    /// The way in it.
    pub way: u32,
}

/// What became of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// Applied to a flow.
    Tracked(Tracked),
    /// The same segment was seen before at another place of this host.
    SecondSighting,
    /// A RST: report it, then call [`note_reset`]. `None`: no flow is known.
    Reset(Option<Place>),
    /// A RST beyond what is reported one by one: counted here.
    Suppressed,
    /// Every way of the bucket holds a live connection.
    Full,
}

/// A segment that was applied to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// Where the flow lies.
    pub place: Place,
    /// Whether the flow is new.
    pub began: Began,
    /// The flow saw a RST a moment ago: report the segment.
    pub is_aftermath: bool,
}

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
fn choose(bucket: &mut Bucket, id: &Identity, now: u32) -> Option<(u32, Began)> {
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

/// Whether this sighting is the one that counts for its side. A forwarding host sees each segment
/// at two interfaces; the first port at which a side was seen keeps it, until another port brings
/// something new first (the path changed).
#[inline(always)]
fn is_home(hot: &mut Hot, side: u32, segment: &Segment, port: Port) -> bool {
    let side = side as usize & 1;
    if hot.ports[side] == port.0 {
        return true;
    }
    let unclaimed = hot.ports[side] == 0;
    let news = segment.seq_end().is_after(hot.seq_end[side])
        || segment.tcp.flags.has(Flags::ACK) && segment.tcp.ack.is_after(hot.ack[side]);
    let is_handshake = segment.tcp.flags.has(Flags::SYN);
    if unclaimed || news && !is_handshake {
        hot.ports[side] = port.0;
        return true;
    }
    // A SYN that opens another connection between the same two ends may come another way.
    if is_handshake && hot.is_closed() && news {
        hot.ports[side] = port.0;
        return true;
    }
    false
}

/// Has fetched at once what a new flow writes: it lies in three pages, and where a page is takes as long to find out as
/// to fetch a line of it.
#[inline(always)]
fn foresee(entry: &Entry<'_>) {
    words::touch(entry.hot);
    words::touch(&entry.recorder.slots[0]);
    words::touch(entry.flow);
    words::touch(&entry.flow.reset_ns);
}

/// Takes one segment into account and says what became of it.
#[inline(always)]
pub fn observe<M: Memory>(
    memory: &mut M,
    id: &Identity,
    segment: &Segment,
    port: Port,
    now: u64,
) -> Observed {
    let is_rst = segment.tcp.flags.has(Flags::RST);
    let budget = memory.reset_budget();
    let index = id.bucket(memory.mask());
    let Some(bucket) = memory.bucket(index) else { return Observed::Full };
    let found = find(bucket, id);
    if found.is_none() && is_rst {
        return Observed::Reset(None);
    }
    let taken = match found {
        Some(way) => Some((way, Began::NOT)),
        None => choose(bucket, id, ticks(now)),
    };
    let Some((way, began)) = taken else { return Observed::Full };
    // Which way it was, and how it was found, is not to be followed by the verifier one by one.
    let way = wire::forget(way) & (WAYS - 1);
    let began = Began(wire::forget(began.0));
    let place = Place { bucket: index, way };
    let Some(mut entry) = memory.entry(index, way) else { return Observed::Full };
    if began != Began::NOT {
        foresee(&entry);
        step::begin(&mut entry, id.side, segment, now);
        entry.hot.ports[id.side as usize & 1] = port.0;
    } else if is_rst {
        let (me, peer) = (id.side as usize & 1, (id.side ^ 1) as usize & 1);
        if entry.flow.ends[me] != segment.src || entry.flow.ends[peer] != segment.dst {
            return Observed::Reset(None); // The tag of another pair of ends.
        }
        return within_budget(&mut entry, place, budget, now);
    } else if !is_home(entry.hot, id.side, segment, port) {
        return Observed::SecondSighting;
    }
    step::apply(&mut entry.in_memory(), id.side, segment, now);
    let entry = entry.in_memory();
    entry.hot.tag = id.tag();
    entry.listing.tag = id.tag();
    entry.listing.follow(entry.hot);
    let is_aftermath = entry.hot.flags & flag::RST_SEEN != 0
        && now.wrapping_sub(entry.flow.reset_ns) < AFTERMATH_NS
        && entry.flow.aftermath < AFTERMATH_LIMIT;
    if is_aftermath {
        entry.flow.aftermath += 1;
    }
    Observed::Tracked(Tracked { place, began, is_aftermath })
}

/// Resets of one flow are reported one by one up to a budget, then only counted.
#[inline(always)]
fn within_budget(entry: &mut Entry<'_>, place: Place, budget: u16, now: u64) -> Observed {
    let flow = &mut *entry.flow;
    let tick = ticks(now);
    if tick.wrapping_sub(flow.reset_window) > BUDGET_WINDOW {
        flow.reset_window = tick;
        flow.reported = 0;
    }
    if flow.reported >= budget {
        flow.suppressed = flow.suppressed.wrapping_add(1);
        flow.resets = flow.resets.wrapping_add(1);
        return Observed::Suppressed;
    }
    flow.reported += 1;
    Observed::Reset(Some(place))
}

/// Notes a RST after it has been reported.
#[inline(always)]
pub fn note_reset<M: Memory>(
    memory: &mut M,
    place: Place,
    side: u32,
    segment: &Segment,
    port: Port,
    now: u64,
) {
    let Some(mut entry) = memory.entry(place.bucket, place.way) else { return };
    let side = side & 1;
    let home = entry.hot.ports[side as usize];
    if home == 0 {
        entry.hot.ports[side as usize] = port.0;
    } else if home != port.0 && is_last_recorded(&entry, side, segment) {
        return; // Another sighting of the same RST adds nothing to the flow.
    }
    step::note_reset(&mut entry, side, segment, now);
    entry.listing.follow(entry.hot);
}

/// Whether the segment recorded last is this very one, seen at another place of this host.
#[inline(always)]
fn is_last_recorded(entry: &Entry<'_>, side: u32, segment: &Segment) -> bool {
    let last = u32::from(entry.hot.recorded).wrapping_sub(1) & (SLOTS - 1);
    let slot = &entry.recorder.slots[last as usize];
    slot.seq == segment.tcp.seq
        && slot.ack == segment.tcp.ack
        && slot.flags == segment.tcp.flags
        && slot.ip_id == segment.ip_id
        && u32::from(slot.traits & slot_trait::SIDE_1) == side
}
