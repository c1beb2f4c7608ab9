//! What the machine's CPUs do, to the nanosecond: the kernel's own sums go by ticks, and do not say who pays for the
//! work of an interrupt.
//!
//! In: some work. Out: what came of it, and the CPU time of all CPUs that a process of the lowest class on each of
//! them, which takes whatever nobody else wants, did not get meanwhile.

use std::{
    fs, io,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    sched::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_getcpuclockid, clock_gettime},
    unistd::{Pid, setsid},
};

/// A process per CPU that takes what is left of it.
pub(crate) struct Idle(Vec<Soaker>);

struct Soaker {
    child: Child,
    /// Of its CPU time.
    clock: ClockId,
}

impl Drop for Soaker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Soaker {
    /// Takes what is left of this CPU.
    fn start(cpu: usize) -> Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", "while :; do :; done"]).stdin(Stdio::null());
        let alone = || {
            // The scheduler shares a CPU among sessions first (autogroup), so ours has to be another one than that of
            // whoever is measured. It ends with whoever began it.
            setsid()?;
            // SAFETY: it reads its numbers and nothing else.
            let set = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            Errno::result(set).map(drop).map_err(io::Error::from)
        };
        // SAFETY: two system calls, nothing that a fork of a process with threads could find locked.
        unsafe { command.pre_exec(alone) };
        let child = command.spawn().context("starting a process that takes what is left")?;
        let pid = Pid::from_raw(child.id() as i32);
        let soaker = Self { child, clock: clock_getcpuclockid(pid)? };
        let mut set = CpuSet::new();
        set.set(cpu)?;
        sched_setaffinity(pid, &set)?;
        lowest_class(pid)?;
        match fs::write(format!("/proc/{pid}/autogroup"), "19") {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).context("making its session the least of all")?;
            }
            // A kernel without autogroup looks at the class alone.
            _ => {}
        }
        Ok(soaker)
    }
}

impl Idle {
    /// Starts them.
    pub(crate) fn new() -> Result<Self> {
        let cpus = thread::available_parallelism()?.get();
        (0..cpus).map(Soaker::start).collect::<Result<_>>().map(Self)
    }

    /// Seconds of CPU time that others took of all CPUs during some work.
    pub(crate) fn busy<R>(&self, work: impl FnOnce() -> Result<R>) -> Result<(R, f64)> {
        let (start, before) = (Instant::now(), self.left()?);
        let result = work()?;
        let (took, left) = (start.elapsed(), self.left()? - before);
        let all = took.as_secs_f64() * self.0.len() as f64;
        Ok((result, all - left.as_secs_f64()))
    }

    /// The share of all CPUs that others take while nothing is measured.
    pub(crate) fn others(&self) -> Result<f64> {
        let start = Instant::now();
        let ((), busy) = self.busy(|| {
            thread::sleep(Duration::from_millis(200));
            Ok(())
        })?;
        Ok(busy / (start.elapsed().as_secs_f64() * self.0.len() as f64))
    }

    /// What was left so far.
    fn left(&self) -> Result<Duration> {
        let mut sum = Duration::ZERO;
        for soaker in &self.0 {
            sum += Duration::from(clock_gettime(soaker.clock)?);
        }
        Ok(sum)
    }
}

/// Whoever wants this process's CPU gets it.
fn lowest_class(pid: Pid) -> Result<()> {
    let priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: the pointer is to a live structure that the kernel only reads.
    let set =
        unsafe { libc::sched_setscheduler(pid.as_raw(), libc::SCHED_IDLE, &raw const priority) };
    Errno::result(set).context("choosing the class SCHED_IDLE")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_and_something_is_left() -> Result<()> {
        let idle = Idle::new()?;
        let own = || -> Result<Duration> {
            let clock = ClockId::CLOCK_THREAD_CPUTIME_ID;
            let (start, before) = (Instant::now(), Duration::from(clock_gettime(clock)?));
            while start.elapsed() < Duration::from_millis(200) {
                std::hint::spin_loop();
            }
            Ok(Duration::from(clock_gettime(clock)?) - before)
        };
        let (own, busy) = idle.busy(own)?;
        // Other tests run beside this one, so there is no upper bound.
        assert!(busy >= 0.9 * own.as_secs_f64(), "{busy} {own:?}");
        assert!(idle.left()? > Duration::ZERO, "nobody takes what is left");
        Ok(())
    }
}
