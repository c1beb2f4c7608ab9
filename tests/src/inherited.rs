//! What a program that the tests start is not to inherit from whoever started the tests.
//!
//! In: a command. Out: the same, whose program ends at Ctrl-C and has no open files but its
//! standard ones, however the tests themselves were started.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::{c_int, c_uint};
use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal, signal};

const FIRST_BUT_STANDARD: c_uint = 3;
// Not at once: the standard library waits on one of its own until then.
const AT_EXEC: c_int = libc::CLOSE_RANGE_CLOEXEC.cast_signed();

/// Lets the command's program inherit nothing that would change how it works: a shell without job
/// control lets what it starts in the background ignore SIGINT, nohup lets it ignore SIGHUP, and what starts tests may
/// leave files open, which count against the few that a server may open.
pub fn nothing(command: &mut Command) -> &mut Command {
    // SAFETY: signal(2) and close_range(2) are async-signal-safe, and nothing is allocated between fork and exec.
    unsafe { command.pre_exec(forget) }
}

fn forget() -> io::Result<()> {
    // SAFETY: the default action is no function of ours; the call takes three numbers and touches no memory.
    unsafe {
        signal(Signal::SIGINT, SigHandler::SigDfl)?;
        signal(Signal::SIGHUP, SigHandler::SigDfl)?;
        Errno::result(libc::close_range(FIRST_BUT_STANDARD, c_uint::MAX, AT_EXEC))?;
    }
    Ok(())
}
