//! `rst-tracer replay`: capture files through the same engine as live traffic.

use std::{
    cell::RefCell,
    fs::{File, OpenOptions},
    io::{self, ErrorKind, IsTerminal, Read},
    ops::ControlFlow,
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    sync::Arc,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    Pipeline, Stop, Summary,
    bell::{Awaited, Bell},
    nanos, outcome, output, policy, scene, tell,
};
use crate::{
    cli::ReplayArgs,
    correlate::Rules,
    event::Timestamp,
    exit::Code,
    source::{
        live::kernel::random_keys,
        replay::{Counted, Replay},
    },
};
use rst_tracer_common::event::{Counters, Hook};

/// Replays the files in order. A file that cannot be read to its end is reported on stderr and
/// makes the exit code 1; the others are read nevertheless. Asked to end, it ends as if there were no more.
///
/// # Errors
/// When the output cannot be opened or written.
pub fn replay(args: &ReplayArgs) -> anyhow::Result<Code> {
    let rules = Rules { settle_ns: nanos(args.output.settle), merge_ns: 0, ..Rules::default() };
    let sink = output::direct(&args.output)?;
    let filter = args.filter.clone().into();
    let mut pipeline = Pipeline::new(rules, scene(&args.output), filter, sink, args.output.count)
        .watching(!args.output.no_findings)
        .judging(policy(&args.output)?);
    let mut source = Replay::new(args.table.flows, !args.table.no_tunnels, random_keys()?)?
        .expecting(args.files.iter().filter_map(|name| length(name)).sum())?;
    // Events would come between what it draws.
    let has_bar = !(output::is_on_stdout(&args.output) && io::stdout().is_terminal());
    let mut bell = Bell::listen()?;
    let mut code = Code::OK;
    let mut stop = None;
    for name in &args.files {
        match read(&mut source, &mut pipeline, &mut bell, (name, has_bar)) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(reason)) => {
                stop = Some(reason);
                break;
            }
            Err(problem) => {
                tell(format_args!("rst-tracer: {name}: {problem}"));
                code = Code::FAILURE;
            }
        }
    }
    if stop.as_ref().is_none_or(|stop| matches!(stop, Stop::Enough))
        && let ControlFlow::Break(reason) = pipeline.end_findings()
    {
        stop = Some(reason);
    }
    let is_over = true;
    if args.stats && matches!(stop, None | Some(Stop::Enough)) && !pipeline.is_full() {
        let time = Timestamp(crate::clock::epoch_ns());
        let numbers = summary(&pipeline, source.counters(), is_over);
        let event = numbers.to_event(time, pipeline.host());
        if let ControlFlow::Break(reason) = pipeline.emit(event) {
            stop = Some(reason);
        }
    }
    if let ControlFlow::Break(reason) = pipeline.flush()
        && matches!(stop, None | Some(Stop::Enough))
    {
        stop = Some(reason);
    }
    pipeline.correct_by_output();
    tell(summary(&pipeline, source.counters(), is_over));
    outcome(stop.unwrap_or(Stop::Enough))?;
    Ok(code)
}

fn summary(pipeline: &Pipeline<'_>, counters: Counters, is_over: bool) -> Summary {
    let mut hooks = [Counters::default(); Hook::COUNT];
    hooks[usize::from(Hook::PCAP.0)] = counters;
    Summary {
        tally: pipeline.tally(),
        hooks,
        statements: Default::default(),
        hides_vlan: false,
        outputs: pipeline.accounts(),
        policy: pipeline.rules(),
        is_over,
    }
}

/// How long a regular file is.
fn length(name: &str) -> Option<u64> {
    let metadata = std::fs::metadata(name).ok()?;
    metadata.is_file().then_some(metadata.len())
}

/// Opens a file, or standard input without a buffer that could hold what is waited for. A pipe that has no writer yet
/// is waited for where signals are heeded, and not here.
fn open(name: &str) -> anyhow::Result<File> {
    if name == "-" {
        return Ok(io::stdin().as_fd().try_clone_to_owned()?.into());
    }
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(name)?;
    anyhow::ensure!(!file.metadata()?.is_dir(), "is a directory; name the capture files in it");
    Ok(file)
}

/// Reads one file and writes its events; what waits at its end has nothing more to wait for.
fn read(
    source: &mut Replay,
    pipeline: &mut Pipeline<'_>,
    bell: &mut Bell,
    (name, has_bar): (&str, bool),
) -> anyhow::Result<ControlFlow<Stop>> {
    let file = open(name)?;
    let metadata = file.metadata()?;
    let len = metadata.is_file().then_some(metadata.len());
    let bar = if has_bar { progress(name, len) } else { ProgressBar::hidden() };
    let mut shown = 0_u64;
    let stop = RefCell::new(None);
    let mut due = pipeline.next_due();
    let mut has_begun = false;
    let pipeline = RefCell::new(pipeline);
    let counted = source.counted();
    let is_file = len.is_some();
    let result = source.read(
        &name.into(),
        Heeding { file, is_file, bell, bar: &bar, pipeline: &pipeline, counted, stop: &stop },
        |bytes| {
            if bytes >> 20 != shown {
                shown = bytes >> 20;
                bar.set_position(bytes);
            }
        },
        |time_ns, record| {
            let is_first = !std::mem::replace(&mut has_begun, true);
            // Most frames are no record, and nothing is due at their time.
            if !is_first && record.is_none() && due.is_none_or(|due| time_ns < due) {
                return ControlFlow::Continue(());
            }
            let mut pipeline = pipeline.borrow_mut();
            if let Some(record) = record {
                pipeline.take(record);
            }
            let begun = match is_first {
                true => pipeline.begin_findings(time_ns),
                false => ControlFlow::Continue(()),
            };
            let written = match begun {
                ControlFlow::Continue(()) => pipeline.write_due(time_ns),
                stop => stop,
            };
            due = pipeline.next_due();
            match written {
                ControlFlow::Continue(()) => ControlFlow::Continue(()),
                ControlFlow::Break(reason) => {
                    stop.replace(Some(reason));
                    ControlFlow::Break(())
                }
            }
        },
    );
    bar.finish_and_clear();
    let pipeline = pipeline.into_inner();
    let stop = match stop.into_inner() {
        None => pipeline.write_rest(),
        // Asked to end: as at the end of the file.
        Some(Stop::Enough) if !pipeline.is_full() => match pipeline.write_rest() {
            ControlFlow::Continue(()) => ControlFlow::Break(Stop::Enough),
            stop => stop,
        },
        Some(reason) => ControlFlow::Break(reason),
    };
    match result {
        Ok(_) => Ok(stop),
        // An output that was closed or failed outweighs a broken input.
        Err(_) if stop.is_break() => Ok(stop),
        Err(problem) => Err(anyhow::anyhow!("{problem}")),
    }
}

/// Sends what is written on its way before it waits for more, and heeds signals while it waits: a pipe may bring nothing
/// for hours.
struct Heeding<'a, 'b, 'c> {
    file: File,
    is_file: bool,
    bell: &'a mut Bell,
    bar: &'a ProgressBar,
    pipeline: &'a RefCell<&'b mut Pipeline<'c>>,
    counted: Counted,
    stop: &'a RefCell<Option<Stop>>,
}

impl Heeding<'_, '_, '_> {
    fn end(&self, reason: Stop) -> io::Result<usize> {
        self.stop.replace(Some(reason));
        Err(ErrorKind::BrokenPipe.into())
    }
}

impl Read for Heeding<'_, '_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let flushed = self.pipeline.borrow_mut().flush();
        if let ControlFlow::Break(reason) = flushed {
            return self.end(reason);
        }
        loop {
            match self.bell.await_input(&self.file, self.is_file)? {
                Awaited::Numbers => {
                    let counters = self.counted.so_far();
                    let summary = summary(&self.pipeline.borrow(), counters, false);
                    self.bar.suspend(|| tell(summary));
                }
                Awaited::Stop => return self.end(Stop::Enough),
                Awaited::Input => match self.file.read(buffer) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    read => return read,
                },
            }
        }
    }
}

/// A bar on stderr if that is a terminal, else nothing.
fn progress(name: &str, len: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(len, ProgressDrawTarget::stderr_with_hz(10));
    let template = if len.is_some() {
        "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}"
    } else {
        "{msg} {spinner} {bytes} {bytes_per_sec}"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(Arc::<str>::from(name).to_string());
    bar
}
