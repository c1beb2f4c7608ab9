//! `rst-tracer trace`: live, until a signal, a limit or a closed pipe ends it.

use std::{future::pending, ops::ControlFlow, time::Duration};

use anyhow::Result;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until};

use super::{
    Pipeline, Stop, Summary, nanos, outcome, output, scene,
    signals::{Signals, Wish},
    tell,
};
use crate::{
    cli::{OutputArgs, TraceArgs},
    correlate::{Rules, Scene},
    event::Timestamp,
    exit::Code,
    links,
    processes::Processes,
    source::live::{self, Live, Wake, evidence::Scope, kernel, now_ns},
};

/// Records that are taken from the ring before anything is written.
const BATCH: usize = 4096;
/// The ring is looked into at least so often: an edge may be missed under load.
const LONGEST_NAP: Duration = Duration::from_millis(100);
/// Addresses of the host come and go seldom.
const EVERY_SO_OFTEN: Duration = Duration::from_secs(5);

/// Traces live.
///
/// # Errors
/// When tracing cannot start or the output cannot be written.
pub fn trace(args: &TraceArgs) -> Result<Code> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = Signals::new(output::file(&args.output).is_some())?;
        let sink = output::open(&args.output)?;
        let live = Live::start(live_options(args)?, tell)?;
        let settle_ns = nanos(args.output.settle);
        let netns = live::own_netns();
        let only_netns = args.kernel_scope == Scope::Netns;
        let witnesses = live.witnesses();
        let rules = Rules { settle_ns, netns, only_netns, witnesses, ..Rules::default() };
        let scene = Scene { netns, ..scene() };
        let filter = args.filter.clone().into();
        let mut pipeline = Pipeline::new(rules, scene, filter, sink, args.output.count)
            .asking(links::own_addresses);
        if let Some(netns) = netns {
            pipeline = pipeline.with(Processes::start(netns, !only_netns));
        }
        let mut tracing = Tracing::new(live, pipeline, args.stats);
        tell(format_args!("tracing {}; Ctrl-C ends", interfaces(tracing.live.traced())));
        let stop = tracing.run(signals, args).await?;
        let stop = tracing.end(stop);
        tell(tracing.summary()?);
        outcome(stop)?;
        Ok(Code::OK)
    })
}

/// The options of the live source that the command line asks for.
///
/// # Errors
/// When the kernel has no random numbers to give.
pub fn live_options(args: &TraceArgs) -> Result<live::Options> {
    Ok(live::Options {
        interfaces: args.interfaces.clone(),
        xdp_mode: args.xdp_mode,
        kernel: kernel::Options {
            flows: args.table.flows,
            ring_bytes: args.ring_size << 20,
            tunnels: !args.table.no_tunnels,
            clock: args.clock,
            keys: kernel::random_keys()?,
        },
        scope: args.kernel_scope,
        object: args.bpf_object.clone(),
    })
}

/// Now, on the clock of the kernel's records: nobody sets it.
fn monotonic_ns() -> u64 {
    use nix::time::{ClockId, clock_gettime};
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC);
    now.map_or(0, |now| now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}

/// A live source and the pipeline behind it.
pub struct Tracing<'a> {
    /// The source.
    pub live: Live,
    /// The way to the output.
    pub pipeline: Pipeline<'a>,
    stats: Option<Duration>,
    /// Statements of the kernel that were known to be lost.
    statements_lost: u64,
}

impl<'a> Tracing<'a> {
    /// A source and what its records go through; `stats`: how often a stats event is written.
    pub fn new(live: Live, pipeline: Pipeline<'a>, stats: Option<Duration>) -> Self {
        Self { live, pipeline, stats, statements_lost: 0 }
    }

    /// Runs until a signal, the end of `duration`, a limit or a closed output.
    async fn run(&mut self, mut signals: Signals, args: &TraceArgs) -> Result<Stop> {
        let duration = args.duration;
        let end = async move {
            match duration {
                Some(duration) => sleep(duration).await,
                None => pending().await,
            }
        };
        tokio::pin!(end);
        let mut stats = self.stats.map(|every| {
            let mut ticks = interval_at(Instant::now() + every, every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        loop {
            if let ControlFlow::Break(stop) = self.turn() {
                return Ok(stop);
            }
            let nap = self.nap();
            tokio::select! {
                wish = signals.next() => match wish {
                    Wish::Stop => return Ok(Stop::Enough),
                    Wish::Numbers => tell(self.summary()?),
                    Wish::Reopen => {
                        if let ControlFlow::Break(stop) = self.reopen(&args.output) {
                            return Ok(stop);
                        }
                    }
                },
                () = &mut end => return Ok(Stop::Enough),
                () = next_tick(&mut stats) => {
                    let event = self.summary()?.to_event(Timestamp(now_ns()), self.pipeline.host());
                    if let ControlFlow::Break(stop) = self.pipeline.emit(&event.into()) {
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
                () = sleep_until(nap) => {}
            }
        }
    }

    /// Opens the output file anew; if that fails, the one that is open is good enough.
    fn reopen(&mut self, args: &OutputArgs) -> ControlFlow<Stop> {
        match output::open(args) {
            Ok(sink) => self.pipeline.redirect(sink),
            Err(error) => {
                tell(format_args!("rst-tracer: {error:#}; going on with the file that is open"));
                ControlFlow::Continue(())
            }
        }
    }

    /// Takes what the kernel wrote, and writes what is due.
    pub fn turn(&mut self) -> ControlFlow<Stop> {
        self.pipeline.look_around(EVERY_SO_OFTEN);
        loop {
            let count = self.live.drain(BATCH, |record| self.pipeline.take(record));
            self.count_losses();
            self.pipeline.write_due(monotonic_ns())?;
            if count < BATCH {
                return self.pipeline.flush();
            }
        }
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
        let until_due = self
            .pipeline
            .next_due()
            .map_or(LONGEST_NAP, |due| Duration::from_nanos(due.saturating_sub(monotonic_ns())));
        Instant::now() + until_due.min(LONGEST_NAP)
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
        })
    }

    /// Detaches and writes what is left; says what stopped the run in the end.
    fn end(&mut self, mut stop: Stop) -> Stop {
        self.live.detach();
        if matches!(stop, Stop::Enough) && !self.pipeline.is_full() {
            while self.live.drain(BATCH, |record| self.pipeline.take(record)) == BATCH {}
            if let ControlFlow::Break(reason) = self.pipeline.write_rest() {
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

async fn next_tick(ticks: &mut Option<tokio::time::Interval>) {
    match ticks {
        Some(ticks) => {
            ticks.tick().await;
        }
        None => pending().await,
    }
}
