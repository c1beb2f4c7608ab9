//! Two ends, a clock that is moved by hand, and a table in plain memory.

use std::net::SocketAddr;

use rst_tracer_common::{
    flow::{
        self, Bucket, Entry, Flow, Hot, Identity, Keys, Memory, Observed, Place, Port, Recorder,
        SERVER_SETS, Servers, Side, Slot, Stage, WAYS,
    },
    wire::{Endpoint, Flags, Frame, NO_SCALE, Segment, Seq, Tcp},
};

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// Where the client's initial sequence number and the server's stand, unless a test chooses.
pub(crate) const C: u32 = 100;
pub(crate) const S: u32 = 5000;

/// The place where everything is seen that no test sees elsewhere.
pub(crate) const HERE: Port = Port::ingress(2);

/// A table in plain memory.
pub(crate) struct Plain {
    buckets: Vec<Bucket>,
    flows: Vec<Flow>,
    recorders: Vec<Recorder>,
    servers: Vec<Servers>,
}

impl Plain {
    pub(crate) fn with_buckets(buckets: usize) -> Self {
        assert!(buckets.is_power_of_two());
        Self {
            buckets: vec![Bucket::default(); buckets],
            flows: vec![Flow::default(); buckets * WAYS as usize],
            recorders: vec![Recorder::default(); buckets * WAYS as usize],
            servers: vec![Servers::default(); SERVER_SETS as usize],
        }
    }
}

impl Memory for Plain {
    fn mask(&self) -> u32 {
        self.buckets.len() as u32 - 1
    }

    fn bucket(&mut self, bucket: u32) -> Option<&mut Bucket> {
        self.buckets.get_mut(bucket as usize)
    }

    fn entry(&mut self, bucket: u32, way: u32) -> Option<Entry<'_>> {
        let place = (bucket * WAYS + way) as usize;
        let bucket = self.buckets.get_mut(bucket as usize)?;
        Some(Entry {
            listing: bucket.listings.get_mut(way as usize)?,
            hot: bucket.hot.get_mut(way as usize)?,
            flow: self.flows.get_mut(place)?,
            recorder: self.recorders.get_mut(place)?,
        })
    }

    fn servers(&mut self, set: u32) -> Option<&mut Servers> {
        self.servers.get_mut(set as usize)
    }
}

/// A client and a server, seen by the tracker.
pub(crate) struct World {
    pub(crate) table: Plain,
    pub(crate) keys: Keys,
    pub(crate) client: Endpoint,
    pub(crate) server: Endpoint,
    pub(crate) now: u64,
}

fn end(text: &str) -> Endpoint {
    Endpoint::from_socket(text.parse::<SocketAddr>().expect("an address"))
}

/// A segment with these bits and numbers and so many payload bytes.
pub(crate) fn segment(flags: u8, seq: u32, ack: u32, len: u32) -> Segment {
    let (seq, ack) = (Seq(seq), Seq(ack));
    let flags = Flags(flags);
    let tcp = Tcp { flags, seq, ack, payload_len: len, window: 500, ..Tcp::default() };
    Segment { tcp: Tcp { scale: NO_SCALE, ..tcp }, ttl: 64, ..Segment::default() }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_buckets(8)
    }

    pub(crate) fn with_buckets(buckets: usize) -> Self {
        Self {
            table: Plain::with_buckets(buckets),
            keys: Keys([0x9e37_79b9, 0x85eb_ca6b, 0xc2b2_ae35, 0x27d4_eb2f, 0x1656_67b1, 77]),
            client: end("10.0.0.5:40000"),
            server: end("10.0.0.9:443"),
            now: 1_000_000_000_000,
        }
    }

    /// Time passes.
    pub(crate) fn wait_ms(&mut self, ms: u64) {
        self.now += ms * 1_000_000;
    }

    /// The client says something, seen at [`HERE`].
    pub(crate) fn client(&mut self, flags: u8, seq: u32, ack: u32, len: u32) -> Observed {
        self.client_at(HERE, &segment(flags, seq, ack, len))
    }

    /// The server says something, seen at [`HERE`].
    pub(crate) fn server(&mut self, flags: u8, seq: u32, ack: u32, len: u32) -> Observed {
        self.server_at(HERE, &segment(flags, seq, ack, len))
    }

    pub(crate) fn client_at(&mut self, port: Port, segment: &Segment) -> Observed {
        self.see(port, Segment { src: self.client, dst: self.server, ..*segment })
    }

    pub(crate) fn server_at(&mut self, port: Port, segment: &Segment) -> Observed {
        self.see(port, Segment { src: self.server, dst: self.client, ..*segment })
    }

    /// What a program does with a segment, and a microsecond passes.
    pub(crate) fn see(&mut self, port: Port, segment: Segment) -> Observed {
        let id = Identity::of(&segment.src, &segment.dst, &self.keys);
        self.now += 1000;
        let observed = flow::observe(&mut self.table, &id, &segment, port, self.now);
        if let Observed::Reset(Some(place)) = observed {
            flow::note_reset(&mut self.table, place, id.side, &segment, port, self.now);
        }
        if let Observed::Tracked(tracked) = observed {
            flow::note_server(&mut self.table, tracked.place, &id, &segment, self.now);
        }
        observed
    }

    /// The server says these words.
    pub(crate) fn server_says(&mut self, flags: u8, seq: u32, ack: u32, words: &[u8]) {
        let segment = segment(flags, seq, ack, words.len() as u32);
        let Observed::Tracked(tracked) = self.server_at(HERE, &segment) else {
            panic!("not tracked")
        };
        let (side, frame) = (self.them() as u32, Frame::whole(words));
        flow::note_payload(&mut self.table, tracked.place, side, &segment, &frame);
    }

    /// How long ago, in ticks, a connection was accepted by who sends this segment.
    pub(crate) fn accepted_ago(&mut self, src: Endpoint, dst: Endpoint) -> Option<u32> {
        let id = Identity::of(&src, &dst, &self.keys);
        flow::accepted_ago(&mut self.table, &id, self.now).checked_sub(1)
    }

    /// SYN, SYN-ACK, ACK.
    pub(crate) fn handshake(&mut self) {
        self.client(SYN, C, 0, 0);
        self.server(SYN | ACK, S, C + 1, 0);
        self.client(ACK, C + 1, S + 1, 0);
    }

    /// Both sides finish and acknowledge.
    pub(crate) fn farewell(&mut self) {
        self.client(FIN | ACK, C + 1, S + 1, 0);
        self.server(FIN | ACK, S + 1, C + 2, 0);
        self.client(ACK, C + 2, S + 2, 0);
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::of(&self.client, &self.server, &self.keys)
    }

    /// The client's side number.
    pub(crate) fn us(&self) -> usize {
        self.identity().side as usize
    }

    /// The server's side number.
    pub(crate) fn them(&self) -> usize {
        self.us() ^ 1
    }

    /// Where the flow of the two ends lies.
    pub(crate) fn place(&mut self) -> Option<Place> {
        let id = self.identity();
        let bucket = id.bucket(self.table.mask());
        let way = flow::find(self.table.bucket(bucket)?, &id)?;
        Some(Place { bucket, way })
    }

    fn entry(&mut self) -> Entry<'_> {
        let place = self.place().expect("a flow");
        self.table.entry(place.bucket, place.way).expect("a flow")
    }

    pub(crate) fn hot(&mut self) -> Hot {
        *self.entry().hot
    }

    pub(crate) fn flow(&mut self) -> Flow {
        let entry = self.entry();
        let mut flow = *entry.flow;
        flow.forget_former(entry.hot);
        flow
    }

    pub(crate) fn side(&mut self, side: usize) -> Side {
        let entry = self.entry();
        Side::both(entry.hot, entry.flow, entry.recorder)[side]
    }

    /// The recorded segments, oldest first.
    pub(crate) fn recorded(&mut self) -> Vec<Slot> {
        let entry = self.entry();
        let (count, slots) = (usize::from(entry.hot.recorded), entry.recorder.slots);
        (count.saturating_sub(slots.len())..count).map(|n| slots[n % slots.len()]).collect()
    }

    pub(crate) fn stage(&mut self) -> Stage {
        let entry = self.entry();
        Stage::of(entry.hot)
    }

    /// The history, with the opener's letters in upper case.
    pub(crate) fn history(&mut self) -> String {
        let opener = self.hot().opener().unwrap_or(self.us() as u32);
        self.flow().history_letters(opener).map(char::from).collect()
    }

    pub(crate) fn is_tracked(&mut self) -> bool {
        self.place().is_some()
    }
}

/// Whether a segment was applied to a flow that was known before.
pub(crate) fn continued(observed: Observed) -> bool {
    matches!(observed, Observed::Tracked(tracked) if tracked.began == flow::Began::NOT)
}
