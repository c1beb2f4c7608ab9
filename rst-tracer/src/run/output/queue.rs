//! What waits for an output: bounded, so that one that takes nothing costs its own lines and nobody else's.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Whole lines in one piece.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
}

/// A queue between the one that traces and the one that writes.
#[derive(Clone, Debug)]
pub(super) struct Queue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    /// Lines in the queue and in the writer's hands.
    waiting: u64,
    written: u64,
    dropped: u64,
    is_closed: bool,
    wants_reopening: bool,
    ending: Option<Ending>,
}

/// How the writer ended before its queue did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The reader has gone.
    ReaderGone,
    /// The last lines could not be written, for this reason.
    Failed(String),
}

/// What the writer is to do next.
#[derive(Debug)]
pub(super) enum Work {
    Write(Chunk),
    Reopen,
    /// Nothing came for a while.
    Idle,
    End,
}

/// What became of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Accounts {
    pub(super) written: u64,
    pub(super) waiting: u64,
    pub(super) dropped: u64,
}

impl Queue {
    /// An empty queue for so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        let (state, changed) = Default::default();
        Self(Arc::new(Shared { limit, state, changed }))
    }

    /// Takes lines, or counts them where there is no room. A chunk larger than the queue has room in an empty one.
    pub(super) fn push(&self, chunk: Chunk) {
        let mut state = self.state();
        let has_room = state.bytes == 0 || state.bytes + chunk.bytes.len() <= self.0.limit;
        if !has_room || state.ending.is_some() {
            state.dropped += chunk.lines;
            return;
        }
        state.bytes += chunk.bytes.len();
        state.waiting += chunk.lines;
        state.chunks.push_back(chunk);
        drop(state);
        self.0.changed.notify_all();
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.0.changed.notify_all();
    }

    /// The place is to be opened anew before the next line.
    pub(super) fn reopen(&self) {
        self.state().wants_reopening = true;
        self.0.changed.notify_all();
    }

    /// What became of the lines so far.
    pub(super) fn accounts(&self) -> Accounts {
        let State { written, waiting, dropped, .. } = *self.state();
        Accounts { written, waiting, dropped }
    }

    /// How the writer ended, if it did.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.state().ending.clone()
    }

    /// What to do next; waits for it, but not longer than `patience`.
    pub(super) fn next(&self, patience: Duration) -> Work {
        let idle = |state: &mut State| {
            state.chunks.is_empty() && !state.is_closed && !state.wants_reopening
        };
        let waited = self.0.changed.wait_timeout_while(self.state(), patience, idle);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.wants_reopening) {
            return Work::Reopen;
        }
        match state.chunks.pop_front() {
            Some(chunk) => {
                state.bytes -= chunk.bytes.len();
                Work::Write(chunk)
            }
            None if state.is_closed => Work::End,
            None => Work::Idle,
        }
    }

    /// The lines of a chunk were written.
    pub(super) fn written(&self, lines: u64) {
        let mut state = self.state();
        state.waiting -= lines;
        state.written += lines;
    }

    /// Waits a while before another try; whether there still is time for one.
    pub(super) fn wait(&self, a_while: Duration) -> bool {
        let is_open = |state: &mut State| !state.is_closed && !state.wants_reopening;
        let waited = self.0.changed.wait_timeout_while(self.state(), a_while, is_open);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.is_closed
    }

    /// The writer gives up: all that waits is dropped, and all that comes.
    pub(super) fn give_up(&self, ending: Ending) {
        let mut state = self.state();
        state.dropped += std::mem::take(&mut state.waiting);
        state.chunks.clear();
        state.bytes = 0;
        state.ending = Some(ending);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(bytes: usize, lines: u64) -> Chunk {
        Chunk { bytes: vec![b'x'; bytes], lines }
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let queue = Queue::new(10);
        queue.push(chunk(8, 2));
        queue.push(chunk(3, 1));
        queue.push(chunk(2, 1));
        assert_eq!(queue.accounts(), Accounts { written: 0, waiting: 3, dropped: 1 });
        let Work::Write(first) = queue.next(Duration::ZERO) else { panic!("lines") };
        queue.written(first.lines);
        queue.push(chunk(8, 4));
        assert_eq!(queue.accounts(), Accounts { written: 2, waiting: 5, dropped: 1 });
    }

    #[test]
    fn a_line_longer_than_the_queue_passes_when_nothing_waits() {
        let queue = Queue::new(4);
        queue.push(chunk(9, 1));
        queue.push(chunk(1, 1));
        assert_eq!(queue.accounts(), Accounts { written: 0, waiting: 1, dropped: 1 });
    }

    #[test]
    fn who_gives_up_has_dropped_what_waits_and_what_comes() {
        let queue = Queue::new(100);
        queue.push(chunk(8, 2));
        queue.give_up(Ending::ReaderGone);
        queue.push(chunk(8, 3));
        assert_eq!(queue.accounts(), Accounts { written: 0, waiting: 0, dropped: 5 });
        assert_eq!(queue.ending(), Some(Ending::ReaderGone));
    }

    #[test]
    fn the_end_comes_after_the_last_line() {
        let queue = Queue::new(100);
        queue.push(chunk(1, 1));
        queue.reopen();
        queue.close();
        assert!(matches!(queue.next(Duration::ZERO), Work::Reopen));
        assert!(matches!(queue.next(Duration::ZERO), Work::Write(_)));
        assert!(matches!(queue.next(Duration::ZERO), Work::End));
    }
}
