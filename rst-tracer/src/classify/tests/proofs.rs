//! Proofs of another hand, one by one.

use super::{both, expect, gives, sane, share, with};
use crate::correlate::story::{ACK, Client, PSH, Packet, RST, Server, Story};
use crate::event::{Cause, Effect, Origin};
use rst_tracer_common::{event::Hook, flow::slot_trait};

/// A reset with the right numbers by a raw socket.
fn raw(story: &Story, beyond: u32) -> Packet {
    let usual = story.packet(Server, RST | ACK);
    Packet {
        seq: usual.seq.wrapping_add(beyond),
        window: 0,
        options: vec![],
        ip_id: 4711,
        df: false,
        flow_label: 0,
        ..usual
    }
}

#[test]
fn a_perfect_copy_is_refuted_by_the_sender_all_the_same() {
    for mut story in both() {
        story.handshake().exchange();
        story.abort(Server).wait(1).say(Server, b"still here");
        let event = expect(&mut story, Cause::InjectedReset);
        assert_eq!(event.origin, Origin::MiddleboxProven);
        assert!(gives(&event, "sender_goes_on") && !gives(&event, "timestamp_fits"));
    }
}

#[test]
fn a_fin_behind_a_bare_reset_shows_the_sender_alive() {
    let mut story = Story::v4();
    story.handshake().exchange().say(Client, b"and now?").wait(5);
    let bare = Packet { ttl: 50, ..story.answer(Server) };
    story.send(bare).wait(20).fin(Server);
    let event = expect(&mut story, Cause::NetworkFirewallReject);
    assert_eq!(event.origin, Origin::MiddleboxProven);
}

#[test]
fn a_second_reset_that_runs_ahead_of_all_that_was_sent_is_an_injectors() {
    for mut story in both() {
        story.handshake().say(Client, b"GET / HTTP/1.1\r\n\r\n").wait(5);
        for (beyond, ms) in [(0, 0), (1460, 1), (4380, 1)] {
            story.wait(ms);
            story.send(raw(&story, beyond));
        }
        let told: Vec<_> = story.told().into_iter().map(sane).collect();
        assert!(told.iter().all(|event| event.origin == Origin::MiddleboxProven), "{told:#?}");
        assert!(gives(&told[0], "seq_runs_ahead") && gives(&told[0], "habit"));
        assert_eq!(told[0].cause, Cause::InjectedReset);
        assert_eq!(told[0].signature.as_deref(), Some("PSH+ACK → RST+ACK;RST+ACK"));
    }
}

#[test]
fn windows_and_times_to_live_that_count_up_are_an_injectors() {
    let mut story = Story::v4();
    story.syn().wait(2);
    for i in 0..3 {
        let rst = Packet {
            window: 4229 + i,
            ttl: 65 + i as u8,
            ip_id: 0,
            df: false,
            ..story.answer(Server)
        };
        story.send(rst);
    }
    let event = expect(&mut story, Cause::InjectedReset);
    assert_eq!(event.origin, Origin::MiddleboxProven);
    assert!(gives(&event, "volley_counts_up"));
    assert!(event.evidence.iter().any(|e| e.text.contains("Great Firewall")));
}

#[test]
fn an_answer_that_came_before_it_could_is_not_the_servers() {
    for mut story in both() {
        // 10 ms to the server and back, measured twice.
        story.handshake().say(Client, b"one").wait(10).say(Server, b"1").wait(10);
        story.say(Client, b"two").wait(2);
        let usual = story.packet(Server, RST | ACK);
        story.send(Packet { window: 0, options: vec![], ttl: 40, df: false, ..usual });
        let event = expect(&mut story, Cause::InjectedReset);
        assert!(gives(&event, "too_soon"));
        assert_eq!(event.origin, Origin::MiddleboxProven);
    }
}

#[test]
fn a_filter_nearer_than_the_server_answers_too_soon() {
    let mut story = Story::v4();
    story.handshake().say(Client, b"one").wait(10).say(Server, b"1").wait(10);
    story.say(Client, b"two").wait(2).reject(Server);
    let event = expect(&mut story, Cause::NetworkFirewallReject);
    assert!(gives(&event, "too_soon"));
}

#[test]
fn a_time_that_is_a_little_behind_measures_no_round_trip() {
    let mut story = Story::v4();
    story.handshake().say(Client, b"one").wait(10).say(Server, b"1").wait(10);
    let event = with(story.say(Client, b"two").wait(2).reject(Server), |joined| {
        let flow = joined.reset.flow.as_deref_mut().unwrap();
        flow.recorder.slots.iter_mut().for_each(|slot| slot.traits |= slot_trait::COARSE);
    });
    assert!(!gives(&event, "too_soon"), "{event:#?}");
}

#[test]
fn an_acknowledgment_of_what_this_host_never_sent_is_a_proof_only_here() {
    let told = |here: bool| {
        let mut story = Story::v4();
        if here {
            (story.hook, story.ifindex) = (Hook::XDP, 2);
        }
        let out = |story: &mut Story| {
            if here {
                story.hook = Hook::TC_EGRESS
            }
        };
        let back = |story: &mut Story| {
            if here {
                story.hook = Hook::XDP
            }
        };
        out(&mut story);
        story.syn().wait(10);
        back(&mut story);
        story.syn_ack().wait(10);
        out(&mut story);
        story.ack(Client).say(Client, b"GET / HTTP/1.1\r\n\r\n").wait(10);
        back(&mut story);
        story.say(Server, b"HTTP/1.1 200 OK\r\n\r\n").wait(1);
        let usual = story.packet(Server, RST | ACK);
        let by_hand = Packet { ttl: 40, df: false, options: vec![], ip_id: 9, ..usual };
        story.send(Packet { ack: by_hand.ack.wrapping_add(5000), ..by_hand });
        let event = story.first();
        assert!(gives(&event, "acks_the_unsent"), "{event:#?}");
        event.origin
    };
    assert_eq!(told(true), Origin::MiddleboxProven);
    assert_ne!(told(false), Origin::MiddleboxProven, "a segment may have been missed");
}

#[test]
fn a_reset_in_this_hosts_name_that_comes_in_from_outside_is_forged() {
    let mut story = Story::v4();
    (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
    story.syn().wait(10);
    story.hook = Hook::XDP;
    story.syn_ack().wait(10);
    story.hook = Hook::TC_EGRESS;
    story.ack(Client).say(Client, b"hello").wait(10);
    story.hook = Hook::XDP;
    story.send(Packet { df: false, ttl: 50, ..story.packet(Client, RST | ACK) });
    let event = story.first();
    assert_eq!(event.origin, Origin::MiddleboxProven);
    assert!(gives(&event, "from_outside"));
}

#[test]
fn bytes_that_only_an_injector_writes_are_its_name() {
    let mut story = Story::v4();
    story.handshake().say(Client, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").wait(5);
    let payload = vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 0];
    story.send(Packet { payload, ..raw(&story, 0) });
    let event = expect(&mut story, Cause::InjectedReset);
    assert_eq!(event.origin, Origin::MiddleboxProven);
    assert!(event.evidence.iter().any(|e| e.text.contains("Henan")));
    assert!(share(&event, Cause::DpiBlock) > 0);
}

#[test]
fn a_reset_behind_a_request_that_repeats_is_a_block() {
    let mut story = Story::v4();
    story.handshake().say(Client, b"GET /forbidden HTTP/1.1\r\n\r\n").wait(5);
    story.send(raw(&story, 0)).wait(30).say(Server, b"HTTP/1.1 200 OK\r\n\r\n");
    let event = with(&mut story, |joined| joined.crowd.reset_alike = 4);
    assert_eq!(event.cause, Cause::DpiBlock);
    assert_eq!(event.origin, Origin::MiddleboxProven);
    assert!(gives(&event, "reset_alike") && gives(&event, "behind_a_request"));
    assert_eq!(event.effect, Effect::Accepted);
}

#[test]
fn another_hardware_address_with_another_hand_is_a_proof() {
    let told = |by_hand: bool| {
        let mut story = Story::v4();
        (story.hook, story.ifindex) = (Hook::XDP, 2);
        story.handshake().exchange();
        let usual = story.packet(Server, RST | ACK);
        let rst = if by_hand { raw(&story, 0) } else { usual };
        story.send(Packet { mac: 9, ..rst }).first()
    };
    let event = told(true);
    assert_eq!(event.origin, Origin::MiddleboxProven);
    assert!(gives(&event, "mac_differs"));
    assert_eq!(told(false).origin, Origin::Endpoint, "two routers explain it");
}

#[test]
fn data_beyond_a_stale_abort_is_the_servers() {
    let mut story = Story::v4();
    story.handshake().exchange();
    let usual = story.packet(Server, PSH | ACK);
    story.send(Packet { flags: RST | ACK, seq: usual.seq.wrapping_sub(19), ..usual });
    let event = story.first();
    assert_ne!(event.origin, Origin::MiddleboxProven);
    assert!(gives(&event, "stale_seq"), "{event:#?}");
}
