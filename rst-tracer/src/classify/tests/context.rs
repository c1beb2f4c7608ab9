//! What was said, and what went before, tells apart what looks alike: each fails without its rule.

use std::sync::Arc;

use rst_tracer_common::event::Hook;

use super::{both, expect, gives, sane, share, with};
use crate::{
    correlate::{
        Rules, Scene, SendReset, Witnesses, describe,
        story::{ACK, Client, FIN, PSH, Packet, RST, SYN, Server, Story, Who},
    },
    event::{Cause, Origin, RstEvent},
};

const GET: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
const SERVER_HELLO: &[u8] = b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03";

#[test]
fn sides_that_speak_different_protocols_do_not_fit() {
    for (greeting, asked) in [
        (&b"SSH-2.0-OpenSSH_9.2p1\r\n"[..], GET),
        (b"220 mx.example ESMTP\r\n", HELLO),
        (b"220 at your service\r\n", HELLO),
    ] {
        let mut story = Story::v4();
        story.handshake().say(Server, greeting).wait(2).say(Client, asked).wait(2);
        let event = expect(story.say(Server, b"what?\r\n").abort(Server), Cause::ProtocolMismatch);
        assert!(gives(&event, "at_odds"), "{event:#?}");
    }
    let mut story = Story::v4();
    story.handshake().say(Server, b"220 at your service\r\n").wait(2);
    story.say(Client, b"EHLO me\r\n").wait(2).say(Server, b"250 hello\r\n").abort(Server);
    assert_ne!(sane(story.first()).cause, Cause::ProtocolMismatch);
}

#[test]
fn a_gateway_that_tells_of_the_server_behind_it_is_a_proxy() {
    let told = |status: &[u8]| {
        let mut story = Story::v4();
        story.handshake().say(Client, GET).wait(30).say(Server, status).wait(1).ack(Client);
        sane(story.abort(Server).first()).cause
    };
    assert_eq!(told(b"HTTP/1.1 504 Gateway Time-out\r\n\r\n"), Cause::ProxyAbort);
    assert_eq!(told(b"HTTP/1.1 413 Too Large\r\n\r\n"), Cause::ClosedWithUnreadData);
}

#[test]
fn a_handshake_left_half_done_at_equal_times_is_a_check() {
    for mut story in both() {
        let event = with(story.syn().wait(9).syn_ack().wait(1).disown(Client), |joined| {
            joined.crowd.periodic = Some((4, 2_000));
        });
        assert_eq!(event.cause, Cause::LbHealthCheck);
        assert!(gives(&event, "periodic"));
    }
}

#[test]
fn a_syn_ack_that_nobody_had_asked_for_is_backscatter() {
    for mut story in both() {
        let event = expect(story.syn_ack().wait(1).disown(Client), Cause::Backscatter);
        assert!(gives(&event, "unasked_syn_ack"));
        assert!(share(&event, Cause::ClientGaveUp) >= 20);
    }
}

#[test]
fn a_refusal_of_network_equipment_is_no_closed_port() {
    let told = |ttl: u8| {
        let mut story = Story::v4();
        story.syn().wait(1);
        let refusal = story.answer(Server);
        story.send(Packet { ttl, ip_id: 4_711, df: false, ..refusal });
        sane(story.first()).cause
    };
    assert_eq!(told(254), Cause::NetworkFirewallReject);
    assert_eq!(told(58), Cause::ClosedPort);
}

#[test]
fn a_sender_that_had_repeated_itself_in_vain_had_given_up() {
    for mut story in both() {
        story.handshake().exchange().wait(10);
        let last = story.packet(Client, PSH | ACK);
        for wait in [0, 200, 400, 800] {
            story.wait(wait).send(Packet { payload: b"anybody?".to_vec(), ..last.clone() });
        }
        // The server heard none of it, and the client is no more.
        let old = story.packet(Server, PSH | ACK);
        story.wait(500).send(Packet { ack: last.seq, payload: b"news".to_vec(), ..old });
        let event = expect(story.wait(1).disown(Client), Cause::LateSegmentAfterTimeout);
        assert!(gives(&event, "given_up"));
    }
}

#[test]
fn a_server_that_resets_behind_its_fin_left_the_rest_unread() {
    for mut story in both() {
        story.handshake().say(Client, GET).wait(2).say(Server, b"HTTP/1.0 501 no\r\n\r\n").wait(1);
        story.ack(Client).fin(Server).abort(Server);
        let event = expect(&mut story, Cause::ClosedWithUnreadData);
        assert!(gives(&event, "reset_behind_fin"));
        assert!(share(&event, Cause::RstAfterFin) >= 25);
    }
    let mut story = Story::v4();
    story.handshake().exchange().fin(Server).wait(300).abort(Server);
    expect(&mut story, Cause::RstAfterFin);
}

#[test]
fn a_goodbye_in_tls_that_nobody_reads_is_an_orderly_end() {
    let mut story = Story::v4();
    story.handshake().say(Client, HELLO).wait(2).say(Server, SERVER_HELLO).wait(2);
    story.say(Server, b"\x15\x03\x03\x00\x02\x01\x00").fin(Server).wait(1);
    expect(story.ack(Client).abort(Client), Cause::TlsCloseThenRst);
}

#[test]
fn an_old_segment_that_comes_behind_the_end_is_a_stray() {
    for mut story in both() {
        story.handshake();
        let old = story.packet(Client, PSH | ACK);
        story.exchange().fin(Server).wait(5).ack(Client).fin(Client).wait(5).ack(Server).wait(50);
        let last = story.packet(Server, ACK);
        story.send(Packet { payload: b"request".to_vec(), ..old }).send(last);
        let event = expect(story.disown(Client), Cause::StraySegment);
        assert!(gives(&event, "copy_behind_the_end"));
    }
}

#[test]
fn a_last_ack_that_comes_twice_is_a_stray() {
    for (last, reason) in
        [(false, None), (true, None), (true, Some("TCP_FLAGS")), (true, Some("NO_SOCKET"))]
    {
        for mut story in both() {
            (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
            story.handshake().exchange().fin(Client).wait(5).ack(Server).fin(Server).wait(5);
            // Twice, or instead something that is not acknowledged any more.
            story.ack(Client).wait(5);
            if last {
                story.ack(Client)
            } else {
                story.say(Client, b"more")
            };
            story.disown(Server);
            if let Some(reason) = reason {
                story.kernel_answers(Server, reason);
            }
            let event = sane(story.first());
            assert_eq!(event.cause == Cause::StraySegment, last, "{reason:?} {event:#?}");
            assert_eq!(
                gives(&event, "copy_behind_the_end"),
                last && reason.is_none(),
                "{event:#?}"
            );
        }
    }
}

#[test]
fn a_copy_of_an_old_question_is_a_stray() {
    for reason in [None, Some("TCP_FLAGS")] {
        for mut story in both() {
            (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
            story.handshake();
            let old = Packet { payload: b"hello".to_vec(), ..story.packet(Client, PSH | ACK) };
            story.say(Client, b"hello").wait(5).say(Server, b"hi").wait(5).ack(Client).fin(Client);
            story.wait(5).ack(Server).fin(Server).wait(5).ack(Client).wait(500).send(old);
            story.disown(Server);
            if let Some(reason) = reason {
                story.kernel_answers(Server, reason);
            }
            expect(&mut story, Cause::StraySegment);
        }
    }
}

#[test]
fn a_server_whose_fin_came_from_elsewhere_had_been_reset() {
    let told = |farther: u8| {
        let mut story = Story::v4();
        story.handshake().say(Client, GET).wait(5).ack(Server).wait(5);
        let page = story.packet(Server, FIN | PSH | ACK);
        let ttl = page.ttl - farther;
        story.send(Packet { payload: b"HTTP/1.1 200 OK\r\n\r\nno".to_vec(), ttl, ..page });
        story.wait(5).ack(Client).wait(1).disown(Server);
        sane(story.first())
    };
    let event = told(9);
    assert_eq!(event.cause, Cause::SegmentAfterReset, "{event:#?}");
    assert!(gives(&event, "fin_from_elsewhere"));
    assert_ne!(told(0).cause, Cause::SegmentAfterReset);
}

#[test]
fn who_has_taken_data_behind_its_fin_had_closed_one_direction_only() {
    let told = |took: bool| {
        let mut story = Story::v4();
        story.handshake().exchange().fin(Client).wait(5).say(Server, b"news").wait(5);
        if took {
            story.ack(Client).wait(5).say(Server, b"and more").wait(5);
        }
        expect(story.disown(Client), Cause::DataAfterClose).confidence.percent()
    };
    assert!(told(false) >= 90);
    assert!((50..70).contains(&told(true)));
}

#[test]
fn a_box_that_resets_both_sides_of_a_connection_at_rest_gave_it_up() {
    let told = |ms: u64, ttl: u8, whom: &[Who]| {
        let mut story = Story::v4();
        story.handshake().exchange().ack(Client).wait(ms);
        for &from in whom {
            let usual = story.packet(from, RST);
            story.send(Packet { ttl, ack: 7, window: 0, ip_id: 0, options: vec![], ..usual });
        }
        story.told()
    };
    let gave_up = |event: &RstEvent| event.cause == Cause::IdleTimeoutMiddlebox;
    for event in told(2_000, 255, &[Client, Server]) {
        assert!(gave_up(&event) && gives(&event, "both_sides_at_once"), "{event:#?}");
    }
    let one = told(2_000, 128, &[Server]).remove(0);
    assert!(gave_up(&one) && gives(&one, "unasked"), "{one:#?}");
    assert!(!told(20, 255, &[Client, Server]).iter().any(gave_up));
    assert!(!told(2_000, 57, &[Server]).iter().any(gave_up));
}

#[test]
fn first_words_that_something_on_the_path_rejects_were_read() {
    let told = |hops: u8| {
        let mut story = Story::v4();
        story.handshake().say(Client, HELLO);
        let usual = story.answer(Server);
        story.send(Packet { ttl: usual.ttl + hops, ..usual });
        sane(story.first())
    };
    let event = told(5);
    assert_eq!(event.cause, Cause::DpiBlock, "{event:#?}");
    assert_ne!(told(0).cause, Cause::DpiBlock);
}

#[test]
fn a_filter_that_rejects_after_a_long_silence_may_have_forgotten() {
    let told = |ms: u64| {
        let mut story = Story::v6();
        story.handshake().exchange().wait(ms).say(Client, b"more").reject(Server);
        sane(story.first())
    };
    assert_eq!(share(&told(100), Cause::IdleTimeoutMiddlebox), 0);
    let (short, long) = (told(5_000), told(350_000));
    assert_eq!(short.cause, Cause::HostFirewallReject);
    assert!(share(&short, Cause::IdleTimeoutMiddlebox) >= 10);
    assert_eq!(long.cause, Cause::IdleTimeoutMiddlebox);
}

#[test]
fn what_this_hosts_tcp_did_not_write_has_no_cause_of_an_endpoint() {
    let send_reset = SendReset::Always;
    let witnesses = Witnesses { send_reset, drops: true, states: true, ..Witnesses::default() };
    let mut story = Story::v4().by(Rules { witnesses, ..Rules::default() });
    (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
    // It had reset the other side in the first one's name, and now this one in the other's.
    story.handshake().exchange().say(Server, b"more").reject(Client).say(Client, b"and more");
    story.reject(Server);
    let scene = Scene { addresses: Some(Arc::default()), ..Scene::default() };
    let events: Vec<_> = story.all().iter().map(|joined| describe(joined, &scene)).collect();
    assert_eq!(events.len(), 2);
    for event in events {
        assert_ne!(event.cause, Cause::SegmentAfterReset, "{event:#?}");
        assert_ne!(event.origin, Origin::Endpoint);
    }
}

#[test]
fn data_that_acknowledges_less_than_the_syn_ack_ends_no_handshake() {
    for mut story in both() {
        story.syn().wait(5).syn_ack().wait(5);
        let usual = story.packet(Client, PSH | ACK);
        let short = Packet { ack: usual.ack.wrapping_sub(1), payload: GET.to_vec(), ..usual };
        expect(story.send(short).disown(Server), Cause::BadHandshakeAck);
    }
}

#[test]
fn a_syn_with_data_is_refused_like_any_other() {
    let mut story = Story::v6();
    let usual = story.packet(Client, SYN);
    story.send(Packet { payload: GET.to_vec(), ..usual }).wait(5).disown(Server);
    expect(&mut story, Cause::ClosedPort);
}

#[test]
fn a_refusal_written_as_suricata_writes_is_a_prevention_systems() {
    for mut story in both() {
        story.syn().wait(3);
        let (syn, refusal) = (story.packet(Client, SYN), story.answer(Server));
        let written = Packet { window: syn.window, df: false, ip_id: 99, flow_label: 0, ..refusal };
        let event = expect(story.send(written), Cause::IpsActiveResponse);
        assert!(share(&event, Cause::ClosedPort) >= 10);
    }
}

#[test]
fn one_who_sees_the_connection_does_not_miss_it_at_rest() {
    let told = |off: u32| {
        let mut story = Story::v4();
        story.handshake().exchange().wait(300);
        let exact = story.packet(Server, RST);
        // Written like the Great Firewall's type 1.
        let seq = exact.seq.wrapping_add(off);
        let forged =
            Packet { seq, ack: 0, ttl: 90, options: vec![], window: 16_384, df: false, ..exact };
        story.send(forged).wait(30).say(Client, b"more").wait(5).say(Server, b"and more");
        sane(story.first()).cause
    };
    assert_eq!(told(0), Cause::InjectedReset);
    assert_eq!(told(1u32.wrapping_neg()), Cause::BlindResetAttempt);
}

#[test]
fn a_page_from_elsewhere_than_the_syn_ack_is_a_filters() {
    let told = |page: &[u8], farther: u8| {
        let mut story = Story::v4();
        story.handshake().say(Client, GET).wait(5);
        let answer = story.packet(Server, PSH | ACK);
        let ttl = answer.ttl - farther;
        story.send(Packet { payload: page.to_vec(), ttl, ..answer }).wait(1).ack(Client).wait(1);
        let reset = story.packet(Server, RST | ACK);
        sane(story.send(Packet { ttl, ..reset }).first())
    };
    let page = told(b"HTTP/1.1 403 Forbidden\r\n\r\nno", 2);
    assert_eq!(page.cause, Cause::DpiBlock, "{page:#?}");
    assert!(gives(&page, "page_from_elsewhere"));
    assert_eq!(told(b"HTTP/1.1 403 Forbidden\r\n\r\nno", 0).cause, Cause::ClosedWithUnreadData);
    assert_ne!(told(b"HTTP/1.1 200 OK\r\n\r\nyes, here", 2).cause, Cause::DpiBlock);
}

#[test]
fn who_hangs_up_on_a_greeting_did_not_cancel_what_it_never_asked() {
    let told = |greeting: &[u8]| {
        let mut story = Story::v4();
        (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
        story.handshake().say(Server, greeting).wait(2).ack(Client).wait(2).abort(Client);
        sane(story.kernel_aborts(Client, "TCP_ABORT_ON_CLOSE").first()).cause
    };
    assert_eq!(told(b"220 mx.example ESMTP Postfix\r\n"), Cause::ProtocolMismatch);
    assert_eq!(told(b"\x00\x01\x02 samples, without end"), Cause::ClientCancel);
}
