//! Resets before any data.

use super::{both, expect, gives, sane, share, with};
use crate::correlate::Peer;
use crate::correlate::story::{ACK, Client, Packet, RST, SYN, Server, Story};
use crate::event::{AtFault, Cause, Effect, Origin, Severity, Stage};
use rst_tracer_common::event::Hook;

#[test]
fn a_syn_that_the_host_itself_refuses_met_a_closed_port() {
    let mut v4 = Story::v4();
    v4.syn().wait(10).disown(Server);
    let event = expect(&mut v4, Cause::ClosedPort);
    assert_eq!(event.stage, Stage::PostSyn);
    assert_eq!(event.effect, Effect::Accepted);
    assert!((70..80).contains(&event.confidence.percent()), "undecidable on IPv4 without TOS");
    assert!(share(&event, Cause::HostFirewallReject) >= 15);

    let mut v6 = Story::v6();
    v6.syn().wait(10).disown(Server);
    assert!(expect(&mut v6, Cause::ClosedPort).confidence.percent() > 85);
}

#[test]
fn a_mirrored_type_of_service_speaks_for_the_host_and_zero_for_a_filter() {
    let mut host = Story::v4().with_tos(0x28);
    host.syn().wait(10).disown(Server);
    assert!(expect(&mut host, Cause::ClosedPort).confidence.percent() > 85);

    let mut filter = Story::v4().with_tos(0x28);
    filter.syn().wait(10).reject(Server);
    let event = expect(&mut filter, Cause::HostFirewallReject);
    assert_eq!(event.origin, Origin::HostFirewall);
    assert!(event.evidence.iter().any(|e| e.id == "tos_zero"));
    assert_eq!(event.app, "not-applicable");
}

#[test]
fn a_refusal_without_flow_label_came_from_a_filter() {
    let mut story = Story::v6();
    story.syn().wait(10).reject(Server);
    let event = expect(&mut story, Cause::HostFirewallReject);
    assert!(share(&event, Cause::NetworkFirewallReject) >= 20);
}

#[test]
fn a_refusal_with_a_fresh_ttl_from_another_network_was_made_on_this_link() {
    for mut story in both() {
        (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
        story.syn().wait(10);
        let answer = Packet { ttl: 64, flow_label: 0, ..story.answer(Server) };
        story.seen_at(Hook::XDP, 2, &answer);
        let event = expect(&mut story, Cause::NetworkFirewallReject);
        assert_eq!(event.origin, Origin::MiddleboxSuspected);
    }
    // From a distance the same refusal says nothing of the kind.
    let mut far = Story::v4();
    (far.hook, far.ifindex) = (Hook::TC_EGRESS, 2);
    far.syn().wait(10);
    let answer = far.answer(Server);
    far.seen_at(Hook::XDP, 2, &answer);
    expect(&mut far, Cause::ClosedPort);
}

#[test]
fn a_capture_before_the_client_shows_what_its_own_link_answers() {
    let told = |syn_ttl: u8, ttl: u8, of_peer: Option<u8>| {
        let mut story = Story::v4();
        let syn = Packet { ttl: syn_ttl, ..story.packet(Client, SYN) };
        story.send(syn).wait(10);
        let answer = Packet { ttl, ..story.answer(Server) };
        story.send(answer);
        with(&mut story, |joined| {
            let peer =
                of_peer.map(|ttl| Peer { ttl: Some(ttl), connections: 2, ..Peer::default() });
            joined.crowd.src_peer = peer;
        })
    };
    let near = told(64, 64, None);
    assert_eq!(near.cause, Cause::NetworkFirewallReject);
    assert!(gives(&near, "fresh_ttl"));
    // Behind a router, where the client's segments have passed one, too.
    assert_eq!(told(63, 64, None).cause, Cause::ClosedPort);
    assert_eq!(told(64, 63, None).cause, Cause::ClosedPort);
    // Routers of some clouds count nothing down: then all that the server sends is fresh.
    assert_eq!(told(64, 64, Some(64)).cause, Cause::ClosedPort);
}

#[test]
fn a_refusal_of_a_syn_that_was_not_seen_is_believed_less() {
    let mut known = Story::v4();
    known.syn();
    let answer = known.answer(Server);
    let mut story = Story::v4();
    story.send(answer);
    let event = expect(&mut story, Cause::ClosedPort);
    assert_eq!(event.stage, Stage::NoFlow);
    assert_eq!(event.effect, Effect::Unknown);
    assert!(event.confidence.percent() <= 60);
    assert!(share(&event, Cause::Backscatter) > 0);
}

#[test]
fn a_client_without_a_socket_refuses_the_syn_ack() {
    for mut story in both() {
        story.syn().wait(250).syn_ack().wait(1).disown(Client);
        let event = expect(&mut story, Cause::ClientGaveUp);
        assert_eq!(event.stage, Stage::PostSynack);
        assert_eq!(event.severity, Severity::Info);
        assert!(share(&event, Cause::ScannerProbe) >= 10);
    }
}

#[test]
fn a_syn_that_no_stack_wrote_was_a_probe() {
    for mut story in both() {
        let syn = Packet {
            ttl: 255,
            ip_id: 54321,
            window: 65535,
            options: vec![],
            df: false,
            ..story.packet(Client, SYN)
        };
        story.send(syn).wait(10).syn_ack().wait(1).disown(Client);
        let event = expect(&mut story, Cause::ScannerProbe);
        assert!(event.confidence.percent() >= 90);
        assert_eq!(event.at_fault, AtFault::Client);
    }
}

#[test]
fn an_ack_of_an_old_connection_lets_the_client_discover_it() {
    let mut story = Story::v6();
    story.syn().wait(5);
    let challenge = Packet { ack: 77, seq: 999, ..story.packet(Server, ACK) };
    story.send(challenge).wait(1).disown(Client);
    let event = expect(&mut story, Cause::HalfOpenDiscovery);
    assert!(event.confidence.percent() >= 85);
}

#[test]
fn the_end_of_the_handshake_refused_means_a_full_accept_queue() {
    for mut story in both() {
        story.syn().wait(10).syn_ack().wait(1);
        let syn_ack = Packet { seq: 0xffff_ff00, ..story.packet(Server, SYN | ACK) };
        story.wait(1000).send(syn_ack).wait(10).ack(Client).wait(10).disown(Server);
        let event = expect(&mut story, Cause::AcceptQueueOverflow);
        assert!(event.confidence.percent() >= 75);
        assert_eq!(event.stage, Stage::PostAck);
        assert_eq!(event.at_fault, AtFault::Server);
    }
    let mut once = Story::v4();
    once.handshake().disown(Server);
    assert!(expect(&mut once, Cause::AcceptQueueOverflow).confidence.percent() <= 55);
    let mut elsewhere = Story::v4();
    let answer = elsewhere.handshake().answer(Server);
    elsewhere.send(Packet { ttl: answer.ttl + 5, ..answer });
    assert_ne!(sane(elsewhere.first()).cause, Cause::AcceptQueueOverflow, "the server is farther");
}

#[test]
fn an_ack_that_does_not_fit_the_syn_ack_is_refused() {
    let mut story = Story::v4();
    story.syn().wait(10).syn_ack().wait(10);
    let wrong = Packet { ack: 12345, ..story.packet(Client, ACK) };
    story.send(wrong).wait(1).disown(Server);
    expect(&mut story, Cause::BadHandshakeAck);
}

#[test]
fn a_lone_segment_that_is_refused_is_a_stray() {
    for mut story in both() {
        story.ack(Client).wait(1).disown(Server);
        let event = expect(&mut story, Cause::StraySegment);
        assert_eq!(event.stage, Stage::NoFlow);
        assert_eq!(event.effect, Effect::Accepted);
        assert!(share(&event, Cause::HalfOpenStaleState) >= 10);
    }
}

#[test]
fn a_reset_of_which_nothing_is_known_is_not_explained() {
    let mut story = Story::between(false, 50000, 60000);
    story.abort(Client);
    let event = expect(&mut story, Cause::NoConnectionSeen);
    assert_eq!(event.confidence.percent(), 0);
    assert_eq!(event.origin, Origin::Unknown);
}

#[test]
fn a_client_that_resets_its_own_syn_gave_up_as_far_as_one_sees() {
    let mut story = Story::v4();
    story.syn().wait(5).abort(Client);
    let event = expect(&mut story, Cause::ClientGaveUp);
    assert!(event.confidence.percent() <= 40);
    assert_eq!(event.effect, Effect::Unknown);
}

#[test]
fn who_forgot_a_living_connection_twice_reused_no_waiting_port() {
    let mut story = Story::v4();
    story.handshake().exchange();
    for _ in 0..2 {
        let (old, syn) = (story.packet(Server, ACK), story.packet(Client, SYN));
        story.wait(5).send(Packet { seq: syn.seq.wrapping_add(300_000), ..syn }).wait(1);
        story.send(old).wait(1).disown(Client).wait(1000).handshake().exchange();
    }
    let told: Vec<_> = story.told().iter().map(|event| event.cause).collect();
    assert_eq!(told, [Cause::HalfOpenDiscovery; 2]);
}

#[test]
fn who_guesses_while_the_handshake_is_open_guesses() {
    let mut story = Story::v4();
    story.syn().wait(10).syn_ack().wait(1);
    let usual = story.packet(Client, RST);
    for ahead in [0x2000_0000, 0x4000_0000] {
        let seq = usual.seq.wrapping_add(ahead);
        story
            .send(Packet { seq, ack: 0, window: 0, options: vec![], ttl: 237, ..usual.clone() })
            .wait(1);
    }
    story.ack(Client).wait(1).say(Client, b"hello");
    for event in story.told() {
        assert_eq!(event.cause, Cause::BlindResetAttempt, "{event:#?}");
        assert_ne!(event.origin, Origin::Endpoint);
    }
}
