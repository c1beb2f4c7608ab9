//! The signals of a replay: flags for what was asked, and a bell for who waits for a pipe.
//!
//! INT and TERM end it as the end of its files would; a second one, half a second later, ends it at once. HUP does the
//! same where somebody cares for it: the terminal has gone. USR1 asks for the numbers. USR2 changes nothing: whatever is
//! written is on its way before more is waited for.

use std::{
    fs::File,
    os::fd::{AsFd, AsRawFd},
    sync::atomic::{AtomicBool, AtomicI32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        eventfd::{EfdFlags, EventFd},
        signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
    },
};

use super::signals::{STOPPING, forgive_once, is_ignored};

/// Whoever writes the pipe may have been asked to end, too, and write its last words: so long they are waited for.
const LAST_WORDS: Duration = Duration::from_millis(500);

static STOP: AtomicBool = AtomicBool::new(false);
static NUMBERS: AtomicBool = AtomicBool::new(false);
static BELL: AtomicI32 = AtomicI32::new(-1);

/// What there is first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// Something to read, or the end.
    Input,
    /// Somebody wants to know the numbers.
    Numbers,
    /// It is to end.
    Stop,
}

/// Rings when a signal comes.
pub(super) struct Bell {
    bell: EventFd,
    /// When the last words are no longer waited for.
    end: Option<Instant>,
}

impl Bell {
    /// Listens from now on, for the whole process.
    ///
    /// # Errors
    /// When the kernel refuses a handler.
    pub(super) fn listen() -> Result<Self> {
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        BELL.store(bell.as_fd().as_raw_fd(), Ordering::Relaxed);
        let hangup = (!is_ignored(Signal::SIGHUP)?).then_some(Signal::SIGHUP);
        for number in STOPPING.into_iter().chain(hangup) {
            listen_to(number, stop)?;
        }
        listen_to(Signal::SIGUSR1, numbers)?;
        listen_to(Signal::SIGUSR2, nothing)?;
        Ok(Self { bell, end: None })
    }

    /// Waits for input. Of a file, what was read counts; a pipe is read to its end, if that comes soon.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub(super) fn await_input(&mut self, input: &File, is_file: bool) -> Result<Awaited, Errno> {
        loop {
            if NUMBERS.swap(false, Ordering::Relaxed) {
                return Ok(Awaited::Numbers);
            }
            let timeout = match STOP.load(Ordering::Relaxed) {
                true if is_file => return Ok(Awaited::Stop),
                true => {
                    let end = *self.end.get_or_insert_with(|| Instant::now() + LAST_WORDS);
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Ok(Awaited::Stop);
                    }
                    // A millisecond more, for it is rounded down.
                    PollTimeout::try_from(left.as_millis() + 1).map_err(|_| Errno::EINVAL)?
                }
                false => PollTimeout::NONE,
            };
            let wanted = |fd| PollFd::new(fd, PollFlags::POLLIN);
            let mut both = [wanted(input.as_fd()), wanted(self.bell.as_fd())];
            match poll(&mut both, timeout) {
                Ok(_) if both[1].any() == Some(true) => drop(self.bell.read()),
                Ok(1..) => return Ok(Awaited::Input),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        BELL.store(-1, Ordering::Relaxed);
    }
}

fn listen_to(number: Signal, handler: extern "C" fn(libc::c_int)) -> Result<()> {
    let action = SigAction::new(SigHandler::Handler(handler), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handlers store to atomics and call what `ring` and `forgive_once` do, which is async-signal-safe.
    unsafe { sigaction(number, &action) }.with_context(|| format!("cannot listen to {number}"))?;
    Ok(())
}

extern "C" fn stop(number: libc::c_int) {
    STOP.store(true, Ordering::Relaxed);
    ring();
    forgive_once(number);
}

extern "C" fn numbers(_: libc::c_int) {
    NUMBERS.store(true, Ordering::Relaxed);
    ring();
}

extern "C" fn nothing(_: libc::c_int) {}

/// Wakes whoever waits, or is about to. What was interrupted keeps its errno.
fn ring() {
    let errno = Errno::last_raw();
    let one = 1_u64.to_ne_bytes();
    // SAFETY: write(2) is async-signal-safe, and reads eight bytes of ours.
    unsafe { libc::write(BELL.load(Ordering::Relaxed), one.as_ptr().cast(), one.len()) };
    Errno::set_raw(errno);
}
