//! A service that goes down in part.

use super::*;

fn lost(cause: Cause, n: u64) -> RstEvent {
    by_server(cause, &format!("10.0.0.5:{}", 40_000 + n), "10.0.0.9:80")
}

/// What is said of connections that are cut, and then of one that is refused after another was accepted.
fn said(events: &[(u64, Cause)], accepted_ms: u64) -> String {
    let mut watch = Watch::default();
    for (n, (ms, cause)) in (0..).zip(events) {
        let time = START + ms * 1_000_000;
        if *cause == Cause::ListenerWentAway {
            watch.accepts(at("10.0.0.9:80"), START + accepted_ms * 1_000_000);
        }
        watch.see(&RstEvent { time: Timestamp(time), ..lost(*cause, n) });
    }
    only_word(&watch.end())
}

fn only_word(findings: &[Finding]) -> String {
    let [last] = findings else { panic!("{findings:#?}") };
    assert_eq!(last.kind, FindingKind::Restart);
    last.text.to_string()
}

#[test]
fn a_worker_that_is_killed_takes_no_service_down() {
    let killed = [0, 1, 2].map(|ms| (ms, Cause::ProcessCrashOrKill));
    assert_eq!(
        said(&killed, 0),
        "a process of 10.0.0.9:80 ended: 3 connections lost in 2 ms (3 cut); nobody was refused; it is over"
    );
}

#[test]
fn a_service_that_accepts_others_meanwhile_went_down_in_part() {
    let (cut, refused) = (Cause::ClosedWithUnreadData, Cause::ListenerWentAway);
    let events = [(1_000, cut), (1_001, cut), (1_500, refused), (1_600, refused)];
    let counted = "4 connections lost in 600 ms (2 cut, 2 refused)";
    assert_eq!(
        said(&events, 1_200),
        format!("10.0.0.9:80 went down in part: {counted}, while it accepted others; it is over")
    );
    let in_the_same_moment = said(&events, 1_500);
    assert!(in_the_same_moment.contains("went down in part"), "{in_the_same_moment}");
    assert_eq!(said(&events, 900), format!("10.0.0.9:80 went down: {counted}; it is over"));
}
