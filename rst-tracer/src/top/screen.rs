//! The screen as a sink: events change what it knows, a thread of its own shows it.
//!
//! Who traces never waits for the terminal: the lock is held for a change, or for a copy of the rows.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use ratatui::crossterm::{
    event::{self, Event as Input},
    style::force_color_output,
};

use super::{
    draw::{Frame, Picture},
    model::Model,
    terminal::FullScreen,
    view::{Asked, View},
};
use crate::{clock::monotonic_ns, event::Event, sink::Sink};

/// How often the picture changes by itself.
const REFRESH: Duration = Duration::from_millis(500);
/// How soon the end is noticed.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long tracing goes on after the screen was left.
const UNTIL_LEFT: Duration = Duration::from_millis(200);

/// A screen that shows what it is told.
pub(super) struct Screen {
    shared: Arc<Shared>,
    has_colours: bool,
    thread: Option<JoinHandle<Result<()>>>,
}

#[derive(Default)]
struct Shared {
    model: Mutex<Model>,
    /// Nobody traces any more.
    is_over: AtomicBool,
    /// Nobody looks any more.
    is_closed: AtomicBool,
}

impl Screen {
    pub(super) fn new(has_colours: bool) -> Self {
        // The library looks at NO_COLOR itself; whether there are colours is decided already.
        force_color_output(has_colours);
        Self { shared: Arc::default(), has_colours, thread: None }
    }
}

impl Sink for Screen {
    fn start(&mut self) -> Result<()> {
        let full_screen = FullScreen::enter()?;
        let (shared, has_colours) = (self.shared.clone(), self.has_colours);
        let show = move || {
            let shown = show(full_screen, &shared, has_colours);
            shared.is_closed.store(true, Ordering::Release);
            shown
        };
        let thread = thread::Builder::new().name("screen".into()).spawn(show);
        self.thread = Some(thread.context("cannot start a thread for the screen")?);
        Ok(())
    }

    fn write(&mut self, event: &Event) -> io::Result<()> {
        self.shared.model().take(event, monotonic_ns());
        Ok(())
    }

    /// Fails when nobody looks any more: that is how a pipeline ends.
    fn flush(&mut self) -> io::Result<()> {
        let is_gone = self.shared.is_closed.load(Ordering::Acquire)
            || self.thread.as_ref().is_some_and(JoinHandle::is_finished);
        if is_gone { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }

    fn patience(&self) -> Option<Duration> {
        Some(UNTIL_LEFT)
    }

    fn finish(&mut self) -> Result<()> {
        self.shared.is_over.store(true, Ordering::Release);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(shown)) => shown,
            Some(Err(_)) => Err(anyhow!("the screen has failed; please report what it said")),
            None => Ok(()),
        }
    }
}

impl Drop for Screen {
    /// Tracing failed: that is said when the terminal is as it was.
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

impl Shared {
    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

/// Shows until somebody ends it.
fn show(mut full_screen: FullScreen, shared: &Shared, has_colours: bool) -> Result<()> {
    let began = Instant::now();
    let mut view = View::default();
    while !shared.is_over() {
        let picture = Picture::take(&shared.model(), &view, monotonic_ns());
        let said = full_screen.last_said().map(str::to_owned);
        let frame =
            Frame { picture: &picture, view: &view, up: began.elapsed(), said, has_colours };
        full_screen.terminal().draw(|out| frame.draw(out)).context("the terminal has gone")?;
        match await_input(shared, &mut view, &picture)? {
            Asked::End => break,
            Asked::Repaint => full_screen.wipe().context("the terminal has gone")?,
            Asked::Look | Asked::Nothing => {}
        }
    }
    Ok(())
}

/// Waits for a key that changes something, another size, or the time for another picture.
fn await_input(shared: &Shared, view: &mut View, picture: &Picture) -> Result<Asked> {
    let end = Instant::now() + REFRESH;
    while !shared.is_over() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        if !event::poll(left.min(PATIENCE)).context("the terminal has gone")? {
            continue;
        }
        match event::read().context("the terminal has gone")? {
            Input::Key(key) => match view.press(key, &picture.lines) {
                Asked::Nothing => {}
                asked => return Ok(asked),
            },
            // The terminal may have cut off what it shows, and be as large as before.
            Input::Resize(..) => return Ok(Asked::Repaint),
            _ => {}
        }
    }
    Ok(Asked::Nothing)
}
