//! The forms of OTLP, and lines that are never too long. Whether OpenTelemetry reads them is
//! tested in `tests/tests/lines`.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::sink::samples;

fn written(event: &Event) -> String {
    let mut out = BytesMut::new();
    let write = |event: &Event, out: &mut BytesMut| body(event, &Host::sample(), out);
    fit::line_below(LIMIT, event, &mut out, write);
    String::from_utf8(out.to_vec()).unwrap()
}

/// An attribute a line.
fn pretty(event: &Event) -> String {
    let value: Value = serde_json::from_str(&written(event)).unwrap();
    let log = &value["resourceLogs"][0];
    let record = &log["scopeLogs"][0]["logRecords"][0];
    let mut lines = vec![format!("resource {}", log["resource"])];
    lines.push(format!("scope {}", log["scopeLogs"][0]["scope"]));
    for (key, value) in record.as_object().unwrap() {
        match value {
            Value::Array(attributes) => lines.extend(attributes.iter().map(Value::to_string)),
            value => lines.push(format!("{key} {value}")),
        }
    }
    lines.join("\n")
}

#[test]
fn a_reset() {
    assert_snapshot!(pretty(&samples::unread_data()));
}

#[test]
fn a_refusal() {
    assert_snapshot!(pretty(&samples::refusal()));
}

#[test]
fn a_finding() {
    assert_snapshot!(pretty(&samples::scan()));
}

#[test]
fn counters() {
    assert_snapshot!(pretty(&samples::stats()));
}

#[test]
fn the_example_of_the_contract_has_room() {
    let Event::Rst(mut rst) = samples::unread_data() else { panic!("a reset") };
    (rst.id, rst.host) = ("0".repeat(32), "node-7.cluster.example.org".into());
    if let Some(process) = &mut rst.process {
        process.container_id = Some("4".repeat(64));
    }
    rst.recent = vec![rst.recent[0]; 16];
    let line = written(&Event::Rst(rst));
    assert!(!line.contains("truncated"), "{} bytes", line.len());
}

#[test]
fn the_largest_event_fits() {
    for string in ["x".repeat(10_000), "\u{1}=".repeat(5_000), "é\"\\".repeat(5_000)] {
        let line = written(&samples::largest(&string));
        assert!(line.len() < LIMIT, "{} bytes", line.len());
        assert!(line.contains("runcated"));
    }
}

proptest! {
    #[test]
    fn every_line_is_one_short_line_of_json(event in samples::event()) {
        let line = written(&event);
        prop_assert!(line.len() < LIMIT, "{} bytes", line.len());
        prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
        prop_assert!(serde_json::from_str::<Value>(&line).is_ok());
    }
}
