//! The terminal as a full screen, and as it was before, however the program ends.
//!
//! What is written to standard error meanwhile would tear the picture: it goes into a pipe, the screen shows the last
//! line of it, and all of it follows when the terminal is as it was. A full pipe loses lines; it never blocks.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, IsTerminal, Read, Stdout, Write},
    os::fd::OwnedFd,
    panic,
    sync::{Mutex, Once, PoisonError},
};

use anyhow::{Context, Result};
use nix::{fcntl::OFlag, unistd};
use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::Show,
        execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
};

/// Lines that are kept for later.
const KEPT: usize = 200;

/// What has to be put back; `None` while the terminal is as it was.
static BEFORE: Mutex<Option<Before>> = Mutex::new(None);

struct Before {
    /// Standard error, if it was a terminal.
    stderr: Option<OwnedFd>,
}

/// A terminal that is a full screen; dropped, it is as it was.
pub struct FullScreen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    said: Option<File>,
    rest: Vec<u8>,
    lines: VecDeque<String>,
}

impl FullScreen {
    /// Takes the terminal that standard output is.
    ///
    /// # Errors
    /// When the terminal does not obey.
    pub fn enter() -> Result<Self> {
        restore_before_a_panic_is_told();
        let said = divert_stderr()?;
        let entered = enable_raw_mode().and_then(|()| execute!(io::stdout(), EnterAlternateScreen));
        let terminal = entered.and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        let terminal = terminal.inspect_err(|_| restore()).context("the terminal does not obey")?;
        Ok(Self { terminal, said, rest: Vec::new(), lines: VecDeque::new() })
    }

    /// Draws on it.
    pub(super) fn terminal(&mut self) -> &mut Terminal<CrosstermBackend<Stdout>> {
        &mut self.terminal
    }

    /// Wipes it, so that the next picture is drawn as a whole. Unlike `Terminal::clear` it asks the terminal nothing, which
    /// need not answer.
    pub(super) fn wipe(&mut self) -> io::Result<()> {
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    /// The last line that was said on standard error.
    pub(super) fn last_said(&mut self) -> Option<&str> {
        self.hear();
        self.lines.back().map(String::as_str)
    }

    fn hear(&mut self) {
        let Some(said) = &mut self.said else { return };
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = said.read(&mut bytes) {
            self.rest.extend_from_slice(&bytes[..n]);
        }
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            if self.lines.len() == KEPT {
                self.lines.pop_front();
            }
            self.lines.push_back(String::from_utf8_lossy(&line[..end]).into_owned());
        }
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        restore();
        self.hear();
        for line in &self.lines {
            let _ = writeln!(io::stderr(), "{line}");
        }
    }
}

/// Where standard error goes from now on, if it was the terminal.
fn divert_stderr() -> Result<Option<File>> {
    let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    if !io::stderr().is_terminal() {
        *before = Some(Before { stderr: None });
        return Ok(None);
    }
    let (reader, writer) = unistd::pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)?;
    let stderr = unistd::dup(io::stderr())?;
    unistd::dup2_stderr(&writer)?;
    *before = Some(Before { stderr: Some(stderr) });
    Ok(Some(reader.into()))
}

/// Puts everything back, once.
fn restore() {
    let Some(Before { stderr }) = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take()
    else {
        return;
    };
    // Nothing can be done about a terminal that does not obey.
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
    if let Some(stderr) = stderr {
        let _ = unistd::dup2_stderr(&stderr);
    }
}

fn restore_before_a_panic_is_told() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |why| {
            restore();
            tell(why);
        }));
    });
}
