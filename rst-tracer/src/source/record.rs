//! What a source yields: a reset with its flow as it stood before, or a segment seen after one.

use std::sync::Arc;

use rst_tracer_common::{
    event::{Head, Kind, Rst, RstWithFlow},
    flow::{Flow, Hot, Recorder, SLOTS, Side, Slot, Stage, slot_trait},
    notice,
};
use zerocopy::FromBytes;

use super::{Notice, live::evidence::Names};
use crate::event::Timestamp;

/// Where a record comes from, as people name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Interface name; in a capture file only if the file names it.
    pub interface: Option<Arc<str>>,
    /// Capture file, as its path was given.
    pub file: Option<Arc<str>>,
    /// Number of the frame in the file, from 1.
    pub frame: Option<u64>,
    /// Its frames are Ethernet's: they name the station that sent them.
    pub is_ethernet: bool,
}

/// A RST as one hook saw it.
#[derive(Clone, Debug)]
pub struct Reset {
    /// When, since the Unix epoch.
    pub time: Timestamp,
    /// Where.
    pub origin: Origin,
    /// The segment and its frame. Its `head.time_ns` is on the source's clock, like all times in
    /// `flow`.
    pub rst: Box<Rst>,
    /// The connection before it, if any was known.
    pub flow: Option<Box<FlowState>>,
}

/// A connection as it stood.
#[derive(Clone, Debug)]
pub struct FlowState {
    /// The hot entry.
    pub hot: Hot,
    /// The flow.
    pub flow: Flow,
    /// The last segments.
    pub recorder: Recorder,
    /// The two directions.
    pub sides: [Side; 2],
    /// How many of the recorded segments stand behind the last gap.
    whole: u16,
}

impl FlowState {
    /// The recorded segments, oldest first: no others came between them, nor since.
    pub fn recent(&self) -> impl DoubleEndedIterator<Item = &Slot> + ExactSizeIterator {
        let all = self.recorded();
        let before_a_gap = all.len() - usize::from(self.whole);
        all.skip(before_a_gap).map(|at| &self.recorder.slots[at])
    }

    /// Whether segments are missing among the last sixteen, or behind them.
    pub fn has_holes(&self) -> bool {
        usize::from(self.whole) < self.recorded().len()
    }

    /// The slots that were written, in the order in which they were.
    fn recorded(&self) -> impl DoubleEndedIterator<Item = usize> + ExactSizeIterator + use<> {
        let count = self.hot.recorded.min(SLOTS as u16);
        let first = self.hot.recorded - count;
        (0..count).map(move |i| usize::from(first.wrapping_add(i)) % SLOTS as usize)
    }

    /// Times that are a little behind ([`slot_trait::COARSE`]) are moved up behind those of the segments that
    /// were recorded before, so that later segments have later times. Counts those behind the last gap.
    fn put_in_order(&mut self) {
        let mut last = 0;
        self.whole = 0;
        for at in self.recorded() {
            let slot = &mut self.recorder.slots[at];
            if slot.traits & slot_trait::COARSE != 0 && slot.time_ns <= last {
                slot.time_ns = last + 1;
            }
            last = slot.time_ns;
            self.whole = if slot.traits & slot_trait::AFTER_GAP != 0 { 1 } else { self.whole + 1 };
        }
        if self.hot.has_gap() {
            self.whole = 0;
        }
    }

    /// The phase, or `None` when a single stray segment is all there is: no connection was seen.
    pub fn stage(&self) -> Option<Stage> {
        let packets = self.sides.iter().map(|side| side.packets).sum::<u32>();
        if self.hot.opener().is_none() && packets <= 1 {
            return None;
        }
        Some(Stage::of(&self.hot))
    }
}

/// A segment of a flow that saw a RST a moment ago.
#[derive(Clone, Debug)]
pub struct After {
    /// When, since the Unix epoch.
    pub time: Timestamp,
    /// The segment, and which flow it belongs to.
    pub head: Head,
}

/// What a source yields.
#[derive(Clone, Debug)]
pub enum Record {
    /// A RST.
    Reset(Reset),
    /// A segment after one.
    After(After),
    /// A statement of the kernel itself.
    Notice(Box<Notice>),
    /// From this time on a capture that does not go on where the last one ended: it may be of another place.
    AnotherStory(u64),
}

impl Record {
    /// When, on the source's clock.
    pub fn time_ns(&self) -> u64 {
        match self {
            Self::Reset(reset) => reset.rst.head.time_ns,
            Self::After(after) => after.head.time_ns,
            Self::Notice(notice) => notice.wire.time_ns,
            Self::AnotherStory(time_ns) => *time_ns,
        }
    }

    /// Decodes what crossed the ring buffer. `epoch_ns` is added to its time; `names` are the
    /// running kernel's.
    ///
    /// `None`: not a record of this version.
    pub fn decode(
        bytes: &[u8],
        epoch_ns: u64,
        names: &Names,
        origin: impl FnOnce(u32) -> Origin,
    ) -> Option<Self> {
        let (head, _) = Head::ref_from_prefix(bytes).ok()?;
        let time = Timestamp(head.time_ns.wrapping_add(epoch_ns));
        match head.kind {
            Kind::RST => {
                let (rst, _) = Rst::read_from_prefix(bytes).ok()?;
                let origin = origin(head.ifindex);
                Some(Self::Reset(Reset { time, origin, rst: Box::new(rst), flow: None }))
            }
            Kind::RST_WITH_FLOW => {
                let (record, _) = RstWithFlow::ref_from_prefix(bytes).ok()?;
                Some(Self::Reset(Reset::of(record, time, origin(head.ifindex))))
            }
            Kind::NOTICE => {
                let (wire, _) = notice::Notice::read_from_prefix(bytes).ok()?;
                Some(Self::Notice(Box::new(names.name(wire, time))))
            }
            Kind::AFTERMATH => Some(Self::After(After { time, head: *head })),
            _ => None,
        }
    }
}

impl Reset {
    /// Nanoseconds since its source endpoint was last seen to accept a connection (this very one
    /// included), in units of a millisecond; `None` when that was not seen or is forgotten.
    pub fn accepted_ago_ns(&self) -> Option<u64> {
        Some(u64::from(self.rst.src_accepted.checked_sub(1)?) << 20)
    }

    /// A reset with its flow.
    pub fn of(record: &RstWithFlow, time: Timestamp, origin: Origin) -> Self {
        let RstWithFlow { rst, hot, flow, recorder } = record;
        let mut flow = *flow;
        flow.forget_former(hot);
        let sides = Side::both(hot, &flow, recorder);
        let mut state = FlowState { hot: *hot, flow, recorder: *recorder, sides, whole: 0 };
        state.put_in_order();
        Self { time, origin, rst: Box::new(*rst), flow: Some(Box::new(state)) }
    }
}

#[cfg(test)]
mod tests {
    use rst_tracer_common::flow::{Count, Flow, Hot, Recorder, SLOTS, Slot, slot_trait};

    use super::FlowState;

    #[test]
    fn times_that_are_behind_are_moved_up_and_exact_ones_stay() {
        let coarse = slot_trait::COARSE;
        let told = [(50, 0), (40, coarse), (40, coarse), (60, 0), (55, coarse), (58, 0)];
        let mut state = FlowState {
            // The ring has begun anew: the oldest stands in its middle.
            hot: Hot { recorded: SLOTS as u16 + 3, ..Hot::default() },
            flow: Flow::default(),
            recorder: Recorder::default(),
            sides: Default::default(),
            whole: 0,
        };
        for (i, (time_ns, traits)) in (7..).zip(told) {
            state.recorder.slots[i] = Slot { time_ns, traits, ..Slot::default() };
        }
        state.put_in_order();
        let times: Vec<u64> = state.recorder.slots[7..13].iter().map(|slot| slot.time_ns).collect();
        assert_eq!(times, [50, 51, 52, 60, 61, 58]);
        assert_eq!(state.recent().len(), SLOTS as usize);
    }

    #[test]
    fn what_stands_before_a_gap_is_not_recent() {
        let with = |recorded: u16, gaps: &[usize], latest: [u8; 2]| {
            let counts = latest.map(|latest| Count { latest, ..Count::default() });
            let mut state = FlowState {
                hot: Hot { recorded, counts, ..Hot::default() },
                flow: Flow::default(),
                recorder: Recorder::default(),
                sides: Default::default(),
                whole: 0,
            };
            for (at, slot) in state.recorder.slots.iter_mut().enumerate() {
                let traits = if gaps.contains(&at) { slot_trait::AFTER_GAP } else { 0 };
                *slot = Slot { len: at as u32, traits, ..Slot::default() };
            }
            state.put_in_order();
            state.recent().map(|slot| slot.len).collect::<Vec<_>>()
        };
        assert_eq!(with(3, &[], [1, 2]), [0, 1, 2]);
        assert_eq!(with(3, &[5], [1, 2]), [0, 1, 2], "a former flow's gap");
        assert_eq!(with(SLOTS as u16 + 2, &[14, 0], [1, 2]), [0, 1]);
        assert_eq!(with(SLOTS as u16 + 2, &[14], [1, 2]), [14, 15, 0, 1]);
        assert!(with(SLOTS as u16 + 2, &[14], [1, Count::UNRECORDED]).is_empty());
    }
}
