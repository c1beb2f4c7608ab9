//! Each kind of finding: what makes one, what it says, and what makes none.

use super::{Watch, spell::SECOND};
use crate::event::{
    Cause, Confidence, ConnState, Endpoint, Event, Finding, FindingKind, FindingState, Initiator,
    LocalRole, Origin, RstEvent, SentBy, Severity, Speaker, Stage, Timestamp, samples,
};

mod ordinary;
mod parts;
mod scanners;
mod timers;

/// Events are watched from here on.
pub(super) const START: u64 = 1_700_000_000 * SECOND;

pub(super) fn at(address: &str) -> Endpoint {
    let (ip, port) = address.rsplit_once(':').unwrap();
    Endpoint { ip: ip.parse().unwrap(), port: port.parse().unwrap() }
}

/// A reset that the server sent to the client.
pub(super) fn by_server(cause: Cause, client: &str, server: &str) -> RstEvent {
    let Event::Rst(rst) = samples::unread_data() else { panic!("the example is a reset") };
    let (client, server) = (at(client), at(server));
    RstEvent {
        src: server,
        dst: client,
        client: Some(client),
        server: Some(server),
        sent_by: SentBy::Server,
        initiator: Initiator::Syn,
        local_role: LocalRole::Observer,
        severity: Severity::Info,
        cause,
        class: cause.class(),
        process: None,
        ..*rst
    }
}

pub(super) fn refused(client: &str, server: &str) -> RstEvent {
    let usual = by_server(Cause::ClosedPort, client, server);
    RstEvent { conn_state: Some(ConnState::Rej), stage: Stage::PostSyn, ..usual }
}

/// What is told of these events, each so many milliseconds after the start, and of the end.
fn told(events: impl IntoIterator<Item = (u64, RstEvent)>) -> Vec<Finding> {
    let mut watch = Watch::default();
    let mut all = Vec::new();
    for (ms, event) in events {
        let time = Timestamp(START + ms * 1_000_000);
        all.extend(watch.see(&RstEvent { time, ..event }));
    }
    all.extend(watch.end());
    all
}

/// The last word on the only thing that was found.
fn only(findings: &[Finding], kind: FindingKind) -> &Finding {
    let last = findings.last().unwrap_or_else(|| panic!("no {kind}"));
    assert!(
        findings.iter().all(|finding| finding.kind == kind && finding.id == last.id),
        "{findings:#?}"
    );
    assert_eq!((findings[0].state, last.state), (FindingState::Begins, FindingState::Over));
    assert_eq!(findings.iter().filter(|finding| finding.state == FindingState::Begins).count(), 1);
    last
}

#[test]
fn fifteen_refused_ports_of_one_host_are_a_scan() {
    let scan = |ports: u64| {
        told((0..ports).map(|n| {
            (n * 10, refused(&format!("10.0.0.66:{}", 40_000 + n), &format!("10.0.0.9:{}", 20 + n)))
        }))
    };
    assert_eq!(scan(14), []);
    let findings = scan(40);
    let last = only(&findings, FindingKind::PortScan);
    assert_eq!(
        last.text,
        "10.0.0.66 tried 40 ports of 10.0.0.9 in 390 ms; 40 refusals; it is over"
    );
    assert_eq!((last.counts["ports"], last.counts["hosts"], last.counts["rsts"]), (40, 1, 40));
    assert_eq!((last.start.0, last.end.0), (START, START + 390_000_000));
    assert_eq!(
        last.sources.iter().map(|source| source.ip.to_string()).collect::<Vec<_>>(),
        ["10.0.0.66"]
    );
}

#[test]
fn one_port_of_twenty_five_hosts_is_a_scan_and_says_what_is_open() {
    let findings = told((0..25_u64).map(|n| {
        let (client, server) = (format!("10.0.0.66:{}", 40_000 + n), format!("10.0.1.{n}:22"));
        let open = RstEvent {
            sent_by: SentBy::Client,
            ..by_server(Cause::ScannerProbe, &client, &server)
        };
        (n, if n == 7 { open } else { refused(&client, &server) })
    }));
    let last = only(&findings, FindingKind::PortScan);
    assert_eq!(
        last.text,
        "10.0.0.66 tried port 22 of 25 hosts in 24 ms; 24 refusals, 1 open: 10.0.1.7:22; it is over"
    );
}

#[test]
fn who_asks_one_closed_port_again_and_again_scans_nothing() {
    let findings = told(
        (0..200_u64)
            .map(|n| (n * 1_000, refused(&format!("10.0.0.5:{}", 40_000 + n), "10.0.0.9:80"))),
    );
    assert!(findings.iter().all(|finding| finding.kind != FindingKind::PortScan), "{findings:#?}");
}

#[test]
fn refusals_whose_question_nobody_saw_accuse_nobody() {
    let findings = told((0..100_u64).map(|n| {
        let event = refused(&format!("10.0.0.5:{}", 40_000 + n), &format!("10.0.0.9:{}", 20 + n));
        (n, RstEvent { initiator: Initiator::Ports, ..event })
    }));
    assert_eq!(findings, []);
}

/// So many resets of a service in each interval of ten seconds.
fn intervals(resets: &[u64], cause: Cause) -> Vec<(u64, RstEvent)> {
    let mut events = Vec::new();
    for (interval, &n) in (0_u64..).zip(resets) {
        let event = |i: u64| {
            (
                interval * 10_000 + i * 9_999 / n,
                by_server(cause, &format!("10.0.0.5:{}", 1_024 + i), "10.0.0.9:443"),
            )
        };
        events.extend((0..n).map(event));
    }
    events
}

#[test]
fn many_more_than_usual_are_a_surge_and_what_is_usual_is_learned() {
    let mut resets = vec![3; 60];
    assert_eq!(told(intervals(&resets, Cause::RstAfterFin)), []);
    resets.extend([300, 300]);
    let findings = told(intervals(&resets, Cause::RstAfterFin));
    let last = only(&findings, FindingKind::Surge);
    assert_eq!((last.counts["rsts"], last.counts["usual_per_minute"]), (600, 18));
    let ends = "usually 3.0 in ten seconds; 100 % by the server; reset after FIN 100 %; it is over";
    assert!(last.text.ends_with(ends), "{}", last.text);
    assert_eq!(last.start.0, START / (10 * SECOND) * 10 * SECOND + 600 * SECOND);
}

#[test]
fn a_service_that_always_resets_much_has_no_surge() {
    assert_eq!(
        told(intervals(&[200; 30], Cause::ClientCancel).split_off(200 * 29)),
        [],
        "the first minute is silent"
    );
    let steady = told(intervals(
        &[19, 40, 60, 90, 120, 150, 170, 200, 200, 200, 210, 190],
        Cause::ClientCancel,
    ));
    let surges = steady.iter().filter(|finding| finding.state == FindingState::Begins).count();
    assert!(surges <= 1, "{steady:#?}");
}

#[test]
fn nothing_is_a_surge_before_it_is_known_what_is_usual() {
    assert_eq!(told(intervals(&[500, 500, 500, 500], Cause::RstAfterFin)), []);
}

fn forged(client: u64, origin: Origin) -> RstEvent {
    let usual =
        by_server(Cause::InjectedReset, &format!("10.0.0.5:{}", 40_000 + client), "10.0.0.9:443");
    RstEvent { origin, confidence: Confidence::new(0.8), ..usual }
}

#[test]
fn three_proven_forgeries_are_a_campaign_that_tells_what_they_have_in_common() {
    let findings = told((0..4).map(|n| (n * 1_000, forged(n, Origin::MiddleboxProven))));
    let last = only(&findings, FindingKind::InjectionCampaign);
    assert!(last.text.starts_with("4 forged resets in 3.0 s, 4 of them proven; all on connections of 10.0.0.5 to 10.0.0.9:443 with TTL "), "{}", last.text);
    assert_eq!((last.severity, last.counts["proven"]), (Severity::High, 4));
}

#[test]
fn suspicions_make_a_campaign_later_and_one_connection_makes_none() {
    let suspected = |n: u64| told((0..n).map(|n| (n, forged(n, Origin::MiddleboxSuspected))));
    assert_eq!(suspected(4), []);
    assert_eq!(only(&suspected(5), FindingKind::InjectionCampaign).counts["rsts"], 5);
    assert_eq!(
        told((0..50).map(|n| (n, forged(1, Origin::MiddleboxProven)))),
        [],
        "one connection"
    );
    assert_eq!(
        told((0..50).map(|n| (n * 61_000, forged(n, Origin::MiddleboxProven)))),
        [],
        "one a minute"
    );
}

fn after_silence(client: u64, ms: u64) -> RstEvent {
    let mut event = by_server(
        Cause::IdleTimeoutMiddlebox,
        &format!("10.0.0.5:{}", 40_000 + client),
        "10.0.0.9:5432",
    );
    event.flow.as_mut().unwrap().idle_ms = ms;
    event.recent.clear();
    event
}

#[test]
fn resets_behind_the_same_silence_are_an_idle_timeout() {
    let lengths = [350_000, 350_900, 349_100, 350_200, 350_000, 351_000];
    let findings = told((0..).zip(lengths).map(|(n, ms)| (n * 400_000, after_silence(n, ms))));
    let last = only(&findings, FindingKind::IdleTimeout);
    assert!(
        last.text.starts_with(
            "6 resets on connections to 10.0.0.9:5432 follow 350 s ± 950 ms of silence: "
        ),
        "{}",
        last.text
    );
    assert!(last.text.contains("keepalive every 174 s or less"), "{}", last.text);
    assert_eq!(
        (last.counts["idle_ms_shortest"], last.counts["idle_ms_longest"]),
        (349_100, 351_000)
    );
}

#[test]
fn silence_that_a_last_request_broke_counts_and_silence_of_any_length_does_not() {
    let asked = |n: u64| {
        let mut event = after_silence(n, 0);
        let Event::Rst(sample) = samples::unread_data() else { panic!("the example is a reset") };
        let recent =
            |ago_us| crate::event::Recent { ago_us, from: Speaker::Client, ..sample.recent[0] };
        event.recent = vec![recent(60_200_300), recent(60_200_100), recent(200_100), recent(100)];
        event
    };
    let findings = told((0..5).map(|n| (n * 3_000, asked(n))));
    assert_eq!(only(&findings, FindingKind::IdleTimeout).counts["idle_ms"], 60_000);
    let any = |n: u64| after_silence(n, 10_000 + n * 7_919);
    assert_eq!(told((0..30).map(|n| (n * 1_000, any(n)))), []);
}

#[test]
fn three_overflows_within_a_minute_are_told_with_the_listener() {
    let overflow = |n: u64| {
        let mut event = by_server(
            Cause::AcceptQueueOverflow,
            &format!("10.0.0.5:{}", 40_000 + n),
            "10.0.0.9:80",
        );
        event.process = samples_process();
        (n * 100, event)
    };
    assert_eq!(told((0..2).map(overflow)), []);
    let findings = told((0..7).map(overflow));
    let last = only(&findings, FindingKind::AcceptQueueOverflow);
    assert!(last.text.starts_with("10.0.0.9:80 (nginx[812]) refused 7 connections in 600 ms because its accept queue was full"), "{}", last.text);
}

fn samples_process() -> Option<crate::event::Process> {
    let Event::Rst(rst) = samples::unread_data() else { panic!("the example is a reset") };
    rst.process
}

#[test]
fn a_service_that_cuts_some_and_refuses_the_rest_went_down() {
    let fates = [
        Cause::ProcessCrashOrKill,
        Cause::RestartWithPendingConnections,
        Cause::ListenerWentAway,
        Cause::ClosedPort,
    ];
    let event = |(n, cause): (u64, Cause)| {
        (n * 200, by_server(cause, &format!("10.0.0.5:{}", 40_000 + n), "10.0.0.9:80"))
    };
    let findings = told((0..).zip(fates).map(event));
    let last = only(&findings, FindingKind::Restart);
    assert_eq!(
        last.text,
        "10.0.0.9:80 went down: 4 connections lost in 600 ms (1 cut, 1 not accepted yet, 2 refused); it is over"
    );
    let refused = [Cause::ListenerWentAway; 9];
    assert_eq!(told((0..).zip(refused).map(event)), [], "nothing was cut");
    let aborted = [Cause::Linger0Close; 9];
    assert_eq!(told((0..).zip(aborted).map(event)), [], "it may always close so");
}

#[test]
fn an_earlier_capture_ends_what_went_on_in_the_later_one() {
    let scan = |ms: u64| {
        (0..20_u64).map(move |n| {
            (ms + n, refused(&format!("10.0.0.66:{}", 40_000 + n), &format!("10.0.0.9:{}", 20 + n)))
        })
    };
    let findings = told(scan(86_400_000).chain(scan(0)));
    let told: Vec<_> =
        findings.iter().map(|finding| (finding.state, finding.start.0 - START)).collect();
    let (late, early) = (86_400 * SECOND, 0);
    assert_eq!(
        told,
        [
            (FindingState::Begins, late),
            (FindingState::Over, late),
            (FindingState::Begins, early),
            (FindingState::Over, early)
        ]
    );
}

#[test]
fn what_is_quiet_is_over_though_nothing_else_happens() {
    let mut watch = Watch::default();
    for n in 0..15_u64 {
        let event = refused(&format!("10.0.0.66:{}", 40_000 + n), &format!("10.0.0.9:{}", 20 + n));
        watch.see(&RstEvent { time: Timestamp(START), ..event });
    }
    assert_eq!(
        watch.look(START + 59 * SECOND).iter().map(|finding| finding.state).collect::<Vec<_>>(),
        [FindingState::GoesOn]
    );
    assert_eq!(
        watch.look(START + 60 * SECOND).iter().map(|finding| finding.state).collect::<Vec<_>>(),
        [FindingState::Over]
    );
    assert_eq!(watch.end(), []);
}
