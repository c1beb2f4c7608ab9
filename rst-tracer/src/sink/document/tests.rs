//! Documents written by hand, what orientation and refusal mean, and that a line is one short line.
//!
//! That the documents obey their schemas is proven in `tests/tests/formats`.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::event::{
    AtFault, Cause, Confidence, ConnState, Effect, Endpoint, Finding, FindingKind, FindingState,
    Flags, Hook, KnownBy, LocalRole, Mac, Origin, Segment, Severity, Source, Stage, StatsEvent,
    Timestamp, samples,
};
use crate::sink::{Internal, LINE_LIMIT};

type Format = fn(&Event) -> Value;

/// When documents of these tests are written.
const CREATED: Timestamp = Timestamp(1_795_340_546_000_000_000);
const FORMATS: [Format; 2] = [
    |event| ecs::document(event, CREATED, &Host::sample()),
    |event| ocsf::document(event, &Host::sample()),
];

fn written(event: &Event, format: Format) -> String {
    let mut out = BytesMut::new();
    line(event, format, &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

fn document(event: &Event, format: Format) -> Value {
    serde_json::from_str(&written(event, format)).unwrap()
}

fn ecs(event: &RstEvent) -> Value {
    document(&event.clone().into(), FORMATS[0])
}

fn ocsf(event: &RstEvent) -> Value {
    document(&event.clone().into(), FORMATS[1])
}

/// The contract's example: the server cuts an established connection off.
fn reset() -> RstEvent {
    let Event::Rst(rst) = samples::unread_data() else { panic!("the example is a reset") };
    *rst
}

fn end(ip: &str, port: u16) -> Endpoint {
    Endpoint { ip: ip.parse().unwrap(), port }
}

/// The server 10.0.0.9 refuses the SYN of 10.0.0.5, as a capture file shows it.
fn refusal() -> RstEvent {
    let segment = Segment {
        flags: Flags::RST | Flags::ACK,
        ack: 1001,
        ttl: 64,
        ip_id: Some(0),
        df: Some(true),
        src_mac: Some(Mac([0x02, 0, 0, 0, 0, 0x0a])),
        ..Segment::default()
    };
    let (server, client) = (end("10.0.0.9", 81), end("10.0.0.5", 51234));
    let time = Timestamp(1_795_340_545_123_456_789);
    let mut event = RstEvent::unexplained(time, Hook::Pcap, server, client, segment);
    (event.id, event.host) = ("ab12".into(), "web-1".into());
    (event.file, event.frame) = (Some("a.pcap".into()), Some(2));
    (event.client, event.server) = (Some(client), Some(server));
    (event.initiator, event.sent_by) = (Initiator::Syn, SentBy::Server);
    event.session_end_reason = event.sent_by.session_end_reason();
    (event.conn_state, event.history) = (Some(ConnState::Rej), Some("Sr".into()));
    event.cause = Cause::ClosedPort;
    event.class = event.cause.class();
    event.confidence = Confidence::new(0.95);
    (event.origin, event.effect) = (Origin::Endpoint, Effect::Accepted);
    (event.at_fault, event.stage) = (AtFault::Client, Stage::PostSyn);
    event.community_id = "1:LQU9qZlK+B5F3KDmev6m5PMibrg=".into();
    event
}

/// A document that was written by hand.
fn expected(text: &str) -> Value {
    serde_json::from_str(&text.replace("VERSION", env!("CARGO_PKG_VERSION"))).unwrap()
}

#[track_caller]
fn assert_same(document: &Value, expected: &Value) {
    assert_eq!(format!("{document:#}"), format!("{expected:#}"));
}

#[test]
fn a_refusal_and_a_reset_in_ecs() {
    assert_same(&ecs(&refusal()), &expected(include_str!("samples/ecs_refusal.json")));
    assert_same(&ecs(&reset()), &expected(include_str!("samples/ecs_reset.json")));
}

#[test]
fn a_refusal_and_a_reset_in_ocsf() {
    assert_same(&ocsf(&refusal()), &expected(include_str!("samples/ocsf_refusal.json")));
    assert_same(&ocsf(&reset()), &expected(include_str!("samples/ocsf_reset.json")));
}

#[test]
fn a_reset_that_ended_nothing_is_no_end() {
    let types = |event: &RstEvent| ecs(event)["event"]["type"].clone();
    assert_eq!(types(&reset()), json!(["connection", "end"]));
    for effect in [Effect::Challenged, Effect::Ignored] {
        assert_eq!(types(&RstEvent { effect, ..reset() }), json!(["connection", "info"]));
    }
    assert_eq!(types(&RstEvent { stage: Stage::Closed, ..reset() }), json!(["connection", "info"]));
}

#[test]
fn what_had_begun_was_not_refused() {
    let conn_state = Some(ConnState::Rej);
    for (stage, activity) in [(Stage::PostSyn, 5), (Stage::NoFlow, 5), (Stage::PostPush, 3)] {
        assert_eq!(ocsf(&RstEvent { conn_state, stage, ..reset() })["activity_id"], activity);
    }
}

#[test]
fn a_client_that_gives_up_was_not_refused() {
    let cause = Cause::ClientGaveUp;
    let conn_state = Some(ConnState::Rsto);
    let event = RstEvent { cause, class: cause.class(), conn_state, ..reset() };
    assert_eq!(ocsf(&event)["activity_id"], 3);
    assert_eq!(ecs(&event)["event"]["outcome"], "unknown");
}

#[test]
fn what_is_inside_tells_directions_that_an_interface_does_not() {
    let told = |event: &RstEvent, inside: &[&str]| {
        let read = |text: &&str| Internal::read(text, |net| net.parse().map_err(|_| net.into()));
        let inside: Vec<Internal> = inside.iter().map(|net| read(net).unwrap()).collect();
        let host = Host { internal: Internal::of(&inside), ..Host::sample() };
        let event = event.clone().into();
        let (ocsf, ecs) = (ocsf::document(&event, &host), ecs::document(&event, CREATED, &host));
        (ocsf["connection_info"]["direction_id"].clone(), ecs["network"]["direction"].clone())
    };
    // The server 10.0.0.9 resets the client 10.0.0.5, as a capture has it.
    let captured = refusal();
    assert_eq!(told(&captured, &[]), (json!(0), json!(null)));
    assert_eq!(told(&captured, &["10.0.0.5/32"]), (json!(2), json!("inbound")));
    assert_eq!(told(&captured, &["10.0.0.9/32"]), (json!(1), json!("outbound")));
    assert_eq!(told(&captured, &["10.0.0.5/32", "10.0.0.9/32"]), (json!(3), json!("internal")));
    assert_eq!(told(&captured, &["private"]), (json!(3), json!("internal")));
    assert_eq!(told(&captured, &["192.0.2.0/24"]), (json!(0), json!("external")));
    let guessed = RstEvent { initiator: Initiator::Ports, ..captured.clone() };
    assert_eq!(told(&guessed, &["10.0.0.5/32"]), (json!(0), json!("inbound")));
    assert_eq!(told(&guessed, &["private"]).0, 3, "that it is lateral needs no client");
    let here = RstEvent { local_role: LocalRole::Sender, ..captured.clone() };
    assert_eq!(told(&here, &[]).0, 1, "the host is the server");
    assert_eq!(told(&here, &["192.0.2.0/24"]), (json!(1), json!("outbound")));
    assert_eq!(told(&here, &["10.0.0.5/32"]), (json!(3), json!("internal")));
    let mut within = here;
    within.interface = Some("lo".into());
    assert_eq!(told(&within, &["private"]), (json!(99), json!("internal")));
}

#[test]
fn a_guess_by_ports_makes_no_client() {
    let event = RstEvent { initiator: Initiator::Ports, ..reset() };
    let ecs = ecs(&event);
    assert!(ecs.get("client").is_none() && ecs.get("server").is_none(), "{ecs:#}");
    assert_eq!(ecs["source"]["ip"], "10.0.0.9");
    assert_eq!(ecs["source"]["packets"], 3, "the server's");
    assert_eq!(ecs["Rst"]["sent_by"], "server");
    let ocsf = ocsf(&event);
    assert_eq!(ocsf["src_endpoint"]["ip"], "10.0.0.9", "the sender of the reset");
    assert_eq!(ocsf["traffic"]["packets_out"], 3);
    assert_eq!(ocsf["connection_info"]["direction_id"], 0);
    assert!(ocsf["connection_info"].get("flag_history").is_none());
    assert_eq!(ocsf["unmapped"]["is_src_dst_assignment_known"], false);
}

#[test]
fn the_direction_in_ocsf_is_that_of_the_connection() {
    let direction = |event: &RstEvent| ocsf(event)["connection_info"]["direction_id"].clone();
    assert_eq!(direction(&reset()), 1, "the host is the server, which sent it");
    for (local_role, sent_by, id) in [
        (LocalRole::Receiver, SentBy::Server, 2),
        (LocalRole::Sender, SentBy::Client, 2),
        (LocalRole::Receiver, SentBy::Client, 1),
        (LocalRole::Forwarder, SentBy::Client, 0),
        (LocalRole::Observer, SentBy::Server, 0),
    ] {
        assert_eq!(direction(&RstEvent { local_role, sent_by, ..reset() }), id);
    }
    let (src, dst) = (end("127.0.0.1", 1), end("127.0.0.2", 2));
    assert_eq!(direction(&RstEvent { src, dst, ..reset() }), 99);
    assert_eq!(direction(&RstEvent { interface: Some("lo".into()), ..reset() }), 99);
}

#[test]
fn only_the_process_of_the_sender_is_an_actor() {
    assert_eq!(ocsf(&reset())["actor"]["process"]["pid"], 812);
    let mut event = RstEvent { local_role: LocalRole::Receiver, ..reset() };
    assert_eq!(ocsf(&event)["actor"]["process"]["pid"], 812, "it closed in a container");
    event.process.as_mut().unwrap().known_by = KnownBy::SocketOwner;
    assert!(ocsf(&event).get("actor").is_none());
    assert_eq!(ocsf(&event)["unmapped"]["process"]["pid"], 812);
    assert_eq!(ecs(&event)["process"]["pid"], 812);
    // On one host the owner of a socket may be that of the other one.
    let mut event = RstEvent { interface: Some("lo".into()), ..reset() };
    assert_eq!(ocsf(&event)["actor"]["process"]["pid"], 812, "it closed");
    event.process.as_mut().unwrap().known_by = KnownBy::SocketOwner;
    assert!(ocsf(&event).get("actor").is_none());
}

fn finding(id: &str, state: FindingState) -> Event {
    let source = Source { ip: "2001:db8::9".parse().unwrap(), port: Some(443), resets: 12 };
    Event::from(Finding {
        seq: 0,
        id: id.into(),
        time: Timestamp(10_000_000_000),
        host: "web-1".into(),
        kind: FindingKind::RstFlood,
        state,
        rule: None,
        start: Timestamp(6_000_000_000),
        end: Timestamp(9_500_000_000),
        severity: Severity::High,
        text: "12 resets in 4.0 s".into(),
        counts: [("duration_ms".into(), 4_000), ("rsts".into(), 12)].into(),
        sources: vec![source],
        truncated: false,
    })
}

#[test]
fn a_rule_of_the_policy_is_where_others_look_for_rules() {
    use crate::event::{Expect, Policy, PolicyVerdict};
    let (expect, verdict) = (Expect::Never, PolicyVerdict::Violated);
    let policy = Some(Policy { rule: "guests".into(), expect, verdict, text: None });
    let told = json!({ "rule": "guests", "expect": "never", "verdict": "violated" });
    let event = RstEvent { policy, ..reset() };
    let [ecs, ocsf] = [ecs(&event), ocsf(&event)];
    assert_eq!((&ecs["rule"], &ecs["Rst"]["policy"]), (&json!({ "name": "guests" }), &told));
    assert_eq!(ocsf["unmapped"]["policy"], told);
    let Event::Finding(mut finding) = finding("one", FindingState::Begins) else { panic!("one") };
    (finding.kind, finding.rule) = (FindingKind::PolicyViolation, Some("guests".into()));
    let [ecs, ocsf] = FORMATS.map(|format| document(&Event::Finding(finding.clone()), format));
    assert_eq!(
        (&ecs["rule"]["id"], &ecs["rule"]["name"]),
        (&json!("policy_violation"), &json!("guests"))
    );
    assert_eq!(ocsf["finding_info"]["analytic"]["name"], "guests");
}

#[test]
fn a_finding_is_created_updated_and_closed() {
    let mut out = Vec::new();
    let mut sink = DocumentSink::ocsf(&mut out);
    for state in FindingState::ALL {
        sink.write(&finding("one", *state)).unwrap();
    }
    sink.flush().unwrap();
    drop(sink);
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: Vec<_> = lines.iter().map(|line| (&line["type_uid"], &line["status_id"])).collect();
    let expected =
        [(200_401, 1), (200_402, 2), (200_403, 4)].map(|(uid, id)| (json!(uid), json!(id)));
    assert_eq!(said, expected.each_ref().map(|(uid, id)| (uid, id)));
}

#[test]
fn the_times_of_a_finding_are_those_of_what_it_is_about() {
    let ecs = document(&finding("one", FindingState::GoesOn), FORMATS[0]);
    assert_eq!(ecs["event"]["start"], "1970-01-01T00:00:06.000000000Z");
    assert_eq!(ecs["event"]["duration"], 3_500_000_000_u64);
    let ocsf = document(&finding("one", FindingState::GoesOn), FORMATS[1]);
    assert_eq!((&ocsf["start_time"], &ocsf["end_time"]), (&json!(6_000), &json!(9_500)));
    assert_eq!(ocsf["count"], 12);
}

#[test]
fn counters_are_a_metric_and_a_base_event() {
    let stats = Event::from(StatsEvent { rsts: 7, host: "web-1".into(), ..StatsEvent::default() });
    let [ecs, ocsf] = FORMATS.map(|format| document(&stats, format));
    assert_eq!(
        (&ecs["event"]["kind"], &ecs["Rst"]["stats"]["rsts"]),
        (&json!("metric"), &json!(7))
    );
    assert_eq!((&ocsf["type_uid"], &ocsf["unmapped"]["stats"]["rsts"]), (&json!(99), &json!(7)));
}

#[test]
fn an_oversized_event_still_fits_and_says_that_it_was_truncated() {
    for string in ["x".repeat(10_000), "\u{1}".repeat(10_000), "é\"".repeat(5_000)] {
        for event in [
            samples::oversized(&string),
            samples::oversized_finding(&string),
            samples::oversized_stats(),
        ] {
            for format in FORMATS {
                let line = written(&event, format);
                assert!(line.len() < LINE_LIMIT, "{} bytes: {line}", line.len());
                let read: Value = serde_json::from_str(&line).unwrap();
                let own = read.get("Rst").or(read.get("unmapped")).unwrap();
                assert_eq!(own["truncated"], true);
            }
        }
    }
}

/// Whether there is nothing in it that a collector stumbles over.
fn is_tidy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty() && items.iter().all(is_tidy),
        Value::Object(object) => !object.is_empty() && object.values().all(is_tidy),
        Value::Number(n) => n.as_u64().is_none_or(|n| n <= MAX_INTEGER),
        _ => true,
    }
}

proptest! {
    #[test]
    fn every_line_is_one_short_line_without_nulls(event in samples::event()) {
        for format in FORMATS {
            let line = written(&event, format);
            prop_assert!(line.len() < LINE_LIMIT, "{} bytes", line.len());
            prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
            let document: Value = serde_json::from_str(&line).unwrap();
            prop_assert!(is_tidy(&document), "{document:#}");
        }
    }
}
