//! One frame, both sides, and the comparison.

use nix::time::{ClockId, clock_gettime};
use rst_tracer_common::{
    event::Counters,
    flow::{Bucket, Flow, Identity, Memory, Recorder, WAYS, ticks},
};
use rst_tracer_tests::kernel::{KEYS, Kernel, Program, Ran, Record};

use crate::{script::Action, twin::Twin};

/// Kernel and userspace, with the same table so far.
pub(crate) struct Duel<'a> {
    kernel: &'a mut Kernel,
    twin: Twin,
    /// RSTs that were reported with their flow.
    pub(crate) with_flow: u64,
    /// Connections that took the place of a former one between the same ends.
    pub(crate) reuses: u64,
}

/// Everything that a segment may touch.
#[derive(Clone, Debug, PartialEq)]
struct State {
    bucket: Bucket,
    flows: [Flow; WAYS as usize],
    recorders: [Recorder; WAYS as usize],
}

impl<'a> Duel<'a> {
    /// Both sides empty, with so many places for flows.
    pub(crate) fn new(kernel: &'a mut Kernel, places: u32) -> Self {
        Self { kernel, twin: Twin::new(places), with_flow: 0, reuses: 0 }
    }

    /// What all hooks counted together.
    pub(crate) fn counted(&self) -> Counters {
        self.twin.counters.iter().fold(Counters::default(), |mut sum, hook| {
            sum.add(hook);
            sum
        })
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
        let place = Twin::locate(program, frame).ok().map(|segment| {
            Identity::of(&segment.src, &segment.dst, &KEYS).bucket(self.kernel.mask())
        });
        let before = monotonic();
        let ran = self.kernel.run(program, frame);
        let after = monotonic();
        let state = place.map(|bucket| self.kernel_state(bucket));
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
        if let (Some(kernel), Some(bucket)) = (state, place) {
            let twin = self.twin_state(bucket);
            for way in 0..WAYS as usize {
                let what = |part| format!("{part} of way {way} in bucket {bucket}");
                equal(&what("hot entry"), &kernel.bucket.hot[way], &twin.bucket.hot[way])?;
                equal(&what("flow"), &kernel.flows[way], &twin.flows[way])?;
                equal(&what("recorder"), &kernel.recorders[way], &twin.recorders[way])?;
            }
        }
        self.with_flow += u64::from(matches!(record, Some(Record::RstWithFlow(_))));
        if let Some(Record::RstWithFlow(record)) = &record {
            self.reuses += u64::from(record.flow.reuses > 0);
        }
        equal("records", &ran.records, &record.into_iter().collect())
    }

    /// Moves the table's past further away, on both sides: what decides is older by `ns`.
    fn grow_older(&mut self, ns: u64) {
        for bucket in 0..=self.kernel.mask() {
            let mut state = self.kernel_state(bucket);
            for hot in &mut state.bucket.hot {
                hot.last = hot.last.wrapping_sub(ticks(ns));
            }
            for flow in &mut state.flows {
                flow.reset_window = flow.reset_window.wrapping_sub(ticks(ns));
                flow.reset_ns = flow.reset_ns.wrapping_sub(ns);
            }
            self.kernel.write(bucket, &state.bucket, &state.flows);
            for (way, flow) in (0..).zip(&state.flows) {
                let entry = self.twin.table.entry(bucket, way).expect("a place");
                *entry.hot = state.bucket.hot[way as usize];
                *entry.flow = *flow;
            }
        }
    }

    fn kernel_state(&self, bucket: u32) -> State {
        State {
            bucket: self.kernel.bucket(bucket),
            flows: std::array::from_fn(|way| self.kernel.flow(bucket, way as u32)),
            recorders: std::array::from_fn(|way| self.kernel.recorder(bucket, way as u32)),
        }
    }

    fn twin_state(&mut self, bucket: u32) -> State {
        let mut state = State {
            bucket: *self.twin.table.bucket(bucket).expect("a bucket"),
            flows: [Flow::default(); WAYS as usize],
            recorders: [Recorder::default(); WAYS as usize],
        };
        for way in 0..WAYS {
            let entry = self.twin.table.entry(bucket, way).expect("a place");
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
