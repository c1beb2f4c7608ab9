//! Capture files as a source: the same parser, tracker and records as in the kernel.
//!
//! In: capture files or a pipe. Out: [`Record`]s, with file and frame number. Files that continue
//! each other in time share their connections, as a ring of capture files does.

use std::{cell::RefCell, io::Read, ops::ControlFlow, rc::Rc, sync::Arc};

use rst_tracer_common::{
    event::{Counters, Head, Hook, Kind, Rst, RstWithFlow, Sighting},
    flow::{self, Began, Identity, Keys, Memory, Observed, Place, Port},
    wire::{self, Flags, LinkType, Segment, Stop},
};
use zerocopy::FromZeros;

use super::{
    After, Origin, Record, Reset,
    capture::{self, Capture, CaptureError},
    foresee,
    table::Table,
};
use crate::event::Timestamp;

/// A file that begins so long after the last one ended is taken for another story.
const LONGEST_GAP_NS: u64 = 60_000_000_000;

/// How many frames are looked at together, so that memory is fetched for some while others are seen.
const TOGETHER: usize = 32;

/// Reads captures, one after the other.
pub struct Replay {
    table: Table,
    flows: u32,
    keys: Keys,
    tunnels: bool,
    counted: Counted,
    segment: Segment,
    record: Box<RstWithFlow>,
    last_ns: Option<u64>,
    /// So many bytes are to be read.
    expected: u64,
}

impl Replay {
    /// A reader that remembers at least `flows` connections.
    ///
    /// # Errors
    /// Fails when there is not enough memory for them.
    pub fn new(flows: u32, tunnels: bool, keys: Keys) -> anyhow::Result<Self> {
        let record = RstWithFlow::new_box_zeroed();
        Ok(Self {
            table: table(flows, 0)?,
            flows,
            keys,
            tunnels,
            counted: Counted::default(),
            segment: Segment::default(),
            record: record.map_err(|_| anyhow::anyhow!("not enough memory"))?,
            last_ns: None,
            expected: 0,
        })
    }

    /// The same, before anything is read, when it is known that so many bytes are to come.
    ///
    /// # Errors
    /// As [`Replay::new`].
    pub fn expecting(self, bytes: u64) -> anyhow::Result<Self> {
        Ok(Self { table: table(self.flows, bytes)?, expected: bytes, ..self })
    }

    /// What was counted so far, over all files.
    pub fn counters(&self) -> Counters {
        self.counted.so_far()
    }

    /// The same for who asks while a capture is read.
    pub fn counted(&self) -> Counted {
        self.counted.clone()
    }

    /// Reads one capture to its end and hands over its records, each with the time of its frame; first of all that it does
    /// not go on where the last one ended, if so.
    /// `progress` is told now and then how many bytes were read.
    ///
    /// # Errors
    /// What is wrong with the file; every record before that was handed over.
    pub fn read<R: Read>(
        &mut self,
        name: &Arc<str>,
        reader: R,
        mut progress: impl FnMut(u64),
        mut each: impl FnMut(u64, Option<Record>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Problem> {
        let mut capture = Capture::open(reader).map_err(Problem::Capture)?;
        let mut names = Names::default();
        let mut is_first = true;
        let counted = self.counted();
        loop {
            let at_hand = capture.next_at_hand(TOGETHER).map_err(Problem::Capture)?;
            if at_hand.is_empty() {
                return Ok(ControlFlow::Continue(()));
            }
            self.foresee(at_hand.frames());
            let mut counters = counted.0.borrow_mut();
            for frame in at_hand.frames() {
                let time_ns = frame.time_ns;
                let begins = std::mem::take(&mut is_first) && !self.is_continued(time_ns);
                self.last_ns = Some(time_ns);
                if begins {
                    self.table = table(self.flows, self.expected).map_err(Problem::Memory)?;
                    if each(time_ns, Some(Record::AnotherStory(time_ns))).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                let goes_on = match self.see(&frame, &mut counters) {
                    // Said apart: to hand over what is no record would copy as much as the longest one has.
                    None => each(time_ns, None),
                    Some(mut record) => {
                        if let Record::Reset(reset) = &mut record {
                            let name_of = |id| names.of(id, at_hand.interface_name(id));
                            let interface = frame.interface.and_then(name_of);
                            let is_ethernet = frame.link == LinkType::ETHERNET;
                            let (file, frame) = (Some(name.clone()), Some(frame.number));
                            reset.origin = Origin { interface, file, frame, is_ethernet };
                        }
                        each(time_ns, Some(record))
                    }
                };
                if goes_on.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            progress(at_hand.bytes_read());
        }
    }

    /// Has the memory that these frames will need fetched: first what the search for their flows reads, then what
    /// they write.
    fn foresee<'a>(&self, frames: impl Iterator<Item = capture::Frame<'a>>) {
        let mut ids = [None; TOGETHER];
        for (id, frame) in ids.iter_mut().zip(frames) {
            let bytes = wire::Frame { data: frame.data, wire_len: frame.original_len };
            *id = foresee::identity(&bytes, frame.link, &self.keys);
            if let Some(id) = id {
                self.table.foresee_search(id);
            }
        }
        for id in ids.iter().flatten() {
            self.table.foresee_segment(id);
        }
    }

    /// Whether a file that begins at this time goes on where the last one ended.
    fn is_continued(&self, time_ns: u64) -> bool {
        self.last_ns.is_none_or(|last| time_ns >= last && time_ns - last <= LONGEST_GAP_NS)
    }

    /// What the kernel programs do with a frame (`rst-tracer-ebpf/src/see.rs`), step by step.
    fn see(&mut self, frame: &capture::Frame<'_>, counters: &mut Counters) -> Option<Record> {
        let bytes = wire::Frame { data: frame.data, wire_len: frame.original_len };
        let ifindex = cooked_ifindex(frame).unwrap_or(frame.interface.unwrap_or(0) + 1);
        let port = Port::ingress(ifindex);
        let now = frame.time_ns;
        let is_usual = frame.link == LinkType::ETHERNET
            && flow::take_usual(&mut self.table, &bytes, port, || self.keys, || (now, 0));
        if is_usual {
            counters.usual += 1;
            return None;
        }
        counters.frames += 1;
        let segment = &mut self.segment;
        match wire::locate(&bytes, frame.link, self.tunnels, segment) {
            Ok(()) => {}
            Err(Stop::NotOurs(kind)) => {
                counters.not_ours[kind as usize] += 1;
                return None;
            }
            Err(Stop::Malformed(kind)) => {
                counters.malformed[kind as usize] += 1;
                return None;
            }
        }
        counters.segments += 1;
        if segment.tcp.flags.has(Flags::RST) {
            counters.rsts += 1;
        }
        let id = Identity::of(&segment.src, &segment.dst, &self.keys);
        let mut sighting = Sighting {
            time_ns: now,
            flow_hash: id.hash,
            side: id.side,
            hook: Hook::PCAP,
            ifindex,
            came_by: 0,
            src_accepted: 0,
        };
        let time = Timestamp(now);
        match flow::observe(&mut self.table, &id, segment, port, now) {
            Observed::Tracked(tracked) => {
                counters.tracked += 1;
                counters.flows += u64::from(tracked.began != Began::NOT);
                counters.evicted_finished += u64::from(tracked.began == Began::FOR_FINISHED);
                counters.evicted_half_open += u64::from(tracked.began == Began::FOR_HALF_OPEN);
                flow::note_server(&mut self.table, tracked.place, &id, segment, now);
                flow::note_payload(&mut self.table, tracked.place, id.side, segment, &bytes);
                if !tracked.is_aftermath {
                    return None;
                }
                counters.aftermath += 1;
                let mut head = Head::default();
                head.write(Kind::AFTERMATH, &sighting, segment, frame.original_len);
                return Some(Record::After(After { time, head }));
            }
            Observed::SecondSighting => counters.second_sightings += 1,
            Observed::Full => counters.table_full += 1,
            Observed::Suppressed => counters.suppressed += 1,
            Observed::Reset(place) => {
                counters.delivered += 1;
                sighting.src_accepted = flow::accepted_ago(&mut self.table, &id, now);
                let origin = Origin::default();
                let Some(Place { bucket, way }) = place else {
                    let mut rst = Box::new(Rst::new_zeroed());
                    rst.write(Kind::RST, &sighting, segment, &bytes);
                    return Some(Record::Reset(Reset { time, origin, rst, flow: None }));
                };
                let entry = self.table.entry(bucket, way)?;
                self.record.write(&sighting, segment, &bytes, &entry);
                let place = Place { bucket, way };
                flow::note_reset(&mut self.table, place, id.side, segment, port, now);
                return Some(Record::Reset(Reset::of(&self.record, time, origin)));
            }
        }
        None
    }
}

/// Where a frame of `tcpdump -i any` was seen: a forwarding host sees each at two interfaces, and the second time it is
/// no retransmission. <https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html>
fn cooked_ifindex(frame: &capture::Frame<'_>) -> Option<u32> {
    let is_cooked = frame.link == LinkType::LINUX_SLL2;
    let bytes = is_cooked.then(|| frame.data.get(4..8)).flatten()?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// A table for what so many bytes of captures hold: in large pages if they can be expected to fill it.
fn table(flows: u32, bytes: u64) -> anyhow::Result<Table> {
    let table = Table::with_room_for(flows)?.reporting_every_reset();
    Ok(if bytes / 2 > table.bytes() { table.in_large_pages() } else { table })
}

/// Why a capture could not be read to its end.
#[derive(Debug)]
pub enum Problem {
    /// Something is wrong with the file.
    Capture(CaptureError),
    /// There is not enough memory.
    Memory(anyhow::Error),
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Capture(error) => error.fmt(f),
            Self::Memory(error) => error.fmt(f),
        }
    }
}

/// What a [`Replay`] counts, readable whenever it waits for its capture.
#[derive(Clone, Default)]
pub struct Counted(Rc<RefCell<Counters>>);

impl Counted {
    /// Until now, over all files.
    pub fn so_far(&self) -> Counters {
        let mut counters = *self.0.borrow();
        counters.tell_usual();
        counters
    }
}

/// Interface names of one file, shared by its records.
#[derive(Default)]
struct Names(Vec<(u32, Arc<str>)>);

impl Names {
    fn of(&mut self, id: u32, name: Option<&str>) -> Option<Arc<str>> {
        if let Some((_, known)) = self.0.iter().find(|(known, _)| *known == id) {
            return Some(known.clone());
        }
        let name: Arc<str> = name?.into();
        self.0.push((id, name.clone()));
        Some(name)
    }
}
