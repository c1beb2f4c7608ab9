//! A flood of resets in front of the real tracer: it is told as one, resets of real connections come through,
//! and every one is accounted for.

use std::{
    net::IpAddr,
    ops::Range,
    os::fd::OwnedFd,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use nix::{sys::signal::Signal, unistd};
use rst_tracer::demo::sockets;
use rst_tracer_tests::frames::{Tcp, V4, rst, tcp};
use serde_json::Value;

use crate::pair::{FLOODER, HERE, Pair, THERE, lines, of_type};

/// Sends so many resets of no connection, from one address, no two from and to the same ports. Pauses now and
/// then: what a veth drops nobody can count.
fn flood(socket: &OwnedFd, count: u32) {
    flood_on(socket, 0..count);
}

/// The same, from and to the ports that these numbers are.
fn flood_on(socket: &OwnedFd, numbers: Range<u32>) {
    let header = V4 { from: FLOODER, to: HERE, ..V4::default() };
    let mut frame = tcp(rst()).in_v4(header).frame();
    const PORTS: usize = 14 + 20;
    for i in numbers {
        frame[PORTS..PORTS + 4].copy_from_slice(&i.to_be_bytes());
        unistd::write(socket, &frame).expect("sent");
        if i % 256 == 0 {
            thread::yield_now();
        }
    }
}

#[test]
fn a_flood_is_told_as_one_and_hides_nothing() {
    let Some(pair) = Pair::new() else { return };
    const FLOOD: u32 = 300_000;
    const REAL: usize = 100;
    // Rings of the usual size: what is let through of the flood's beginning, 2,000 resets within a few milliseconds,
    // does not fit into the small ones of tests before a tracer on busy CPUs has its turn.
    let tracer = pair.trace_as_asked(&["--settle", "0s", "--ring-size", "8"]);
    let talks = pair.talks(REAL);
    let ports: Vec<u16> =
        talks.iter().map(|(client, _)| client.local_addr().expect("its own").port()).collect();
    let socket = pair.flooder();
    thread::scope(|scope| {
        scope.spawn(|| flood(&socket, FLOOD));
        // While it goes on, one connection after the other is reset.
        for (client, _) in talks {
            sockets::abort(client).expect("aborted");
            thread::sleep(Duration::from_millis(2));
        }
    });
    tracer.out.await_line("the end of the flood", |line| line.contains("it is over"));
    let ended = tracer.interrupt();
    ended.assert_code(0);
    let (summary, lines) = (ended.summary(), lines(&ended));
    summary.assert_balanced();
    assert_eq!(summary.count("resets"), u64::from(FLOOD) + REAL as u64, "{:#?}", ended.err);
    assert!(summary.count("suppressed") > u64::from(FLOOD) / 2, "{:#?}", ended.err);

    let events = of_type(&lines, "rst");
    let real = |event: &&&Value| event["src"]["ip"] == IpAddr::from(THERE).to_string();
    let mut found: Vec<u16> = events
        .iter()
        .filter(real)
        .map(|event| {
            assert_eq!(event["stage"], "post_push", "{event}");
            assert_eq!(event["history"].as_str().map(|h| &h[..4]), Some("ShAD"), "{event}");
            event["src"]["port"].as_u64().expect("a port") as u16
        })
        .collect();
    found.sort_unstable();
    let mut wanted = ports;
    wanted.sort_unstable();
    let missing = wanted.len() - found.len();
    assert!(found == wanted, "{missing} resets of real connections are missing: {:#?}", ended.err);

    let findings = of_type(&lines, "finding");
    let last = findings.last().expect("a finding");
    assert_eq!((&last["kind"], &last["id"]), (&"rst_flood".into(), &findings[0]["id"]), "{last}");
    assert_eq!(last["sources"][0]["ip"], IpAddr::from(FLOODER).to_string(), "{last}");
    assert!(findings.len() < 5, "a flood is told seldom: {findings:#?}");
    let suppressed = last["counts"]["suppressed"].as_u64().expect("a count");
    let blamed = last["sources"][0]["resets"].as_u64().expect("a count");
    assert!(blamed <= suppressed && blamed > suppressed / 2, "{last}");
    assert_eq!(suppressed, summary.count("suppressed"));
}

/// Lets nobody keep the calling thread from its CPU.
fn be_in_time() {
    let first = libc::sched_param { sched_priority: 1 };
    // SAFETY: the parameters outlive the call.
    let set = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &first) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_steady_stream_of_resets_hides_neither_a_signal_nor_the_end_of_its_time() {
    const EACH: Duration = Duration::from_micros(250);
    const LATEST: Duration = Duration::from_secs(4);
    let Some(pair) = Pair::new() else { return };
    let limited = ["--ring-size", "8", "--no-flow-rate", "0", "--duration", "3s"];
    for signal in [Some(Signal::SIGTERM), None] {
        let options = &limited[..if signal.is_some() { 4 } else { 6 }];
        let tracer = pair.trace_as_asked(options);
        let socket = pair.flooder();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            // One after the other, and all wait for a second: then one is always due.
            let stream = scope.spawn(|| {
                be_in_time();
                let (begun, mut count) = (Instant::now(), 0);
                while !is_over.load(Ordering::Relaxed) && begun.elapsed() < 5 * LATEST {
                    flood_on(&socket, count..count + 1);
                    count += 1;
                    thread::sleep((EACH * count).saturating_sub(begun.elapsed()));
                }
                begun.elapsed()
            });
            tracer.out.await_count(500);
            let asked = Instant::now();
            signal.into_iter().for_each(|signal| tracer.signal(signal));
            let ended = tracer.wait();
            let took = asked.elapsed();
            is_over.store(true, Ordering::Relaxed);
            assert!(took < LATEST, "{signal:?}: it went on for {took:?}");
            assert!(
                stream.join().is_ok_and(|streamed| streamed > took),
                "it ended with the stream"
            );
            ended.assert_code(0);
            ended.summary().assert_balanced();
        });
    }
}

#[test]
fn a_tracer_that_is_stopped_in_a_flood_counts_what_it_missed() {
    let Some(pair) = Pair::new() else { return };
    const FLOOD: u32 = 20_000; // More than the rings hold.
    let tracer = pair.trace(&["--no-flow-rate", "0"]);
    let socket = pair.flooder();
    flood(&socket, 100);
    tracer.out.await_count(100);
    tracer.signal(Signal::SIGSTOP);
    flood(&socket, FLOOD);
    tracer.signal(Signal::SIGCONT);
    tracer.out.await_line("the flood", |line| line.contains("rst_flood"));
    let ended = tracer.interrupt();
    ended.assert_code(0);
    let (summary, lines) = (ended.summary(), lines(&ended));
    summary.assert_balanced();
    assert_eq!(summary.count("resets"), 100 + u64::from(FLOOD));
    assert_eq!(summary.count("suppressed"), 0);
    assert!(summary.count("lost") > 0, "{:#?}", ended.err);
    assert_eq!(of_type(&lines, "rst").len() as u64, summary.count("events"));
    let last = of_type(&lines, "finding").pop().expect("a finding");
    assert_eq!(last["counts"]["lost"].as_u64(), Some(summary.count("lost")), "{last}");
    assert_eq!(last["severity"], "high");
    assert!(last["text"].as_str().is_some_and(|text| text.contains("--ring-size")), "{last}");
}

#[test]
fn a_starved_tracer_counts_what_it_missed() {
    let Some(pair) = Pair::new() else { return };
    const FLOOD: u32 = 50_000;
    let tracer = pair.trace(&["--no-flow-rate", "0"]);
    let socket = pair.flooder();
    let nobody_else = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameters outlive the call.
    let idles =
        unsafe { libc::sched_setscheduler(tracer.pid().as_raw(), libc::SCHED_IDLE, &nobody_else) };
    assert_eq!(idles, 0, "{}", std::io::Error::last_os_error());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 * thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        flood(&socket, FLOOD);
        is_over.store(true, Ordering::Relaxed);
    });
    let ended = tracer.interrupt();
    ended.assert_code(0);
    let summary = ended.summary();
    summary.assert_balanced();
    assert_eq!(summary.count("resets"), u64::from(FLOOD), "{:#?}", ended.err);
    assert!(summary.count("lost") > 0 && summary.count("events") > 0, "{:#?}", ended.err);
    let lines = lines(&ended);
    assert_eq!(of_type(&lines, "rst").len() as u64, summary.count("events"));
}

#[test]
fn events_of_all_cpus_come_in_the_order_of_time() {
    let Some(pair) = Pair::new() else { return };
    let tracer = pair.trace(&["--no-flow-rate", "0"]);
    let socket = pair.flooder();
    thread::scope(|scope| {
        for start in [0_u16, 30_000] {
            let socket = &socket;
            scope.spawn(move || {
                for port in start..start + 500 {
                    let header = V4 { from: FLOODER, to: HERE, ..V4::default() };
                    let frame = tcp(Tcp { from: port, ..rst() }).in_v4(header).frame();
                    unistd::write(socket, &frame).expect("sent");
                }
            });
        }
    });
    let told = tracer.out.await_count(1000);
    let times: Vec<String> = told
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["time"].to_string())
        .collect();
    let disordered = times.windows(2).filter(|pair| pair[0] > pair[1]).count();
    assert_eq!(disordered, 0, "RFC 3339 times of one length sort as text");
    tracer.interrupt().summary().assert_balanced();
}
