//! The bytes are those of `serde_json`, and a line is never too long.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::event::{Event, read_enriched, samples};
use crate::sink::LINE_LIMIT;

fn written(event: &Event) -> String {
    let mut out = BytesMut::new();
    line(event, &[], &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn an_oversized_event_still_fits_and_says_that_it_was_truncated() {
    for string in ["x".repeat(10_000), "\u{1}".repeat(10_000), "é\"".repeat(5_000)] {
        let line = written(&samples::oversized(&string));
        assert!(line.len() < LINE_LIMIT, "{} bytes", line.len());
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["truncated"], true);
        assert_eq!(read["community_id"], "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
    }
}

#[test]
fn findings_and_statistics_are_kept_short_too() {
    let finding = samples::oversized_finding(&"\u{1}".repeat(9_000));
    let stats = samples::oversized_stats();
    for (event, list) in [(finding, "sources"), (stats, "hooks")] {
        let line = written(&event);
        assert!(line.len() < LINE_LIMIT, "{} bytes", line.len());
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["truncated"], true);
        assert!(!read[list].as_array().unwrap().is_empty());
    }
}

#[test]
fn the_oldest_segments_go_first_and_no_more_than_needed() {
    let Event::Rst(mut rst) = samples::unread_data() else { panic!("the example is a reset") };
    rst.recent =
        (0..32).map(|n| crate::event::Recent { ago_us: 99 - n, ..rst.recent[0] }).collect();
    let line = written(&Event::Rst(rst));
    let Event::Rst(read) = serde_json::from_str(&line).unwrap() else { panic!("a reset") };
    assert!(read.truncated);
    assert_eq!(read.recent.len(), 15);
    assert_eq!(read.recent.last().map(|r| r.ago_us), Some(99 - 31));
    assert_eq!(read.evidence.len(), 1);
}

#[test]
fn a_short_event_is_not_touched() {
    let line = written(&samples::unread_data());
    assert!(!line.contains("truncated"));
    assert_eq!(line, serde_json::to_string(&samples::unread_data()).unwrap() + "\n");
}

/// What a sink that says this writes.
fn marked(marks: &Marks, event: &Event) -> String {
    let mut out = Vec::new();
    let mut sink = JsonSink::new(&mut out).with(marks);
    sink.write(event).unwrap();
    sink.flush().unwrap();
    drop(sink);
    String::from_utf8(out).unwrap()
}

#[test]
fn tags_and_labels_stand_at_the_end_and_are_left_out_where_there_are_none() {
    let event = samples::unread_data();
    let plain = written(&event);
    assert_eq!(marked(&Marks::default(), &event), plain);
    let marks = Marks::sample();
    let line = marked(&marks, &event);
    let end =
        r#","tags":["edge","\"eu\" west"],"labels":{"env":"prod","cost-centre_7":"a=b:c\\d"}}"#;
    assert_eq!(line, plain.replace("}\n", "") + end + "\n");
    assert!(marked(&Marks { tags: Vec::new(), ..marks }, &event).ends_with("d\"}}\n"));
    assert_eq!(read_enriched(line.as_bytes()).unwrap(), (event, None));
}

#[test]
fn the_most_that_may_be_said_has_room_beside_the_worst_event() {
    let tags = vec!["\"".repeat(61); 2];
    let marks = Marks::new(tags, Vec::new()).unwrap();
    for string in ["x".repeat(10_000), "\u{1}".repeat(10_000)] {
        let events = [samples::oversized(&string), samples::oversized_finding(&string)];
        for event in events.into_iter().chain([samples::oversized_stats()]) {
            let line = marked(&marks, &event);
            assert!(line.len() < LINE_LIMIT, "{} bytes", line.len());
            assert!(read_enriched(line.as_bytes()).is_ok_and(|(_, foreign)| foreign.is_none()));
        }
    }
}

#[test]
fn a_sink_writes_whole_lines_when_flushed() {
    let mut out = Vec::new();
    let mut sink = JsonSink::new(&mut out);
    sink.write(&samples::unread_data()).unwrap();
    sink.write(&samples::unread_data()).unwrap();
    sink.flush().unwrap();
    drop(sink);
    assert_eq!(String::from_utf8(out).unwrap(), written(&samples::unread_data()).repeat(2));
}

proptest! {
    #[test]
    fn the_bytes_are_those_of_serde_json(event in samples::event()) {
        let mut out = BytesMut::new();
        body::event(&event, &mut out);
        let serde = serde_json::to_string(&event).unwrap();
        prop_assert_eq!(std::str::from_utf8(&out).unwrap(), serde);
    }

    #[test]
    fn every_line_is_one_short_line(event in samples::event()) {
        let line = written(&event);
        prop_assert!(line.len() < LINE_LIMIT);
        prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
        prop_assert!(serde_json::from_str::<Event>(&line).is_ok());
    }
}
