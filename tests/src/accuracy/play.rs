//! Plays scenarios while tracers stand on all three hosts, and replays what passed the router.

use std::{
    collections::BTreeMap,
    io,
    ops::ControlFlow,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use rst_tracer::{
    correlate::{Rules, Scene},
    demo::{
        compare::Vantage,
        lab::{Lab, Place},
        scenarios::{Scenario, run_all},
        truth::GroundTruth,
        watch::{Watched, Watching},
    },
    event::{Event, RstEvent},
    run::Pipeline,
    sink::Sink,
    source::{
        FlowState, Record, Reset,
        live::{self, attach::XdpMode, kernel, rings::Cut},
        replay::Replay,
    },
};
use rst_tracer_common::{
    event::RstWithFlow,
    flow::{Count, flag},
};

use crate::cable::{Cable, Conduct};
use crate::laboratory::{
    check::check,
    distance::{lay_out, with_answers_under_way},
};

/// So many scenarios that are not slow run at the same time: they mostly wait for a segment.
const AT_ONCE: usize = 2;
/// At a distance what the last scenario left under way is answered after its end.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// At a distance they wait for it longer.
const FAR_AT_ONCE: usize = 8;

/// What was told about each capture.
pub type Told = BTreeMap<Place, Vec<RstEvent>>;

/// What was done and what was seen of it.
pub struct Played {
    /// The hosts, with their witnesses on the wire.
    pub lab: Lab,
    /// What is between the hosts if they are far from each other.
    pub cables: Vec<Cable>,
    /// Each scenario with its truth, or what kept it from being played.
    pub scenes: Vec<(Scenario, Result<GroundTruth>)>,
    /// What each tracer reported.
    pub live: BTreeMap<Vantage, Watched>,
    /// What a replay of the capture at each of the router's interfaces reported.
    pub captures: Told,
    /// The same, had the last segment before each reset been one that the recorder leaves out when it is off.
    pub unrecorded: Told,
}

impl Played {
    /// Adds to the truths what distance does, gives up those that the witnesses on the wire do not confirm, and says of
    /// each what they saw.
    pub fn hold_to_the_witnesses(&mut self, mut told: impl FnMut(&Scenario, &anyhow::Error)) {
        for (scenario, truth) in &mut self.scenes {
            if let Ok(known) = truth {
                with_answers_under_way(&self.lab, known);
            }
            if let Ok(known) = truth
                && let Err(error) = check(&self.lab, known)
            {
                told(scenario, &error);
                *truth = Err(error);
            }
        }
    }
}

/// Plays `scenarios`; tells each as it ends.
///
/// # Errors
/// Without the privileges that the laboratory needs, or when a tracer fails.
pub fn play(
    scenarios: &[Scenario],
    told: impl FnMut(&Scenario, &Result<GroundTruth>),
) -> Result<Played> {
    play_over(None, scenarios, told)
}

/// The same between hosts that are as far from each other as `distance` says.
///
/// # Errors
/// As [`play`].
pub fn play_over(
    distance: Option<Conduct>,
    scenarios: &[Scenario],
    mut told: impl FnMut(&Scenario, &Result<GroundTruth>),
) -> Result<Played> {
    let (lab, cables) = lay_out(distance)?;
    let at_once = if distance.is_some() { FAR_AT_ONCE } else { AT_ONCE };
    // One of each kind of hook, so that the verdict is shown not to depend on it.
    let modes = [XdpMode::Auto, XdpMode::Native, XdpMode::Off];
    let mut watching = Vec::new();
    for (vantage, mode) in Vantage::ALL.into_iter().zip(modes) {
        let at = vantage.netns(&lab);
        let tracer = Watching::start(at, options(mode)?, Rules::default());
        watching.push((vantage, tracer.with_context(|| format!("tracing the {vantage:?}"))?));
    }
    let mut scenes = Vec::new();
    run_all(&lab, scenarios, at_once, |scenario, truth| {
        told(scenario, &truth);
        scenes.push((scenario.clone(), truth));
    });
    if distance.is_some() {
        thread::sleep(LAST_ANSWERS);
    }
    let mut live = BTreeMap::new();
    for (vantage, tracer) in watching {
        live.insert(vantage, tracer.finish()?);
    }
    let (mut captures, mut unrecorded) = (Told::new(), Told::new());
    for place in [Place::RouterClientSide, Place::RouterServerSide] {
        let mut bytes = Vec::new();
        lab.sniffer(place).write_pcap(&mut bytes)?;
        captures.insert(place, replayed(&bytes, |record| record)?);
        unrecorded.insert(place, replayed(&bytes, behind_a_gap)?);
    }
    Ok(Played { lab, cables, scenes, live, captures, unrecorded })
}

fn options(xdp_mode: XdpMode) -> Result<live::Options> {
    Ok(live::Options {
        interfaces: Default::default(),
        xdp_mode,
        kernel: kernel::Options::all_told(1 << 16, Cut::for_this_host(8 << 20))?,
        scope: Default::default(),
        object: None,
    })
}

/// What is known of a reset when the recorder is off and its connection was in full swing.
fn behind_a_gap(record: Record) -> Record {
    const ENDS: u16 = flag::FIN | flag::FIN << 1 | flag::RST_SEEN;
    let Record::Reset(reset) = record else { return record };
    let established = |state: &&FlowState| state.hot.flags & flag::ESTABLISHED != 0;
    let Some(state) = reset.flow.as_deref().filter(established) else {
        return Record::Reset(reset);
    };
    if state.hot.flags & ENDS != 0 {
        return Record::Reset(reset);
    }
    let (rst, mut hot, flow, recorder) = (*reset.rst, state.hot, state.flow, state.recorder);
    hot.counts.iter_mut().for_each(|count| count.latest = Count::UNRECORDED);
    let record = RstWithFlow { rst, hot, flow, recorder };
    Record::Reset(Reset::of(&record, reset.time, reset.origin))
}

/// What the engine says about a capture, if it gets the records `as_seen`.
fn replayed(capture: &[u8], as_seen: fn(Record) -> Record) -> Result<Vec<RstEvent>> {
    let events = Arc::new(Mutex::new(Vec::new()));
    let rules = Rules { merge_ns: 0, ..Rules::default() };
    let sink = Box::new(Collect(events.clone()));
    let mut pipeline = Pipeline::new(rules, Scene::default(), Default::default(), sink, None);
    let mut source = Replay::new(1 << 16, true, kernel::random_keys()?)?;
    let read = source.read(
        &"router.pcap".into(),
        capture,
        |_| {},
        |time_ns, record| {
            if let Some(record) = record {
                pipeline.take(as_seen(record));
            }
            match pipeline.write_due(time_ns) {
                ControlFlow::Continue(()) => ControlFlow::Continue(()),
                ControlFlow::Break(_) => ControlFlow::Break(()),
            }
        },
    );
    if let Err(problem) = read {
        anyhow::bail!("replaying the router's capture: {problem}");
    }
    // The sink only collects: it neither closes nor fails.
    let _ = pipeline.write_rest();
    drop(pipeline);
    Ok(std::mem::take(&mut *events.lock().unwrap_or_else(|broken| broken.into_inner())))
}

/// A sink that keeps the resets.
struct Collect(Arc<Mutex<Vec<RstEvent>>>);

impl Sink for Collect {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        if let Event::Rst(event) = event {
            self.0.lock().unwrap_or_else(|broken| broken.into_inner()).push((**event).clone());
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
