//! What shows only over many resets, in capture files: found, told once when it begins and once when it is over, and
//! not found where it is not.

use rst_tracer_tests::{
    bytes::Segment,
    capture_file::{Clock, Order, pcap},
    story::{Form, Side, Story},
};
use serde_json::Value;

use crate::run::replay;

/// The findings that a replay of the story writes.
pub(super) fn findings(story: &Story) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("story.pcap");
    std::fs::write(&path, pcap(1, Order::Little, Clock::Nanoseconds, &story.frames))
        .expect("written");
    let outcome = replay(&path).expect("it ends");
    assert_eq!(outcome.code, 0);
    assert!(!outcome.events.is_empty());
    outcome.findings
}

/// The last word on the only one of a kind, which was told when it began, too.
pub(super) fn only(findings: &[Value], kind: &str) -> Value {
    let states: Vec<_> = findings.iter().map(|finding| finding["state"].as_str()).collect();
    assert!(findings.iter().all(|finding| finding["kind"] == kind), "{findings:#?}");
    assert_eq!((states.first(), states.last()), (Some(&Some("begins")), Some(&Some("over"))));
    assert!(findings.iter().all(|finding| finding["id"] == findings[0]["id"]), "{findings:#?}");
    findings.last().cloned().expect("a finding")
}

/// So many connections, each of which is silent for so long and then reset by the server.
pub(super) fn silences(lengths_ms: impl IntoIterator<Item = u64>) -> Story {
    let mut story = Story::v4();
    for (port, ms) in (40_000..).zip(lengths_ms) {
        story.begin_from_port(port);
        story.exchange();
        story.ack(Side::Client);
        story.pause_ms(ms);
        story.reset(Side::Server, Form::Active);
    }
    story
}

#[test]
fn the_same_silence_before_each_reset_is_an_idle_timeout() {
    let last = only(&findings(&silences([350_000; 6])), "idle_timeout");
    assert_eq!(last["counts"]["idle_ms"], 350_001, "{last:#}");
    assert_eq!(last["sources"][0]["port"], 443);
    assert_eq!(findings(&silences((1..9).map(|n| n * 17_000))), [] as [Value; 0]);
}

#[test]
fn thirty_resets_in_a_second_after_a_quiet_quarter_of_an_hour_are_a_surge() {
    let mut story = silences([1_000; 2]);
    story.pause_ms(900_000);
    for port in 50_000..50_030 {
        story.begin_from_port(port);
        story.exchange();
        story.reset(Side::Server, Form::Active);
    }
    let last = only(&findings(&story), "surge");
    assert_eq!(last["sources"][0]["ip"], "10.0.0.9", "{last:#}");
    assert!(last["counts"]["rsts"].as_u64().is_some_and(|n| (20..=30).contains(&n)), "{last:#}");
}

#[test]
fn refused_ports_are_a_scan() {
    let mut story = Story::v4();
    for port in 1..31_u64 {
        let mut asked = Story::between("10.0.0.66:40000", &format!("10.0.0.9:{port}"));
        asked.pause_ms(port * 10);
        asked.syn();
        asked.reset(Side::Server, Form::Refusal);
        story.frames.extend(asked.frames);
    }
    let last = only(&findings(&story), "port_scan");
    assert_eq!(
        (&last["counts"]["ports"], &last["sources"][0]["ip"]),
        (&30.into(), &"10.0.0.66".into()),
        "{last:#}"
    );
}

#[test]
fn forged_resets_on_four_connections_are_a_campaign() {
    let mut story = Story::v4();
    for port in 40_000..40_004 {
        story.begin_from_port(port);
        story.exchange();
        let usual = story.reset_segment(Side::Server, Form::Active);
        // Something on the way writes it; the server knows nothing of it and goes on.
        let forged = Segment { ttl: 49, window: 8_192, ip_id: 0x1234, ..usual };
        story.send_packet(&forged.packet());
        story.pause_ms(5);
        story.data(Side::Server, 200);
        story.data(Side::Server, 200);
        story.pause_ms(2_000);
    }
    let last = only(&findings(&story), "injection_campaign");
    assert_eq!(last["severity"], "high");
    let text = last["text"].as_str().unwrap_or_default();
    assert!(text.contains("10.0.0.9:443 with TTL 49"), "{text}");
}
