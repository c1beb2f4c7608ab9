//! Where events go: any number of outputs, each with its format, to standard output or a file.
//!
//! A capture file waits for its outputs ([`direct`]). Live traffic does not wait: each output has a writer of its own
//! behind a bounded queue ([`queued`]), and what finds no room in one is counted there.

mod direct;
mod place;
mod queue;
mod writer;

use std::{
    cell::Cell,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    rc::Rc,
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result, bail, ensure};

use direct::{Counted, Direct, Progress, Waited};
pub use place::{Place, Wanted};
use queue::{Accounts, Chunk, Ending, Queue};
use writer::{Target, Writer};

use crate::{
    cli::{Colour, Format, OutputArgs},
    event::{Event, OutputStats},
    exit::{Code, Failure},
    sink::{
        CefSink, DocumentSink, EveSink, Host, Internal, JsonSink, Marks, OtlpSink, PcapNgSink,
        Sink, Style, TextSink,
    },
};

/// What every line says, whatever it is about.
///
/// # Errors
/// With exit code 2 when labels contradict each other, or there is no room for all.
pub fn marks(args: &OutputArgs) -> Result<Marks, Failure> {
    Marks::new(args.tags.clone(), args.labels.clone()).map_err(|why| Failure::new(Code::USAGE, why))
}

/// Opens the outputs of the command line for a source that waits for them.
///
/// # Errors
/// Names the file that cannot be opened; with exit code 2 when two outputs go to one place, or lines cannot say what
/// they are to say.
pub fn direct(args: &OutputArgs) -> Result<Box<dyn Sink>> {
    let marks = marks(args)?;
    let open = |wanted: &Wanted| -> Result<Waited> {
        let is_terminal = wanted.place == Place::Stdout && io::stdout().is_terminal();
        let is_by_line = match wanted.format {
            Format::Pcapng => false,
            Format::Text => !args.explain,
            _ => true,
        };
        let progress = Progress::default();
        let place = Counted { place: target(wanted)?, progress: progress.clone(), is_by_line };
        let sink = sink(wanted.format, args, &marks, place, is_terminal);
        Ok(Waited { name: wanted.to_string(), sink, progress, is_left: false })
    };
    Ok(Box::new(Direct(Wanted::all(args)?.iter().map(open).collect::<Result<_>>()?)))
}

/// Opens the outputs of the command line for a source that does not wait. They take lines from now on, and write them
/// from [`Sink::start`] on.
///
/// # Errors
/// As [`direct`].
pub fn queued(args: &OutputArgs) -> Result<Outputs> {
    let limit = usize::try_from(args.output_queue)? << 20;
    let marks = marks(args)?;
    let open = |wanted: &Wanted| Queued::open(wanted, args, &marks, limit);
    Ok(Outputs(Wanted::all(args)?.iter().map(open).collect::<Result<_>>()?))
}

/// The files among the outputs of the command line: they can be opened anew.
pub fn files(args: &OutputArgs) -> Vec<PathBuf> {
    let file = |wanted: Wanted| match wanted.place {
        Place::File(path) => Some(path),
        Place::Stdout => None,
    };
    // Two at one place are said when they are opened.
    Wanted::all(args).unwrap_or_default().into_iter().filter_map(file).collect()
}

/// Whether events go to standard output.
pub fn is_on_stdout(args: &OutputArgs) -> bool {
    Wanted::all(args).unwrap_or_default().iter().any(|wanted| wanted.place == Place::Stdout)
}

/// Opens a place. Packets are not for terminals.
fn target(wanted: &Wanted) -> Result<Target> {
    let is_terminal = wanted.place == Place::Stdout && io::stdout().is_terminal();
    ensure!(
        wanted.format != Format::Pcapng || !is_terminal,
        "pcapng is binary: name a file with --output, or pipe it into wireshark -k -i -"
    );
    match &wanted.place {
        Place::Stdout => Target::stdout(),
        Place::File(path) => Target::open(path),
    }
}

fn sink(
    format: Format,
    args: &OutputArgs,
    marks: &Marks,
    out: impl Write + 'static,
    is_terminal: bool,
) -> Box<dyn Sink> {
    let internal = || Internal::of(&args.internal_nets);
    let host = || Host { marks: marks.clone(), internal: internal(), ..Host::read() };
    match format {
        Format::Json => Box::new(JsonSink::new(out).with(marks)),
        Format::Ecs => Box::new(DocumentSink::ecs(out).on(host())),
        Format::Ocsf => Box::new(DocumentSink::ocsf(out).on(host())),
        Format::Eve => Box::new(EveSink::new(out)),
        Format::Cef => Box::new(CefSink::new(out).on(host())),
        Format::Otlp => Box::new(OtlpSink::new(out).on(host())),
        Format::Pcapng => Box::new(PcapNgSink::new(out)),
        Format::Text => {
            let style = Style { colour: colour(args.color, is_terminal), explain: args.explain };
            Box::new(TextSink::new(out, style))
        }
    }
}

/// Whether text is coloured. <https://no-color.org>: any non-empty value switches it off.
pub fn colour(when: Colour, is_terminal: bool) -> bool {
    match when {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => {
            is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    }
}

/// Outputs that nobody waits for.
pub struct Outputs(Vec<Queued>);

/// One of them.
struct Queued {
    name: String,
    sink: Box<dyn Sink>,
    entry: Entry,
    queue: Queue,
    writer: Option<Writer>,
    thread: Option<JoinHandle<()>>,
}

/// Where the sink writes to: its lines go into the queue as they are flushed.
#[derive(Clone)]
struct Entry {
    queue: Queue,
    /// Lines that the sink took and did not hand on yet.
    lines: Rc<Cell<u64>>,
}

impl Write for Entry {
    /// Never fails: what finds no room is counted.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.queue.push(Chunk { bytes: bytes.to_vec(), lines: self.lines.take() });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Queued {
    fn open(wanted: &Wanted, args: &OutputArgs, marks: &Marks, limit: usize) -> Result<Self> {
        let (name, queue) = (wanted.to_string(), Queue::new(limit));
        let target = target(wanted)?;
        let is_terminal = matches!(target, Target::Stdout(_)) && io::stdout().is_terminal();
        let entry = Entry { queue: queue.clone(), lines: Rc::default() };
        let sink = sink(wanted.format, args, marks, entry.clone(), is_terminal);
        let writer = Writer { name: name.clone(), target, queue: queue.clone(), is_failing: false };
        Ok(Self { name, sink, entry, queue, writer: Some(writer), thread: None })
    }

    fn start(&mut self) -> Result<()> {
        if let Some(writer) = self.writer.take() {
            let thread = thread::Builder::new().name("output".into()).spawn(|| writer.run());
            self.thread = Some(thread.context("cannot start a thread for an output")?);
        }
        Ok(())
    }

    fn write(&mut self, event: &Event) -> io::Result<()> {
        self.sink.write(event)?;
        // Whatever the sink handed on meanwhile was of earlier lines.
        self.entry.lines.set(self.entry.lines.get() + 1);
        Ok(())
    }

    /// Waits until everything is written, or cannot be.
    fn finish(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic of its own was said by it.
            let _ = thread.join();
        }
    }
}

impl Sink for Outputs {
    fn start(&mut self) -> Result<()> {
        self.0.iter_mut().try_for_each(Queued::start)
    }

    fn write(&mut self, event: &Event) -> io::Result<()> {
        self.0.iter_mut().try_for_each(|output| output.write(event))
    }

    /// Fails when a reader has gone: that is how a pipeline ends.
    fn flush(&mut self) -> io::Result<()> {
        for output in &mut self.0 {
            output.sink.flush()?;
            if output.queue.ending() == Some(Ending::ReaderGone) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
        Ok(())
    }

    fn reopen(&mut self) {
        self.0.iter().for_each(|output| output.queue.reopen());
    }

    fn accounts(&self) -> Vec<OutputStats> {
        let stats = |output: &Queued| {
            let Accounts { written, waiting, dropped } = output.queue.accounts();
            let waiting = waiting + output.entry.lines.get();
            OutputStats { output: output.name.clone(), written, waiting, dropped }
        };
        self.0.iter().map(stats).collect()
    }

    fn finish(&mut self) -> Result<()> {
        self.0.iter_mut().for_each(Queued::finish);
        for Queued { name, queue, .. } in &self.0 {
            if let Some(Ending::Failed(why)) = queue.ending() {
                bail!("cannot write the output {name}: {why}");
            }
        }
        Ok(())
    }
}
