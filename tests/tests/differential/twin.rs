//! The programs' twin in userspace: the same steps over the same crate, written down once more.

use rst_tracer::source::table::Table;
use rst_tracer_common::{
    event::{Counters, Head, Hook, Kind, Rst, RstWithFlow, Sighting},
    flow::{self, Began, Identity, Memory, Observed, Port},
    wire::{self, Bytes, Flags, Frame, LinkType, Segment, Stop},
};
use rst_tracer_tests::kernel::{KEYS, LOOPBACK, Program, Record};
use zerocopy::FromZeros;

/// Table and counters.
pub(crate) struct Twin {
    pub(crate) table: Table,
    pub(crate) counters: [Counters; Hook::COUNT],
}

impl Twin {
    /// With room for `flows` connections.
    pub(crate) fn new(flows: u32) -> Self {
        let table = Table::with_room_for(flows).expect("memory for a small table");
        Self { table, counters: Default::default() }
    }

    /// The segment of a frame, if there is one.
    pub(crate) fn locate(program: Program, frame: &[u8]) -> Result<Segment, Stop> {
        let link = match program {
            _ if Program::L3.contains(&program) => LinkType::RAW,
            _ => LinkType::ETHERNET,
        };
        let mut segment = Segment::new_zeroed();
        wire::locate(&Frame::whole(frame), link, true, &mut segment).map(|()| segment)
    }

    /// What a program does with a frame that it sees at `now`.
    pub(crate) fn see(&mut self, program: Program, frame: &[u8], now: u64) -> Option<Record> {
        let counters = &mut self.counters[usize::from(program.hook().0)];
        counters.frames += 1;
        let segment = match Self::locate(program, frame) {
            Ok(segment) => segment,
            Err(Stop::NotOurs(reason)) => {
                counters.not_ours[reason as usize] += 1;
                return None;
            }
            Err(Stop::Malformed(kind)) => {
                counters.malformed[kind as usize] += 1;
                return None;
            }
        };
        counters.segments += 1;
        counters.rsts += u64::from(segment.tcp.flags.has(Flags::RST));
        let id = Identity::of(&segment.src, &segment.dst, &KEYS);
        let port = if program.hook() == Hook::TC_EGRESS {
            Port::egress(LOOPBACK)
        } else {
            Port::ingress(LOOPBACK)
        };
        let mut seen = Sighting {
            time_ns: now,
            flow_hash: id.hash,
            side: id.side,
            hook: program.hook(),
            ifindex: LOOPBACK,
            came_by: 0,
            src_accepted: 0,
        };
        let bytes = Frame::whole(frame);
        match flow::observe(&mut self.table, &id, &segment, port, now) {
            Observed::Tracked(tracked) => {
                counters.tracked += 1;
                counters.flows += u64::from(tracked.began != Began::NOT);
                counters.evicted_finished += u64::from(tracked.began == Began::FOR_FINISHED);
                counters.evicted_half_open += u64::from(tracked.began == Began::FOR_HALF_OPEN);
                flow::note_server(&mut self.table, tracked.place, &id, &segment, now);
                flow::note_payload(&mut self.table, tracked.place, id.side, &segment, &bytes);
                if !tracked.is_aftermath {
                    return None;
                }
                counters.aftermath += 1;
                let mut head = Box::new(Head::new_zeroed());
                head.write(Kind::AFTERMATH, &seen, &segment, bytes.wire_len());
                return Some(Record::Aftermath(head));
            }
            Observed::SecondSighting => counters.second_sightings += 1,
            Observed::Full => counters.table_full += 1,
            Observed::Suppressed => counters.suppressed += 1,
            Observed::Reset(None) => {
                counters.delivered += 1;
                seen.src_accepted = flow::accepted_ago(&mut self.table, &id, now);
                let mut rst = Box::new(Rst::new_zeroed());
                rst.write(Kind::RST, &seen, &segment, &bytes);
                return Some(Record::Rst(rst));
            }
            Observed::Reset(Some(place)) => {
                counters.delivered += 1;
                seen.src_accepted = flow::accepted_ago(&mut self.table, &id, now);
                let mut record = Box::new(RstWithFlow::new_zeroed());
                let entry = self.table.entry(place.bucket, place.way)?;
                record.write(&seen, &segment, &bytes, &entry);
                flow::note_reset(&mut self.table, place, id.side, &segment, port, now);
                return Some(Record::RstWithFlow(record));
            }
        }
        None
    }
}
