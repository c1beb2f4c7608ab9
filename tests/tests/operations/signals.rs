//! Stopping and asking: signals, counts and time limits, and numbers that add up.

use std::{process::Command, thread, time::Duration};

use nix::sys::signal::Signal;
use rst_tracer_tests::{
    capture::Folder,
    summary::Summary,
    tracer::{Tracer, program},
};

use crate::{
    net::{in_namespace, set_up, veth},
    resets::{refuse_on_loopback, refuse_through},
};

#[test]
fn int_and_term_end_it_with_a_summary_in_which_every_reset_is() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        in_namespace(move || {
            veth("v0", "v1");
            let tracer = Tracer::trace(&["--settle", "0s", "--port", "443"]);
            refuse_through("v0", 5000);
            refuse_on_loopback(2);
            tracer.out.await_count(1);
            tracer.signal(signal);
            let ended = tracer.wait();
            ended.assert_code(0);
            let summary = ended.summary();
            assert_eq!(summary.count("resets"), 4, "{ended:#?}");
            assert_eq!((summary.count("events"), summary.count("further sightings")), (1, 1));
            assert_eq!(summary.count("filtered"), 2, "{ended:#?}");
            assert_eq!(summary.count("not written"), 0, "{ended:#?}");
            summary.assert_balanced();
        });
    }
}

#[test]
fn what_still_waits_is_written_when_it_is_asked_to_stop() {
    in_namespace(|| {
        set_up("lo");
        let tracer = Tracer::trace(&["--settle", "1h"]);
        refuse_on_loopback(3);
        let waiting = loop {
            let asked = tracer.err.so_far().len();
            tracer.signal(Signal::SIGUSR1);
            let summary = tracer.err.await_in("a summary", |lines| {
                lines.iter().skip(asked).find_map(|line| Summary::parse(line))
            });
            if summary.count("resets") == 3 {
                break summary;
            }
        };
        assert_eq!((waiting.count("events"), waiting.count("pending")), (0, 3), "{waiting:?}");
        assert_eq!(waiting.count("not written"), 0, "they are not lost: {waiting:?}");
        waiting.assert_balanced();
        let ended = tracer.interrupt();
        assert_eq!(ended.out.len(), 3);
        assert_eq!(ended.summary().count("events"), 3);
        ended.summary().assert_balanced();
    });
}

/// As timeout(1) asks: it signals its child, and then the process group that both are in.
#[test]
fn two_signals_at_once_are_one_request() {
    for again in [Signal::SIGTERM, Signal::SIGINT] {
        in_namespace(move || {
            set_up("lo");
            let tracer = Tracer::trace(&["--settle", "1h"]);
            refuse_on_loopback(20);
            tracer.signal(Signal::SIGTERM);
            thread::sleep(Duration::from_millis(1));
            // It may have ended, and is still to be waited for.
            tracer.signal(again);
            let ended = tracer.wait();
            ended.assert_code(0);
            assert_eq!(ended.out.len(), 20, "what waited is written: {ended:#?}");
            ended.summary().assert_balanced();
        });
    }
}

#[test]
fn hup_reads_the_settings_anew_and_says_what_has_to_wait() {
    in_namespace(|| {
        set_up("lo");
        let folder = Folder::new();
        let file = folder.file("config.toml", b"cause = \"closed_port\"\nsettle = \"0s\"\n");
        let tracer = Tracer::trace(&["--config", &file]);
        refuse_on_loopback(1);
        tracer.out.await_count(1);

        std::fs::write(&file, "cause = \"linger0_close\"\nsettle = \"1s\"\n").expect("written");
        tracer.signal(Signal::SIGHUP);
        tracer.err.await_line("what changed", |line| line == "settings: cause changed");
        let waits = "settings: settle changes at the next start";
        tracer.err.await_line("what has to wait", |line| line == waits);
        refuse_on_loopback(1);

        std::fs::write(&file, "couse = 1\n").expect("written");
        tracer.signal(Signal::SIGHUP);
        tracer.err.await_line("the mistake", |line| line.contains("did you mean `cause`"));
        refuse_on_loopback(1);

        let ended = tracer.interrupt();
        ended.assert_code(0);
        let summary = ended.summary();
        assert_eq!((summary.count("events"), summary.count("filtered")), (1, 2), "{ended:#?}");
        summary.assert_balanced();
    });
}

#[test]
fn usr1_says_the_numbers_and_it_goes_on() {
    in_namespace(|| {
        set_up("lo");
        let tracer = Tracer::trace(&["--settle", "0s"]);
        for resets in 1..=2 {
            refuse_on_loopback(1);
            tracer.out.await_count(resets);
            let asked = tracer.err.so_far().len();
            tracer.signal(Signal::SIGUSR1);
            let summary = tracer.err.await_in("a summary", |lines| {
                lines.iter().skip(asked).find_map(|line| Summary::parse(line))
            });
            assert_eq!(summary.count("events"), resets as u64);
            summary.assert_balanced();
        }
        let ended = tracer.interrupt();
        ended.assert_code(0);
        assert_eq!(ended.out.len(), 2, "the numbers are not for stdout");
    });
}

#[test]
fn usr2_flushes_and_it_goes_on() {
    in_namespace(|| {
        set_up("lo");
        let tracer = Tracer::trace(&["--settle", "0s"]);
        for resets in 1..=2 {
            tracer.signal(Signal::SIGUSR2);
            refuse_on_loopback(1);
            tracer.out.await_count(resets);
        }
        let ended = tracer.interrupt();
        ended.assert_code(0);
        assert_eq!(ended.summary().count("events"), 2);
    });
}

#[test]
fn hup_ends_a_trace_onto_a_terminal_in_order() {
    in_namespace(|| {
        set_up("lo");
        let tracer = Tracer::trace(&["--settle", "1h"]);
        refuse_on_loopback(2);
        tracer.signal(Signal::SIGHUP);
        let ended = tracer.wait();
        ended.assert_code(0);
        assert_eq!(ended.out.len(), 2, "what waited is written: {ended:#?}");
        ended.summary().assert_balanced();
    });
}

#[test]
fn hup_does_not_end_what_nohup_started() {
    in_namespace(|| {
        set_up("lo");
        let mut ignoring = Command::new("sh");
        ignoring.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(program());
        ignoring.args(["--format", "json", "--settle", "0s", "--flows", "4096"]);
        let tracer = Tracer::spawn(&mut ignoring);
        tracer.await_ready();
        tracer.signal(Signal::SIGHUP);
        refuse_on_loopback(1);
        tracer.out.await_count(1);
        tracer.interrupt().assert_code(0);
    });
}

#[test]
fn a_count_or_a_time_limit_ends_it() {
    in_namespace(|| {
        set_up("lo");
        let tracer = Tracer::trace(&["--settle", "0s", "-c", "2"]);
        refuse_on_loopback(5);
        let ended = tracer.wait();
        ended.assert_code(0);
        assert_eq!(ended.out.len(), 2);
        assert_eq!(ended.summary().count("events"), 2);
        ended.summary().assert_balanced();

        let ended = Tracer::trace(&["--duration", "100ms"]).wait();
        ended.assert_code(0);
        assert!(ended.out.is_empty());
        assert_eq!(ended.summary().count("segments"), 0);
    });
}
