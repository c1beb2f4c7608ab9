//! One frame, both sides, and the comparison.
//!
//! The kernel may have its recorder off. Then everything else is compared, and what it recorded since the last gap has to
//! be the end of what userspace did, which records all.

use nix::time::{ClockId, clock_gettime};
use rst_tracer::{
    event::Timestamp,
    source::{Origin, Reset},
};
use rst_tracer_common::{
    event::{Counters, RstWithFlow},
    flow::{
        Bucket, Flow, Hot, Identity, Memory, Recorder, Servers, Slot, WAYS, ns_of_ticks,
        slot_trait, ticks,
    },
};
use rst_tracer_tests::kernel::{KEYS, Kernel, Program, Ran, Record, Recording};
use zerocopy::FromZeros;

use crate::{script::Action, twin::Twin};

/// Kernel and userspace, with the same table so far.
pub(crate) struct Duel<'a> {
    kernel: &'a mut Kernel,
    twin: Twin,
    /// RSTs that were reported with their flow.
    pub(crate) with_flow: u64,
    /// Of those, the ones with a SACK edge, with last words, and of a source seen to accept.
    pub(crate) with_sack: u64,
    pub(crate) with_words: u64,
    pub(crate) of_servers: u64,
    /// Connections that took the place of a former one between the same ends.
    pub(crate) reuses: u64,
    /// What the kernel had counted as usual before.
    usual_before: u64,
    records: bool,
    /// Resets that found the last segments unrecorded.
    pub(crate) behind_gaps: u64,
}

/// Everything that a segment may touch.
#[derive(Clone, Debug, PartialEq)]
struct State {
    bucket: Bucket,
    flows: [Flow; WAYS as usize],
    recorders: [Recorder; WAYS as usize],
    servers: Servers,
}

impl<'a> Duel<'a> {
    /// Both sides empty, with so many places for flows.
    pub(crate) fn new(kernel: &'a mut Kernel, places: u32, recording: Recording) -> Self {
        let twin = Twin::new(places);
        let usual_before = kernel.usual();
        Self {
            kernel,
            twin,
            with_flow: 0,
            with_sack: 0,
            with_words: 0,
            of_servers: 0,
            reuses: 0,
            usual_before,
            records: recording == Recording::On,
            behind_gaps: 0,
        }
    }

    /// What all hooks counted together.
    pub(crate) fn counted(&self) -> Counters {
        self.twin.counters.iter().fold(Counters::default(), |mut sum, hook| {
            sum.add(hook);
            sum
        })
    }

    /// How many segments the kernel took in by the short way, which userspace does not know.
    pub(crate) fn usual(&self) -> u64 {
        self.kernel.usual() - self.usual_before
    }

    /// Lets both sides do a step.
    ///
    /// # Errors
    /// Says what differs.
    pub(crate) fn fight(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Frame(program, frame) => self.see(*program, frame),
            Action::Silence(ms) => {
                self.grow_older(ms * 1_000_000);
                Ok(())
            }
        }
    }

    fn see(&mut self, program: Program, frame: &[u8]) -> Result<(), String> {
        let segment = Twin::locate(program, frame).ok();
        let place = segment.map(|segment| Identity::of(&segment.src, &segment.dst, &KEYS));
        let before = monotonic();
        let ran = self.kernel.run(program, frame);
        let after = monotonic();
        let state = place.map(|id| self.kernel_state(&id));
        let now = seen_at(&ran, state.as_ref(), before, after);
        let counters = self.twin.counters;
        let record = self.twin.see(program, frame, now);
        equal("verdict", &ran.verdict, &program.verdict())?;
        equal("frame", &ran.frame[..], frame)?;
        let hooks = counters.into_iter().zip(&ran.counted).zip(&self.twin.counters);
        for ((mut expected, counted), twin) in hooks {
            expected.add(counted);
            equal("counters", &expected, twin)?;
        }
        if let (Some(kernel), Some(id)) = (state, place) {
            let (twin, bucket) = (self.twin_state(&id), id.bucket(self.kernel.mask()));
            equal("servers", &kernel.servers, &twin.servers)?;
            for way in 0..WAYS as usize {
                let what = |part: &str| format!("{part} of way {way} in bucket {bucket}");
                let listing = |bucket: &Bucket| bucket.listings[way];
                equal(&what("listing"), &listing(&kernel.bucket), &listing(&twin.bucket))?;
                let [kernel, twin] = [&kernel, &twin].map(|state| Part::of(state, way));
                self.compare(&what, &kernel, &twin)?;
            }
        }
        self.with_flow += u64::from(matches!(record, Some(Record::RstWithFlow(_))));
        if let Some(Record::RstWithFlow(record)) = &record {
            self.reuses += u64::from(record.flow.reuses > 0);
            let facts = &record.flow.facts;
            self.with_sack += u64::from(facts.iter().any(|side| side.sack_right.0 != 0));
            self.with_words += u64::from(facts.iter().any(|side| side.words_len != 0));
            self.of_servers += u64::from(record.rst.src_accepted != 0);
        }
        match (&ran.records[..], record) {
            ([Record::RstWithFlow(kernel)], Some(Record::RstWithFlow(twin))) if !self.records => {
                equal("segment", &kernel.rst, &twin.rst)?;
                self.behind_gaps += u64::from(kernel.hot.has_gap());
                let [kernel, twin] = [kernel, &twin].map(|it| (it.hot, it.flow, it.recorder));
                let [kernel, twin] =
                    [kernel, twin].map(|(hot, flow, recorder)| Part { hot, flow, recorder });
                self.compare(&|part| format!("reported {part}"), &kernel, &twin)
            }
            (_, record) => equal("records", &ran.records, &record.into_iter().collect()),
        }
    }

    fn compare(
        &self,
        what: &dyn Fn(&str) -> String,
        kernel: &Part,
        twin: &Part,
    ) -> Result<(), String> {
        if self.records {
            equal(&what("hot entry"), &kernel.hot, &twin.hot)?;
            equal(&what("flow"), &kernel.flow, &twin.flow)?;
            return equal(&what("recorder"), &kernel.recorder, &twin.recorder);
        }
        equal(&what("hot entry"), &kernel.timeless().hot, &twin.timeless().hot)?;
        equal(&what("flow"), &kernel.timeless().flow, &twin.timeless().flow)?;
        let [told, all] = [kernel, twin].map(Part::recent);
        let end = &all[all.len().saturating_sub(told.len())..];
        equal(&what("end of the recorder"), &told[..], end)
    }

    /// Moves the table's past further away, on both sides: what decides is older by `ns`.
    fn grow_older(&mut self, ns: u64) {
        for bucket in 0..=self.kernel.mask() {
            let mut buckets = self.kernel.bucket(bucket);
            let mut flows: [Flow; WAYS as usize] =
                std::array::from_fn(|way| self.kernel.flow(bucket, way as u32));
            for hot in &mut buckets.hot {
                hot.last = hot.last.wrapping_sub(ticks(ns));
            }
            for listing in buckets.listings.iter_mut().filter(|listing| listing.tag != 0) {
                listing.state = listing.state.wrapping_sub(ticks(ns) << 2);
            }
            for flow in &mut flows {
                flow.reset_window = flow.reset_window.wrapping_sub(ticks(ns));
                flow.reset_ns = flow.reset_ns.wrapping_sub(ns);
            }
            self.kernel.write(bucket, &buckets, &flows);
            for (way, flow) in (0..).zip(&flows) {
                let entry = self.twin.table.entry(bucket, way).expect("a place");
                *entry.listing = buckets.listings[way as usize];
                *entry.hot = buckets.hot[way as usize];
                *entry.flow = *flow;
            }
        }
    }

    fn kernel_state(&self, id: &Identity) -> State {
        let bucket = id.bucket(self.kernel.mask());
        State {
            bucket: self.kernel.bucket(bucket),
            flows: std::array::from_fn(|way| self.kernel.flow(bucket, way as u32)),
            recorders: std::array::from_fn(|way| self.kernel.recorder(bucket, way as u32)),
            servers: self.kernel.servers(id.server_set()),
        }
    }

    fn twin_state(&mut self, id: &Identity) -> State {
        let table = &mut self.twin.table;
        let bucket = id.bucket(table.mask());
        let mut state = State {
            bucket: *table.bucket(bucket).expect("a bucket"),
            flows: [Flow::default(); WAYS as usize],
            recorders: [Recorder::default(); WAYS as usize],
            servers: *table.servers(id.server_set()).expect("a set"),
        };
        for way in 0..WAYS {
            let entry = table.entry(bucket, way).expect("a place");
            state.flows[way as usize] = *entry.flow;
            state.recorders[way as usize] = *entry.recorder;
        }
        state
    }
}

/// A flow.
#[derive(Clone)]
struct Part {
    hot: Hot,
    flow: Flow,
    recorder: Recorder,
}

impl Part {
    fn of(state: &State, way: usize) -> Self {
        let (hot, flow, recorder) = (state.bucket.hot[way], state.flows[way], state.recorders[way]);
        Self { hot, flow, recorder }
    }

    /// Without where the last segments stand.
    fn timeless(&self) -> Self {
        let mut part = self.clone();
        part.hot.recorded = 0;
        part.hot.counts.iter_mut().for_each(|count| count.latest = 0);
        part.flow.kept = Default::default();
        part
    }

    /// The segments behind the last gap, as the agent reads them.
    fn recent(&self) -> Vec<Slot> {
        let record = RstWithFlow {
            hot: self.hot,
            flow: self.flow,
            recorder: self.recorder,
            ..RstWithFlow::new_zeroed()
        };
        let reset = Reset::of(&record, Timestamp(0), Origin::default());
        let flow = reset.flow.expect("a flow");
        let plain = |slot: &Slot| Slot { traits: slot.traits & !slot_trait::AFTER_GAP, ..*slot };
        flow.recent().map(plain).collect()
    }
}

/// The kernel's time of a segment: it stands in the record or in the flight recorder. Where it was
/// written nowhere, one in the flow's last tick does, because nothing stands near a limit.
fn seen_at(ran: &Ran, state: Option<&State>, before: u64, after: u64) -> u64 {
    let reported = ran.records.iter().map(|record| record.head().time_ns);
    let slots = state.iter().flat_map(|state| &state.recorders).flat_map(|r| &r.slots);
    let times = reported.chain(slots.map(|slot| slot.time_ns));
    let hot = state.iter().flat_map(|state| &state.bucket.hot);
    let ticked =
        hot.map(|hot| hot.last).filter(|last| (ticks(before)..=ticks(after)).contains(last));
    let later = ticked.max().map_or(0, |last| ns_of_ticks(last - ticks(before)));
    let otherwise = before + later;
    times.filter(|time| (before..=after).contains(time)).max().unwrap_or(otherwise)
}

/// The clock of `bpf_ktime_get_ns`.
fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock");
    now.tv_sec().cast_unsigned() * 1_000_000_000 + now.tv_nsec().cast_unsigned()
}

fn equal<T: PartialEq + std::fmt::Debug + ?Sized>(
    what: &str,
    kernel: &T,
    userspace: &T,
) -> Result<(), String> {
    if kernel == userspace {
        return Ok(());
    }
    Err(format!("{what} differs\n   kernel: {kernel:?}\nuserspace: {userspace:?}"))
}
