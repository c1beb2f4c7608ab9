//! Both directions of connections on different CPUs at once. What a flow counts is written without locks. Each side has
//! numbers of its own, so it takes two CPUs that handle the same side at the same time to lose one: accepted, and
//! bounded here.

use std::{
    collections::HashSet,
    io::{Read, Write},
    net::TcpStream,
    thread,
};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use rst_tracer::demo::sockets;

use crate::pair::{Pair, lines, of_type};

const CONNECTIONS: usize = 16;
const BYTES: usize = 4 << 20;
/// The share of a side's bytes that may be missing or too many. One segment that is not counted is 1.6 % of them if
/// it is a super-segment of 64 KiB; up to four were seen.
const ACCEPTED: f64 = 0.15;

fn stay_on(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu % thread::available_parallelism().map_or(1, usize::from)).expect("a CPU");
    sched_setaffinity(Pid::from_raw(0), &set).expect("allowed");
}

/// Sends and receives at once, the sender on a CPU of its own.
fn talk(stream: &TcpStream, cpu: usize) {
    thread::scope(|scope| {
        scope.spawn(move || {
            stay_on(cpu);
            let (mut to, piece) = (stream, [7; 1000]);
            (0..BYTES / piece.len()).for_each(|_| to.write_all(&piece).expect("sent"));
        });
        let mut from = stream;
        from.read_exact(&mut vec![0; BYTES / 1000 * 1000]).expect("received");
    });
}

#[test]
fn directions_on_different_cpus_count_nearly_everything() {
    let Some(pair) = Pair::new() else { return };
    let tracer = pair.trace_as_asked(&["--settle", "0s", "--ring-size", "8"]);
    let talks = pair.talks(CONNECTIONS);
    for (client, server) in &talks {
        client.set_nodelay(true).and_then(|()| server.set_nodelay(true)).expect("no delay");
        thread::scope(|scope| {
            scope.spawn(|| talk(client, 0));
            scope.spawn(|| talk(server, 1));
        });
    }
    let sent = (BYTES / 1000 * 1000) as f64;
    let ports: HashSet<u64> = talks
        .iter()
        .map(|(client, _)| client.local_addr().expect("its own").port().into())
        .collect();
    talks.into_iter().for_each(|(client, _)| sockets::abort(client).expect("aborted"));
    tracer.out.await_count(CONNECTIONS);
    let ended = tracer.interrupt();
    ended.assert_code(0);
    ended.summary().assert_balanced();
    let lines = lines(&ended);
    let events = of_type(&lines, "rst");
    assert_eq!(events.len(), CONNECTIONS);
    let mut worst = 0.0_f64;
    for event in events {
        let port = event["client"]["port"].as_u64().expect("a port");
        assert!(ports.contains(&port), "{event}");
        for side in ["client", "server"] {
            let side = &event["flow"][side];
            let bytes = side["bytes"].as_f64().expect("bytes");
            worst = worst.max((bytes - sent).abs() / sent);
        }
    }
    println!("at worst {worst:.6} of a side's bytes off");
    assert!(worst < ACCEPTED, "{worst}");
}
