//! What rules match, what they say of a reset, and what is told of those that are violated.

use std::time::Duration;

use super::{Expectation, Ledger, Match, Rule};
use crate::{
    detect::{
        Watch,
        tests::{START, by_server, refused},
    },
    event::{
        Alternative, Cause, Confidence, FindingKind, FindingState, Flow, Origin, PolicyVerdict,
        RstEvent, Severity, Side, Stage, Timestamp,
    },
};

const SECOND: u64 = 1_000_000_000;
const CLIENT: &str = "10.1.0.5:40000";
const SERVER: &str = "10.9.0.9:5432";

fn rule(name: &str, expects: Expectation) -> Rule {
    let matches = Match {
        client: vec!["10.1.0.0/16".parse().unwrap()],
        server: vec!["10.9.0.0/16".parse().unwrap()],
        port: vec![5432..=5433],
        ..Match::default()
    };
    Rule { name: name.into(), matches, expects }
}

/// What a rule that expects this says of the event.
fn judged(expects: Expectation, event: &RstEvent) -> (PolicyVerdict, String) {
    let policy = Ledger::new(vec![rule("r", expects)]).judge(event).expect("it matches");
    assert_eq!((policy.rule.as_ref(), policy.expect), ("r", expects.kind()));
    assert!(expects.kind().verdicts().contains(&policy.verdict), "{policy:?}");
    (policy.verdict, policy.text.unwrap_or_default().into_owned())
}

/// A refused SYN: the host itself did it, so sure, or else a firewall.
fn refusal(own: f64) -> RstEvent {
    RstEvent {
        origin: Origin::Endpoint,
        confidence: Confidence::new(own),
        alternatives: vec![
            Alternative::new(Cause::HostFirewallReject, Confidence::new((1.0 - own) * 0.5)),
            Alternative::new(Cause::NetworkFirewallReject, Confidence::new((1.0 - own) * 0.5)),
        ],
        flow: None,
        ..refused(CLIENT, SERVER)
    }
}

fn firewall(cause: Cause, sure: f64) -> RstEvent {
    RstEvent {
        confidence: Confidence::new(sure),
        alternatives: Vec::new(),
        ..by_server(cause, CLIENT, SERVER)
    }
}

/// A reset of a connection whose server had sent so much before.
fn after(cause: Cause, packets: u64, bytes: u64) -> RstEvent {
    let side = |packets, bytes| Some(Side { packets, bytes, ..Side::default() });
    let (client, server) = (side(3, 17), side(packets, bytes));
    RstEvent {
        stage: Stage::PostData,
        origin: Origin::Endpoint,
        flow: Some(Flow { client, server, ..Flow::default() }),
        ..by_server(cause, CLIENT, SERVER)
    }
}

#[test]
fn a_firewalls_own_reset_says_that_the_policy_acted() {
    use Cause::{DpiBlock, HostFirewallReject, NetworkFirewallReject};
    for cause in [HostFirewallReject, NetworkFirewallReject, DpiBlock] {
        let told = judged(Expectation::Denied, &firewall(cause, 0.9));
        assert_eq!(told, (PolicyVerdict::AsConfigured, String::new()));
        let (verdict, text) = judged(Expectation::Denied, &firewall(cause, 0.45));
        assert_eq!(verdict, PolicyVerdict::Unclear);
        assert!(text.contains("45% sure"), "{text}");
    }
}

#[test]
fn a_host_that_refuses_itself_shows_that_the_policy_did_not_act_if_it_is_sure() {
    let (verdict, text) = judged(Expectation::Denied, &refusal(0.95));
    assert_eq!(verdict, PolicyVerdict::Violated);
    assert_eq!(text, "it got through to the host, whose own reset this is: closed port, 95% sure");
    // Over plain IPv4 the filter of the host writes the same bytes.
    let (verdict, text) = judged(Expectation::Denied, &refusal(0.7));
    assert_eq!(verdict, PolicyVerdict::Unclear);
    assert_eq!(text, "a firewall may have denied it as well (30%)");
}

#[test]
fn what_the_server_had_answered_got_through() {
    let told =
        |packets, bytes| judged(Expectation::Denied, &after(Cause::Linger0Close, packets, bytes));
    let got_through = |what: &str| {
        let text = format!("the connection got through: {what} had come back from the server");
        (PolicyVerdict::Violated, text)
    };
    assert_eq!(told(3, 38), got_through("38 bytes of data"));
    assert_eq!(told(2, 0), got_through("2 segments without data"));
    assert_eq!(told(1, 0), got_through("a segment without data"));
    assert!(told(0, 0).1.starts_with("it got through to the host, whose own reset this is"));
    // What was let through before and is cut now is cut by the policy.
    let cut =
        RstEvent { confidence: Confidence::new(0.9), ..after(Cause::NetworkFirewallReject, 3, 38) };
    assert_eq!(judged(Expectation::Denied, &cut).0, PolicyVerdict::AsConfigured);
    // An IPS may be the policy, and somebody else may not.
    let origin = Origin::MiddleboxProven;
    let cut = RstEvent { origin, ..after(Cause::IpsActiveResponse, 3, 38) };
    assert_eq!(judged(Expectation::Denied, &cut).0, PolicyVerdict::Unclear);
    let sequel = after(Cause::SegmentAfterReset, 3, 38);
    assert_eq!(judged(Expectation::Denied, &sequel).0, PolicyVerdict::Unclear);
}

#[test]
fn a_client_that_gives_up_says_nothing_about_the_policy() {
    let event = RstEvent { flow: None, stage: Stage::PostSyn, ..by_client(Cause::ClientGaveUp) };
    let (verdict, text) = judged(Expectation::Denied, &event);
    assert_eq!(verdict, PolicyVerdict::Unclear);
    assert_eq!(text, "nothing of it shows whether a firewall denied the connection");
}

fn by_client(cause: Cause) -> RstEvent {
    let event = by_server(cause, CLIENT, SERVER);
    let sent_by = crate::event::SentBy::Client;
    RstEvent { src: event.dst, dst: event.src, sent_by, origin: Origin::Endpoint, ..event }
}

#[test]
fn harmless_is_expected_and_never_is_not() {
    assert_eq!(judged(Expectation::Harmless, &refusal(0.9)).0, PolicyVerdict::Expected);
    assert_eq!(
        judged(Expectation::Never, &firewall(Cause::DpiBlock, 0.9)).0,
        PolicyVerdict::Violated
    );
}

#[test]
fn a_limit_counts_what_came_within_its_time() {
    let limit = Expectation::AtMost { resets: 2, within: Duration::from_secs(60) };
    let mut ledger = Ledger::new(vec![rule("few", limit)]);
    let mut verdicts = |seconds: &[u64]| {
        let judge = |second: &u64| {
            let time = Timestamp(START + second * SECOND);
            ledger.judge(&RstEvent { time, ..refusal(0.9) }).unwrap().verdict
        };
        seconds.iter().map(judge).collect::<Vec<_>>()
    };
    use PolicyVerdict::{Expected, Violated};
    assert_eq!(verdicts(&[0, 10, 20, 59]), [Expected, Expected, Violated, Violated]);
    // At 80 only 59 is within a minute, at 81 there are two again, at 141 none.
    assert_eq!(verdicts(&[80, 81, 141]), [Expected, Violated, Expected]);
    // Another capture, of a day before.
    assert_eq!(verdicts(&[3, 4, 5]), [Expected, Expected, Violated]);
    let counts = &ledger.account()[0];
    assert_eq!((counts.rsts, counts.expected, counts.violated), (10, 6, 4));
    assert_eq!(counts.last, Some(Timestamp(START + 141 * SECOND)));
}

#[test]
fn the_first_rule_that_matches_decides_and_one_that_never_matched_is_told() {
    let other = Match { net: vec!["192.0.2.0/24".parse().unwrap()], ..Match::default() };
    let unused = Rule { name: "unused".into(), matches: other, expects: Expectation::Never };
    let rules =
        vec![unused, rule("first", Expectation::Harmless), rule("second", Expectation::Never)];
    let mut ledger = Ledger::new(rules);
    assert_eq!(ledger.judge(&refusal(0.9)).unwrap().rule, "first");
    assert_eq!(ledger.judge(&refused("10.2.0.5:40000", SERVER)), None);
    let counts: Vec<_> =
        ledger.account().iter().map(|rule| (rule.rsts, rule.last.is_some())).collect();
    assert_eq!(counts, [(0, false), (1, true), (0, false)]);
}

#[test]
fn every_condition_must_hold_and_of_each_one_value() {
    let event = by_server(Cause::Linger0Close, CLIENT, SERVER);
    let event = RstEvent {
        process: Some(crate::event::Process::bare(1, "haproxy".into())),
        interface: Some("eth0".into()),
        origin: Origin::Endpoint,
        ..event
    };
    let holds = |change: &dyn Fn(&mut Match)| {
        let mut matches = rule("r", Expectation::Never).matches;
        change(&mut matches);
        matches.holds(&event)
    };
    assert!(holds(&|_| {}) && holds(&|m| *m = Match::default()));
    let right: [&dyn Fn(&mut Match); 7] = [
        &|m| m.class = vec![event.class],
        &|m| m.cause = vec![Cause::ClosedPort, Cause::Linger0Close],
        &|m| m.sent_by = vec![event.sent_by],
        &|m| m.origin = vec![Origin::Endpoint],
        &|m| m.process = vec!["nginx".into(), "ha*".into()],
        &|m| m.interface = vec!["eth*".into()],
        &|m| m.net = vec!["10.9.0.9/32".parse().unwrap()],
    ];
    let wrong: [&dyn Fn(&mut Match); 9] = [
        &|m| m.class = vec![Cause::ClosedPort.class()],
        &|m| m.cause = vec![Cause::ClosedPort],
        &|m| m.origin = vec![Origin::HostFirewall],
        &|m| m.process = vec!["proxy".into()],
        &|m| m.interface = vec!["veth*".into()],
        &|m| m.net = vec!["10.2.0.0/16".parse().unwrap()],
        &|m| m.client = vec!["10.9.0.0/16".parse().unwrap()],
        &|m| m.server = vec!["10.1.0.0/16".parse().unwrap()],
        &|m| m.port = vec![40_000..=40_000],
    ];
    for (i, change) in right.iter().enumerate() {
        assert!(holds(change), "right {i}");
    }
    for (i, change) in wrong.iter().enumerate() {
        assert!(!holds(change), "wrong {i}");
    }
}

#[test]
fn where_nobody_knows_who_is_the_client_no_rule_about_clients_matches() {
    let event = RstEvent { client: None, server: None, ..refusal(0.9) };
    assert_eq!(Ledger::new(vec![rule("r", Expectation::Never)]).judge(&event), None);
    let net = Match { net: vec!["10.1.0.0/16".parse().unwrap()], ..Match::default() };
    let either = Rule { name: "either".into(), matches: net, expects: Expectation::Never };
    assert!(Ledger::new(vec![either]).judge(&event).is_some());
}

#[test]
fn new_rules_begin_with_nothing_and_those_that_stay_go_on() {
    let (stays, goes) = (rule("stays", Expectation::Harmless), rule("goes", Expectation::Never));
    let mut ledger = Ledger::new(vec![stays.clone(), goes.clone()]);
    ledger.judge(&refusal(0.9));
    assert!(!ledger.replace(vec![stays.clone(), goes]));
    assert!(ledger.replace(vec![rule("new", Expectation::Denied), stays.clone()]));
    let counts: Vec<_> = ledger.account().iter().map(|rule| rule.rsts).collect();
    assert_eq!(counts, [0, 1]);
    let other = Rule { expects: Expectation::Never, ..stays };
    assert!(ledger.replace(vec![other]));
    assert_eq!(ledger.account()[0].rsts, 0, "it means something else now");
}

#[test]
fn a_violation_is_told_at_once_and_names_its_rule_and_who_got_through() {
    let mut ledger = Ledger::new(vec![rule("guests", Expectation::Denied)]);
    let mut watch = Watch::default();
    let mut findings = Vec::new();
    let reached =
        |client: &str| RstEvent { client: Some(crate::detect::tests::at(client)), ..refusal(0.95) };
    let events = [
        (0, firewall(Cause::HostFirewallReject, 0.95)),
        (1, refusal(0.95)),
        (2, refusal(0.7)),
        (3, reached("10.1.0.6:4000")),
        (4, reached("10.1.0.6:4001")),
    ];
    for (second, event) in events {
        let mut event = RstEvent { time: Timestamp(START + second * SECOND), ..event };
        event.policy = ledger.judge(&event);
        findings.extend(watch.see(&event));
    }
    findings.extend(watch.end());
    let states: Vec<_> = findings.iter().map(|finding| finding.state).collect();
    assert_eq!(states, [FindingState::Begins, FindingState::Over]);
    let last = &findings[1];
    assert_eq!((last.kind, last.severity), (FindingKind::PolicyViolation, Severity::High));
    assert_eq!(last.rule.as_deref(), Some("guests"));
    assert_eq!(
        last.text,
        "3 resets in 3.0 s against the rule guests (a firewall denies these connections): 3 closed port; the first: \
         10.1.0.5:40000 → 10.9.0.9:5432: it got through to the host, whose own reset this is: closed port, 95% sure; \
         it is over"
    );
    assert_eq!(last.counts["rsts"], 3);
    let sources: Vec<_> = last.sources.iter().map(|s| (s.ip.to_string(), s.resets)).collect();
    assert_eq!(sources, [("10.1.0.6".to_owned(), 2), ("10.1.0.5".to_owned(), 1)]);
    assert_eq!((last.start.0, last.end.0), (START + SECOND, START + 4 * SECOND));
}
