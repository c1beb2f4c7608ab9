//! Replays that are asked to end, or for their numbers, while a pipe brings nothing.

use std::{
    io::{self, Write},
    os::unix::process::ExitStatusExt,
    process::{ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::{signal::Signal, stat::Mode},
    unistd::mkfifo,
};
use rst_tracer::demo::wait;
use rst_tracer_tests::{
    capture::{Folder, many_refused, pcap},
    summary::Summary,
    tracer::{Tracer, command, program},
};

/// Of 1.2 seconds: the first of them are told, the last still wait for what belongs to them.
const RESETS: u16 = 600;

/// A replay of a pipe that stays open, and what it was brought so far has been read.
fn waiting() -> (Tracer, ChildStdin) {
    let mut tracer = Tracer::spawn(command(&["replay", "-", "--stats"]).stdin(Stdio::piped()));
    let mut pipe = tracer.take_input();
    pipe.write_all(&pcap(&many_refused(RESETS))).expect("it reads");
    tracer.out.await_line("the first reset", |line| line.contains("10.0.0.1:20000"));
    (tracer, pipe)
}

#[test]
fn int_term_and_hup_end_it_as_the_end_of_the_pipe_would() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let (tracer, pipe) = waiting();
        assert!(tracer.out.so_far().len() < usize::from(RESETS), "some still wait");
        tracer.signal(signal);
        let ended = tracer.wait();
        drop(pipe);
        ended.assert_code(0);
        assert_eq!(ended.out.len(), usize::from(RESETS) + 1, "and the numbers: {:#?}", ended.err);
        let summary = ended.summary();
        assert_eq!(summary.count("events"), u64::from(RESETS));
        assert_eq!(summary.count("not written"), 0);
        summary.assert_balanced();
    }
}

/// timeout(1) signals its child, and then the process group that both are in.
#[test]
fn what_timeout_ends_ends_in_order() {
    let mut limited = Command::new("timeout");
    limited.args(["--preserve-status", "1"]).arg(program()).args(["replay", "-"]);
    let mut tracer = Tracer::spawn(limited.stdin(Stdio::piped()));
    let mut pipe = tracer.take_input();
    pipe.write_all(&pcap(&many_refused(RESETS))).expect("it reads");
    let ended = tracer.wait();
    drop(pipe);
    ended.assert_code(0);
    assert_eq!(ended.out.len(), usize::from(RESETS), "{:#?}", ended.err);
    ended.summary().assert_balanced();
}

#[test]
fn a_second_signal_half_a_second_later_ends_one_that_nobody_reads() {
    let folder = Folder::new();
    let file = folder.file("many.pcap", &pcap(&many_refused(4000)));
    let (_reader, writer) = io::pipe().expect("a pipe");
    let tracer = Tracer::spawn_into(&mut command(&["replay", &file]), writer.into());
    wait::until("it to heed signals", || Ok(tracer.catches(Signal::SIGTERM))).expect("it does");
    let first = Instant::now();
    wait::until("it to end", || {
        tracer.signal(Signal::SIGTERM);
        thread::sleep(Duration::from_millis(50));
        Ok(tracer.has_ended())
    })
    .expect("ended");
    assert!(first.elapsed() >= Duration::from_millis(500), "what comes with the first is forgiven");
    let ended = tracer.wait();
    assert_eq!(ended.status.signal(), Some(Signal::SIGTERM as i32), "{ended:#?}");
}

/// As Ctrl-C in `tcpdump -w - | rst-tracer replay -`: it ends both, and tcpdump writes what it still holds.
#[test]
fn what_the_writer_of_the_pipe_still_says_is_read() {
    let (tracer, mut pipe) = waiting();
    tracer.signal(Signal::SIGINT);
    let all = pcap(&many_refused(RESETS + 1));
    let before = pcap(&many_refused(RESETS)).len();
    pipe.write_all(&all[before..]).expect("it still reads");
    drop(pipe);
    let ended = tracer.wait();
    ended.assert_code(0);
    assert_eq!(ended.summary().count("events"), u64::from(RESETS) + 1, "{:#?}", ended.err);
}

#[test]
fn usr1_says_the_numbers_and_usr2_nothing_and_it_goes_on() {
    let (tracer, pipe) = waiting();
    tracer.signal(Signal::SIGUSR2);
    let so_far = loop {
        let asked = tracer.err.so_far().len();
        tracer.signal(Signal::SIGUSR1);
        let summary = tracer.err.await_in("a summary", |lines| {
            lines.iter().skip(asked).find_map(|line| Summary::parse(line))
        });
        // The end of what was written may lie in the pipe.
        if summary.count("resets") == u64::from(RESETS) {
            break summary;
        }
    };
    assert!(so_far.count("pending") > 0, "{so_far:?}");
    so_far.assert_balanced();
    drop(pipe);
    let ended = tracer.wait();
    ended.assert_code(0);
    assert_eq!(ended.summary().count("events"), u64::from(RESETS));
}

#[test]
fn a_named_pipe_without_a_writer_is_not_waited_for_when_it_is_to_end() {
    let folder = Folder::new();
    let file = folder.file("one.pcap", &pcap(&many_refused(1)));
    let fifo = folder.path("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).expect("a FIFO");
    let fifo = fifo.to_str().expect("UTF-8");
    let tracer = Tracer::spawn(&mut command(&["replay", &file, fifo]));
    // Written on its way when it begins to wait for the pipe.
    tracer.out.await_count(1);
    let ended = tracer.interrupt();
    ended.assert_code(0);
    assert_eq!(ended.summary().count("events"), 1);
}
