//! The output of a live trace: closed, full, rotated.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::PermissionsExt,
};

use nix::sys::signal::Signal;
use rst_tracer::demo::wait;
use rst_tracer_tests::{
    capture::Folder,
    tracer::{Tracer, command},
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
fn a_full_disk_ends_it_with_a_failure_and_a_summary() {
    in_namespace(|| {
        set_up("lo");
        let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let tracer = Tracer::spawn_into(&mut command(&TRACE), full.into());
        tracer.await_ready();
        refuse_on_loopback(1);
        let ended = tracer.wait();
        ended.assert_code(1);
        assert!(ended.said("cannot write the output: No space left on device"), "{ended:#?}");
        ended.summary().assert_balanced();
    });
}

#[test]
fn a_rotated_file_is_opened_anew_on_hup() {
    in_namespace(|| {
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
        tracer.signal(Signal::SIGHUP);
        wait::until("the file to be opened anew", || Ok(now.exists())).expect("opened");
        refuse_on_loopback(1);
        wait::until("an event", || Ok(lines(&now) == 1)).expect("written");
        assert_eq!(lines(&before), 1);

        let ended = tracer.interrupt();
        ended.assert_code(0);
        assert!(ended.out.is_empty());
        assert_eq!(ended.summary().count("events"), 2);
    });
}
