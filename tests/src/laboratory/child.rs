//! A process of its own that holds sockets: it can be killed, and it can end.
//!
//! In: sockets, which become the child's alone. Out: a child whose end closes them. The kernel
//! names the child, not the laboratory, as the one who closed.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use nix::errno::Errno;
use rst_tracer::demo::sockets;

/// A process that does nothing but hold sockets, until its standard input ends or it is killed.
#[derive(Debug)]
pub struct Holder(Child);

impl Holder {
    /// Starts the process; from now on it is the only owner of what is `held`.
    ///
    /// # Errors
    /// If `cat` cannot be started.
    pub fn of(held: Vec<OwnedFd>) -> Result<Self> {
        let descriptors: Vec<RawFd> = held.iter().map(AsRawFd::as_raw_fd).collect();
        let mut command = Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        // SAFETY: fcntl(2) is async-signal-safe, and nothing is allocated between fork and exec.
        unsafe {
            command.pre_exec(move || {
                for &descriptor in &descriptors {
                    Errno::result(libc::fcntl(descriptor, libc::F_SETFD, 0))?;
                }
                Ok(())
            })
        };
        let child =
            sockets::spawn(&mut command).context("starting a process that holds sockets")?;
        held.into_iter().try_for_each(sockets::close)?;
        Ok(Self(child))
    }

    /// Kills it with SIGKILL and waits until it is no more.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn kill(mut self) -> Result<()> {
        self.0.kill().context("killing a process")?;
        self.0.wait().context("waiting for a process that was killed")?;
        Ok(())
    }

    /// Lets it end of its own accord and waits until it is no more.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn end(mut self) -> Result<()> {
        drop(self.0.stdin.take());
        self.0.wait().context("waiting for a process that was to end")?;
        Ok(())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // After `kill` or `end` both calls find nothing to do.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
