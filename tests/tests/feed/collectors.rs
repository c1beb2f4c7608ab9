//! rsyslog and syslog-ng take the live stream of a tracer, with the configurations that we ship: every line arrives,
//! as it was written, once and in order.

use std::{fs, path::Path, thread};

use nix::{
    sys::{signal::Signal, stat::Mode},
    unistd::mkfifo,
};
use rst_tracer_tests::tracer::{Tracer, command};
use serde_json::Value;

use crate::{
    await_that,
    collector::{Kind, Setup},
    json, lines,
    net::{in_namespace, set_up},
    resets::refuse_on_loopback,
};

/// Every event is told, however many there are.
/// The folder is root's: whoever opens the file anew there has to be.
const TRACE: [&str; 7] =
    ["trace", "--settle", "0s", "--no-flow-rate=0", "--ring-size", "64", "--no-drop"];
const FILE: &str = "/var/log/rst-tracer/events.json";
const PART: usize = 3000;

#[test]
fn rsyslog_takes_every_line_of_a_file() {
    in_namespace(|| takes_every_line(Kind::Rsyslog, "rsyslog/rst-tracer.conf", "ecs"));
}

#[test]
fn syslog_ng_takes_every_line_of_a_file() {
    in_namespace(|| takes_every_line(Kind::SyslogNg, "syslog-ng/rst-tracer.conf", "json"));
}

/// Four parts of resets: the file is rotated in the first, the collector stands still in the third.
fn takes_every_line(kind: Kind, shipped: &str, format: &str) {
    set_up("lo");
    let setup = Setup::new(kind, shipped, FILE);
    let (now, before) = (&setup.source, setup.path("events.json.1"));
    let output = format!("{format}:{}", now.display());
    let tracer = Tracer::spawn(&mut command(&[&TRACE[..], &["-o", &output]].concat()));
    tracer.await_ready();
    let collector = setup.start();
    let collected = || size(&setup.collected);
    let written = || lines(&before).len() + lines(now).len();
    refuse_on_loopback(1);
    await_that("the first line", || collected() > 0);

    let first = collected();
    thread::scope(|scope| {
        scope.spawn(|| refuse_on_loopback(PART));
        await_that("more lines", || collected() > first);
        fs::rename(now, &before).expect("renamed");
        tracer.signal(Signal::SIGHUP);
    });
    await_that("the file to be opened anew", || now.exists());
    refuse_on_loopback(PART);
    let at_rotation = size(&before);
    await_that("lines of the new file", || collected() > at_rotation);
    collector.stop();
    refuse_on_loopback(PART);
    await_that("lines that nobody takes", || written() > 3 * PART);
    let collector = setup.start();
    refuse_on_loopback(PART);
    const RESETS: usize = 1 + 4 * PART;
    await_that("every event", || written() >= RESETS);

    let ended = tracer.interrupt();
    ended.assert_code(0);
    let summary = ended.summary();
    summary.assert_balanced();
    assert_eq!(summary.count("events"), RESETS as u64, "{ended:#?}");
    // Of one output alone, the summary tells only what was dropped.
    assert!(!ended.said("dropped"), "{ended:#?}");
    let [rotated, wanted] = [before.as_path(), now].map(lines);
    assert!(!rotated.is_empty() && !wanted.is_empty(), "both files have lines");
    let wanted = [rotated, wanted].concat();
    assert!(wanted.iter().map(|line| number(line)).eq(1..=wanted.len() as u64), "no gap");
    if format == "ecs" {
        let early = wanted.iter().map(|line| json(line)).find(|line| !is_written_afterwards(line));
        assert_eq!(early, None);
    }

    await_that("every line to be collected", || lines(&setup.collected).len() >= wanted.len());
    collector.stop();
    let collected = lines(&setup.collected);
    let differs = wanted.iter().zip(&collected).position(|(one, other)| one != other);
    assert_eq!((differs, collected.len()), (None, wanted.len()));
}

#[test]
fn rsyslog_misses_what_was_rotated_away_while_it_was_stopped() {
    in_namespace(|| misses_what_was_rotated_away(Kind::Rsyslog, "rsyslog/rst-tracer.conf"));
}

#[test]
fn syslog_ng_misses_what_was_rotated_away_while_it_was_stopped() {
    in_namespace(|| misses_what_was_rotated_away(Kind::SyslogNg, "syslog-ng/rst-tracer.conf"));
}

/// That and nothing else, and the numbers show it, as contrib/README.md says.
fn misses_what_was_rotated_away(kind: Kind, shipped: &str) {
    const FEW: usize = 50;
    set_up("lo");
    let setup = Setup::new(kind, shipped, FILE);
    let (now, before) = (&setup.source, setup.path("events.json.1"));
    let output = format!("json:{}", now.display());
    let tracer = Tracer::spawn(&mut command(&[&TRACE[..], &["-o", &output]].concat()));
    tracer.await_ready();
    let collector = setup.start();
    refuse_on_loopback(FEW);
    await_that("the lines of the first part", || {
        lines(now).len() >= FEW && size(&setup.collected) == size(now)
    });
    collector.stop();

    let taken = lines(now).len();
    refuse_on_loopback(FEW);
    await_that("lines that nobody takes", || lines(now).len() >= taken + FEW);
    fs::rename(now, &before).expect("renamed");
    tracer.signal(Signal::SIGHUP);
    await_that("the file to be opened anew", || now.exists());
    refuse_on_loopback(FEW);
    tracer.interrupt().assert_code(0);

    let [rotated, new] = [before.as_path(), now].map(lines);
    assert!(rotated.len() >= taken + FEW && new.len() >= FEW, "both files have lines");
    let collector = setup.start();
    await_that("the new file", || lines(&setup.collected).len() >= taken + new.len());
    collector.stop();
    let collected = lines(&setup.collected);
    assert_eq!(collected, [&rotated[..taken], &new].concat());
    let missed = number(&collected[taken - 1]) + 1..number(&collected[taken]);
    assert!(
        missed.eq(rotated[taken..].iter().map(|line| number(line))),
        "the gap is what it missed"
    );
}

/// Whether it says so: the times are all of the same length.
fn is_written_afterwards(document: &Value) -> bool {
    let [seen, created] = ["/@timestamp", "/event/created"]
        .map(|time| document.pointer(time).and_then(Value::as_str).expect("a time"));
    seen.len() == created.len() && seen < created
}

/// The number of a line of `json` or `ecs`, without reading all of it: there are many.
fn number(line: &str) -> u64 {
    let key = if line.contains(",\"sequence\":") { ",\"sequence\":" } else { ",\"seq\":" };
    let (_, rest) = line.split_once(key).expect("a number");
    rest.split([',', '}']).next().and_then(|number| number.parse().ok()).expect("a number")
}

fn size(path: &Path) -> u64 {
    path.metadata().map_or(0, |file| file.len())
}

#[test]
fn a_collector_that_stops_reading_a_pipe_costs_what_the_queue_cannot_hold() {
    in_namespace(|| {
        set_up("lo");
        const PIPE: &str = "/run/rst-tracer.pipe";
        let setup = Setup::new(Kind::SyslogNg, "syslog-ng/rst-tracer-pipe.conf", PIPE);
        mkfifo(&setup.source, Mode::S_IRWXU).expect("a pipe with a name");
        let collector = setup.start();
        let all = setup.path("all.json");
        let [to_pipe, to_file] =
            [&setup.source, &all].map(|path| format!("json:{}", path.display()));
        let outputs =
            ["-o", &to_pipe, "-o", &to_file, "--output-queue", "1", "--heartbeat", "100ms"];
        let tracer = Tracer::spawn(&mut command(&[&TRACE[..], &outputs].concat()));
        tracer.await_ready();
        // What the last heartbeat says of the pipe.
        let last_stats = |what: &str| {
            let lines = lines(&all).into_iter().rev().map(|line| json(&line));
            let stats = { lines }.find(|line| line["type"] == "stats");
            stats.and_then(|stats| stats["outputs"][0][what].as_u64()).unwrap_or(0)
        };
        let resets =
            |path: &Path| lines(path).iter().filter(|line| json(line)["type"] == "rst").count();
        refuse_on_loopback(1);
        await_that("the first line", || resets(&setup.collected) == 1);

        // Less than the queue holds: it waits.
        const FEW: usize = 200;
        collector.signal(Signal::SIGSTOP);
        refuse_on_loopback(FEW);
        await_that("lines to wait", || resets(&all) == 1 + FEW && last_stats("waiting") > 0);
        assert_eq!(last_stats("dropped"), 0);
        collector.signal(Signal::SIGCONT);
        await_that("all of them", || resets(&setup.collected) == 1 + FEW);

        // More: what has no room is counted.
        collector.signal(Signal::SIGSTOP);
        refuse_on_loopback(PART);
        await_that("lines to be dropped", || {
            resets(&all) == 1 + FEW + PART && last_stats("dropped") > 0
        });
        collector.signal(Signal::SIGCONT);
        await_that("the rest of them", || last_stats("waiting") < 10);
        let ended = tracer.interrupt();
        ended.assert_code(0);
        let all = lines(&all);
        assert_eq!(ended.output(&to_file), (all.len() as u64, 0));
        let (written, dropped) = ended.output(&to_pipe);
        assert!(dropped > 0, "{ended:#?}");
        assert_eq!(written + dropped, all.len() as u64);
        await_that("all that was written", || lines(&setup.collected).len() as u64 >= written);
        collector.stop();

        // What arrived is what was written, and the gaps are what was dropped.
        let collected = lines(&setup.collected);
        assert_eq!(collected.len() as u64, written);
        let mut rest = all.iter();
        let in_order = collected.iter().all(|line| rest.any(|other| other == line));
        assert!(in_order, "every line as it was, in order");
        let first_dropped = all.iter().zip(&collected).position(|(one, other)| one != other);
        assert!(first_dropped.is_some_and(|at| at > 1 + FEW), "{first_dropped:?}");
    });
}
