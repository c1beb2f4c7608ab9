//! A terminal of its own for a program, as a person would see it: what stands on it, and what state it is in.

use std::{
    fs::File,
    io::{Read, Write},
    num::NonZero,
    os::{fd::AsRawFd, unix::process::CommandExt},
    process::{Child, Command, ExitStatus},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use nix::{
    pty::{OpenptyResult, Winsize, openpty},
    sys::{
        signal::{Signal, kill},
        termios::{LocalFlags, tcgetattr},
    },
    unistd::{Pid, setsid},
};

/// Longer than anything takes on a busy machine of two cores.
const PATIENCE: Duration = Duration::from_secs(60);
const SIZE: [u16; 2] = [120, 32];

/// A program on a terminal.
pub(crate) struct OnTerminal {
    child: Child,
    terminal: File,
    /// Keeps the terminal when the program has gone.
    other_end: File,
    seen: Arc<(Mutex<vt100::Parser>, Condvar)>,
    is_watched: bool,
}

impl OnTerminal {
    /// Starts it in a session of its own, with the terminal as all three of its streams; somebody looks.
    pub(crate) fn start(command: Command) -> Self {
        let mut started = Self::start_unwatched(command);
        started.watch();
        started
    }

    /// The same, but nobody takes what it writes until [`Self::watch`].
    pub(crate) fn start_unwatched(mut command: Command) -> Self {
        let [width, height] = SIZE;
        let size = Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(&size, None).expect("a terminal");
        let other_end = File::from(slave);
        let stream = || other_end.try_clone().expect("its other end");
        command.stdin(stream()).stdout(stream()).stderr(stream()).env("TERM", "xterm-256color");
        // SAFETY: setsid(2) and ioctl(2) are async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                setsid()?;
                match libc::ioctl(0, libc::TIOCSCTTY, 0) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        let child = command.spawn().expect("it starts");
        let seen = Arc::new((
            Mutex::new(vt100::Parser::new(cells(height), cells(width), 0)),
            Condvar::new(),
        ));
        Self { child, terminal: master.into(), other_end, seen, is_watched: false }
    }

    /// Somebody looks from now on.
    pub(crate) fn watch(&mut self) {
        assert!(!std::mem::replace(&mut self.is_watched, true));
        let mut terminal = self.terminal.try_clone().expect("the terminal");
        let seen = self.seen.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = terminal.read(&mut bytes) {
                seen.0.lock().unwrap_or_else(PoisonError::into_inner).process(&bytes[..n]);
                seen.1.notify_all();
            }
        });
    }

    /// Waits until the screen is as it should be; its text.
    #[track_caller]
    pub(crate) fn await_screen(
        &self,
        what: &str,
        is_it: impl Fn(&vt100::Screen) -> bool,
    ) -> String {
        let parser = self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        let isnt = |parser: &mut vt100::Parser| !is_it(parser.screen());
        let (parser, timeout) = self
            .seen
            .1
            .wait_timeout_while(parser, PATIENCE, isnt)
            .unwrap_or_else(PoisonError::into_inner);
        let text = parser.screen().contents();
        assert!(!timeout.timed_out(), "waited in vain for {what}:\n{text}");
        text
    }

    /// Waits until all of these stand on the full screen, whose parts come one after the other.
    #[track_caller]
    pub(crate) fn await_text(&self, texts: &[&str]) -> String {
        self.await_screen(&format!("{texts:?}"), |screen| {
            let text = screen.contents();
            screen.alternate_screen() && texts.iter().all(|one| text.contains(one))
        })
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &[u8]) {
        self.terminal.write_all(keys).expect("pressed");
    }

    /// Gives the terminal another size; the kernel tells the program.
    pub(crate) fn resize(&self, [width, height]: [u16; 2]) {
        self.seen
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .screen_mut()
            .set_size(cells(height), cells(width));
        let size = Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the descriptor is open, and the pointer is to a size.
        let done = unsafe { libc::ioctl(self.terminal.as_raw_fd(), libc::TIOCSWINSZ, &size) };
        assert_eq!(done, 0, "resized");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(pid, signal).expect("it lives");
    }

    /// Whether keys come line by line and are echoed, as a shell wants it.
    pub(crate) fn is_as_before(&self) -> bool {
        let flags = tcgetattr(&self.other_end).expect("its state").local_flags;
        flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end");
    }

    /// Asserts that the program has left the terminal as it found it, and this text on it.
    #[track_caller]
    pub(crate) fn assert_as_before(&self, text: &str) {
        let is_left = |screen: &vt100::Screen| {
            !screen.alternate_screen() && !screen.hide_cursor() && screen.contents().contains(text)
        };
        self.await_screen(text, is_left);
        assert!(self.is_as_before(), "the terminal is still raw");
    }
}

fn cells(n: u16) -> NonZero<u16> {
    NonZero::new(n).expect("no empty screen")
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // Fails for one that has ended, which is fine.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
