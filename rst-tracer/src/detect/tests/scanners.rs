//! Scanners that hide: behind many ports, many addresses, ordinary calls.

use super::*;
use crate::event::Evidence;

/// The refusal of a SYN that no TCP wrote.
fn raw(client: &str, server: &str) -> RstEvent {
    let why = Evidence { id: "raw_syn".into(), text: "no TCP wrote it".into(), ..why() };
    let cause = Cause::ScanResponse;
    RstEvent { cause, class: cause.class(), evidence: vec![why], ..refused(client, server) }
}

fn why() -> Evidence {
    let Event::Rst(rst) = samples::unread_data() else { panic!("the example is a reset") };
    rst.evidence[0].clone()
}

#[test]
fn many_ports_of_many_hosts_in_any_order_are_a_scan_if_no_tcp_wrote_the_syns() {
    // As masscan does: five ports of 600 hosts, each host and each port seldom.
    let server = |n: u64| format!("10.{}.{}.9:{}", n % 199, n % 211, 20 + n % 5);
    let scan = |n: u64| (n * 10, raw(&format!("203.0.113.5:{}", 40_000 + n), &server(n)));
    assert_eq!(told((0..39).map(scan)), []);
    let findings = told((0..600).map(scan));
    let last = only(&findings, FindingKind::PortScan);
    let text = "203.0.113.5 tried 5 ports of 600 hosts in 6.0 s; 600 refusals; it is over";
    assert_eq!((&*last.text, last.severity), (text, Severity::Medium));
    let client = |n: u64| (n * 10, refused(&format!("192.0.2.10:{}", 40_000 + n), &server(n)));
    assert_eq!(told((0..120).map(client)), [], "peers that are gone");
}

#[test]
fn a_scanner_with_an_address_for_each_port_is_one() {
    let ask = |n: u64| {
        let (client, server) = (format!("2001:db8:bad:1::{n:x}"), format!("2001:db8::9:{}", n + 1));
        let server = Endpoint { ip: "2001:db8::9".parse().unwrap(), ..at(&server) };
        let client = Endpoint { ip: client.parse().unwrap(), port: 40_000 };
        let event = raw("10.0.0.66:1", "10.0.0.9:1");
        (n * 50, RstEvent { src: server, client: Some(client), server: Some(server), ..event })
    };
    let findings = told((0..30).map(ask));
    let last = only(&findings, FindingKind::PortScan);
    let begin = "2001:db8:bad:1::/64 (30 addresses) tried 30 ports of 2001:db8::9";
    assert!(last.text.starts_with(begin), "{}", last.text);
    let ordinary = |(ms, event)| (ms, RstEvent { cause: Cause::ClosedPort, ..event });
    assert_eq!(told((0..30).map(ask).map(ordinary)), [], "thirty hosts of a network");
}

#[test]
fn what_is_open_is_what_the_asker_hung_up_on_without_a_word() {
    let findings = told((0..60_u64).map(|n| {
        let (client, server) = (format!("10.1.0.5:{}", 41_000 + n), format!("10.0.0.9:{}", 20 + n));
        let closed = by_server(Cause::Linger0Close, &client, &server);
        let open = RstEvent { src: at(&client), stage: Stage::PostAck, ..closed };
        (n * 10, if [2, 33, 40].contains(&n) { open } else { refused(&client, &server) })
    }));
    let last = only(&findings, FindingKind::PortScan);
    let text = "10.1.0.5 tried 60 ports of 10.0.0.9 in 590 ms; 57 refusals, 3 open: 22, 53, 60; it is over";
    assert_eq!((&*last.text, last.counts["open"]), (text, 3));
}

#[test]
fn only_syns_past_tcp_are_grave_where_this_host_scans() {
    let by_this_host = |event: fn(&str, &str) -> RstEvent| {
        let findings = told((0..20_u64).map(|n| {
            let event = event(&format!("10.1.0.5:{}", 41_000 + n), &format!("10.0.0.9:{}", 20 + n));
            (n, RstEvent { local_role: LocalRole::Receiver, ..event })
        }));
        only(&findings, FindingKind::PortScan).severity
    };
    assert_eq!((by_this_host(refused), by_this_host(raw)), (Severity::Medium, Severity::High));
}

#[test]
fn a_scan_through_tcp_is_told_after_two_minutes_and_with_all_that_it_asked() {
    let mut watch = Watch::default();
    for n in 0..200_u64 {
        let event = refused(&format!("10.0.0.66:{}", 40_000 + n), &format!("10.0.1.{n}:22"));
        let time = Timestamp(START + n * 1_000_000);
        assert_eq!(watch.see(&RstEvent { time, ..event }), []);
    }
    assert_eq!(watch.look(START + 119 * SECOND), []);
    let findings = watch.look(START + 121 * SECOND);
    let last = only(&findings, FindingKind::PortScan);
    assert!(
        last.text.starts_with("10.0.0.66 tried port 22 of 200 hosts in 199 ms"),
        "{}",
        last.text
    );
    assert_eq!(last.end.0, START + 199_000_000);
}
