//! One frame, both sides, and the comparison.

use nix::time::{ClockId, clock_gettime};
use rst_tracer_common::{
    event::Counters,
    flow::{Bucket, Flow, Identity, Memory, Recorder, Server, WAYS, ticks},
};
use rst_tracer_tests::kernel::{KEYS, Kernel, Program, Ran, Record};

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
}

/// Everything that a segment may touch.
#[derive(Clone, Debug, PartialEq)]
struct State {
    bucket: Bucket,
    flows: [Flow; WAYS as usize],
    recorders: [Recorder; WAYS as usize],
    server: Server,
}

impl<'a> Duel<'a> {
    /// Both sides empty, with so many places for flows.
    pub(crate) fn new(kernel: &'a mut Kernel, places: u32) -> Self {
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
            equal("server", &kernel.server, &twin.server)?;
            for way in 0..WAYS as usize {
                let what = |part| format!("{part} of way {way} in bucket {bucket}");
                let listing = |bucket: &Bucket| bucket.listings[way];
                equal(&what("listing"), &listing(&kernel.bucket), &listing(&twin.bucket))?;
                equal(&what("hot entry"), &kernel.bucket.hot[way], &twin.bucket.hot[way])?;
                equal(&what("flow"), &kernel.flows[way], &twin.flows[way])?;
                equal(&what("recorder"), &kernel.recorders[way], &twin.recorders[way])?;
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
        equal("records", &ran.records, &record.into_iter().collect())
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
            server: self.kernel.server(id.server_slot()),
        }
    }

    fn twin_state(&mut self, id: &Identity) -> State {
        let table = &mut self.twin.table;
        let bucket = id.bucket(table.mask());
        let mut state = State {
            bucket: *table.bucket(bucket).expect("a bucket"),
            flows: [Flow::default(); WAYS as usize],
            recorders: [Recorder::default(); WAYS as usize],
            server: *table.server(id.server_slot()).expect("a slot"),
        };
        for way in 0..WAYS {
            let entry = table.entry(bucket, way).expect("a place");
            state.flows[way as usize] = *entry.flow;
            state.recorders[way as usize] = *entry.recorder;
        }
        state
    }
}

/// The kernel's time of a segment: it stands in the record or in the flight recorder. Where it was
/// written nowhere, a moment before does, because nothing stands near a limit.
fn seen_at(ran: &Ran, state: Option<&State>, before: u64, after: u64) -> u64 {
    let reported = ran.records.iter().map(|record| record.head().time_ns);
    let slots = state.iter().flat_map(|state| &state.recorders).flat_map(|r| &r.slots);
    let times = reported.chain(slots.map(|slot| slot.time_ns));
    times.filter(|time| (before..=after).contains(time)).max().unwrap_or(before)
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
