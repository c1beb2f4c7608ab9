//! Reading capture files: whole, cut off, several, from a pipe, and what is none.

use std::{fs, io::Write, process::Stdio};

use rst_tracer_tests::{
    bytes::{Segment, sll2},
    capture::{Folder, many_refused, pcap, refused, seen_twice},
    capture_file::{self, Clock, Frame, Order, pcapng},
    story::{Form, Side, Story},
    tracer::{Tracer, command, run, run_with_input},
};
use serde_json::Value;

#[test]
fn every_reset_of_a_file_becomes_one_line() {
    let folder = Folder::new();
    let file = folder.file("three.pcap", &pcap(&many_refused(3)));
    let ended = run(&["replay", &file]);
    ended.assert_code(0);
    assert_eq!(ended.out.len(), 3, "{ended:#?}");
    let summary = ended.summary();
    assert_eq!((summary.count("segments"), summary.count("resets")), (6, 3));
    assert_eq!(summary.count("events"), 3);
    summary.assert_balanced();
}

#[test]
fn interfaces_of_different_kinds_in_one_file_each_have_their_own_link_layer() {
    const LINK_TYPES: [(&str, u16); 3] = [("eth0", 1), ("wg0", 101), ("any", 276)];
    let mut frames = Vec::new();
    for (interface, port) in (0..3).zip(20_000..) {
        for segment in refused(&format!("10.0.0.1:{port}"), "10.0.0.2:443") {
            let bytes = segment.to_frame();
            let bytes = match interface {
                0 => bytes,
                1 => bytes[14..].to_vec(),
                _ => sll2(&bytes[14..]),
            };
            let (time_ns, wire_len) = (1_700_000_000_000_000_000, bytes.len() as u32);
            frames.push(Frame { time_ns, interface, wire_len, bytes });
        }
    }
    let folder = Folder::new();
    let file = folder.file("mixed.pcapng", &pcapng(&LINK_TYPES, Order::Little, &frames));
    let ended = run(&["replay", "--format", "json", &file]);
    ended.assert_code(0);
    let told = ended.out.iter().map(|line| {
        let event: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(event["cause"], "closed_port", "{event:#}");
        let text = |value: &Value| value.as_str().map(str::to_owned);
        (text(&event["interface"]).expect("its name"), text(&event["segment"]["src_mac"]))
    });
    let expected = [("eth0", Some("02:00:00:00:00:01")), ("wg0", None), ("any", None)];
    let expected = expected.map(|(name, mac)| (name.to_owned(), mac.map(str::to_owned)));
    assert_eq!(told.collect::<Vec<_>>(), expected, "only Ethernet names a station");
}

#[test]
fn a_capture_that_was_cut_off_gives_all_events_before_the_cut_a_warning_and_1() {
    let folder = Folder::new();
    let mut content = pcap(&many_refused(5));
    content.truncate(content.len() - 5);
    let file = folder.file("cut.pcap", &content);
    let ended = run(&["replay", &file]);
    ended.assert_code(1);
    assert_eq!(ended.out.len(), 4, "{ended:#?}");
    assert!(ended.said("cut.pcap: the capture ends inside the record"), "{ended:#?}");
    assert_eq!(ended.summary().count("events"), 4);
}

#[test]
fn what_is_no_capture_is_named_and_the_others_are_read() {
    let folder = Folder::new();
    let good = folder.file("good.pcap", &pcap(&many_refused(2)));
    let text = folder.file("notes.txt", b"These are my notes about the resets of yesterday.\n");
    let empty = folder.file("empty", b"");
    let missing = folder.path("missing.pcap").to_str().expect("UTF-8").to_owned();
    let itself = folder.path("").to_str().expect("UTF-8").to_owned();
    for (bad, why) in [
        (&text, "not a capture"),
        (&empty, "not a capture"),
        (&missing, "No such file or directory"),
        (&itself, "is a directory"),
    ] {
        for files in [[bad, &good], [&good, bad]] {
            let ended = run(&["replay", files[0], files[1]]);
            ended.assert_code(1);
            assert!(ended.said(&format!("{bad}: ")) && ended.said(why), "{ended:#?}");
            assert_eq!(ended.out.len(), 2, "the good file counts: {ended:#?}");
        }
    }
}

#[test]
fn a_pipe_is_read_like_a_file() {
    let content = pcap(&many_refused(3));
    let ended = run_with_input(&["replay", "-", "--format", "json"], &content);
    ended.assert_code(0);
    let events: Vec<Value> =
        ended.out.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(events.len(), 3);
    for (event, port) in events.iter().zip(20_000..) {
        assert_eq!(event["dst"]["port"], port, "in the order of the capture");
    }
}

/// As `tcpdump -U -w - | rst-tracer replay -` on a host where little happens.
#[test]
fn what_a_pipe_brought_is_told_while_it_stays_open() {
    let mut tracer = Tracer::spawn(command(&["replay", "-"]).stdin(Stdio::piped()));
    let mut pipe = tracer.take_input();
    // Of 1.2 seconds, so that the first of them need not wait any longer for what belongs to them.
    pipe.write_all(&pcap(&many_refused(600))).expect("it reads");
    tracer.out.await_line("the first reset", |line| line.contains("10.0.0.1:20000"));
    drop(pipe);
    tracer.wait().assert_code(0);
}

#[test]
fn what_a_router_forwards_is_no_retransmission_in_a_capture_of_any_interface() {
    let ended = run_with_input(&["replay", "-", "-f", "json"], &seen_twice(&many_refused(1)));
    let event: Value = serde_json::from_str(&ended.out[0]).expect("JSON");
    let client = &event["flow"]["client"];
    assert_eq!((&client["packets"], &client["retransmits"]), (&1.into(), &0.into()), "{event}");
    assert_eq!(ended.out.len(), 2, "a frame of a capture is an event: {ended:#?}");
}

#[test]
fn several_files_are_one_run_and_share_their_connections() {
    let folder = Folder::new();
    let [syn, reset] = refused("10.0.0.1:20000", "10.0.0.2:443");
    let one = folder.file("one.pcap", &pcap(std::slice::from_ref(&syn)));
    // The second file goes on where the first ended, a millisecond later.
    let other = folder.file("other.pcap", &pcap(&[syn, reset]));
    let ended = run(&["replay", &one, &other]);
    ended.assert_code(0);
    assert_eq!(ended.out.len(), 1);
    let summary = ended.summary();
    assert_eq!((summary.count("segments"), summary.count("resets")), (3, 1));
    assert!(ended.said("summary: 1 flows"), "one connection over both files: {ended:#?}");
}

/// A refusal in a capture that begins so long after (or before) the other one, and what was read before it.
fn refusal_after(gap_s: i64, folder: &Folder) -> [String; 2] {
    let mut before = Story::v4();
    for port in 40_000..40_006 {
        before.begin_from_port(port);
        before.exchange();
        before.reset(Side::Client, Form::Active);
    }
    let mut asked = Story::between("10.0.0.5:41000", "10.0.0.9:8443");
    asked.now_ns = before.now_ns.saturating_add_signed(gap_s * 1_000_000_000);
    asked.syn();
    // From another distance than all that this host sent in the other capture.
    let refusal = Segment { ttl: 57, ..asked.reset_segment(Side::Server, Form::Refusal) };
    asked.send_packet(&refusal.packet());
    [("before", before), ("refusal", asked)].map(|(name, story)| {
        let content = capture_file::pcap(1, Order::Little, Clock::Nanoseconds, &story.frames);
        folder.file(&format!("{name}.pcap"), &content)
    })
}

#[test]
fn what_another_capture_showed_says_nothing_about_one_that_does_not_go_on() {
    const DAY_S: i64 = 86_400;
    for (gap_s, goes_on) in [(-DAY_S, false), (DAY_S, false), (1, true)] {
        let folder = Folder::new();
        let files = refusal_after(gap_s, &folder);
        let verdict = |files: &[String]| {
            let files = files.iter().map(String::as_str);
            let ended = run(&["replay", "-f", "json"].into_iter().chain(files).collect::<Vec<_>>());
            let event: Value =
                serde_json::from_str(ended.out.last().expect("a line")).expect("JSON");
            ["cause", "confidence", "evidence", "origin"].map(|key| event[key].clone())
        };
        let (alone, with_other) = (verdict(&files[1..]), verdict(&files));
        assert_eq!(alone[0], "closed_port", "{alone:#?}");
        assert_eq!(alone != with_other, goes_on, "{alone:#?} {with_other:#?}");
    }
}

#[test]
fn a_count_ends_the_run_and_the_rest_is_accounted_for() {
    let folder = Folder::new();
    let file = folder.file("many.pcap", &pcap(&many_refused(50)));
    let ended = run(&["replay", &file, "-c", "7"]);
    ended.assert_code(0);
    assert_eq!(ended.out.len(), 7);
    let summary = ended.summary();
    assert_eq!(summary.count("events"), 7);
    summary.assert_balanced();
}

#[test]
fn statistics_come_last_and_add_up() {
    let folder = Folder::new();
    let file = folder.file("many.pcap", &pcap(&many_refused(9)));
    let ended = run(&[
        "replay", &file, "--format", "json", "--stats", "--port", "20004", "--port", "20005",
    ]);
    ended.assert_code(0);
    let last: Value = serde_json::from_str(ended.out.last().expect("a line")).expect("JSON");
    let count = |what: &str| last[what].as_u64().unwrap_or_else(|| panic!("no {what}: {last}"));
    assert_eq!(last["type"], "stats");
    assert_eq!((count("rsts"), count("events"), count("filtered")), (9, 2, 7));
    let ends = ["events", "merged", "repeated", "filtered", "pending", "suppressed", "lost"];
    assert_eq!(ends.map(count).iter().sum::<u64>(), count("rsts"));
    assert_eq!(last["hooks"][0]["hook"], "pcap");
    assert_eq!(last["hooks"][0]["segments"], 18);
}

#[test]
fn a_capture_without_tcp_is_no_failure_and_says_that_there_was_none() {
    let folder = Folder::new();
    let file = folder.file("nothing.pcap", &pcap(&[]));
    let ended = run(&["replay", &file]);
    ended.assert_code(0);
    assert!(ended.out.is_empty());
    assert_eq!(ended.summary().count("segments"), 0);
}

#[test]
fn a_file_is_never_written_to() {
    let folder = Folder::new();
    let content = pcap(&many_refused(2));
    let file = folder.file("kept.pcap", &content);
    run(&["replay", &file]).assert_code(0);
    assert_eq!(fs::read(&file).expect("still there"), content);
}
