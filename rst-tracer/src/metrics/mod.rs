//! What Prometheus may ask: numbers of the running trace, served over HTTP.
//!
//! In: each event as it is written, and about once a second a [`Look`] at everything that was counted. Out: a
//! text in one of two formats, made on a thread of its own. A scrape reads what was left here, never the kernel.

mod confine;
mod http;
mod labels;
mod look;
mod server;

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prometheus_client::{
    encoding::{prometheus_text, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use self::{
    labels::{
        CONFIDENCES, EventLabels, FindingLabels, PolicyLabels, VerdictLabels, VersionLabels,
        confidence,
    },
    look::Left,
};
use crate::{
    clock::epoch_ns,
    event::{Cause, Finding, FindingKind, FindingState, PolicyVerdict, RstEvent, RuleStats},
};

pub use look::{Interface, Look};
pub use server::Server;

/// More names of interfaces than a label ever has; the others are [`OTHER`].
const MOST_NAMES: usize = 256;
/// What every interface beyond [`MOST_NAMES`] is called.
const OTHER: &str = "other";
/// What an interface or a direction is called that is not known.
const UNKNOWN: &str = "unknown";
/// Upper bounds in seconds: an event waits up to `--settle`, a second if nothing else is said.
const SETTLE_SECONDS: [f64; 14] =
    [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 1.05, 1.25, 1.5, 2.0, 5.0, 10.0, 30.0];
/// A trace that has not looked at its counters for so long does not work.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format of Prometheus, which everything else reads.
    Prometheus,
}

/// All numbers of a running trace.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    events: Family<EventLabels, Counter>,
    verdicts: Family<VerdictLabels, Counter>,
    findings: Family<FindingLabels, Counter>,
    policy: Family<PolicyLabels, Counter>,
    settle: Histogram,
    names: Mutex<HashSet<String>>,
    left: Arc<Left>,
}

impl Default for Metrics {
    fn default() -> Self {
        let (events, verdicts, findings, policy, left) = Default::default();
        let settle = Histogram::new(SETTLE_SECONDS);
        let names = Mutex::default();
        let mut metrics = Self {
            registry: Registry::default(),
            events,
            verdicts,
            findings,
            policy,
            settle,
            names,
            left,
        };
        metrics.begin_with_zero();
        metrics.register();
        metrics
    }
}

impl Metrics {
    /// Makes the series that are known beforehand: to Prometheus, one that appears with 1 has not grown.
    fn begin_with_zero(&self) {
        for &cause in Cause::ALL {
            let (class, cause) = (cause.class().id(), cause.id());
            for confidence in CONFIDENCES {
                drop(self.verdicts.get_or_create(&VerdictLabels { class, cause, confidence }));
            }
        }
        for kind in FindingKind::ALL {
            drop(self.findings.get_or_create(&FindingLabels { kind: kind.id() }));
        }
    }

    /// Names each metric, and says what it is. `docs/metrics.md` says more.
    fn register(&mut self) {
        let build = Family::<VersionLabels, Gauge>::default();
        build.get_or_create(&VersionLabels::default()).set(1);
        let start = Gauge::<i64>::default();
        start.set(i64::try_from(epoch_ns() / 1_000_000_000).unwrap_or(i64::MAX));
        let ours = self.registry.sub_registry_with_prefix("rst_tracer");
        ours.register("build_info", "The version of the tracer; always 1", build);
        ours.register("events", "Resets that were written as events", self.events.clone());
        ours.register(
            "verdicts",
            "The same events, by how sure the cause is",
            self.verdicts.clone(),
        );
        ours.register(
            "findings",
            "Findings over many resets that were written",
            self.findings.clone(),
        );
        let help = "Resets that the rules of the policy file matched, by what they are to them";
        ours.register("policy_resets", help, self.policy.clone());
        let settle = "Time from the first sighting of a reset to the writing of its event";
        ours.register("settle_seconds", settle, self.settle.clone());
        ours.register_collector(Box::new(self.left.clone()));
        let what = "Start of the process, in seconds since the Unix epoch";
        self.registry.register("process_start_time_seconds", what, start);
    }

    /// Makes the series of the rules of a policy.
    pub fn begin_rules(&self, rules: &[RuleStats]) {
        for rule in rules {
            for verdict in rule.expect.verdicts() {
                drop(self.of_rule(&rule.rule, *verdict));
            }
        }
    }

    fn of_rule(&self, rule: &str, verdict: PolicyVerdict) -> impl Deref<Target = Counter> + '_ {
        let labels = PolicyLabels { rule: rule.to_owned(), verdict: verdict.id() };
        self.policy.get_or_create(&labels)
    }

    /// Counts an event that is about to be written, `waited` after its reset was first seen.
    pub fn count(&self, event: &RstEvent, waited: Duration) {
        let interface = self.bounded(event.interface.as_deref().unwrap_or(UNKNOWN));
        self.events.get_or_create(&EventLabels::new(event, interface)).inc();
        let (class, cause) = (event.class.id(), event.cause.id());
        let labels = VerdictLabels { class, cause, confidence: confidence(event.confidence) };
        self.verdicts.get_or_create(&labels).inc();
        self.settle.observe(waited.as_secs_f64());
        if let Some(policy) = &event.policy {
            self.of_rule(&policy.rule, policy.verdict).inc();
        }
    }

    /// Counts a finding that is about to be written; each once, however often it is told.
    pub fn count_finding(&self, finding: &Finding) {
        if finding.state != FindingState::Begins {
            return;
        }
        let labels = FindingLabels { kind: finding.kind.id() };
        self.findings.get_or_create(&labels).inc();
    }

    /// Sets how many events an output has written, and how many it had to leave out.
    pub fn set_output(&self, name: &str, written: u64, dropped: u64) {
        lock(&self.left.outputs).insert(name.to_owned(), [written, dropped]);
    }

    /// Takes in what was counted until now.
    pub fn look(&self, mut look: Look) {
        for interface in &mut look.interfaces {
            interface.name = self.bounded(&interface.name);
        }
        *lock(&self.left.look) = Some((Instant::now(), Arc::new(look)));
    }

    /// Whether the trace has counted lately; else why it is thought to be ill.
    ///
    /// # Errors
    /// When it has not.
    pub fn health(&self) -> Result<(), String> {
        let silence = match &*lock(&self.left.look) {
            None => return Err("nothing is traced yet".into()),
            Some((when, _)) => when.elapsed(),
        };
        if silence > LONGEST_SILENCE {
            return Err(format!("the trace has not moved for {} seconds", silence.as_secs()));
        }
        Ok(())
    }

    /// All metrics as text.
    ///
    /// # Errors
    /// None that is known: writing into memory does not fail.
    pub fn scrape(&self, format: Format) -> Result<String, fmt::Error> {
        let mut out = String::new();
        match format {
            Format::OpenMetrics => text::encode(&mut out, &self.registry)?,
            Format::Prometheus => prometheus_text::encode(&mut out, &self.registry)?,
        }
        Ok(out)
    }

    /// The name as a label: interfaces of containers come and go without end, labels must not.
    fn bounded(&self, name: &str) -> String {
        let mut names = lock(&self.names);
        if !names.contains(name) {
            if names.len() >= MOST_NAMES {
                return OTHER.to_owned();
            }
            names.insert(name.to_owned());
        }
        name.to_owned()
    }
}

/// What each output has written and left out, by its name.
type Outputs = BTreeMap<String, [u64; 2]>;

/// Numbers are whole even when somebody panicked beside them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
