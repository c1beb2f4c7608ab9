//! From records to lines: join, describe, filter, write, and count each reset exactly once.

use std::{
    collections::HashSet,
    io,
    net::IpAddr,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use rst_tracer_common::event::Hook;

use super::{filter::Filter, tally::Tally};
use crate::{
    clock::monotonic_ns,
    correlate::{Correlator, Joined, Rules, Scene, describe},
    detect::{
        Watch,
        policy::{Ledger, Rule},
    },
    event::{Event, Finding, OutputStats, RuleStats},
    metrics::Metrics,
    processes::Processes,
    sink::Sink,
    source::Record,
};

/// What stops a run.
#[derive(Debug)]
pub enum Stop {
    /// As many events were written as were asked for.
    Enough,
    /// The reader of the output has gone: no failure.
    Closed,
    /// The output cannot be written.
    Failed(io::Error),
}

/// The least time between two questions for the host's addresses.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(100);

/// Tells the addresses of the host that the calling thread stands on.
pub type AskAddresses = fn() -> Result<HashSet<IpAddr>>;

/// The whole way of a reset through the agent.
pub struct Pipeline<'a> {
    correlator: Correlator,
    scene: Scene,
    filter: Filter,
    sink: Box<dyn Sink + 'a>,
    limit: Option<u64>,
    processes: Option<Processes>,
    own_addresses: Option<AskAddresses>,
    asked: Option<Instant>,
    next_seq: u64,
    settle_ns: u64,
    policy: Ledger,
    watch: Option<Watch>,
    /// What became of the resets.
    pub tally: Tally,
    /// Where events are counted for who asks for metrics.
    pub metrics: Option<Arc<Metrics>>,
}

impl<'a> Pipeline<'a> {
    /// A pipeline into `sink` that stops after `limit` events.
    pub fn new(
        rules: Rules,
        scene: Scene,
        filter: Filter,
        sink: Box<dyn Sink + 'a>,
        limit: Option<u64>,
    ) -> Self {
        let (settle_ns, correlator, next_seq) = (rules.settle_ns, Correlator::new(rules), 1);
        let (processes, own_addresses, asked, policy, watch, tally, metrics) = Default::default();
        Self {
            correlator,
            scene,
            filter,
            sink,
            limit,
            processes,
            own_addresses,
            asked,
            next_seq,
            settle_ns,
            policy,
            watch,
            tally,
            metrics,
        }
    }

    /// The same, of a host whose processes are known.
    pub fn with(mut self, processes: Processes) -> Self {
        self.processes = Some(processes);
        self
    }

    /// The same, of a host that can be asked for its addresses. They come and go seldom.
    pub fn asking(mut self, own_addresses: AskAddresses) -> Self {
        self.own_addresses = Some(own_addresses);
        self.look_around(Duration::ZERO);
        self
    }

    /// The same; `watches`: whether it also writes findings about the events that it writes.
    pub fn watching(mut self, watches: bool) -> Self {
        self.watch = watches.then(Watch::default);
        self
    }

    /// The same; each event is judged by these rules, too.
    pub fn judging(mut self, rules: Vec<Rule>) -> Self {
        self.judge_by(rules);
        self
    }

    /// From now on each event is judged by these rules; whether they are others. Those that are as they were go on
    /// counting.
    pub fn judge_by(&mut self, rules: Vec<Rule>) -> bool {
        let changed = self.policy.replace(rules);
        if let Some(metrics) = &self.metrics {
            metrics.begin_rules(&self.policy.account());
        }
        changed
    }

    /// What each rule of the policy matched.
    pub fn rules(&self) -> Vec<RuleStats> {
        self.policy.account()
    }

    /// Whether findings are written.
    pub const fn watches(&self) -> bool {
        self.watch.is_some()
    }

    /// Says at how many interfaces segments are seen from now on.
    pub fn watch(&mut self, interfaces: usize) {
        self.correlator.watch(interfaces);
    }

    /// Takes a record in; nothing is written yet.
    pub fn take(&mut self, record: Record) {
        match record {
            Record::Notice(notice) if self.correlator.believes(&notice) => {
                let process = self.processes.as_mut().and_then(|known| known.told(&notice));
                self.correlator.take_notice(notice, process);
            }
            // Another host's mind, as it were.
            Record::Notice(_) => {}
            record => self.correlator.take(record),
        }
    }

    /// Statements of the kernel were lost, it was found at `now_ns`, on the clock of the source.
    pub fn statements_lost(&mut self, now_ns: u64) {
        self.correlator.statements_lost(now_ns);
    }

    /// Writes every reset for which nothing more is awaited at `now_ns`, on the clock of the source.
    pub fn write_due(&mut self, now_ns: u64) -> ControlFlow<Stop> {
        while let Some(joined) = self.correlator.due(now_ns) {
            self.write(joined)?;
        }
        ControlFlow::Continue(())
    }

    /// Writes what still waits: the source has ended.
    pub fn write_rest(&mut self) -> ControlFlow<Stop> {
        while let Some(joined) = self.correlator.release() {
            self.write(joined)?;
        }
        ControlFlow::Continue(())
    }

    fn write(&mut self, mut joined: Joined) -> ControlFlow<Stop> {
        if let Some(processes) = &self.processes {
            processes.complete(&mut joined);
        }
        self.make_sure_of_the_source(&joined);
        let mut event = describe(&joined, &self.scene);
        if !self.filter.lets_pass(&event) {
            self.tally.filtered += 1;
            return ControlFlow::Continue(());
        }
        event.policy = self.policy.judge(&event);
        let repeats = event.repeats;
        if let Some(metrics) = &self.metrics {
            let waited_ns = monotonic_ns().saturating_sub(joined.reset.rst.head.time_ns);
            metrics.count(&event, Duration::from_nanos(waited_ns));
        }
        let findings = self.watch.as_mut().map(|watch| {
            if let Some(ago_ns) = joined.crowd.accepted_ago_ns {
                watch.accepts(event.src, event.time.0.saturating_sub(ago_ns));
            }
            watch.see(&event)
        });
        self.emit(event)?;
        self.tally.events += 1;
        self.tally.repeated += repeats;
        self.tell(findings.unwrap_or_default())?;
        if self.is_full() {
            return ControlFlow::Break(Stop::Enough);
        }
        ControlFlow::Continue(())
    }

    /// A capture begins at `time_ns`, since the epoch: from here on findings know what is usual.
    pub fn begin_findings(&mut self, time_ns: u64) -> ControlFlow<Stop> {
        let findings = self.watch.as_mut().map(|watch| watch.begin(time_ns)).unwrap_or_default();
        self.tell(findings)
    }

    /// Writes what there is to tell at `now_ns`, since the epoch, about events that were written before.
    pub fn tell_findings(&mut self, now_ns: u64) -> ControlFlow<Stop> {
        // What is younger than this may still settle.
        let until = now_ns.saturating_sub(self.settle_ns);
        let findings = self.watch.as_mut().map(|watch| watch.look(until)).unwrap_or_default();
        self.tell(findings)
    }

    /// Ends what findings are about: no more events are written.
    pub fn end_findings(&mut self) -> ControlFlow<Stop> {
        let findings = self.watch.as_mut().map(Watch::end).unwrap_or_default();
        self.tell(findings)
    }

    fn tell(&mut self, findings: Vec<Finding>) -> ControlFlow<Stop> {
        for finding in findings {
            let host = self.scene.host.clone();
            self.emit(Finding { host, ..finding })?;
        }
        ControlFlow::Continue(())
    }

    /// Writes a line that is no reset.
    pub fn emit(&mut self, event: impl Into<Event>) -> ControlFlow<Stop> {
        let mut event = event.into();
        if let (Some(metrics), Event::Finding(finding)) = (&self.metrics, &event) {
            metrics.count_finding(finding);
        }
        event.number(self.next_seq);
        self.next_seq += 1;
        stop_on(self.sink.write(&event))
    }

    /// Sends what is buffered on its way.
    pub fn flush(&mut self) -> ControlFlow<Stop> {
        stop_on(self.sink.flush())
    }

    /// Takes back the events that no output took in the end: one that fails leaves behind what was on its way.
    pub fn correct_by_output(&mut self) {
        self.tally.events = self.sink.resets_written().unwrap_or(self.tally.events);
    }

    /// How long the output may go without a flush.
    pub fn patience(&self) -> Option<Duration> {
        self.sink.patience()
    }

    /// Chooses anew which resets become events.
    pub fn choose(&mut self, filter: Filter) {
        self.filter = filter;
    }

    /// Where everything goes.
    pub fn sink(&mut self) -> &mut (dyn Sink + 'a) {
        &mut *self.sink
    }

    /// What became of the lines at each output.
    pub fn accounts(&self) -> Vec<OutputStats> {
        self.sink.accounts()
    }

    /// When something is due next, on the clock of the source.
    pub fn next_due(&self) -> Option<u64> {
        self.correlator.next_due()
    }

    /// The numbers so far, with those of the correlator.
    pub fn tally(&self) -> Tally {
        let (merged, pending) = (self.correlator.merged(), self.correlator.pending());
        Tally { merged, pending, ..self.tally }
    }

    /// Whether as many events were written as were asked for.
    pub fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.tally.events >= limit)
    }

    /// Asks which addresses are this host's own, unless it did within `lately`. While they cannot be had,
    /// those known before stand.
    pub fn look_around(&mut self, lately: Duration) {
        if self.asked.is_some_and(|asked| asked.elapsed() < lately) {
            return;
        }
        self.asked = Some(Instant::now());
        match self.own_addresses.map(|ask| ask()) {
            Some(Ok(addresses)) => self.scene.addresses = Some(Arc::new(addresses)),
            Some(Err(error)) => log::debug!("{error:#}"),
            None => {}
        }
    }

    /// A reset that this host made in the name of an address that is not its own is forged, unless
    /// the address is newer than what is known.
    fn make_sure_of_the_source(&mut self, joined: &Joined) {
        let head = &joined.reset.rst.head;
        let source = head.segment.src.address.to_ip();
        let is_foreign = |known: &Arc<HashSet<IpAddr>>| !known.contains(&source);
        let is_made_here = head.hook == Hook::TC_EGRESS && head.came_by == 0;
        if is_made_here && self.scene.addresses.as_ref().is_some_and(is_foreign) {
            // A router may reject for others all the time.
            self.look_around(BETWEEN_QUESTIONS);
        }
    }

    /// Name of this host, as events carry it.
    pub fn host(&self) -> &str {
        &self.scene.host
    }
}

fn stop_on(result: io::Result<()>) -> ControlFlow<Stop> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ControlFlow::Break(Stop::Closed),
        Err(error) => ControlFlow::Break(Stop::Failed(error)),
    }
}
