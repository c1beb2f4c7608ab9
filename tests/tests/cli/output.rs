//! Where events go and what else may not go there: formats, files, colours, broken outputs.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::fd::{FromRawFd, OwnedFd},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    ptr,
};

use nix::sys::{
    resource::{Resource, setrlimit},
    signal::{SigHandler, Signal, signal},
};
use rst_tracer_tests::{
    capture::{Folder, many_refused, pcap},
    tracer::{Ended, Stream, Tracer, command, run},
};
use serde_json::{Value, json};

#[test]
fn every_line_of_json_is_valid_by_the_schema_that_the_program_prints() {
    let folder = Folder::new();
    let file = folder.file("many.pcap", &pcap(&many_refused(20)));
    let schema = serde_json::from_str(&run(&["schema"]).out.join("\n")).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let ended = run(&["replay", &file, "--format", "json", "--stats"]);
    ended.assert_code(0);
    assert_eq!(ended.out.len(), 21);
    for line in &ended.out {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let errors: Vec<String> = schema.iter_errors(&event).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in {line}");
        assert!(line.len() < 4096, "too long: {line}");
    }
}

#[test]
fn a_file_may_be_called_one_and_has_the_format_of_all() {
    let folder = Folder::new();
    let file = folder.file("two.pcap", &pcap(&many_refused(2)));
    let out = folder.path("out").to_str().expect("UTF-8").to_owned();
    let ended = run(&["replay", &file, "-f", "json", "-o", &format!("file:{out}")]);
    ended.assert_code(0);
    assert!(ended.out.is_empty(), "{ended:#?}");
    let lines = fs::read_to_string(&out).expect("it is there");
    assert_eq!(lines.lines().filter(|line| line.starts_with('{')).count(), 2, "{lines}");
    let ended = run(&["replay", &file, "-o", "file:"]);
    ended.assert_code(2);
    assert!(ended.said("`file:` names no file"), "{ended:#?}");
}

#[test]
fn every_line_says_the_tags_and_labels_in_the_formats_that_have_a_place_for_them() {
    let folder = Folder::new();
    let file = folder.file("two.pcap", &pcap(&many_refused(2)));
    let schema = serde_json::from_str(&run(&["schema"]).out.join("\n")).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let marks = ["--tag", "edge", "--tag", "eu", "--label", "env=prod"];
    let lines = |format: &str, marks: &[&str]| {
        let ended = run(&[&["replay", &file, "--stats", "-f", format], marks].concat());
        ended.assert_code(0);
        assert_eq!(ended.out.len(), 3, "{ended:#?}");
        ended.out
    };
    let documents = |format| {
        let lines = lines(format, &marks);
        lines.into_iter().map(|line| serde_json::from_str::<Value>(&line).expect("JSON"))
    };
    for event in documents("json") {
        assert_eq!(
            (&event["tags"], &event["labels"]),
            (&json!(["edge", "eu"]), &json!({ "env": "prod" }))
        );
        assert!(schema.is_valid(&event), "{event:#}");
    }
    for event in documents("ecs") {
        assert_eq!(
            (&event["tags"], &event["labels"]),
            (&json!(["edge", "eu"]), &json!({ "env": "prod" }))
        );
    }
    for event in documents("ocsf") {
        assert_eq!(event["metadata"]["labels"], json!(["edge", "eu", "env:prod"]));
    }
    for event in documents("otlp") {
        let attributes = &event["resourceLogs"][0]["resource"]["attributes"];
        let attributes = attributes.as_array().expect("a list");
        assert!(attributes.contains(&json!({ "key": "env", "value": { "stringValue": "prod" } })));
    }
    for format in ["text", "eve"] {
        assert!(lines(format, &marks).iter().all(|line| !line.contains("prod")), "{format}");
    }
    assert_eq!(lines("json", &[]).iter().filter(|line| line.contains("tags")).count(), 0);
}

#[test]
fn a_file_is_appended_to_and_standard_output_stays_empty() {
    let folder = Folder::new();
    let file = folder.file("two.pcap", &pcap(&many_refused(2)));
    let events = folder.path("events.jsonl");
    let to = events.to_str().expect("UTF-8");
    for runs in 1..=2 {
        let ended = run(&["replay", &file, "--format", "json", "--output", to]);
        ended.assert_code(0);
        assert!(ended.out.is_empty(), "{ended:#?}");
        let written = fs::read_to_string(&events).expect("the file is there");
        assert_eq!(written.lines().count(), 2 * runs);
    }
    let mode = fs::metadata(&events).expect("the file is there").permissions().mode();
    assert_eq!(mode & 0o137, 0, "others may read it: {mode:o}");
}

#[test]
fn a_dash_is_standard_output() {
    let folder = Folder::new();
    let file = folder.file("two.pcap", &pcap(&many_refused(2)));
    let ended = run(&["replay", &file, "--output", "-"]);
    ended.assert_code(0);
    assert_eq!(ended.out.len(), 2);
}

#[test]
fn an_output_that_cannot_be_opened_is_named_before_anything_is_read() {
    let folder = Folder::new();
    let file = folder.file("two.pcap", &pcap(&many_refused(2)));
    let nowhere = folder.path("no-such-folder/events").to_str().expect("UTF-8").to_owned();
    let ended = run(&["replay", &file, "--output", &nowhere]);
    ended.assert_code(1);
    assert!(
        ended.said(&format!("cannot open {nowhere} for appending: No such file")),
        "{ended:#?}"
    );
}

#[test]
fn a_full_disk_is_a_failure_and_what_was_not_written_is_not_hidden() {
    let folder = Folder::new();
    let file = folder.file("many.pcap", &pcap(&many_refused(20)));
    for (arguments, output) in [
        (&[] as &[&str], "text:/dev/full"),
        (&["--count", "20"], "text:/dev/full"),
        (&["--explain"], "text:/dev/full"),
        (&["--format", "json", "--stats"], "json:/dev/full"),
    ] {
        let ended = run(&[&["replay", &file, "--output", "/dev/full"], arguments].concat());
        ended.assert_code(1);
        assert!(ended.said("cannot write the output: No space left on device"), "{ended:#?}");
        let (written, dropped) = ended.output(output);
        assert!(written == 0 && dropped >= 20, "{ended:#?}");
        let summary = ended.summary();
        summary.assert_balanced();
        let became = ["resets", "events", "not written"].map(|what| summary.count(what));
        assert_eq!(became, [20, 0, 20], "nobody got them: {ended:#?}");
    }
    let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let ended = Tracer::spawn_into(&mut command(&["replay", &file]), full.into()).wait();
    ended.assert_code(1);
    assert_eq!(ended.output("text:-"), (0, 20));
}

#[test]
fn what_one_output_took_is_written_though_another_took_nothing() {
    let folder = Folder::new();
    let file = folder.file("many.pcap", &pcap(&many_refused(20)));
    let good = folder.path("events").to_str().expect("UTF-8").to_owned();
    let json = format!("json:{good}");
    for outputs in [["text:/dev/full", &json], [&json, "text:/dev/full"]] {
        let _ = fs::remove_file(&good);
        let ended = run(&["replay", &file, "--output", outputs[0], "--output", outputs[1]]);
        ended.assert_code(1);
        assert_eq!((ended.output("text:/dev/full"), ended.output(&json)), ((0, 20), (20, 0)));
        assert_eq!(fs::read_to_string(&good).expect("a file").lines().count(), 20);
        assert_eq!(ended.summary().count("events"), 20);
        ended.summary().assert_balanced();
    }
}

#[test]
fn a_disk_that_fills_up_has_the_lines_that_are_counted_as_written() {
    // No line ends there, and no piece that is written at once.
    const ROOM: u64 = 200_001;
    let folder = Folder::new();
    let file = folder.file("many.pcap", &pcap(&many_refused(2000)));
    let good = folder.path("events").to_str().expect("UTF-8").to_owned();
    let json = format!("json:{good}");
    let mut replay = command(&["replay", &file, "--output", &json]);
    // SAFETY: both calls may stand between fork and exec.
    unsafe {
        replay.pre_exec(|| {
            signal(Signal::SIGXFSZ, SigHandler::SigIgn)?;
            Ok(setrlimit(Resource::RLIMIT_FSIZE, ROOM, ROOM)?)
        });
    }
    let ended = Tracer::spawn(&mut replay).wait();
    ended.assert_code(1);
    let text = fs::read_to_string(&good).expect("a file");
    assert_eq!(text.len() as u64, ROOM, "it is full");
    let whole = text.matches('\n').count() as u64;
    let (written, dropped) = ended.output(&json);
    assert_eq!((written, ended.summary().count("events")), (whole, whole), "{ended:#?}");
    assert!(dropped > 0, "{ended:#?}");
    ended.summary().assert_balanced();
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = Folder::new();
    // Far more than a pipe and all buffers hold.
    let file = folder.file("many.pcap", &pcap(&many_refused(5000)));
    let (reader, writer) = io::pipe().expect("a pipe");
    let mut replay = command(&["replay", &file, "--format", "json"]);
    let tracer = Tracer::spawn_into(&mut replay, writer.into());
    drop(replay); // It holds the other end too.
    let mut first = String::new();
    let mut reader = io::BufReader::with_capacity(512, reader);
    io::BufRead::read_line(&mut reader, &mut first).expect("a line");
    drop(reader);
    let ended = tracer.wait();
    ended.assert_code(0);
    serde_json::from_str::<Value>(&first).expect("the first line is whole");
    assert!(ended.err.iter().all(|line| line.starts_with("summary: ")), "{ended:#?}");
}

#[test]
fn nobody_reading_standard_error_is_no_failure() {
    let folder = Folder::new();
    let file = folder.file("two.pcap", &pcap(&many_refused(2)));
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let ran = command(&["replay", &file]).stderr(writer).output().expect("it runs");
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    assert_eq!(String::from_utf8_lossy(&ran.stdout).lines().count(), 2);
}

/// The lines that the program writes to a terminal.
fn on_a_terminal(arguments: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
    let (screen, ended) = end_on_a_terminal(arguments, variables);
    ended.assert_code(0);
    screen
}

/// The same of a program that may fail.
fn end_on_a_terminal(arguments: &[&str], variables: &[(&str, &str)]) -> (Vec<String>, Ended) {
    let (mut ours, mut its) = (-1, -1);
    // SAFETY: the two pointers are to live integers; the others may be null.
    let made = unsafe {
        libc::openpty(&mut ours, &mut its, ptr::null_mut(), ptr::null_mut(), ptr::null_mut())
    };
    assert_eq!(made, 0, "no pseudo terminal: {}", io::Error::last_os_error());
    // SAFETY: openpty has just opened both, and nobody else has them.
    let (ours, its) = unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(its)) };
    let mut command = command(arguments);
    command.envs(variables.iter().copied());
    let tracer = Tracer::spawn_into(&mut command, its.into());
    drop(command);
    let screen = Stream::read(File::from(ours));
    let ended = tracer.wait();
    (screen.await_end(), ended)
}

#[test]
fn packets_are_not_written_to_a_terminal() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/cases/6in4/capture.pcap");
    let (screen, ended) = end_on_a_terminal(&["replay", file, "--format", "pcapng"], &[]);
    ended.assert_code(1);
    assert!(ended.said("pcapng is binary: name a file with --output"), "{ended:#?}");
    assert_eq!(screen, [""; 0]);
}

#[test]
fn colour_is_for_terminals_and_no_color_switches_it_off() {
    // Of its two resets one is benign, and must look so.
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/cases/6in4/capture.pcap");
    let coloured = |lines: &[String]| {
        assert_eq!(lines.len(), 2, "{lines:?}");
        lines.iter().any(|line| line.contains('\x1b'))
    };
    let plain = ["replay", file];
    let always = ["replay", file, "--color", "always"];
    let never = ["replay", file, "--color", "never"];
    assert!(coloured(&on_a_terminal(&plain, &[])));
    assert!(coloured(&on_a_terminal(&plain, &[("NO_COLOR", "")])), "empty means unset");
    assert!(!coloured(&on_a_terminal(&plain, &[("NO_COLOR", "1")])));
    assert!(!coloured(&on_a_terminal(&never, &[])));
    assert!(coloured(&on_a_terminal(&always, &[("NO_COLOR", "1")])), "an option outweighs it");
    assert!(!coloured(&run(&plain).out));
    assert!(coloured(&run(&always).out));
    let json = ["replay", file, "--format", "json", "--color", "always"];
    assert!(!coloured(&run(&json).out), "JSON is never coloured");
}
