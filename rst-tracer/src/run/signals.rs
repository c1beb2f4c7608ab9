//! The signals of a trace: stop, stop at once, say the numbers, flush the output, open it anew.
//!
//! INT and TERM end it in order. A second one, half a second or more after the first, ends it at once, even where the
//! first cannot be obeyed because the output takes nothing: the handler restores the default. What comes sooner is the
//! same request: timeout(1) signals its child and then the process group that both are in.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal as Number, sigaction},
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::clock::monotonic_ns;

pub(super) const STOPPING: [Number; 2] = [Number::SIGINT, Number::SIGTERM];

/// How soon after the first a signal that asks to stop is the same request.
const SAME_REQUEST_NS: u64 = 500_000_000;

/// When the first came; 0: none did.
static FIRST_NS: AtomicU64 = AtomicU64::new(0);

/// What a trace can be asked from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To stop in order.
    Stop,
    /// To say the numbers and go on.
    Numbers,
    /// To send what was written on its way and go on.
    Flush,
    /// To close the output file and open it anew, because it was renamed.
    Reopen,
}

/// The signals that a trace listens to.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    numbers: Signal,
    flush: Signal,
    hangup: Option<(Signal, Wish)>,
}

impl Signals {
    /// Listens from now on. Where nothing can be opened or read anew, HUP means that the terminal has gone: it is a wish
    /// to stop, unless it was to be ignored, as nohup(1) has it.
    ///
    /// # Errors
    /// When the kernel refuses a handler.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(super) fn new(on_hangup: Wish) -> Result<Self> {
        // Before tokio's, which call the handlers that they replace.
        for number in STOPPING {
            let handler = SigHandler::Handler(forgive_once);
            let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
            // SAFETY: the handler calls clock_gettime(2), signal(2) and raise(3), which are async-signal-safe.
            unsafe { sigaction(number, &action) }
                .with_context(|| format!("cannot listen to {number}"))?;
        }
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            numbers: signal(SignalKind::user_defined1())?,
            flush: signal(SignalKind::user_defined2())?,
            hangup: match on_hangup {
                Wish::Stop if is_ignored(Number::SIGHUP)? => None,
                wish => Some((signal(SignalKind::hangup())?, wish)),
            },
        })
    }

    /// The next wish. Cancel safe.
    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.numbers.recv() => Wish::Numbers,
            _ = self.flush.recv() => Wish::Flush,
            wish = next_of(&mut self.hangup) => wish,
        }
    }
}

async fn next_of(hangup: &mut Option<(Signal, Wish)>) -> Wish {
    match hangup {
        Some((signal, wish)) => {
            signal.recv().await;
            *wish
        }
        None => std::future::pending().await,
    }
}

/// Whether this signal was to be ignored when the process began, as nohup(1) has it.
pub(super) fn is_ignored(number: Number) -> Result<bool> {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    let number = number as libc::c_int;
    // SAFETY: nothing is changed, and the action is ours; zeroes are one.
    let action = unsafe {
        Errno::result(libc::sigaction(number, std::ptr::null(), action.as_mut_ptr()))?;
        action.assume_init()
    };
    Ok(action.sa_sigaction == libc::SIG_IGN)
}

/// Another INT or TERM has its default effect, unless it comes with the first signal that asked to stop.
pub(super) extern "C" fn forgive_once(number: libc::c_int) {
    let now = monotonic_ns();
    let first = FIRST_NS.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    let is_another = first.is_err_and(|first| now.saturating_sub(first) >= SAME_REQUEST_NS);
    if is_another && STOPPING.iter().any(|stopping| *stopping as libc::c_int == number) {
        // SAFETY: async-signal-safe (signal-safety(7)), and the number is valid. What is raised comes when this returns.
        unsafe {
            libc::signal(number, libc::SIG_DFL);
            libc::raise(number);
        }
    }
}
