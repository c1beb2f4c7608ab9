//! Readers that leave: the other outputs of a replay are written to the end.

use std::{fs, io};

use rst_tracer_tests::{
    capture::{Folder, many_refused, pcap},
    tracer::{Tracer, command},
};

const RESETS: u16 = 2000;

/// A replay into these outputs and a standard output that nobody reads.
fn unread(outputs: &[&str], folder: &Folder) -> rst_tracer_tests::tracer::Ended {
    let file = folder.file("many.pcap", &pcap(&many_refused(RESETS)));
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let outputs = outputs.iter().flat_map(|output| ["-o", *output]);
    let arguments: Vec<&str> = ["replay", &file].into_iter().chain(outputs).collect();
    Tracer::spawn_into(&mut command(&arguments), writer.into()).wait()
}

#[test]
fn a_reader_that_leaves_does_not_end_the_other_outputs() {
    let folder = Folder::new();
    let path = folder.path("events.jsonl");
    let json = format!("json:{}", path.to_str().expect("UTF-8"));
    for outputs in [["text", &json], [&json, "text"]] {
        let _ = fs::remove_file(&path);
        let ended = unread(&outputs, &folder);
        ended.assert_code(0);
        assert!(ended.said("nobody reads text:- any more; the others go on"), "{ended:#?}");
        let written = fs::read_to_string(&path).expect("a file");
        let resets = written.lines().filter(|line| line.contains("\"type\":\"rst\"")).count();
        assert_eq!(resets, usize::from(RESETS));
        assert_eq!(ended.summary().count("events"), u64::from(RESETS), "{ended:#?}");
        ended.summary().assert_balanced();
    }
}

#[test]
fn the_last_reader_that_leaves_ends_it_in_order() {
    let ended = unread(&["text"], &Folder::new());
    ended.assert_code(0);
    assert!(!ended.said("go on"), "{ended:#?}");
    assert!(ended.summary().count("events") < u64::from(RESETS), "{ended:#?}");
}
