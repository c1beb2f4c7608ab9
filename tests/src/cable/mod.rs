//! A cable that is as long as one wishes: what goes in at one end comes out at the other after a while.
//!
//! In: two ends in two namespaces and what the way between them does to frames. Out: a forwarder in a namespace of its
//! own between two veth pairs, until the value is dropped. Frames keep their offloads (PACKET_VNET_HDR): what is one
//! unfinished frame of 64 KiB on a veth pair is that here, too, so that nothing but time differs from a short cable.
//! (The kernel of the laboratory need not have netem.)

mod ends;
mod line;

use std::io::{self, PipeWriter};
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::topology::{connect, raise};

pub use line::Conduct;

use ends::End;
use line::Line;

/// A long cable between two hosts.
#[derive(Debug)]
pub struct Cable {
    lost: Arc<AtomicU64>,
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Cable {
    /// Lays a cable between two interfaces that come to be by it; frames fare alike both ways.
    ///
    /// # Errors
    /// As [`connect`], and without CAP_NET_RAW.
    pub fn lay(a: (&Netns, &str), b: (&Netns, &str), conduct: Conduct) -> Result<Self> {
        let middle = Netns::new("cable")?;
        // It has no voice of its own: no solicitations, no reports.
        if std::path::Path::new("/proc/sys/net/ipv6").exists() {
            middle.set_sysctl("net/ipv6/conf/default/disable_ipv6", "1")?;
        }
        let mut ends = Vec::new();
        for (host, inner) in [(a, "a"), (b, "b")] {
            connect(host, (&middle, inner))?;
            raise(&middle, inner, &[])?;
            ends.push(End::open(&middle, inner)?);
        }
        let (stopped, stop) = io::pipe().context("making the cable's stop signal")?;
        let lost = Arc::new(AtomicU64::new(0));
        let thread = thread::Builder::new().name("cable".into()).spawn({
            let lost = Arc::clone(&lost);
            move || {
                // The ends are nowhere but in this namespace.
                let _middle = middle;
                carry(&ends, conduct, &stopped, &lost);
            }
        });
        let thread = thread.context("starting the cable's thread")?;
        Ok(Self { lost, stop: Some(stop), thread: Some(thread) })
    }

    /// Frames that were lost although nobody had asked for it: for want of room, or because an end did not take them.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        if let Some(Err(panic)) = ended
            && !thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}

/// Carries frames both ways until the other end of `stopped` is closed.
fn carry(ends: &[End], conduct: Conduct, stopped: &impl AsFd, lost: &AtomicU64) {
    // It does little, but in time. SAFETY: no pointers; of the calling thread, which is what 0 means on Linux. Without
    // the privilege frames take a little longer.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) };
    let [a, b] = ends else { return };
    let mut ways = [(a, b, Line::new(conduct)), (b, a, Line::new(conduct))];
    let mut buffer = vec![0; ends::FRAME_BYTES];
    loop {
        let now = Instant::now();
        let next = ways.iter().filter_map(|(.., line)| line.next_due()).min();
        let pause = next.map(|due| TimeSpec::from_duration(due.saturating_duration_since(now)));
        let mut ready = [
            PollFd::new(a.as_fd(), PollFlags::POLLIN),
            PollFd::new(b.as_fd(), PollFlags::POLLIN),
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
        ];
        match ppoll(&mut ready, pause, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => panic!("a cable broke: {errno}"),
        }
        if ready[2].any() != Some(false) {
            return;
        }
        let mut failed = 0;
        for (from, to, line) in &mut ways {
            while let Some(frame) = from.receive(&mut buffer) {
                line.take(frame, Instant::now());
            }
            while let Some(frame) = line.give(Instant::now()) {
                failed += u64::from(!to.send(&frame));
            }
            failed += line.take_overflow();
        }
        lost.fetch_add(failed, Ordering::Relaxed);
    }
}
