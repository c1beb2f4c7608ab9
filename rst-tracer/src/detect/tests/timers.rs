//! Silence of equal length: whose timer it is, and when it is none.

use super::*;

/// Eight connections that end after a minute of silence, so many milliseconds apart.
fn ended(apart_ms: u64, end: fn(RstEvent) -> RstEvent) -> Vec<Finding> {
    told((0..8).map(|n| (n * apart_ms, end(after_silence(n, 60_000)))))
}

/// The same by what one end of the connection did.
fn by_an_end(cause: Cause, event: RstEvent) -> RstEvent {
    RstEvent { cause, class: cause.class(), origin: Origin::Endpoint, ..event }
}

#[test]
fn what_ends_all_in_one_moment_is_no_timer() {
    let at_once = ended(10, |event| by_an_end(Cause::Linger0Close, event));
    assert_eq!(at_once, []);
}

#[test]
fn what_ends_with_a_process_is_no_timer() {
    for cause in [Cause::ProcessCrashOrKill, Cause::AdminKill] {
        let events = (0..8).map(|n| (n * 7_000, by_an_end(cause, after_silence(n, 60_000))));
        let findings = told(events);
        assert!(findings.iter().all(|finding| finding.kind != FindingKind::IdleTimeout), "{cause}");
    }
}

#[test]
fn how_often_a_client_asks_is_no_timer() {
    let polled = |n: u64| {
        let mut event = by_an_end(Cause::HalfOpenStaleState, after_silence(n, 0));
        let Event::Rst(sample) = samples::unread_data() else { panic!("the example is a reset") };
        let recent = |ago_us| crate::event::Recent { ago_us, ..sample.recent[0] };
        event.recent = vec![recent(60_000_900), recent(900)];
        (n * 7_000, event)
    };
    assert_eq!(told((0..8).map(polled)), []);
}

#[test]
fn the_clients_own_timer_is_called_so_and_keepalive_is_not_promised() {
    let findings = ended(7_000, |event| {
        let event = by_an_end(Cause::Linger0Close, event);
        RstEvent { sent_by: SentBy::Client, ..event }
    });
    let last = only(&findings, FindingKind::IdleTimeout);
    assert!(last.text.contains("a timer of the client itself"), "{}", last.text);
    assert!(!last.text.contains("keepalive"), "{}", last.text);
    assert_eq!(last.severity, Severity::Low);
}

#[test]
fn a_servers_timer_is_not_stopped_by_keepalive() {
    let findings = ended(7_000, |event| by_an_end(Cause::Linger0Close, event));
    let last = only(&findings, FindingKind::IdleTimeout);
    assert!(last.text.contains("a timer of the server, or of a proxy"), "{}", last.text);
    assert!(last.text.contains("TCP keepalive may not"), "{}", last.text);
    assert_eq!(last.severity, Severity::Medium);
}
