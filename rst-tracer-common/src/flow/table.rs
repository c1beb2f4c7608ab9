//! The bounded, set-associative table, and what happens to a segment in it.
//!
//! When every way of a bucket holds a live connection the newcomer is not tracked and that is
//! counted.

use super::{
    Began, Entry, Identity, Memory, Place, Port, WAYS, find, flag,
    home::{is_home, is_last_recorded},
    room::choose,
    step, ticks, ticks_of_secs,
};
use crate::{
    wire::{self, Flags, Segment},
    words,
};

/// How long after a RST the flow's segments are reported as aftermath.
const AFTERMATH_NS: u64 = 5_000_000_000;
/// How many of them at most.
const AFTERMATH_LIMIT: u8 = 8;
/// How many resets of one flow are reported one by one within a second.
pub const RESET_BUDGET: u8 = 16;
/// How many more that end the connection: however many that do not come before it, the one that does is told.
pub const ENDING_BUDGET: u8 = 4;
const BUDGET_WINDOW: u32 = ticks_of_secs(1);

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
        let ends = step::ends_connection(entry.hot, entry.flow, id.side & 1, segment);
        let ends = wire::forget(u32::from(ends)) != 0;
        return within_budget(&mut entry.in_memory(), me, ends, port, budget, place, now);
    } else if !is_home(&mut entry, id.side, segment, port, now) {
        if segment.tcp.flags.has(Flags::SYN) {
            step::note_contest(entry.hot, entry.flow, id.side, segment);
        }
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

/// Resets of one flow are reported one by one up to a budget, then only counted. A reset spends of it and is counted
/// where its side is at home: a host that forwards sees it again, and what is seen elsewhere follows that decision.
/// What is seen elsewhere only has a budget as large. What `ends` the connection has one of its own behind both, and ends
/// it here also where it is only counted.
#[inline(always)]
fn within_budget(
    entry: &mut Entry<'_>,
    me: usize,
    ends: bool,
    port: Port,
    budget: Option<u8>,
    place: Place,
    now: u64,
) -> Observed {
    let (home, flow) = (&mut entry.hot.ports[me], &mut *entry.flow);
    if *home == 0 {
        *home = port.0;
    }
    let Some(budget) = budget else { return Observed::Reset(Some(place)) };
    let tick = ticks(now);
    if tick.wrapping_sub(flow.reset_window) > BUDGET_WINDOW {
        flow.reset_window = tick;
        flow.reported = 0;
        flow.reported_elsewhere = 0;
        flow.reported_ending = 0;
    }
    let (is_at_home, is_over) = (*home == port.0, flow.reported >= budget);
    let is_spent = if is_at_home {
        is_over
    } else {
        is_over && flow.suppressed != 0 || flow.reported_elsewhere >= budget
    };
    if is_spent && (!ends || flow.reported_ending >= ENDING_BUDGET) {
        if is_at_home {
            flow.suppressed = flow.suppressed.wrapping_add(1);
            flow.resets = flow.resets.wrapping_add(1);
        }
        if ends {
            entry.hot.flags |= flag::RESET;
            entry.listing.follow(entry.hot);
        }
        return Observed::Suppressed;
    }
    if is_spent {
        flow.reported_ending += 1;
    } else if is_at_home {
        flow.reported += 1;
    } else {
        flow.reported_elsewhere += 1;
    }
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
