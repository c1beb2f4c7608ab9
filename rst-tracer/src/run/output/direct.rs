//! Outputs that are waited for, one after the other.
//!
//! In: events. Out: lines, and how many of them each place has taken: what a sink holds when its place fails nobody got.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, Write},
    rc::Rc,
};

use crate::{
    event::{Event, OutputStats},
    run::tell,
    sink::Sink,
};

/// All of them.
pub(super) struct Direct(pub(super) Vec<Waited>);

/// One of them.
pub(super) struct Waited {
    pub(super) name: String,
    pub(super) sink: Box<dyn Sink>,
    pub(super) progress: Progress,
    /// Nobody reads it any more.
    pub(super) is_left: bool,
}

/// How far an output has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Rc<RefCell<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    /// Those that the sink holds, oldest first: whether each is a reset.
    held: VecDeque<bool>,
    written: u64,
    resets_written: u64,
    /// The place failed; so many lines the sink did not take after that.
    has_failed: bool,
    refused: u64,
}

impl Lines {
    fn took(&mut self, count: usize) {
        let taken = count.min(self.held.len());
        self.written += taken as u64;
        self.resets_written += self.held.drain(..taken).filter(|is_reset| *is_reset).count() as u64;
    }
}

/// A place that tells how much of what it is given it takes.
pub(super) struct Counted<W> {
    pub(super) place: W,
    pub(super) progress: Progress,
    /// Whether an event is one line. Else it is known of all that a sink hands on together only.
    pub(super) is_by_line: bool,
}

impl<W: Write> Write for Counted<W> {
    /// A sink hands on all that it holds, and goes on where the place stopped.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.place.write(bytes)?;
        let mut lines = self.progress.0.borrow_mut();
        let count = match self.is_by_line {
            true => bytes[..len].iter().filter(|byte| **byte == b'\n').count(),
            false if len == bytes.len() => lines.held.len(),
            false => 0,
        };
        lines.took(count);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.place.flush()
    }
}

impl Direct {
    /// Does it at each. One that nobody reads any more does not end the others; the last such one does.
    fn at_each(&mut self, act: impl Fn(&mut Waited) -> io::Result<()>) -> io::Result<()> {
        let (mut result, mut closed) = (Ok(()), None);
        for output in &mut self.0 {
            match act(output) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    output.is_left = true;
                    closed = Some((output.name.clone(), error));
                }
                done => result = result.and(done),
            }
        }
        match closed {
            Some((_, error)) if self.0.iter().all(|output| output.is_left) => {
                result.and(Err(error))
            }
            Some((name, _)) => {
                tell(format_args!("rst-tracer: nobody reads {name} any more; the others go on"));
                result
            }
            None => result,
        }
    }
}

impl Waited {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        if self.is_left {
            self.progress.0.borrow_mut().refused += 1;
            return Ok(());
        }
        let taken = self.sink.write(event);
        // Whatever the sink handed on meanwhile was of earlier lines.
        let mut lines = self.progress.0.borrow_mut();
        match taken {
            Ok(()) => lines.held.push_back(matches!(event, Event::Rst(_))),
            Err(_) => (lines.has_failed, lines.refused) = (true, lines.refused + 1),
        }
        taken
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_left {
            return Ok(());
        }
        let flushed = self.sink.flush();
        self.progress.0.borrow_mut().has_failed |= flushed.is_err();
        flushed
    }
}

impl Sink for Direct {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        self.at_each(|output| output.write(event))
    }

    /// One that fails does not keep the others from what they hold.
    fn flush(&mut self) -> io::Result<()> {
        self.at_each(Waited::flush)
    }

    /// Where nothing failed there is nothing to tell: all lines were written.
    fn accounts(&self) -> Vec<OutputStats> {
        let has_failed = |output: &Waited| output.progress.0.borrow().has_failed;
        if !self.0.iter().any(has_failed) {
            return Vec::new();
        }
        let stats = |output: &Waited| {
            let lines = output.progress.0.borrow();
            let held = lines.held.len() as u64;
            let (waiting, dropped) = if lines.has_failed { (0, held) } else { (held, 0) };
            let dropped = dropped + lines.refused;
            OutputStats { output: output.name.clone(), written: lines.written, waiting, dropped }
        };
        self.0.iter().map(stats).collect()
    }

    fn resets_written(&self) -> Option<u64> {
        self.0.iter().map(|output| output.progress.0.borrow().resets_written).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::samples, sink::JsonSink};

    /// Takes so many bytes and no more.
    struct Small(usize);

    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let len = bytes.len().min(self.0);
            self.0 -= len;
            if len == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(len) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn output(room: usize, is_by_line: bool) -> Waited {
        let progress = Progress::default();
        let place = Counted { place: Small(room), progress: progress.clone(), is_by_line };
        Waited {
            name: "json:x".into(),
            sink: Box::new(JsonSink::new(place)),
            progress,
            is_left: false,
        }
    }

    fn length(event: &Event) -> usize {
        let mut line = Vec::new();
        let mut sink = JsonSink::new(&mut line);
        sink.write(event).and_then(|()| sink.flush()).expect("memory takes it");
        drop(sink);
        line.len()
    }

    #[test]
    fn what_a_place_took_before_it_was_full_was_written_and_the_rest_was_not() {
        let event = samples::unread_data();
        // Two lines and a half.
        let room = length(&event) * 5 / 2;
        for (is_by_line, written) in [(true, 2), (false, 0)] {
            let mut outputs = Direct(vec![output(room, is_by_line)]);
            (0..4).for_each(|_| outputs.write(&event).expect("it is held"));
            assert!(outputs.accounts().is_empty(), "nothing failed yet");
            assert!(outputs.flush().is_err());
            let [stats] = &outputs.accounts()[..] else { panic!("one output") };
            assert_eq!((stats.written, stats.waiting, stats.dropped), (written, 0, 4 - written));
            assert_eq!(outputs.resets_written(), Some(written));
        }
    }

    #[test]
    fn one_that_fails_does_not_keep_the_others_from_what_they_hold() {
        let event = samples::unread_data();
        let mut outputs = Direct(vec![output(0, true), output(1 << 20, true)]);
        outputs.write(&event).expect("it is held");
        assert!(outputs.flush().is_err());
        assert_eq!(outputs.resets_written(), Some(1), "somebody got it");
        let told: Vec<_> = outputs.accounts().iter().map(|it| (it.written, it.dropped)).collect();
        assert_eq!(told, [(0, 1), (1, 0)]);
    }
}
