//! Mixed traffic for a long time: nothing is lost, no number drifts from that of an independent capture, no memory
//! grows. One minute, or as many seconds as `RST_TRACER_SOAK_SECONDS` says (`cargo xtask soak`).

use std::{
    env, fs,
    io::{Read, Write},
    net::{IpAddr, TcpListener, TcpStream},
    os::fd::{AsRawFd, OwnedFd},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, getsockopt, recv, setsockopt, sockopt},
};
use rst_tracer::demo::{packet, sniffer::PacketStatistics, sockets};
use rst_tracer_tests::frames::flags;
use serde_json::Value;

use crate::pair::{HERE, Pair, of_type};

/// How much more the tracer may hold at the end than in the middle.
const GROWTH_KIB: u64 = 2048;
/// The same where the middle comes before it has begun to forget what it remembers for some minutes.
const EARLY_GROWTH_KIB: u64 = 16_384;
const LONGEST_MEMORY: Duration = Duration::from_secs(300);

/// What an AF_PACKET socket saw: it shares nothing with the tracer but the interface.
#[derive(Default)]
struct Capture {
    segments: AtomicU64,
    resets: AtomicU64,
    /// Frames that the socket had no room for.
    missed: AtomicU64,
    is_over: AtomicBool,
}

impl Capture {
    /// Counts until it is over. IPv4 without options is all there is on this cable.
    fn watch(&self, socket: &OwnedFd) {
        let mut frame = [0; 64];
        loop {
            match recv(socket.as_raw_fd(), &mut frame, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => self.count(&frame[..length]),
                Err(Errno::EAGAIN) if self.is_over.load(Ordering::Relaxed) => break,
                Err(Errno::EAGAIN) => thread::sleep(Duration::from_millis(1)),
                Err(errno) => panic!("the capture: {errno}"),
            }
        }
        let statistics = getsockopt(socket, PacketStatistics).expect("statistics");
        self.missed.store(statistics.tp_drops.into(), Ordering::Relaxed);
    }

    fn count(&self, frame: &[u8]) {
        const ETHER_TYPE: usize = 12;
        const PROTOCOL: usize = 14 + 9;
        const FLAGS: usize = 14 + 20 + 13;
        if frame.len() > FLAGS && frame[ETHER_TYPE..][..2] == [8, 0] && frame[PROTOCOL] == 6 {
            self.segments.fetch_add(1, Ordering::Relaxed);
            let is_reset = frame[FLAGS] & flags::RST != 0;
            self.resets.fetch_add(u64::from(is_reset), Ordering::Relaxed);
        }
    }
}

/// What becomes of connections, in turn.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Closed by both.
    Closed,
    /// The client gives up.
    Aborted,
    /// The server closes with data unread.
    Unread,
    /// Nobody listens.
    Refused,
    /// A lot of data one way, then closed.
    Bulk,
}

impl Fate {
    const ALL: [Self; 5] = [Self::Closed, Self::Aborted, Self::Unread, Self::Refused, Self::Bulk];

    /// Lets it come to that; how many resets that takes at least.
    fn befall(self, pair: &Pair, listener: &TcpListener, nobody: (IpAddr, u16)) -> u64 {
        let connect = |to| pair.there.run(|| Ok(TcpStream::connect(to)?));
        if matches!(self, Self::Refused) {
            connect(nobody.into()).expect_err("nobody listens there");
            return 1;
        }
        let address = listener.local_addr().expect("its address");
        let mut client = connect(address).expect("connected");
        let (mut server, _) = listener.accept().expect("accepted");
        sockets::say(&client, b"GET / HTTP/1.0\r\n\r\n").expect("said");
        match self {
            Self::Closed => {
                sockets::hear(&server, b"GET / HTTP/1.0\r\n\r\n").expect("heard");
                // Who closes first keeps the port: there are more of the server's.
                drop(server);
                assert_eq!(client.read(&mut [0]).expect("the end"), 0);
            }
            Self::Aborted => {
                sockets::abort(client).expect("aborted");
                return 1;
            }
            Self::Unread => {
                sockets::await_unread(&server).expect("unread");
                drop(server);
                sockets::await_error(&client, Errno::ECONNRESET).expect("reset");
                return 1;
            }
            Self::Bulk => {
                let writer =
                    thread::spawn(move || server.write_all(&[0; 256 << 10]).map(|()| server));
                client.read_exact(&mut vec![0; 256 << 10]).expect("all of it");
                // The server has read nothing of what was asked: its end is a reset.
                drop(writer.join().expect("no panic").expect("written"));
                sockets::await_error(&client, Errno::ECONNRESET).expect("reset");
                return 1;
            }
            Self::Refused => unreachable!("above"),
        }
        0
    }
}

/// Lets connections come and go until `end`; how many resets that took at least.
fn live(pair: &Pair, port: u16, end: Instant) -> u64 {
    let listen = || Ok(TcpListener::bind((IpAddr::from(HERE), port))?);
    let listener = pair.here.run(listen).expect("it listens");
    let nobody = (IpAddr::from(HERE), port + 1000);
    let mut resets = 0;
    for fate in Fate::ALL.into_iter().cycle() {
        if Instant::now() > end {
            break;
        }
        resets += fate.befall(pair, &listener, nobody);
        thread::sleep(Duration::from_millis(4));
    }
    resets
}

/// What a process holds in memory of its own: the pages of the rings come and go with the traffic.
fn resident_kib(pid: nix::unistd::Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("RssAnon");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn hours_of_mixed_traffic_lose_nothing_and_let_nothing_grow() {
    let Some(pair) = Pair::beside_others() else { return };
    let seconds = env::var("RST_TRACER_SOAK_SECONDS").ok();
    let seconds = seconds.map_or(60, |text| text.parse().expect("a number of seconds"));
    let out = tempfile::NamedTempFile::new().expect("a file");
    let path = out.path().to_str().expect("UTF-8");
    let tracer = pair.trace_as_asked(&[
        "--settle",
        "100ms",
        "--heartbeat",
        "10s",
        "--ring-size",
        "256",
        "-o",
        path,
    ]);
    let capture = Capture::default();
    let all = libc::ETH_P_ALL as u16;
    let socket = pair.here.run(|| packet::open("h0", all)).expect("a packet socket");
    setsockopt(&socket, sockopt::RcvBufForce, &(64 << 20)).expect("room for bursts");
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds);
    let (middle, last, provoked, ended) = thread::scope(|scope| {
        scope.spawn(|| capture.watch(&socket));
        let lives: Vec<_> = [8000, 8001]
            .map(|port| {
                scope.spawn({
                    let pair = &pair;
                    move || live(pair, port, end)
                })
            })
            .into();
        thread::sleep((end - start) / 2);
        let middle = resident_kib(tracer.pid());
        let provoked: u64 = lives.into_iter().map(|life| life.join().expect("no panic")).sum();
        // Whatever is still under way.
        thread::sleep(Duration::from_secs(1));
        let last = resident_kib(tracer.pid());
        let ended = tracer.interrupt();
        capture.is_over.store(true, Ordering::Relaxed);
        (middle, last, provoked, ended)
    });
    ended.assert_code(0);
    let summary = ended.summary();
    summary.assert_balanced();
    let captured = |count: &AtomicU64| count.load(Ordering::Relaxed);
    assert_eq!(captured(&capture.missed), 0, "the capture itself missed frames");
    assert_eq!(summary.count("segments"), captured(&capture.segments), "{:#?}", ended.err);
    assert_eq!(summary.count("resets"), captured(&capture.resets), "{:#?}", ended.err);
    assert_eq!(summary.count("lost") + summary.count("suppressed"), 0, "{:#?}", ended.err);
    assert!(
        summary.count("resets") >= provoked && provoked > 10 * seconds,
        "{provoked}: {:#?}",
        ended.err
    );
    let text = fs::read_to_string(path).expect("its output");
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(of_type(&lines, "rst").len() as u64, summary.count("events"));
    let is_early = (end - start) / 2 < LONGEST_MEMORY;
    let growth = if is_early { EARLY_GROWTH_KIB } else { GROWTH_KIB };
    assert!(last <= middle + growth, "from {middle} to {last} KiB");
    println!("{seconds} s, {provoked} resets provoked, {middle} then {last} KiB: {:#?}", ended.err);
}
