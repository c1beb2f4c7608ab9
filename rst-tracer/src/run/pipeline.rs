//! From records to lines: join, describe, filter, write, and count each reset exactly once.

use std::{collections::HashSet, io, net::IpAddr, ops::ControlFlow, sync::Arc};

use super::{filter::Filter, tally::Tally};
use crate::{
    correlate::{Correlator, Joined, Rules, Scene, describe},
    event::Event,
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

/// The whole way of a reset through the agent.
pub struct Pipeline<'a> {
    correlator: Correlator,
    scene: Scene,
    filter: Filter,
    sink: Box<dyn Sink + 'a>,
    limit: Option<u64>,
    processes: Option<Processes>,
    /// What became of the resets.
    pub tally: Tally,
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
        let correlator = Correlator::new(rules);
        Self { correlator, scene, filter, sink, limit, processes: None, tally: Tally::default() }
    }

    /// The same, of a host whose processes are known.
    pub fn with(mut self, processes: Processes) -> Self {
        self.processes = Some(processes);
        self
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
        let event = describe(&joined, &self.scene);
        if !self.filter.lets_pass(&event) {
            self.tally.filtered += 1;
            return ControlFlow::Continue(());
        }
        self.emit(&event.into())?;
        self.tally.events += 1;
        if self.is_full() {
            return ControlFlow::Break(Stop::Enough);
        }
        ControlFlow::Continue(())
    }

    /// Writes a line that is no reset.
    pub fn emit(&mut self, event: &Event) -> ControlFlow<Stop> {
        stop_on(self.sink.write(event))
    }

    /// Sends what is buffered on its way.
    pub fn flush(&mut self) -> ControlFlow<Stop> {
        stop_on(self.sink.flush())
    }

    /// Writes what is buffered to the present sink, and everything from now on to another.
    pub fn redirect(&mut self, sink: Box<dyn Sink + 'a>) -> ControlFlow<Stop> {
        self.flush()?;
        self.sink = sink;
        ControlFlow::Continue(())
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

    /// The addresses of the host that the tracer stands on, from now on.
    pub fn stands_on(&mut self, addresses: HashSet<IpAddr>) {
        self.scene.addresses = Some(Arc::new(addresses));
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
