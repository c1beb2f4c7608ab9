//! A flood of SYNs from addresses that nobody has: it pushes no connection out of the table, and the table stays as
//! large as it was asked to be.

use std::{
    io::Write,
    net::{IpAddr, TcpListener, TcpStream},
    os::fd::{AsRawFd, OwnedFd},
    thread,
    time::Duration,
};

use nix::{errno::Errno, unistd};
use rst_tracer::demo::sockets;
use rst_tracer_tests::frames::{Tcp, V4, flags, tcp};

use crate::pair::{HERE, Pair, THERE, lines, of_type};

const CONNECTIONS: usize = 10_000;
/// More than connections and their neighbours in the table can fill.
const FLOWS: u64 = 131_072;
const SENDERS: u64 = 2;
const SYNS: u64 = 10_000_000;

/// Connections that nobody accepts: their clients' ends alone are files of this process.
fn connect(pair: &Pair) -> (TcpListener, Vec<TcpStream>) {
    pair.here.set_sysctl("net/core/somaxconn", &CONNECTIONS.to_string()).expect("a long queue");
    let listen = || Ok(TcpListener::bind((IpAddr::from(HERE), 80))?);
    let listener = pair.here.run(listen).expect("it listens");
    // Longer than std and nix know of. SAFETY: the descriptor is open.
    let listens = unsafe { libc::listen(listener.as_raw_fd(), CONNECTIONS as i32) };
    Errno::result(listens).expect("a long queue");
    let address = listener.local_addr().expect("its address");
    let connect = |_| {
        let client = pair.there.run(|| Ok(TcpStream::connect(address)?)).expect("connected");
        (&client).write_all(b"GET / HTTP/1.0\r\n\r\n").expect("sent");
        client
    };
    let clients = (0..CONNECTIONS).map(connect).collect();
    (listener, clients)
}

/// Numbers without a pattern, the same in every run.
struct Random(u64);

impl Random {
    /// xorshift64* by Marsaglia and Vigna.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// Sends SYNs of random tuples. They are meant for another station, as on a hub: the host drops them right behind
/// the hooks.
fn flood(socket: &OwnedFd, seed: u64, count: u64) {
    const SOURCE: usize = 14 + 12;
    const PORTS: usize = 14 + 20;
    let header = V4 { to: HERE, ..V4::default() };
    let syn = Tcp { flags: flags::SYN, ack: 0, ..Tcp::default() };
    let mut frame = tcp(syn).in_v4(header).frame();
    let mut random = Random(seed);
    for i in 0..count {
        let (source, ports) = (random.next(), random.next());
        // No address of the two hosts.
        frame[SOURCE] = 20 + (source % 100) as u8;
        frame[SOURCE + 1..SOURCE + 4].copy_from_slice(&source.to_be_bytes()[..3]);
        frame[PORTS..PORTS + 8].copy_from_slice(&ports.to_be_bytes());
        unistd::write(socket, &frame).expect("sent");
        if i % 256 == 0 {
            thread::yield_now();
        }
    }
}

#[test]
fn ten_million_syns_push_no_connection_out() {
    let Some(pair) = Pair::new() else { return };
    let flows = FLOWS.to_string();
    let tracer = pair.trace_as_asked(&[
        "--flows",
        &flows,
        "--ring-size",
        "64",
        "--settle",
        "0s",
        "--stats",
        "1s",
    ]);
    let (_listener, clients) = connect(&pair);
    let socket = pair.flooder();
    thread::scope(|scope| {
        for seed in 1..=SENDERS {
            let socket = &socket;
            scope.spawn(move || flood(socket, seed, SYNS / SENDERS));
        }
    });
    let mut wanted: Vec<u16> = Vec::new();
    for (i, client) in clients.into_iter().enumerate() {
        wanted.push(client.local_addr().expect("its own").port());
        sockets::abort(client).expect("aborted");
        if i % 100 == 0 {
            thread::sleep(Duration::from_millis(5));
        }
    }
    tracer
        .out
        .await_line("all resets", |line| line.contains(&format!("\"events\":{CONNECTIONS},")));
    let ended = tracer.interrupt();
    ended.assert_code(0);
    let (summary, lines) = (ended.summary(), lines(&ended));
    summary.assert_balanced();
    assert_eq!(summary.count("resets"), CONNECTIONS as u64, "{:#?}", ended.err);

    let events = of_type(&lines, "rst");
    let mut found: Vec<u16> = Vec::new();
    for event in events {
        assert_eq!(event["src"]["ip"], IpAddr::from(THERE).to_string(), "{event}");
        let history = event["history"].as_str().unwrap_or_default();
        assert!(event["stage"] == "post_push" && history.starts_with("ShAD"), "{event}");
        assert_eq!(event["recent"][0]["flags"], "S", "the recorder has its first segment: {event}");
        found.push(event["src"]["port"].as_u64().expect("a port") as u16);
    }
    found.sort_unstable();
    wanted.sort_unstable();
    assert!(found == wanted, "resets are missing or told twice");

    let stats = of_type(&lines, "stats").pop().expect("stats");
    let hooks = stats["hooks"].as_array().expect("hooks");
    let ingress = hooks.iter().find(|hook| hook["hook"] == "tc_ingress").expect("ingress");
    let count = |of: &serde_json::Value| of.as_u64().expect("a number");
    // Four of each connection's segments, at least, come from there.
    assert!(count(&ingress["segments"]) >= SYNS + 4 * CONNECTIONS as u64, "{stats}");
    let untracked = ingress["untracked"].as_object().expect("kinds").values();
    let untracked: u64 = untracked.map(count).sum();
    assert_eq!(count(&ingress["segments"]), count(&ingress["tracked"]) + untracked, "{stats}");
    // Two CPUs that take one place at once count two connections and one that had to go.
    assert!(count(&stats["flows"]) <= FLOWS + SYNS / 20_000, "{stats}");
    let entered = count(&stats["flows"]) + count(&stats["evictions"]) + untracked;
    // Two connections with the same tuple by chance are one.
    assert!(entered >= SYNS - SYNS / 1000, "{stats}");
}
