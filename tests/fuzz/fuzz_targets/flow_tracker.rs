//! Feeds any sequence of segments to the flow tracker, in a table that is too small for them.
//!
//! No sequence may panic, lose a segment from the sums, push out a live connection, report one
//! connection's RST with another's flow, or report more resets than the budget allows.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use rst_tracer::source::table::Table;
use rst_tracer_common::{
    flow::{
        self, Began, ENDING_BUDGET, Hot, Identity, Keys, Memory, Observed, Place, Port,
        RESET_BUDGET, Side, Stage, WAYS, ticks_of_secs,
    },
    wire::{Address, Endpoint, Flags, NO_SCALE, Segment, Seq, Tcp},
};

const KEYS: Keys = Keys([1, 2, 3, 4, 5, 6]);
/// Bytes of the input that make one step.
const STEP: usize = 12;

fuzz_target!(|input: &[u8]| {
    let mut world = World {
        table: Table::with_room_for(WAYS * 2).expect("memory for a small table"),
        now: 1_000_000_000_000,
        reported: HashMap::new(),
    };
    for step in input.as_chunks::<STEP>().0 {
        world.take(step);
    }
});

struct World {
    table: Table,
    now: u64,
    /// When resets of a flow were reported, since it has its place.
    reported: HashMap<u64, Vec<u64>>,
}

impl World {
    fn take(&mut self, step: &[u8; STEP]) {
        let [pair, how, flags, pause, rest @ ..] = *step;
        // Up to a quarter of a second at a time, or a hundred times as much.
        self.now += u64::from(pause) * if how & 0x10 != 0 { 100_000_000 } else { 1_000_000 };
        let (segment, port) =
            (segment(pair, how, flags, rest), Port::ingress(1 + u32::from(how >> 6)));
        let id = Identity::of(&segment.src, &segment.dst, &KEYS);
        let bucket = id.bucket(self.table.mask());
        let live = self.live(bucket);
        let before = self.hot(bucket, &id);
        let observed = flow::observe(&mut self.table, &id, &segment, port, self.now);
        match observed {
            Observed::Tracked(tracked) => {
                let hot = self.hot(bucket, &id).expect("what is tracked is there").1;
                self.records_the_segment(tracked.place, &segment);
                let restarted = hot.recorded == 1;
                let counted = before.is_some_and(|(_, b)| b.recorded + 1 == hot.recorded);
                assert!(restarted || counted, "{before:?} {hot:?}");
                if tracked.began != Began::NOT {
                    self.reported.remove(&id.hash);
                }
            }
            Observed::Reset(Some(place)) => {
                self.belongs(place, &id, &segment);
                self.within_budget(id.hash);
                flow::note_reset(&mut self.table, place, id.side, &segment, port, self.now);
            }
            Observed::Reset(None) => {
                assert!(before.is_none(), "no two pairs of this test have the same tag");
            }
            Observed::Suppressed => assert!(self.spent(id.hash), "suppressed within the budget"),
            Observed::SecondSighting => assert!(before.is_some()),
            Observed::Full => assert!(live.len() == WAYS as usize && before.is_none()),
        }
        let is_rst = segment.tcp.flags.has(Flags::RST);
        let as_rst = matches!(observed, Observed::Reset(_) | Observed::Suppressed);
        assert!(is_rst || !as_rst, "{segment:?}");
        let still = self.bucket(bucket);
        for tag in live {
            assert!(still.iter().any(|hot| hot.tag == tag), "a live connection was pushed out");
        }
        self.makes_sense(bucket);
    }

    fn bucket(&mut self, bucket: u32) -> [Hot; WAYS as usize] {
        self.table.bucket(bucket).expect("a bucket").hot
    }

    /// The tags of those that nobody may push out.
    fn live(&mut self, bucket: u32) -> Vec<u32> {
        let tick = flow::ticks(self.now);
        let is_live = |hot: &&Hot| {
            let idle = tick.wrapping_sub(hot.last);
            hot.tag != 0 && hot.is_confirmed() && !hot.is_closed() && idle <= ticks_of_secs(600)
        };
        self.bucket(bucket).iter().filter(is_live).map(|hot| hot.tag).collect()
    }

    fn hot(&mut self, bucket: u32, id: &Identity) -> Option<(u32, Hot)> {
        (0..WAYS).zip(self.bucket(bucket)).find(|(_, hot)| hot.tag == id.tag())
    }

    fn records_the_segment(&mut self, place: Place, segment: &Segment) {
        let entry = self.table.entry(place.bucket, place.way).expect("a place");
        let last = entry.hot.recorded.wrapping_sub(1) as usize % entry.recorder.slots.len();
        let slot = entry.recorder.slots[last];
        assert_eq!(
            (slot.seq, slot.ack, slot.time_ns),
            (segment.tcp.seq, segment.tcp.ack, self.now)
        );
        assert_eq!((slot.flags, slot.len), (segment.tcp.flags, segment.tcp.payload_len));
    }

    fn belongs(&mut self, place: Place, id: &Identity, segment: &Segment) {
        let entry = self.table.entry(place.bucket, place.way).expect("a place");
        assert_eq!(entry.hot.tag, id.tag());
        assert_eq!(entry.flow.ends[id.side as usize], segment.src);
        assert_eq!(entry.flow.ends[id.side as usize ^ 1], segment.dst);
    }

    fn within_budget(&mut self, flow: u64) {
        let times = self.reported.entry(flow).or_default();
        times.push(self.now);
        // One window may end and the next begin within these: twice the budget then, at home and elsewhere.
        let recent = times.iter().filter(|time| self.now - **time < 900_000_000).count();
        let budget = 2 * usize::from(RESET_BUDGET) + usize::from(ENDING_BUDGET);
        assert!(recent <= 2 * budget, "{recent} resets of one flow");
    }

    fn spent(&self, flow: u64) -> bool {
        let times = self.reported.get(&flow).map_or(&[][..], Vec::as_slice);
        let recent = times.iter().filter(|time| self.now - **time < 1_100_000_000).count();
        recent >= usize::from(RESET_BUDGET)
    }

    /// Every entry's parts agree with each other.
    fn makes_sense(&mut self, bucket: u32) {
        for way in 0..WAYS {
            let entry = self.table.entry(bucket, way).expect("a place");
            if entry.hot.tag == 0 {
                continue;
            }
            let (hot, flow) = (&*entry.hot, &*entry.flow);
            let stage = Stage::of(hot);
            assert_eq!(stage == Stage::Closed, hot.is_closed());
            let packets: u32 = hot.counts.iter().map(|side| side.packets).sum();
            assert!(packets >= 1 && (u32::from(hot.recorded) == packets || packets > 0xffff));
            assert!(flow.suppressed <= flow.resets);
            assert!(usize::from(flow.history_len) <= flow.history.len());
            assert!(flow.history_letters(0).count() == usize::from(flow.history_len));
            for side in Side::both(hot, flow, entry.recorder) {
                let told = u32::from(side.retransmits) + u32::from(side.data_segments);
                assert!(told <= side.packets);
            }
        }
    }
}

/// A segment of one of 32 pairs of ends; its numbers lie close together, or anywhere.
fn segment(pair: u8, how: u8, flags: u8, rest: [u8; STEP - 4]) -> Segment {
    let end = |ip, port| Endpoint { address: Address::v4(ip), port };
    let (client, server) = (end(u32::from(pair & 31), 40_000), end(99, 443));
    let (src, dst) = if how & 1 == 0 { (client, server) } else { (server, client) };
    let [a, b, c, d, e, f, len, _] = rest;
    let number = |near: u8, high: u8, low: u8| {
        if how & 8 == 0 { u32::from(near) } else { u32::from_be_bytes([high, low, near, near]) }
    };
    let tcp = Tcp {
        seq: Seq(number(a, b, c)),
        ack: Seq(number(d, e, f)),
        payload_len: u32::from(len & 63),
        flags: Flags(flags),
        window: u16::from(len),
        scale: NO_SCALE,
        ..Tcp::default()
    };
    Segment { src, dst, tcp, ip_id: u16::from(c), ttl: 64, ..Segment::default() }
}
