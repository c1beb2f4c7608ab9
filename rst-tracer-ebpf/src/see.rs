//! What every hook does with a frame: locate the segment, observe the flow, report a reset.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use rst_tracer_common::{
    event::{Counters, Head, Hook, Kind, Rst, RstWithFlow, Sighting},
    flow::{self, Began, Identity, Memory, Observed, Place, Port},
    verifier,
    wire::{self, Bytes, Flags, LinkType, Malformed, NotOurs, Segment, Stop},
};

use crate::{
    frame::Held,
    maps::{self, Table},
    rings,
};

/// What a hook knows of a frame before it is read.
pub struct Seen {
    pub hook: Hook,
    pub link: LinkType,
    pub ifindex: u32,
    pub port: Port,
    /// The interface a forwarded frame came in by.
    pub came_by: u32,
    /// A VLAN tag that the device took out of the frame; bit 16 set when there is one.
    pub vlan: u32,
}

/// Takes one frame into account. Every path ends in a counter; the frame is never touched. Returns
/// what was malformed about it.
#[inline(always)]
pub fn see<B: Held>(frame: &B, seen: &Seen) -> Option<Malformed> {
    let counters = maps::counters(seen.hook)?;
    let is_usual = seen.link == LinkType::ETHERNET
        && flow::take_usual(&mut Table, frame, seen.port, maps::keys, maps::clock);
    if is_usual {
        counters.usual += 1;
        return None;
    }
    counters.frames += 1;
    if seen.link == LinkType::ETHERNET && wire::is_plain_udp(frame) {
        counters.not_ours[NotOurs::NotTcp as usize] += 1;
        return None;
    }
    let segment = maps::segment()?;
    match locate(frame, seen.link, segment) {
        Ok(()) => {}
        Err(Stop::NotOurs(kind)) => {
            counters.not_ours[kind as usize] += 1;
            return None;
        }
        Err(Stop::Malformed(kind)) => {
            counters.malformed[kind as usize] += 1;
            return Some(kind);
        }
    }
    let segment = verifier::in_memory(segment);
    let frame = &frame.afresh();
    if seen.vlan != 0 {
        segment.vlan = [seen.vlan, segment.vlan[0]];
    }
    counters.segments += 1;
    if segment.tcp.flags.has(Flags::RST) {
        counters.rsts += 1;
    }
    let id = Identity::of(&segment.src, &segment.dst, &maps::keys());
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    if seen.hook == Hook::TC_EGRESS && segment.tcp.flags.has(Flags::RST) {
        maps::note_answer(id.hash, now);
    }
    let observed = flow::observe(&mut Table, &id, segment, seen.port, now);
    let mut sighting = Sighting {
        time_ns: now,
        flow_hash: id.hash,
        side: id.side,
        hook: seen.hook,
        ifindex: seen.ifindex,
        came_by: seen.came_by,
        src_accepted: 0,
    };
    match observed {
        Observed::Tracked(tracked) => {
            counters.tracked += 1;
            if tracked.began != Began::NOT {
                counters.flows += 1;
            }
            if tracked.began == Began::FOR_FINISHED {
                counters.evicted_finished += 1;
            }
            if tracked.began == Began::FOR_HALF_OPEN {
                counters.evicted_half_open += 1;
            }
            flow::note_server(&mut Table, tracked.place, &id, segment, now);
            flow::note_payload(&mut Table, tracked.place, id.side, segment, frame);
            if tracked.is_aftermath {
                report_aftermath(counters, frame, &sighting, segment);
            }
        }
        Observed::SecondSighting => counters.second_sightings += 1,
        Observed::Full => counters.table_full += 1,
        Observed::Suppressed => {
            counters.suppressed += 1;
            rings::note_source(&segment.src, id.source);
        }
        Observed::Reset(None) => {
            if !maps::wants(&segment.src, &segment.dst) {
                counters.filtered += 1;
                return None;
            }
            if !rings::lets_pass(now) {
                counters.suppressed_no_flow += 1;
                rings::note_source(&segment.src, id.source);
                return None;
            }
            sighting.src_accepted = flow::accepted_ago(&mut Table, &id, now);
            report_alone(counters, frame, &sighting, segment);
        }
        Observed::Reset(Some(place)) => {
            sighting.src_accepted = flow::accepted_ago(&mut Table, &id, now);
            report_with_flow(counters, frame, &sighting, segment, place);
            flow::note_reset(&mut Table, place, id.side, segment, seen.port, now);
        }
    }
    None
}

/// Reads a frame, a second time if a header of it had to be pulled to where it can be read. Twice in a row and not in a
/// loop, in which the verifier would follow ten times as much.
#[inline(always)]
fn locate<B: Held>(frame: &B, link: LinkType, segment: &mut Segment) -> Result<(), Stop> {
    let tunnels = maps::looks_into_tunnels();
    let located = wire::locate(&frame.afresh(), link, tunnels, segment);
    let segment = verifier::in_memory(segment);
    let frame = frame.afresh();
    let is_cut = match located {
        Ok(()) => u32::from(segment.payload_at) > frame.captured_len(),
        Err(stop) => stop == Stop::Malformed(Malformed::Truncated),
    };
    if !is_cut || !frame.pull_headers() {
        return located;
    }
    verifier::meet();
    wire::locate(&frame.afresh(), link, tunnels, segment)
}

#[inline(always)]
fn report_aftermath<B: Bytes>(
    counters: &mut Counters,
    frame: &B,
    sighting: &Sighting,
    segment: &Segment,
) {
    if !maps::wants(&segment.src, &segment.dst) {
        return;
    }
    let Some(mut slot) = rings::reserve::<Head>() else {
        counters.aftermath_lost += 1;
        return;
    };
    slot.record().write(Kind::AFTERMATH, sighting, segment, frame.wire_len());
    slot.submit(sighting.time_ns);
    counters.aftermath += 1;
}

#[inline(always)]
fn report_alone<B: Bytes>(
    counters: &mut Counters,
    frame: &B,
    sighting: &Sighting,
    segment: &Segment,
) {
    let Some(mut slot) = rings::reserve::<Rst>() else {
        counters.ring_full += 1;
        return;
    };
    slot.record().write(Kind::RST, sighting, segment, frame);
    slot.submit(sighting.time_ns);
    counters.delivered += 1;
}

#[inline(always)]
fn report_with_flow<B: Bytes>(
    counters: &mut Counters,
    frame: &B,
    sighting: &Sighting,
    segment: &Segment,
    place: Place,
) {
    let mut table = Table;
    if !maps::wants(&segment.src, &segment.dst) {
        counters.filtered += 1;
        return;
    }
    let Some(entry) = table.entry(place.bucket, place.way) else { return };
    let Some(mut slot) = rings::reserve::<RstWithFlow>() else {
        counters.ring_full += 1;
        return;
    };
    slot.record().write(sighting, segment, frame, &entry);
    slot.submit(sighting.time_ns);
    counters.delivered += 1;
}
