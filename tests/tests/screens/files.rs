//! Files that are not as they should be, or larger than memory.

use std::{fs, os::unix::process::CommandExt};

use nix::sys::resource::{Resource, setrlimit};
use rst_tracer_tests::{
    capture::Folder,
    tracer::{Tracer, command, run},
};
use serde_json::{Value, json};

use crate::{
    page::Page,
    report::{lines, refused},
};

#[test]
fn a_file_that_was_cut_off_costs_its_last_line() {
    let mut content = lines(&refused(3));
    content.truncate(content.len() - 9);
    let ended = run(&["report", &Folder::new().file("events.jsonl", &content)]);
    ended.assert_code(0);
    assert!(ended.said("events.jsonl: line 3 is cut off and left out"), "{:?}", ended.err);
    let page = Page::in_output(&ended);
    assert!(page.section("summary").starts_with("2 resets seen"), "{}", page.section("summary"));
    assert!(
        page.section("missing").contains("1 line was not an event"),
        "{}",
        page.section("missing")
    );
    assert!(page.section("files").contains("line 3: cut off"), "{}", page.section("files"));
}

#[test]
fn what_is_none_of_ours_is_named_and_the_others_are_read() {
    let folder = Folder::new();
    let good = folder.file("good.jsonl", &lines(&refused(2)));
    let text = folder.file("notes.txt", b"These are my notes\nabout the resets of yesterday.\n");
    let ecs = folder.file(
        "ecs.jsonl",
        b"{\"@timestamp\":\"2026-11-22T09:42:25Z\",\"ecs\":{\"version\":\"9.4.0\"}}\n",
    );
    let packed = folder.file("events.jsonl.gz", b"\x1f\x8b\x08\x00");
    let missing = folder.path("missing.jsonl").to_str().expect("UTF-8").to_owned();
    let itself = folder.path("").to_str().expect("UTF-8").to_owned();
    for (bad, why) in [
        (&text, "none of its 2 lines is one of rst-tracer's JSON lines (--format json); line 1: "),
        (&ecs, "the key `schema` is missing"),
        (&packed, "is compressed: zcat "),
        (&missing, "No such file or directory"),
        (&itself, "is a directory"),
    ] {
        let ended = run(&["report", bad, &good]);
        ended.assert_code(1);
        assert!(ended.said(&format!("{bad}: ")) && ended.said(why), "{:?}", ended.err);
        let page = Page::in_output(&ended);
        assert!(page.section("summary").starts_with("2 resets seen"), "the good file counts");
        let ended = run(&["report", bad]);
        ended.assert_code(1);
        assert!(ended.out.is_empty() && ended.said("nothing to report"), "{ended:#?}");
    }
}

#[test]
fn an_empty_file_is_no_failure_beside_another() {
    let folder = Folder::new();
    let empty = folder.file("events.jsonl", b"");
    let full = folder.file("events.jsonl.1", &lines(&refused(2)));
    let ended = run(&["report", &empty, &full]);
    ended.assert_code(0);
    assert!(ended.said("events.jsonl: is empty"), "{:?}", ended.err);
    run(&["report", &empty]).assert_code(1);
}

#[test]
fn the_page_replaces_no_file_that_it_is_about_and_none_counts_twice() {
    let folder = Folder::new();
    let content = lines(&refused(2));
    let file = folder.file("events.jsonl", &content);
    let ended = run(&["report", &file, "-o", &file]);
    ended.assert_code(2);
    assert!(ended.said("the page would replace"), "{ended:#?}");
    assert_eq!(fs::read(&file).expect("it"), content);
    let ended = run(&["report", &file, &file]);
    ended.assert_code(2);
    assert!(ended.said("is named twice"), "{ended:#?}");
}

/// Lines of as many hosts, services and processes as there are lines take no more memory than the tables may have.
#[test]
fn many_lines_take_little_memory() {
    const LINES: u32 = 60_000;
    const ROOM: u64 = 160 << 20;
    let mut event: Value = serde_json::from_str(&refused(1)[0]).expect("JSON");
    event.as_object_mut().expect("an object").shift_remove("seq");
    event["process"] = json!({"pid": 4242, "name": "NAME", "known_by": "socket_owner"});
    event["payload_text"] = json!("x".repeat(2_000));
    let client = event["client"]["ip"].as_str().expect("a client").to_owned();
    let template = event.to_string();
    let mut command = command(&["report", "-"]);
    // SAFETY: setrlimit(2) is async-signal-safe.
    unsafe {
        command.pre_exec(|| setrlimit(Resource::RLIMIT_AS, ROOM, ROOM).map_err(Into::into));
    }
    let folder = Folder::new();
    let file = folder.path("events.jsonl");
    let mut content = String::new();
    for n in 0..LINES {
        let [_, b, c, d] = n.to_be_bytes();
        content += &template
            .replace(&client, &format!("10.{b}.{c}.{d}"))
            .replace("NAME", &format!("worker-{n}"));
        content.push('\n');
    }
    assert!(content.len() as u64 > ROOM, "all of it would not fit: {}", content.len());
    fs::write(&file, content).expect("written");
    let ended = Tracer::spawn(command.stdin(fs::File::open(&file).expect("it"))).wait();
    ended.assert_code(0);
    let page = Page::in_output(&ended);
    assert!(
        page.section("summary").starts_with(&format!("{LINES} resets seen")),
        "{}",
        page.section("summary")
    );
    for table in ["pairs", "processes"] {
        let told = page.section(table);
        assert!(told.contains("a count may be too low by "), "{table} says what it forgot");
    }
    assert!(page.section("missing").contains(&format!("{LINES} lines have no number")));
}
