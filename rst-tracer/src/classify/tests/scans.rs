//! Scanners, health checks and races between addresses: not tampering.

use super::{expect, gives, share, with};
use crate::correlate::story::{Client, Packet, RST, SYN, Server, Story};
use crate::event::{Cause, Origin};

/// A SYN that a tool writes, and the kernel's answer to the SYN-ACK.
fn scan(window: u16, options: &[u8], ip_id: u16, ttl: u8) -> Story {
    let mut story = Story::v4();
    let syn = Packet {
        window,
        options: options.to_vec(),
        ip_id,
        ttl,
        df: false,
        ..story.packet(Client, SYN)
    };
    story.send(syn).wait(10).syn_ack().wait(1).disown(Client);
    story
}

#[test]
fn a_scanner_that_resets_a_refusal_is_known_by_that() {
    let told = |syn_options: Vec<u8>, window: u16| {
        let mut story = Story::v4();
        let usual = story.packet(Client, SYN);
        let syn = Packet { window, options: syn_options, ttl: 255, df: false, ..usual };
        story.send(syn).wait(10).disown(Server).wait(1);
        let reset = Packet { window: 1200, ttl: 255, ..story.packet(Client, RST) };
        story.send(Packet { options: vec![], df: false, ..reset });
        story.told().remove(1)
    };
    let event = told(vec![], 1024);
    assert_eq!(event.cause, Cause::ScannerProbe, "{event:#?}");
    assert!(gives(&event, "tool_resets"));
    let usual = Story::v4().packet(Client, SYN).options;
    assert_ne!(told(usual, 64_240).cause, Cause::ScannerProbe);
}

#[test]
fn scanners_are_known_by_their_syns() {
    const MSS: [u8; 4] = [2, 4, 5, 0xb4];
    for (mut story, name) in [
        (scan(65535, &MSS, 54321, 250), "ZMap"),
        (scan(1024, &[], 4711, 250), "masscan"),
        (scan(2048, &MSS, 4711, 50), "nmap"),
    ] {
        let event = expect(&mut story, Cause::ScannerProbe);
        assert!(event.confidence.percent() >= 85);
        assert!(event.evidence.iter().any(|e| e.text.contains(name)), "{event:#?}");
        assert_eq!(event.signature.as_deref(), Some("SYN → RST"));
        assert_eq!(event.origin, Origin::Endpoint);
    }
}

#[test]
fn many_ports_that_refuse_one_client_answer_a_scan() {
    let mut story = Story::v4();
    story.syn().wait(5).disown(Server);
    let event = with(&mut story, |joined| joined.crowd.refused_ports = 40);
    assert_eq!(event.cause, Cause::ScanResponse);
    assert!(gives(&event, "many_ports"));

    let mut few = Story::v4();
    few.syn().wait(5).disown(Server);
    let event = with(&mut few, |joined| joined.crowd.refused_ports = 2);
    assert_eq!(event.cause, Cause::ClosedPort);
}

#[test]
fn a_client_that_hangs_up_at_regular_intervals_checks_health() {
    let mut story = Story::v4();
    story.handshake().abort(Client);
    let event = with(&mut story, |joined| joined.crowd.periodic = Some((12, 2000)));
    assert_eq!(event.cause, Cause::LbHealthCheck);
    assert!(event.confidence.percent() >= 90);
    assert!(event.evidence[0].text.contains("2000 ms"));
}

#[test]
fn the_slower_of_two_addresses_is_dropped_and_nobody_tampered() {
    let mut established = Story::v6();
    established.handshake().abort(Client);
    let event = established.first();
    assert!(share(&event, Cause::ClientCancel) >= 10);
    assert_eq!(event.signature.as_deref(), Some("SYN;ACK → RST+ACK"));
    assert_eq!(event.origin, Origin::Endpoint);

    let mut half = Story::v6();
    half.syn().wait(250).syn_ack().wait(1).disown(Client);
    let event = expect(&mut half, Cause::ClientGaveUp);
    assert!(event.evidence.iter().any(|e| e.text.contains("RFC 8305")));
}
