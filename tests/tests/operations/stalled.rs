//! A reader that stops reading: nothing breaks, what was lost is counted, and it can be stopped.

use std::{
    fs,
    io::{self, PipeReader},
    os::{fd::AsRawFd, unix::process::ExitStatusExt},
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use rst_tracer::demo::wait;
use rst_tracer_tests::tracer::{Stream, Tracer, command};

use crate::{
    net::{in_namespace, set_up},
    resets::refuse_on_loopback,
};

/// A trace of loopback whose output nobody reads yet, after enough resets to fill the pipe. Also
/// how many resets that were.
fn stalled() -> (Tracer, PipeReader, usize) {
    set_up("lo");
    let (reader, writer) = io::pipe().expect("a pipe");
    let arguments =
        ["trace", "--format", "json", "--settle", "0s", "--output-queue", "1", "--ring-size", "64"];
    let mut command = command(&arguments);
    let tracer = Tracer::spawn_into(&mut command, writer.into());
    tracer.await_ready();
    let mut resets = 0;
    wait::until("the pipe to fill", || {
        refuse_on_loopback(100);
        resets += 100;
        Ok(is_full(&tracer, &reader))
    })
    .expect("full");
    (tracer, reader, resets)
}

/// Whether the tracer waits for somebody to read what it writes to standard output.
fn is_full(tracer: &Tracer, reader: &PipeReader) -> bool {
    let mut waiting: libc::c_int = 0;
    // SAFETY: the pointer is to a live integer, which is what FIONREAD writes.
    let asked = unsafe { libc::ioctl(reader.as_raw_fd(), libc::FIONREAD, &raw mut waiting) };
    assert_eq!(asked, 0, "{}", io::Error::last_os_error());
    // "NUMBER ARGUMENTS…", or "running".
    let writes = format!("{} 0x", libc::SYS_write);
    let tasks = fs::read_dir(format!("/proc/{}/task", tracer.pid())).expect("it lives");
    let mut calls =
        tasks.map(|task| fs::read_to_string(task.expect("a thread").path().join("syscall")));
    waiting > 0 && calls.any(|call| call.is_ok_and(|call| call.starts_with(&writes)))
}

#[test]
fn a_stalled_reader_loses_nothing_unseen() {
    in_namespace(|| {
        let (tracer, reader, resets) = stalled();
        let more = 3000; // More than the queue holds.
        refuse_on_loopback(more);
        wait::until("the queue to overflow", || {
            tracer.signal(Signal::SIGUSR1);
            thread::sleep(Duration::from_millis(100));
            Ok(tracer.err.so_far().iter().any(|line| line.starts_with("summary: output json:-: ")))
        })
        .expect("told");
        let out = Stream::read(reader);
        let ended = tracer.interrupt();
        ended.assert_code(0);
        let (summary, lines) = (ended.summary(), out.await_end());
        assert_eq!(summary.count("resets"), (resets + more) as u64, "{ended:#?}");
        // The kernel side did not wait for the reader.
        assert_eq!(summary.count("lost"), 0, "{ended:#?}");
        summary.assert_balanced();
        let (written, dropped) = ended.output("json:-");
        assert_eq!(written, lines.len() as u64);
        assert!(dropped > 0, "{ended:#?}");
        assert_eq!(written + dropped, summary.count("events"));
        // Whoever reads sees how many are missing.
        let numbers = lines.iter().map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("no line is torn");
            line["seq"].as_u64().expect("a number")
        });
        let numbers: Vec<u64> = numbers.collect();
        let missing: u64 = numbers.windows(2).map(|two| two[1] - two[0] - 1).sum();
        let at_the_end = summary.count("events") - numbers.last().expect("lines");
        assert_eq!(missing + at_the_end, dropped);
    });
}

#[test]
fn a_second_interrupt_ends_it_at_once_even_when_stalled() {
    in_namespace(|| {
        let (tracer, _reader, _) = stalled();
        let first = Instant::now();
        wait::until("it to end", || {
            tracer.signal(Signal::SIGINT);
            thread::sleep(Duration::from_millis(50));
            Ok(tracer.has_ended())
        })
        .expect("ended");
        assert!(
            first.elapsed() >= Duration::from_millis(500),
            "what comes with the first is forgiven"
        );
        let ended = tracer.wait();
        assert_eq!(ended.status.signal(), Some(Signal::SIGINT as i32), "{ended:#?}");
    });
}
