//! One stream of a running program, read as it comes and awaited with a deadline.

use std::{
    fmt::Debug,
    io::{BufRead, BufReader, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Longer than anything takes on a busy machine of two cores.
const PATIENCE: Duration = Duration::from_secs(60);

/// The lines so far, and whether more may come.
#[derive(Debug)]
struct Lines {
    read: Vec<String>,
    ended: bool,
}

/// A stream; its lines are kept.
#[derive(Clone, Debug)]
pub struct Stream(Arc<(Mutex<Lines>, Condvar)>);

impl Default for Stream {
    /// One that has ended without a line.
    fn default() -> Self {
        Self(Arc::new((Mutex::new(Lines { read: Vec::new(), ended: true }), Condvar::new())))
    }
}

impl Stream {
    /// Reads on a thread of its own, to the end.
    pub fn read(source: impl Read + Send + 'static) -> Self {
        let stream = Self::default();
        stream.lock().ended = false;
        let ours = stream.clone();
        thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(Result::ok) {
                ours.change(|lines| lines.read.push(line));
            }
            ours.change(|lines| lines.ended = true);
        });
        stream
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Lines)) {
        change(&mut self.lock());
        self.0.1.notify_all();
    }

    /// Waits until `found` finds something in the lines so far.
    ///
    /// # Panics
    /// When that takes too long, or the stream has ended without it.
    #[track_caller]
    pub fn await_in<T>(&self, what: &str, mut found: impl FnMut(&[String]) -> Option<T>) -> T {
        let wanted = |lines: &mut Lines| found(&lines.read).is_none() && !lines.ended;
        let (lines, _) = self
            .0
            .1
            .wait_timeout_while(self.lock(), PATIENCE, wanted)
            .unwrap_or_else(PoisonError::into_inner);
        found(&lines.read).unwrap_or_else(|| panic!("waited in vain for {what}: {lines:#?}"))
    }

    /// Waits for a line.
    #[track_caller]
    pub fn await_line(&self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        // Each line is looked at once: the reader of the stream waits meanwhile.
        let mut passed = 0;
        self.await_in(what, |lines| {
            passed += lines[passed..].iter().take_while(|line| !is_it(line)).count();
            lines.get(passed).cloned()
        })
    }

    /// Waits until there are so many lines.
    #[track_caller]
    pub fn await_count(&self, count: usize) -> Vec<String> {
        let what = format!("{count} lines");
        self.await_in(&what, |lines| (lines.len() >= count).then(|| lines.to_vec()))
    }

    /// Waits for the end; all lines.
    #[track_caller]
    pub fn await_end(&self) -> Vec<String> {
        let (lines, timeout) = self
            .0
            .1
            .wait_timeout_while(self.lock(), PATIENCE, |lines| !lines.ended)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "the stream does not end: {lines:#?}");
        lines.read.clone()
    }

    /// The lines so far.
    pub fn so_far(&self) -> Vec<String> {
        self.lock().read.clone()
    }
}
