//! The names of Suricata, and lines that are never too long.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::event::FindingKind;
use crate::sink::{LINE_LIMIT, samples};

fn written(event: &Event) -> String {
    let mut out = BytesMut::new();
    fit::line(event, &mut out, body);
    String::from_utf8(out.to_vec()).unwrap()
}

fn pretty(event: &Event) -> String {
    let value: Value = serde_json::from_str(&written(event)).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
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
fn a_finding_is_an_alert() {
    assert_snapshot!(pretty(&samples::scan()));
}

#[test]
fn counters_have_the_names_of_suricata() {
    assert_snapshot!(pretty(&samples::stats()));
}

#[test]
fn every_kind_of_finding_has_a_signature_of_its_own_number() {
    let ids: Vec<_> = FindingKind::ALL.iter().map(|kind| FIRST_SIGNATURE + *kind as u32).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    assert_eq!(FindingKind::Surge as u32, 0, "numbers are kept from version to version");
}

#[test]
fn the_largest_event_fits() {
    for string in ["x".repeat(10_000), "\u{1}=".repeat(5_000), "é\"\\".repeat(5_000)] {
        let line = written(&samples::largest(&string));
        assert!(line.len() < LINE_LIMIT, "{} bytes", line.len());
        assert!(line.contains("runcated"));
    }
}

proptest! {
    #[test]
    fn every_line_is_one_short_line_of_json(event in samples::event()) {
        let line = written(&event);
        prop_assert!(line.len() < LINE_LIMIT, "{} bytes", line.len());
        prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
        let read: Value = serde_json::from_str(&line).unwrap();
        prop_assert!(read["flow_id"].as_u64().unwrap_or_default() <= MAX_INTEGER);
    }
}
