//! What crosses the ring buffer: the ABI between the kernel programs and the agent.
//!
//! In: a RST, its frame, and the flow as it stood before it. Out: one record, written in place (in
//! the ring slot, or in memory when a capture is replayed). Host byte order, no padding: proven at
//! compile time by `zerocopy`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{
    flow::{Entry, Flow, Hot, Recorder},
    wire::{Bytes, Segment},
    words,
};

/// Bytes from the start of the frame that a record keeps: every header of a tunnelled segment.
pub const FRAME: usize = 128;
/// Payload bytes of the RST that a record keeps.
pub const PAYLOAD: usize = 64;

/// What a record is.
#[repr(transparent)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Kind(pub u16);

impl Kind {
    /// A RST without a known flow: [`Rst`] alone.
    pub const RST: Self = Self(1);
    /// A RST with its flow: [`RstWithFlow`].
    pub const RST_WITH_FLOW: Self = Self(2);
    /// A segment of a flow that saw a RST a moment ago: [`Head`] alone.
    pub const AFTERMATH: Self = Self(3);
    /// A statement of the kernel itself: [`Notice`](crate::notice::Notice) alone.
    pub const NOTICE: Self = Self(4);
}

/// Where a segment was seen. Indexes the counters.
#[repr(transparent)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Hook(pub u8);

impl Hook {
    /// XDP, on arrival.
    pub const XDP: Self = Self(0);
    /// TC, on arrival.
    pub const TC_INGRESS: Self = Self(1);
    /// TC, on departure.
    pub const TC_EGRESS: Self = Self(2);
    /// A capture file.
    pub const PCAP: Self = Self(3);
    /// How many hooks there are.
    pub const COUNT: usize = 4;
    /// Their names in events.
    pub const NAMES: [&'static str; Self::COUNT] = ["xdp", "tc_ingress", "tc_egress", "pcap"];
}

/// The part that every record begins with.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Head {
    /// When it was seen: nanoseconds of CLOCK_MONOTONIC live, of the Unix epoch in replay.
    pub time_ns: u64,
    /// The hash of the flow's identity.
    pub flow_hash: u64,
    /// What follows.
    pub kind: Kind,
    /// Where it was seen.
    pub hook: Hook,
    /// Which side of the flow sent it.
    pub side: u8,
    /// The interface.
    pub ifindex: u32,
    /// Length of the frame on the wire in bytes.
    pub wire_len: u32,
    /// The interface a forwarded frame came in by; 0 when this host made it or that is not known.
    pub came_by: u32,
    /// The segment.
    pub segment: Segment,
}

/// A RST and its frame.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Rst {
    /// What every record has.
    pub head: Head,
    /// How many ticks ago its source was last seen to answer a SYN with a SYN-ACK, plus one; 0 when
    /// that was not seen (see [`accepted_ago`](crate::flow::accepted_ago)).
    pub src_accepted: u32,
    /// How many bytes of `frame` are valid.
    pub frame_len: u16,
    /// How many bytes of `payload` are valid.
    pub payload_len: u16,
    /// The first bytes of the frame, from its link header on.
    pub frame: [u8; FRAME],
    /// The first bytes of the RST's payload.
    pub payload: [u8; PAYLOAD],
}

/// A RST, its frame, and the flow as it stood before it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct RstWithFlow {
    /// The reset.
    pub rst: Rst,
    /// The hot entry.
    pub hot: Hot,
    /// The flow.
    pub flow: Flow,
    /// Its last segments.
    pub recorder: Recorder,
}

/// What a hook knows of a sighting beside the segment.
#[derive(Clone, Copy, Debug)]
pub struct Sighting {
    /// When, on the source's clock.
    pub time_ns: u64,
    /// The hash of the flow's identity.
    pub flow_hash: u64,
    /// Which side sent it.
    pub side: u32,
    /// Where.
    pub hook: Hook,
    /// At which interface.
    pub ifindex: u32,
    /// By which interface a forwarded frame came in; 0 if none.
    pub came_by: u32,
    /// Of a reset: [`Rst::src_accepted`].
    pub src_accepted: u32,
}

impl Head {
    /// Writes a head in place.
    #[inline(always)]
    pub fn write(&mut self, kind: Kind, sighting: &Sighting, segment: &Segment, wire_len: u32) {
        self.time_ns = sighting.time_ns;
        self.flow_hash = sighting.flow_hash;
        self.kind = kind;
        self.hook = sighting.hook;
        self.side = sighting.side as u8;
        self.ifindex = sighting.ifindex;
        self.wire_len = wire_len;
        self.came_by = sighting.came_by;
        words::copy(&mut self.segment, segment);
    }
}

impl Rst {
    /// Writes a reset in place, with what can be read of its frame.
    #[inline(always)]
    pub fn write<B: Bytes>(
        &mut self,
        kind: Kind,
        sighting: &Sighting,
        segment: &Segment,
        bytes: &B,
    ) {
        self.head.write(kind, sighting, segment, bytes.wire_len());
        self.src_accepted = sighting.src_accepted;
        self.frame_len = bytes.copy(0, FRAME as u32, &mut self.frame) as u16;
        let wanted = segment.tcp.payload_len;
        let at = u32::from(segment.payload_at);
        self.payload_len = bytes.copy(at, wanted, &mut self.payload) as u16;
    }
}

impl RstWithFlow {
    /// Writes a reset and its flow in place.
    #[inline(always)]
    pub fn write<B: Bytes>(
        &mut self,
        sighting: &Sighting,
        segment: &Segment,
        bytes: &B,
        entry: &Entry<'_>,
    ) {
        self.rst.write(Kind::RST_WITH_FLOW, sighting, segment, bytes);
        words::copy(&mut self.hot, entry.hot);
        words::copy(&mut self.flow, entry.flow);
        words::copy(&mut self.recorder, entry.recorder);
    }
}

/// What one hook counted. All numbers since attach; per CPU in the kernel.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Counters {
    /// Frames with a usual segment (see [`take_usual`](crate::flow::take_usual)): one number for three, until
    /// [`Counters::tell_usual`].
    pub usual: u64,
    /// Frames that passed.
    pub frames: u64,
    /// Frames that were not ours, by kind (see [`NotOurs`](crate::wire::NotOurs)).
    pub not_ours: [u64; crate::wire::NotOurs::KINDS],
    /// Frames that were malformed, by kind (see [`Malformed`](crate::wire::Malformed)).
    pub malformed: [u64; crate::wire::Malformed::KINDS],
    /// TCP segments.
    pub segments: u64,
    /// Segments applied to a flow.
    pub tracked: u64,
    /// Segments seen before at another place of this host.
    pub second_sightings: u64,
    /// Segments of newcomers that found no room.
    pub table_full: u64,
    /// Flows begun.
    pub flows: u64,
    /// Closed or abandoned flows that made room.
    pub evicted_finished: u64,
    /// Half-open flows that made room.
    pub evicted_half_open: u64,
    /// RSTs.
    pub rsts: u64,
    /// RSTs handed over.
    pub delivered: u64,
    /// RSTs beyond a flow's budget: counted, not handed over.
    pub suppressed: u64,
    /// RSTs of no known flow beyond what a CPU hands over of them: counted, not handed over.
    pub suppressed_no_flow: u64,
    /// RSTs between ends that nobody wanted to hear of: counted, not handed over.
    pub filtered: u64,
    /// RSTs that found the ring full.
    pub ring_full: u64,
    /// Segments after a RST handed over.
    pub aftermath: u64,
    /// Segments after a RST that found the ring full.
    pub aftermath_lost: u64,
}

impl Counters {
    /// RSTs that were counted and not handed over, because there were too many.
    pub const fn all_suppressed(&self) -> u64 {
        self.suppressed.wrapping_add(self.suppressed_no_flow)
    }

    /// Counts usual segments as what they are: frames, segments, tracked.
    pub const fn tell_usual(&mut self) {
        let usual = self.usual;
        self.usual = 0;
        self.frames = self.frames.wrapping_add(usual);
        self.segments = self.segments.wrapping_add(usual);
        self.tracked = self.tracked.wrapping_add(usual);
    }

    /// Adds another CPU's or hook's numbers.
    pub fn add(&mut self, other: &Self) {
        let ours: &mut [u64; size_of::<Self>() / 8] = zerocopy::transmute_mut!(self);
        let theirs: &[u64; size_of::<Self>() / 8] = zerocopy::transmute_ref!(other);
        for (a, b) in ours.iter_mut().zip(theirs) {
            *a = a.wrapping_add(*b);
        }
    }
}

const _: () = {
    assert!(size_of::<Segment>() == 104);
    assert!(size_of::<Head>() == 136);
    assert!(size_of::<Rst>() == 336);
    assert!(size_of::<RstWithFlow>() == 336 + 64 + 384 + 512);
};
