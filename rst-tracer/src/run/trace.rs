//! `rst-tracer trace`: live, until a signal, a limit or a closed pipe ends it.

use std::{collections::HashMap, future::pending, ops::ControlFlow, sync::Arc, time::Duration};

use anyhow::Result;
use rst_tracer_common::event::Counters;
use tokio::{
    task::yield_now,
    time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until},
};

use super::{
    Filter, Pipeline, Settings, Stop, Summary, nanos, outcome, output, policy, reload, scene,
    service::Service,
    signals::{Signals, Wish},
    tell,
};
use crate::{
    cli::{FilterArgs, TraceArgs},
    clock::{epoch_ns, monotonic_ns},
    correlate::{Rules, Scene},
    detect::flood::{self, Counted, Flood},
    event::{Source, Timestamp},
    exit::Code,
    links,
    metrics::{Look, Metrics, Server},
    netns, privileges,
    processes::{Processes, Seen},
    sink::Sink,
    source::live::{self, Live, Wake, evidence::Scope, kernel, rings::Cut},
};

/// Records that are taken from each ring before anything is written: as many as stay in a processor's own cache.
const BATCH: usize = 512;
/// While there are many records, most of them wake nobody: then it is looked after them so often. So many at one look
/// are many; after fewer it is looked again sooner, so that a line need not wait a millisecond for the next look.
const SHORT_NAP: Duration = Duration::from_millis(1);
const SHORTER_NAP: Duration = Duration::from_micros(250);
const MANY: usize = 3;
/// So long after records were found another one may wake nobody: the kernel programs allow each CPU a few wakes in
/// units of 2^20 ns, and a program may be held up with its record. Whoever looks later and finds nothing will be woken.
const QUIET: Duration = Duration::from_nanos(4 << 20);
/// What the runtime's timer can tell apart; it rounds up. For less the thread sleeps: signals and the rest can wait so
/// long.
const TIMER: Duration = Duration::from_millis(1);
/// So long it is read on while the kernel writes as fast; then signals and the rest have their turn.
const LONGEST_TURN: Duration = Duration::from_millis(50);
/// How often it is looked for floods, and so into the rings though nothing woke us.
const WATCH: Duration = Duration::from_secs(1);
/// Addresses of the host come and go seldom.
const EVERY_SO_OFTEN: Duration = Duration::from_secs(5);

/// Traces live, into the outputs of the command line.
///
/// # Errors
/// When tracing cannot start or the output cannot be written.
pub fn trace(args: &TraceArgs, settings: Settings) -> Result<Code> {
    let has_files = !output::files(&args.output).is_empty();
    let has_settings = args.service.config.is_some() || args.output.policy.is_some();
    let may_change = has_files || has_settings || Service::find().is_there();
    let on_hangup = if may_change { Wish::Reopen } else { Wish::Stop };
    trace_into(args, settings, on_hangup, || Ok(Box::new(output::queued(&args.output)?)))
}

/// Traces live, for people before a terminal: when that goes away, tracing ends.
///
/// # Errors
/// When tracing cannot start or the screen cannot be shown.
pub fn trace_onto(args: &TraceArgs, screen: Box<dyn Sink>) -> Result<Code> {
    trace_into(args, Settings::new(Vec::new()), Wish::Stop, || Ok(screen))
}

fn trace_into<'a>(
    args: &TraceArgs,
    mut settings: Settings,
    on_hangup: Wish,
    open: impl FnOnce() -> Result<Box<dyn Sink + 'a>>,
) -> Result<Code> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut service = Service::find();
        let policy = policy(&args.output)?;
        // A pipe may wait for its reader for ever: until then Ctrl-C has its default effect.
        let mut sink = open()?;
        let signals = Signals::new(on_hangup)?;
        let server = args.metrics_listen.map(Server::bind).transpose()?;
        // What was opened until now stays where it was opened.
        args.live.netns.as_deref().map(netns::enter).transpose()?;
        let live = Live::start(live_options(args)?, tell)?;
        give_memory_back();
        let settle_ns = nanos(args.output.settle);
        let inode = live::own_netns();
        let only_netns = args.live.kernel_scope == Scope::Netns;
        // Only root sees into the other namespaces; only the others need less.
        let seen = inode.map(|inode| Seen::now(inode, !only_netns));
        give_up(args)?;
        let witnesses = live.witnesses();
        let rules = Rules { settle_ns, netns: inode, only_netns, witnesses, ..Rules::default() };
        let scene = Scene { netns: inode, ..scene(&args.output) };
        let filter = Filter::from(args.filter.clone()).going(args.live.direction);
        sink.start()?;
        let mut pipeline = Pipeline::new(rules, scene, filter, sink, args.output.count)
            .watching(!args.output.no_findings)
            .judging(policy)
            .asking(links::own_addresses);
        if let Some(seen) = seen {
            pipeline = pipeline.with(Processes::start(seen));
        }
        let mut tracing = Tracing::new(live, pipeline, args.heartbeat);
        if let Some(server) = server {
            tracing.serve_metrics(server)?;
        }
        tell(format_args!("tracing {}; Ctrl-C ends", interfaces(tracing.live.traced())));
        service.ready();
        let stop = tracing.run(signals, args, &mut service, &mut settings).await?;
        service.stopping();
        let stop = tracing.end(stop);
        // A reader that takes nothing is waited for; a second signal does not wait.
        let written = tracing.pipeline.sink().finish();
        tell(tracing.summary()?);
        outcome(stop)?;
        written?;
        Ok(Code::OK)
    })
}

/// Gives back what only loading took: the kernel's types and the object, tens of megabytes.
fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no preconditions; it touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Keeps only what is needed from now on.
fn give_up(args: &TraceArgs) -> Result<()> {
    let Some(less) = privileges::give_up(&args.service.privileges)? else { return Ok(()) };
    tell(less);
    let files = output::files(&args.output);
    files.iter().filter_map(|file| privileges::rotation_trouble(file)).for_each(tell);
    Ok(())
}

/// The options of the live source that the command line asks for.
///
/// # Errors
/// When the kernel has no random numbers to give.
pub fn live_options(args: &TraceArgs) -> Result<live::Options> {
    Ok(live::Options {
        interfaces: links::Choice {
            patterns: args.live.interfaces.clone(),
            excluded: args.live.excluded.clone(),
            strict: args.live.strict,
        },
        xdp_mode: args.live.xdp_mode,
        kernel: kernel::Options {
            flows: args.table.flows,
            rings: Cut::for_this_host(args.live.ring_size << 20),
            no_flow_rate: args.live.no_flow_rate,
            wanted: args.filter.in_kernel(),
            tunnels: !args.table.no_tunnels,
            clock: args.live.clock,
            recorder: args.live.recorder,
            keys: kernel::random_keys()?,
        },
        scope: args.live.kernel_scope,
        object: args.live.bpf_object.clone(),
    })
}

/// A live source and the pipeline behind it.
pub struct Tracing<'a> {
    /// The source.
    pub live: Live,
    /// The way to the output.
    pub pipeline: Pipeline<'a>,
    stats: Option<Duration>,
    /// When the last look began, and when one last found records.
    looked: Instant,
    found: Instant,
    /// How many records the last look found, and whether it left some.
    latest: usize,
    left_some: bool,
    floods: flood::Watch,
    next_watch: Instant,
    /// Resets that were only counted, as many as had been when their sources were last forgotten.
    blamed: u64,
    /// Statements of the kernel that were known to be lost.
    statements_lost: u64,
    /// It was ended.
    is_over: bool,
}

impl<'a> Tracing<'a> {
    /// A source and what its records go through; `stats`: how often a stats event is written.
    pub fn new(live: Live, pipeline: Pipeline<'a>, stats: Option<Duration>) -> Self {
        let now = Instant::now();
        let (floods, left_some, blamed, statements_lost, is_over) = Default::default();
        Self {
            live,
            pipeline,
            stats,
            looked: now,
            found: now,
            latest: MANY,
            left_some,
            floods,
            next_watch: now,
            blamed,
            statements_lost,
            is_over,
        }
    }

    /// Runs until a signal, the end of `duration`, a limit or a closed output.
    async fn run(
        &mut self,
        mut signals: Signals,
        args: &TraceArgs,
        service: &mut Service,
        settings: &mut Settings,
    ) -> Result<Stop> {
        let (duration, mut policy) = (args.live.duration, args.output.policy.clone());
        let end = async move {
            match duration {
                Some(duration) => sleep(duration).await,
                None => pending().await,
            }
        };
        tokio::pin!(end);
        let mut stats = self.stats.map(ticks);
        // Not by the first look: that is at what has settled, which may be an hour ago.
        if let ControlFlow::Break(stop) = self.pipeline.begin_findings(epoch_ns()) {
            return Ok(stop);
        }
        loop {
            if let ControlFlow::Break(stop) = self.turn() {
                return Ok(stop);
            }
            service.beat(|| self.status());
            let nap = service.next_beat().map_or(self.nap(), |beat| self.nap().min(beat.into()));
            tokio::select! {
                wish = signals.next() => match wish {
                    Wish::Stop => return Ok(Stop::Enough),
                    Wish::Numbers => tell(self.summary()?),
                    Wish::Flush => {
                        if let ControlFlow::Break(stop) = self.pipeline.flush() {
                            return Ok(stop);
                        }
                    }
                    Wish::Reopen => {
                        service.reloading();
                        self.pipeline.sink().reopen();
                        if let Some(new) = settings.reread() {
                            // What the kernel programs decide stays as it is.
                            let FilterArgs { ports, nets, .. } = args.filter.clone();
                            let filter = Filter::from(FilterArgs { ports, nets, ..new.filter });
                            self.pipeline.choose(filter.going(new.live.direction));
                            if self.stats != new.heartbeat {
                                self.stats = new.heartbeat;
                                stats = self.stats.map(ticks);
                            }
                            policy = new.output.policy;
                        }
                        reload::reread_policy(policy.as_deref(), &mut self.pipeline);
                        service.ready();
                    }
                },
                () = &mut end => return Ok(Stop::Enough),
                () = next_tick(&mut stats) => {
                    let event = self.summary()?.to_event(Timestamp(epoch_ns()), self.pipeline.host());
                    if let ControlFlow::Break(stop) = self.pipeline.emit(event) {
                        return Ok(stop);
                    }
                }
                wake = self.live.next() => {
                    if let Wake::Change(change) = wake?
                        && let Some(line) = self.live.follow(change)
                    {
                        tell(line);
                    }
                }
                () = rest_until(nap) => {}
            }
        }
    }

    /// Takes what the kernel wrote, and writes what is due.
    pub fn turn(&mut self) -> ControlFlow<Stop> {
        self.pipeline.look_around(EVERY_SO_OFTEN);
        self.pipeline.watch(self.live.traced());
        (self.looked, self.latest) = (Instant::now(), 0);
        loop {
            let drained = self.live.drain(BATCH, |record| self.pipeline.take(record));
            self.count_losses();
            self.pipeline.write_due(monotonic_ns())?;
            if drained.records > 0 {
                self.found = Instant::now();
                self.latest += drained.records;
            }
            self.watch_floods()?;
            self.left_some = drained.may_have_more;
            if !self.left_some || self.looked.elapsed() >= LONGEST_TURN {
                return self.pipeline.flush();
            }
        }
    }

    /// Looks about once a second whether there are more resets than are told one by one.
    fn watch_floods(&mut self) -> ControlFlow<Stop> {
        let now = Instant::now();
        if now < self.next_watch {
            return ControlFlow::Continue(());
        }
        self.next_watch = now + WATCH;
        self.leave_metrics();
        // What cannot be read now is read with the summary, where it is an error.
        let Ok(counters) = self.live.counters() else { return ControlFlow::Continue(()) };
        let mut total = Counters::default();
        counters.iter().for_each(|hook| total.add(hook));
        let counted =
            Counted { rsts: total.rsts, suppressed: total.all_suppressed(), lost: total.ring_full };
        let flood = self.floods.look(monotonic_ns(), counted);
        self.tell_flood(flood)?;
        self.pipeline.tell_findings(epoch_ns())?;
        // Who sent a little too much before a flood is not behind it.
        if counted.suppressed > self.blamed && self.floods.is_calm() {
            self.forget_sources();
            self.blamed = counted.suppressed;
        }
        ControlFlow::Continue(())
    }

    /// Serves what is counted from now on.
    fn serve_metrics(&mut self, server: Server) -> Result<()> {
        let (metrics, address) = (Arc::<Metrics>::default(), server.address());
        metrics.begin_rules(&self.pipeline.rules());
        self.pipeline.metrics = Some(metrics.clone());
        self.leave_metrics();
        server.serve(metrics)?;
        tell(format_args!("metrics at http://{address}/metrics"));
        Ok(())
    }

    /// Leaves what was counted until now for who asks for metrics.
    fn leave_metrics(&self) {
        let Some(metrics) = &self.pipeline.metrics else { return };
        // What cannot be read now is read with the summary, where it is an error.
        let Ok(summary) = self.summary() else { return };
        for output in &summary.outputs {
            metrics.set_output(&output.output, output.written, output.dropped);
        }
        metrics.look(Look::at(epoch_ns(), summary, &self.live));
    }

    fn forget_sources(&mut self) {
        if let Err(error) = self.live.sources.clear() {
            log::warn!("cannot forget who sent resets that were only counted: {error:#}");
        }
    }

    fn tell_flood(&mut self, flood: Option<Flood>) -> ControlFlow<Stop> {
        let Some(flood) = flood.filter(|_| self.pipeline.watches()) else {
            return ControlFlow::Continue(());
        };
        let sources = self.live.sources.read().unwrap_or_else(|error| {
            log::warn!("cannot read who is behind a flood of resets: {error:#}");
            HashMap::new()
        });
        let sources = sources.into_iter().map(|(ip, resets)| Source { ip, port: None, resets });
        let finding = flood.finding(Timestamp(epoch_ns()), self.pipeline.host(), sources.collect());
        self.pipeline.emit(finding)
    }

    /// Looks whether statements of the kernel were lost since the last look.
    fn count_losses(&mut self) {
        // What cannot be read now is read with the summary, where it is an error.
        let Ok(statements) = self.live.statements() else { return };
        let lost = statements.lost.iter().sum();
        if lost > std::mem::replace(&mut self.statements_lost, lost) {
            self.pipeline.statements_lost(monotonic_ns());
        }
    }

    /// When to look again even if nothing happens.
    fn nap(&self) -> Instant {
        let now = Instant::now();
        let is_quiet = self.looked > self.found + QUIET;
        let longest = match self.latest {
            _ if self.left_some => now,
            MANY.. => now + SHORT_NAP,
            1.. => now + SHORTER_NAP,
            0 if !is_quiet => self.found + QUIET,
            0 => self.next_watch,
        };
        let until_due = |due: u64| Duration::from_nanos(due.saturating_sub(monotonic_ns()));
        let due = self.pipeline.next_due().map(|due| now + until_due(due));
        let impatient = self.pipeline.patience().map(|patience| now + patience);
        [due, impatient].into_iter().flatten().fold(longest, Instant::min)
    }

    /// What a service manager shows.
    fn status(&self) -> String {
        let events = self.pipeline.tally.events;
        format!("tracing {}; {events} events", interfaces(self.live.traced()))
    }

    /// The numbers so far.
    ///
    /// # Errors
    /// When the kernel's counters cannot be read.
    pub fn summary(&self) -> Result<Summary> {
        Ok(Summary {
            tally: self.pipeline.tally(),
            hooks: self.live.counters()?,
            statements: self.live.statements()?,
            hides_vlan: self.live.hides_vlan(),
            outputs: self.pipeline.accounts(),
            policy: self.pipeline.rules(),
            is_over: self.is_over,
        })
    }

    /// Detaches and writes what is left; says what stopped the run in the end.
    fn end(&mut self, mut stop: Stop) -> Stop {
        self.live.detach();
        self.is_over = true;
        if matches!(stop, Stop::Enough) && !self.pipeline.is_full() {
            while self.live.drain(BATCH, |record| self.pipeline.take(record)).may_have_more {}
            if let ControlFlow::Break(reason) = self.pipeline.write_rest() {
                stop = reason;
            }
        }
        if matches!(stop, Stop::Enough) {
            let flood = self.floods.end();
            let told = self.tell_flood(flood);
            let ended = if told.is_continue() { self.pipeline.end_findings() } else { told };
            if let ControlFlow::Break(reason) = ended {
                stop = reason;
            }
        }
        if let (ControlFlow::Break(reason), Stop::Enough) = (self.pipeline.flush(), &stop) {
            stop = reason;
        }
        if self.live.undecoded() > 0 {
            log::warn!("{} records of another version were not understood", self.live.undecoded());
        }
        stop
    }

    /// Detaches, writes what is left, and says what became of everything.
    ///
    /// # Errors
    /// When the output cannot be written or the counters cannot be read.
    pub fn finish(mut self, stop: Stop) -> Result<Summary> {
        outcome(self.end(stop))?;
        self.summary()
    }
}

fn interfaces(count: usize) -> String {
    match count {
        1 => "one interface".into(),
        more => format!("{more} interfaces"),
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Waits, by the runtime's timer if that can tell so short a time apart.
async fn rest_until(end: Instant) {
    let left = end.saturating_duration_since(Instant::now());
    if left < TIMER {
        std::thread::sleep(left);
        // Ready at once, it would keep the runtime from looking for signals and timers.
        yield_now().await;
    } else {
        sleep_until(end).await;
    }
}

async fn next_tick(ticks: &mut Option<tokio::time::Interval>) {
    match ticks {
        Some(ticks) => {
            ticks.tick().await;
        }
        None => pending().await,
    }
}
