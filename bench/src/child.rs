//! Running another program to its end, and what that took.

use std::{
    mem::MaybeUninit,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result};

/// What a program took from its start to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Took {
    pub(crate) seconds: f64,
    /// Of CPU time, its own and what the kernel spent for it.
    pub(crate) cpu: f64,
    /// The most memory that was resident at once, in bytes.
    pub(crate) memory: f64,
}

/// Runs a program to its end, its output thrown away; none if it failed.
pub(crate) fn run(command: &mut Command) -> Result<Option<Took>> {
    forget_peak()?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let name = command.get_program().to_string_lossy().into_owned();
    let start = Instant::now();
    let child = command.spawn().with_context(|| format!("starting {name}"))?;
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    loop {
        let id = child.id() as libc::pid_t;
        // SAFETY: both pointers are to memory of the right type that is ours to write.
        if unsafe { libc::wait4(id, &raw mut status, 0, usage.as_mut_ptr()) } == id {
            break;
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error).with_context(|| format!("waiting for {name}"));
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    // SAFETY: wait4 wrote it; zeros would be valid too.
    let usage = unsafe { usage.assume_init() };
    let cpu = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let took = Took {
        seconds,
        cpu: cpu(usage.ru_utime) + cpu(usage.ru_stime),
        memory: usage.ru_maxrss as f64 * 1024.0,
    };
    Ok((status == 0).then_some(took))
}

/// The kernel counts the peak of whoever starts a program as the program's own: ours begins anew here.
fn forget_peak() -> Result<()> {
    std::fs::write("/proc/self/clear_refs", "5").context("writing /proc/self/clear_refs")
}

/// Whether a program of this name can be started.
pub(crate) fn is_there(name: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    Path::new(name).is_file() || std::env::split_paths(&paths).any(|path| path.join(name).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_takes_is_its_own() -> Result<()> {
        let ours = vec![1_u8; 64 << 20];
        assert_eq!(std::hint::black_box(&ours).len(), 64 << 20);
        drop(ours);
        let took = run(Command::new("sleep").arg("0.1"))?.context("sleep does not fail")?;
        assert!(took.seconds >= 0.1 && took.cpu < 0.1, "{took:?}");
        assert!((1e5..5e7).contains(&took.memory), "{took:?}");
        assert_eq!(run(&mut Command::new("false"))?, None);
        Ok(())
    }
}
