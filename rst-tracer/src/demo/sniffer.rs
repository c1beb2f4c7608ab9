//! A capture of every frame on one interface, kept in memory: the laboratory's witness.
//!
//! In: a namespace and an interface. Out: the TCP segments of a connection, in the order seen,
//! with direction and time; or all frames as a pcap file. Losses are counted, never hidden.
//!
//! Whoever asks sees every frame that has passed by then: the question itself empties the socket,
//! so that an answer never depends on how far the recording thread has come.

use std::collections::HashMap;
use std::io::{self, IoSliceMut, PipeWriter, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    ControlMessageOwned, LinkAddr, MsgFlags, getsockopt, recvmsg, setsockopt, sockopt,
};
use nix::{getsockopt_impl, sockopt_impl};

use super::frame::Segment;
use super::netns::Netns;
use super::packet;
use super::truth::Connection;
use super::wait::PATIENCE;

/// Room in the socket for bursts (a segmentation-offloaded frame has up to 64 KiB).
const SOCKET_BYTES: usize = 8 << 20;
/// Longer than any frame, offloaded ones included (IPv6 BIG TCP excepted, which veth has off).
const FRAME_BYTES: usize = 128 << 10;
/// LINKTYPE_ETHERNET of the pcap registry.
const ETHERNET: u32 = 1;

sockopt_impl!(
    /// Frames received and dropped since the last call.
    PacketStatistics,
    GetOnly,
    libc::SOL_PACKET,
    libc::PACKET_STATISTICS,
    libc::tpacket_stats
);

/// Which way a frame went through the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// It arrived.
    In,
    /// It was sent from this namespace (PACKET_OUTGOING).
    Out,
}

/// A TCP segment and the circumstances of its passing.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// Nanoseconds since 1970, by the kernel's clock when the frame passed.
    pub at_ns: u64,
    /// Which way it went.
    pub direction: Direction,
    /// What it said.
    pub segment: Segment,
}

/// One interface being watched, until the value is dropped.
#[derive(Debug)]
pub struct Sniffer {
    name: String,
    socket: Arc<OwnedFd>,
    seen: Arc<Seen>,
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Seen {
    record: Mutex<Record>,
    grown: Condvar,
}

#[derive(Debug)]
struct Record {
    frames: Vec<Frame>,
    /// Where in `frames` the segments between two addresses are.
    by_ends: HashMap<(SocketAddr, SocketAddr), Vec<usize>>,
    dropped: u64,
    failure: Option<Errno>,
    buffer: Vec<u8>,
}

impl Default for Record {
    fn default() -> Self {
        let (frames, by_ends) = (Vec::new(), HashMap::new());
        Self { frames, by_ends, dropped: 0, failure: None, buffer: vec![0; FRAME_BYTES] }
    }
}

impl Record {
    /// Takes over every frame that waits in the socket.
    fn catch_up(&mut self, socket: &OwnedFd) {
        while self.failure.is_none() {
            match receive(socket, &mut self.buffer) {
                Ok(frame) => self.keep(frame),
                Err(Errno::EAGAIN) => return,
                Err(Errno::EINTR) => {}
                Err(errno) => self.failure = Some(errno),
            }
        }
    }

    fn keep(&mut self, frame: Frame) {
        if let Some(segment) = &frame.segment {
            let ends = ends(segment.src, segment.dst);
            self.by_ends.entry(ends).or_default().push(self.frames.len());
        }
        self.frames.push(frame);
    }

    /// The segments of `connection`, oldest first, both ways.
    fn pick(&self, connection: &Connection) -> Vec<Sighting> {
        let indices = self.by_ends.get(&ends(connection.client, connection.server));
        let sighting = |&index: &usize| {
            let Frame { at_ns, direction, segment, .. } = self.frames.get(index)?;
            Some(Sighting { at_ns: *at_ns, direction: *direction, segment: segment.clone()? })
        };
        indices.into_iter().flatten().filter_map(sighting).collect()
    }
}

/// Two addresses, whichever speaks.
fn ends(a: SocketAddr, b: SocketAddr) -> (SocketAddr, SocketAddr) {
    (a.min(b), a.max(b))
}

#[derive(Clone, Debug)]
struct Frame {
    at_ns: u64,
    direction: Direction,
    bytes: Vec<u8>,
    segment: Option<Segment>,
}

impl Sniffer {
    /// Starts watching `interface` of `netns`. Every frame from now on is recorded.
    ///
    /// # Errors
    /// If the interface does not exist or packet sockets are not permitted.
    pub fn start(netns: &Netns, interface: &str) -> Result<Self> {
        let name = format!("{interface} of the {}", netns.name());
        let socket = netns.run(|| {
            let socket = packet::open(interface, libc::ETH_P_ALL as u16)?;
            setsockopt(&socket, sockopt::RcvBufForce, &SOCKET_BYTES)
                .context("enlarging the capture buffer")?;
            setsockopt(&socket, sockopt::ReceiveTimestampns, &true)
                .context("asking for timestamps")?;
            Ok(Arc::new(socket))
        })?;
        let (stopped, stop) = io::pipe().context("making the capture's stop signal")?;
        let seen = Arc::new(Seen::default());
        let thread = thread::Builder::new().name("sniffer".into()).spawn({
            let (socket, seen) = (Arc::clone(&socket), Arc::clone(&seen));
            move || watch(&socket, &stopped, &seen)
        });
        let thread = thread.context("starting the capture's thread")?;
        Ok(Self { name, socket, seen, stop: Some(stop), thread: Some(thread) })
    }

    /// The segments of `connection` seen so far, oldest first, both ways.
    pub fn segments(&self, connection: &Connection) -> Vec<Sighting> {
        self.record().pick(connection)
    }

    /// Waits until `answer` finds what it looks for among the segments of `connection`.
    ///
    /// # Errors
    /// If it did not within [`PATIENCE`] (naming `what`), or the capture itself failed.
    pub fn wait_for<T>(
        &self,
        what: &str,
        connection: &Connection,
        mut answer: impl FnMut(&[Sighting]) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut record = self.record();
        loop {
            if let Some(found) = answer(&record.pick(connection)) {
                return Ok(found);
            }
            if let Some(errno) = record.failure {
                bail!("the capture on {} ended: {errno}", self.name);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                bail!("{what} was not seen on {} within {} s", self.name, PATIENCE.as_secs());
            }
            let waited = self.seen.grown.wait_timeout(record, left);
            record = waited.unwrap_or_else(PoisonError::into_inner).0;
            self.catch_up(&mut record);
        }
    }

    /// The addresses that have spoken with `server` so far, in the order of their first segments.
    pub fn callers(&self, server: SocketAddr) -> Vec<SocketAddr> {
        let record = self.record();
        let caller = |(&(a, b), indices): (&(SocketAddr, SocketAddr), &Vec<usize>)| match server {
            _ if server == a => Some((indices[0], b)),
            _ if server == b => Some((indices[0], a)),
            _ => None,
        };
        let mut callers: Vec<_> = record.by_ends.iter().filter_map(caller).collect();
        callers.sort_unstable();
        callers.into_iter().map(|(_, caller)| caller).collect()
    }

    /// Frames that the kernel could not hand over since the start.
    ///
    /// # Errors
    /// If the kernel does not say.
    pub fn dropped(&self) -> Result<u64> {
        // Reading the counter resets it, hence the sum under the lock.
        let mut record = self.record();
        let statistics = getsockopt(&self.socket, PacketStatistics)
            .with_context(|| format!("asking for the losses on {}", self.name))?;
        record.dropped += u64::from(statistics.tp_drops);
        Ok(record.dropped)
    }

    /// Writes all frames as a pcap file with nanosecond timestamps, oldest first, in host byte
    /// order.
    ///
    /// Frames that left with checksum offload have unfinished TCP checksums, as in any capture.
    ///
    /// # Errors
    /// If `out` fails.
    pub fn write_pcap(&self, mut out: impl Write) -> io::Result<()> {
        let mut frames = self.record().frames.clone();
        // Two CPUs queue what they saw in the same instant in any order.
        frames.sort_by_key(|frame| frame.at_ns);
        out.write_all(&0xa1b2_3c4d_u32.to_ne_bytes())?;
        out.write_all(&2u16.to_ne_bytes())?;
        out.write_all(&4u16.to_ne_bytes())?;
        for word in [0u32, 0, FRAME_BYTES as u32, ETHERNET] {
            out.write_all(&word.to_ne_bytes())?;
        }
        for frame in &frames {
            let length = frame.bytes.len() as u32;
            let (seconds, rest) = (frame.at_ns / 1_000_000_000, frame.at_ns % 1_000_000_000);
            for word in [seconds as u32, rest as u32, length, length] {
                out.write_all(&word.to_ne_bytes())?;
            }
            out.write_all(&frame.bytes)?;
        }
        out.flush()
    }

    /// All that has passed until now.
    fn record(&self) -> MutexGuard<'_, Record> {
        let mut record = self.seen.record.lock().unwrap_or_else(PoisonError::into_inner);
        self.catch_up(&mut record);
        record
    }

    /// Whoever empties the socket wakes those who wait: the recording thread will find nothing.
    fn catch_up(&self, record: &mut Record) {
        let before = record.frames.len();
        record.catch_up(&self.socket);
        if record.frames.len() > before {
            self.seen.grown.notify_all();
        }
    }
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the capture on {} had panicked", self.name);
        }
    }
}

/// Records frames until the other end of `stopped` is closed.
fn watch(socket: &OwnedFd, stopped: &impl AsFd, seen: &Seen) {
    loop {
        let mut ready = [
            PollFd::new(socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
        ];
        let polled = poll(&mut ready, PollTimeout::NONE);
        let stop = ready[1].any() != Some(false);
        let mut record = seen.record.lock().unwrap_or_else(PoisonError::into_inner);
        match polled {
            Ok(_) | Err(Errno::EINTR) => record.catch_up(socket),
            Err(errno) => record.failure = Some(errno),
        }
        let failed = record.failure.is_some();
        drop(record);
        seen.grown.notify_all();
        if stop || failed {
            return;
        }
    }
}

fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> nix::Result<Frame> {
    let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    let at_ns = message
        .cmsgs()?
        .find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(at) => {
                Some(at.tv_sec() as u64 * 1_000_000_000 + at.tv_nsec() as u64)
            }
            _ => None,
        })
        .ok_or(Errno::ENODATA)?;
    let outgoing = message.address.is_some_and(|a| a.pkttype() == libc::PACKET_OUTGOING);
    let direction = if outgoing { Direction::Out } else { Direction::In };
    let length = message.bytes;
    let bytes = buffer[..length].to_vec();
    let segment = Segment::parse(&bytes);
    Ok(Frame { at_ns, direction, bytes, segment })
}
