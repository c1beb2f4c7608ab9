//! Traces a namespace of the laboratory while scenarios run in it.
//!
//! In: a namespace. Out: the events that the tracer made there, and its summary. The tracer is the
//! real one: same programs, same engine, in a thread that stands in the namespace.

use std::{
    io,
    ops::ControlFlow,
    sync::mpsc,
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};
use tokio::{sync::oneshot, time::timeout};

use super::netns::Netns;
use crate::{
    correlate::{Rules, Scene},
    event::{Event, RstEvent},
    links,
    processes::{Processes, Seen},
    run::{Pipeline, Stop, Summary, Tracing},
    sink::Sink,
    source::live::{self, Live, Wake, evidence::Scope},
};

/// A tracer at work in a namespace.
#[derive(Debug)]
pub struct Watching {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<Summary>>,
    events: mpsc::Receiver<RstEvent>,
    /// What was attached, and why: a line per interface.
    pub attached: Vec<String>,
}

/// What a tracer saw.
#[derive(Debug)]
pub struct Watched {
    /// Its events, in the order of the resets.
    pub events: Vec<RstEvent>,
    /// Its numbers.
    pub summary: Summary,
}

impl Watching {
    /// Starts a tracer in `netns` and waits until it is attached.
    ///
    /// # Errors
    /// Whatever keeps tracing from starting.
    pub fn start(netns: &Netns, options: live::Options, rules: Rules) -> Result<Self> {
        let fd = netns.fd().try_clone_to_owned().context("duplicating a namespace")?;
        let host = netns.name().to_owned();
        let inode = u32::try_from(netns.inode()).ok();
        let scene = Scene { host: host.clone(), netns: inode, ..Scene::default() };
        // The namespaces of the laboratory are hosts: none may read another's mind.
        let options = live::Options { scope: Scope::Netns, ..options };
        let rules = Rules { netns: inode, only_netns: true, ..rules };
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let (sender, events) = mpsc::channel();
        let thread = thread::Builder::new().name(format!("trace-{host}")).spawn(move || {
            setns(&fd, CloneFlags::CLONE_NEWNET).context("entering a namespace")?;
            trace(options, rules, scene, Collect(sender), &ready, stopped)
        })?;
        let Ok(attached) = is_ready.recv() else {
            let failed = thread.join().map_err(|_| anyhow::anyhow!("the tracer panicked"))?;
            return Err(failed.err().unwrap_or_else(|| anyhow::anyhow!("the tracer ended")));
        };
        Ok(Self { stop, thread, events, attached })
    }

    /// Stops the tracer and takes what it saw.
    ///
    /// # Errors
    /// Whatever went wrong in the tracer.
    pub fn finish(self) -> Result<Watched> {
        // A tracer that has ended already does not listen.
        self.stop.send(()).ok();
        let summary = self.thread.join().map_err(|_| anyhow::anyhow!("the tracer panicked"))??;
        let mut events: Vec<_> = self.events.into_iter().collect();
        // A verdict goes out when it is certain, not in the order of the resets.
        events.sort_by_key(|event| event.time);
        Ok(Watched { events, summary })
    }
}

fn trace(
    options: live::Options,
    rules: Rules,
    scene: Scene,
    sink: Collect,
    ready: &mpsc::Sender<Vec<String>>,
    mut stopped: oneshot::Receiver<()>,
) -> Result<Summary> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut lines = Vec::new();
        let live = Live::start(options, |line| lines.push(line))?;
        let rules = Rules { witnesses: live.witnesses(), ..rules };
        let mut pipeline = Pipeline::new(rules, scene, Default::default(), Box::new(sink), None)
            .asking(links::own_addresses);
        if let Some(netns) = rules.netns {
            pipeline = pipeline.with(Processes::start(Seen::now(netns, false)));
        }
        let mut tracing = Tracing::new(live, pipeline, None);
        ready.send(lines).ok();
        loop {
            if let ControlFlow::Break(stop) = tracing.turn() {
                return tracing.finish(stop);
            }
            let nap = std::time::Duration::from_millis(20);
            tokio::select! {
                _ = &mut stopped => return tracing.finish(Stop::Enough),
                wake = timeout(nap, tracing.live.next()) => {
                    if let Ok(Wake::Change(change)) = wake.unwrap_or(Ok(Wake::Records)) {
                        tracing.live.follow(change);
                    }
                }
            }
        }
    })
}

/// A sink that hands the events on.
struct Collect(mpsc::Sender<RstEvent>);

impl Sink for Collect {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        if let Event::Rst(event) = event {
            self.0.send((**event).clone()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
