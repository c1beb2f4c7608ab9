//! Events of every kind through the sinks.

use std::time::{SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use rst_tracer::event::{
    Event, Finding, FindingKind, FindingState, RstEvent, Severity, Source, StatsEvent, Timestamp,
};
use serde_json::Value;

use super::checks::FORMATS;
use super::samples;

/// What strangers would write to break a log.
fn hostile() -> Vec<String> {
    let all = [
        "a\"b\\c/d",
        "a\nb\r\nc\td\0\u{7}\u{1b}[31m\u{7f}\u{85}",
        "a|b=c,d;e\\|f\\=g",
        "\u{fffd}\u{202e}\u{2028}\u{feff}\u{10ffff}",
        "{\"source\":null}",
        "null",
        "",
        " ",
    ];
    let long = ["x", "\u{1}", "\"", "é", "\u{fffd}"].map(|text| text.repeat(10_000));
    all.map(str::to_owned).into_iter().chain(long).collect()
}

/// The contract's example with what strangers choose.
fn by_strangers(text: &str) -> Event {
    let Event::Rst(mut rst) = samples::unread_data() else { panic!("the example is a reset") };
    rst.payload_text = Some(text.to_owned());
    rst.interface = Some(text.to_owned());
    rst.app = text.to_owned().into();
    if let Some(process) = &mut rst.process {
        (process.name, process.cgroup) = (text.to_owned(), Some(text.to_owned()));
        process.container_id = Some(text.to_owned());
        (process.executable, process.pod_uid) = (Some(text.to_owned()), Some(text.to_owned()));
        process.container_runtime = Some(text.to_owned().into());
        process.entity_id = Some(text.to_owned());
    }
    Event::Rst(rst)
}

/// A finding of this kind about so many addresses.
fn finding(kind: FindingKind, sources: u8, text: &str) -> Event {
    let source = |n: u8| Source {
        ip: [10, 0, 0, n].into(),
        port: n.is_multiple_of(2).then_some(443),
        resets: n.into(),
    };
    Event::from(Finding {
        seq: 5,
        id: format!("{kind}-1"),
        time: Timestamp(1_795_340_545_123_456_789),
        host: "web-1".into(),
        kind,
        state: FindingState::ALL[usize::from(sources) % 3],
        rule: (kind == FindingKind::PolicyViolation).then(|| "guests-to-database".into()),
        start: Timestamp(1_795_340_535_123_456_789),
        end: Timestamp(1_795_340_545_023_456_789),
        severity: Severity::Medium,
        text: text.to_owned().into(),
        counts: [("duration_ms".into(), 10_000), ("rsts".into(), 7)].into(),
        sources: (0..sources).map(source).collect(),
        truncated: false,
    })
}

/// One of every kind, and the worst that is known.
fn all() -> Vec<Event> {
    let mut events = vec![samples::unread_data(), StatsEvent::default().into()];
    events.push(samples::oversized_stats());
    for text in hostile() {
        events.extend([by_strangers(&text), samples::oversized(&text)]);
        events.push(samples::oversized_finding(&text));
        events.push(finding(FindingKind::RstFlood, 1, &text));
    }
    for kind in FindingKind::ALL {
        events.extend([0, 1, 9].map(|sources| finding(*kind, sources, "a sentence")));
    }
    let Event::Rst(bare) = samples::unread_data() else { panic!("the example is a reset") };
    let RstEvent { time, hook, src, dst, segment, .. } = *bare;
    events.push(RstEvent::unexplained(time, hook, src, dst, segment).into());
    events
}

#[test]
fn every_kind_of_event_and_every_hostile_text_is_one_valid_line() {
    for format in FORMATS {
        let events = all();
        let count = events.len();
        let lines = format.lines(events);
        assert_eq!(lines.len(), count, "{}", format.name);
        for line in &lines {
            let found = format.complaints(line);
            assert!(found.is_empty(), "{}: {found:#?}\n{line}", format.name);
        }
        eprintln!("{}: {count} lines are valid", format.name);
    }
}

#[test]
fn an_ecs_document_says_when_it_was_written() {
    let now = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        Timestamp(since.as_nanos() as u64).to_string()
    };
    let [ecs, _] = FORMATS;
    let (before, lines, after) = (now(), ecs.lines(all()), now());
    for line in lines {
        let document: Value = serde_json::from_str(&line).expect("JSON");
        let created = document["event"]["created"].as_str().expect("a time").to_owned();
        // They are all of the same length.
        assert!(before <= created && created <= after, "{created} is not from {before} to {after}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_events_are_valid_lines(events in prop::collection::vec(samples::event(), 4)) {
        for format in FORMATS {
            let lines = format.lines(events.clone());
            prop_assert_eq!(lines.len(), events.len());
            for line in &lines {
                let found = format.complaints(line);
                prop_assert!(found.is_empty(), "{}: {found:#?}\n{line}", format.name);
            }
        }
    }
}
