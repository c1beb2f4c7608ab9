//! The output of a live trace: closed, full, rotated.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read},
    os::unix::{
        fs::{OpenOptionsExt, PermissionsExt},
        process::ExitStatusExt,
    },
};

use nix::sys::signal::Signal;
use rst_tracer::demo::wait;
use rst_tracer_tests::{
    capture::{Folder, many_refused, pcap},
    tracer::{Ended, Tracer, command, run},
};

use crate::{
    net::{in_namespace, set_up},
    resets::refuse_on_loopback,
};

const TRACE: [&str; 4] = ["trace", "--settle", "0s", "--flows=4096"];

#[test]
fn a_reader_that_goes_away_ends_it_without_a_failure() {
    in_namespace(|| {
        set_up("lo");
        let (reader, writer) = io::pipe().expect("a pipe");
        let tracer = Tracer::spawn_into(&mut command(&TRACE), writer.into());
        tracer.await_ready();
        drop(reader);
        refuse_on_loopback(1);
        let ended = tracer.wait();
        ended.assert_code(0);
        ended.summary().assert_balanced();
    });
}

#[test]
fn nobody_reading_standard_error_is_no_reason_to_stop() {
    in_namespace(|| {
        set_up("lo");
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let traced = command(&TRACE).args(["--duration", "10ms"]).stderr(writer).output();
        assert_eq!(traced.expect("it runs").status.code(), Some(0));
    });
}

#[test]
fn a_full_disk_is_said_and_a_failure_in_the_end() {
    in_namespace(|| {
        set_up("lo");
        let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let tracer = Tracer::spawn_into(&mut command(&TRACE), full.into());
        tracer.await_ready();
        refuse_on_loopback(1);
        const SAID: &str = "cannot write the output text:-: No space left on device";
        tracer.err.await_line("it to say so", |line| line.contains(SAID));
        tracer.signal(Signal::SIGUSR1);
        let waits = "summary: output text:-: 0 lines written, 0 dropped, 1 waiting";
        tracer.err.await_line("what waits", |line| line == waits);
        refuse_on_loopback(1);
        let ended = tracer.interrupt();
        ended.assert_code(1);
        assert_eq!(ended.err.iter().filter(|line| line.contains(SAID)).count(), 2, "{ended:#?}");
        assert_eq!(ended.output("text:-"), (0, 2));
        ended.summary().assert_balanced();
    });
}

#[test]
fn outputs_differ_in_format_and_place() {
    in_namespace(|| {
        set_up("lo");
        let folder = Folder::new();
        let file = folder.path("events");
        let json = format!("json:{}", file.display());
        let all = [&TRACE[..], &["-o", "text", "-o", &json, "--count", "3"]].concat();
        let tracer = Tracer::spawn(&mut command(&all));
        tracer.await_ready();
        refuse_on_loopback(3);
        let ended = tracer.wait();
        ended.assert_code(0);
        assert_eq!(ended.out.len(), 3);
        let text = fs::read_to_string(&file).expect("its file");
        for (line, told) in text.lines().zip(&ended.out) {
            let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert!(told.contains(&format!(":{} ", event["src"]["port"])), "{told}");
        }
        assert_eq!((ended.output("text:-"), ended.output(&json)), ((3, 0), (3, 0)));
        let mode = fs::metadata(&file).expect("its file").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);

        let twice =
            run(&[&TRACE[..], &["-o", &json, "-o", file.to_str().expect("UTF-8")]].concat());
        twice.assert_code(2);
        assert!(twice.said("name another file"), "{twice:#?}");
    });
}

#[test]
fn a_pipe_without_a_reader_is_waited_for_and_ctrl_c_ends_that() {
    let folder = Folder::new();
    let pipe = folder.path("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe with a name");
    let name = pipe.to_str().expect("UTF-8");
    let tracer = Tracer::spawn(&mut command(&["trace", "-i", "lo", "-o", name]));
    tracer.err.await_line("it to say so", |line| line.contains("waiting for its reader"));
    tracer.signal(Signal::SIGINT);
    let ended = tracer.wait();
    assert_eq!(ended.status.signal(), Some(Signal::SIGINT as i32), "{ended:#?}");
}

#[test]
fn a_pipe_that_is_being_read_is_written_to_without_a_word() {
    let folder = Folder::new();
    let pipe = folder.path("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe with a name");
    // Opened so, it needs no writer; one that comes and goes would end what it reads.
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let mut reader = OpenOptions::new().read(true).custom_flags(flags).open(&pipe).expect("opened");
    let capture = folder.file("three.pcap", &pcap(&many_refused(3)));
    let to = format!("json:{}", pipe.display());
    let ended = run(&["replay", &capture, "-o", &to]);
    ended.assert_code(0);
    assert!(!ended.said("waiting for its reader"), "{ended:#?}");
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("what was written");
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[test]
fn an_output_that_takes_nothing_costs_the_others_nothing() {
    in_namespace(|| {
        set_up("lo");
        let folder = Folder::new();
        let (slow, fast) = (folder.path("slow"), folder.path("fast"));
        nix::unistd::mkfifo(&slow, nix::sys::stat::Mode::S_IRWXU).expect("a pipe with a name");
        // Somebody who opens it and does not read.
        let mut reader = OpenOptions::new().read(true).write(true).open(&slow).expect("opened");
        let [to_slow, to_fast] = [&slow, &fast].map(|path| format!("json:{}", path.display()));
        let outputs =
            ["-o", &to_slow, "-o", &to_fast, "--output-queue", "1", "--heartbeat", "100ms"];
        let tracer = Tracer::spawn(&mut command(&[&TRACE[..], &outputs].concat()));
        tracer.await_ready();
        const RESETS: usize = 2000;
        refuse_on_loopback(RESETS);
        let lines = || -> Vec<serde_json::Value> {
            let text = fs::read_to_string(&fast).unwrap_or_default();
            let whole = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            whole.collect()
        };
        let resets =
            |lines: &[serde_json::Value]| lines.iter().filter(|line| line["type"] == "rst").count();
        wait::until("every reset", || Ok(resets(&lines()) == RESETS)).expect("written");
        // The stats say which output is in trouble while it is.
        wait::until("a heartbeat", || {
            Ok(lines().last().is_some_and(|last| {
                last["type"] == "stats" && last["outputs"][0]["dropped"].as_u64() > Some(0)
            }))
        })
        .expect("told");
        std::thread::spawn(move || io::copy(&mut reader, &mut io::sink()));
        let ended = tracer.interrupt();
        ended.assert_code(0);
        let (written, dropped) = ended.output(&to_slow);
        assert!(dropped > 0 && written > 0, "{ended:#?}");
        let all = lines();
        assert_eq!(ended.output(&to_fast), (all.len() as u64, 0));
        assert_eq!(written + dropped, all.len() as u64);
        let in_order = all.iter().zip(1..).all(|(line, number)| line["seq"] == number);
        assert!(in_order, "every line has its number");
    });
}

#[test]
fn a_file_that_was_not_renamed_is_left_open_on_hup() {
    in_namespace(|| {
        set_up("lo");
        let folder = Folder::new();
        let events = folder.path("events");
        // Of root, whom the tracer leaves: nobody may not open it anew.
        let tracer = Tracer::trace(&["--settle", "0s", "-o", events.to_str().expect("UTF-8")]);
        tracer.signal(Signal::SIGHUP);
        refuse_on_loopback(1);
        let lines = || fs::read_to_string(&events).map_or(0, |text| text.lines().count());
        wait::until("an event", || Ok(lines() == 1)).expect("written");
        let ended = tracer.interrupt();
        ended.assert_code(0);
        assert!(!ended.said("cannot open"), "{ended:#?}");
    });
}

/// One event before its file is renamed and one behind that, each in a file of its own. `renamed`: what the tracer is
/// told then.
fn rotation(renamed: impl FnOnce(&Tracer)) -> Ended {
    set_up("lo");
    let folder = Folder::new();
    let (now, before) = (folder.path("events"), folder.path("events.1"));
    // Whom root becomes may create a file there.
    fs::set_permissions(folder.path(""), fs::Permissions::from_mode(0o777)).expect("opened");
    let tracer = Tracer::trace(&["--settle", "0s", "-o", now.to_str().expect("UTF-8")]);
    let lines = |path| fs::read_to_string(path).map_or(0, |text| text.lines().count());
    refuse_on_loopback(1);
    wait::until("an event", || Ok(lines(&now) == 1)).expect("written");
    fs::rename(&now, &before).expect("renamed");
    renamed(&tracer);
    wait::until("the file to be opened anew", || Ok(now.exists())).expect("opened");
    refuse_on_loopback(1);
    wait::until("an event", || Ok(lines(&now) == 1)).expect("written");
    assert_eq!(lines(&before), 1);
    tracer.interrupt()
}

#[test]
fn a_file_that_was_renamed_is_noticed_without_a_signal() {
    in_namespace(|| rotation(|_| {}).assert_code(0));
}

#[test]
fn a_rotated_file_is_opened_anew_on_hup() {
    in_namespace(|| {
        let ended = rotation(|tracer| tracer.signal(Signal::SIGHUP));
        ended.assert_code(0);
        assert!(ended.out.is_empty());
        assert_eq!(ended.summary().count("events"), 2);
    });
}
