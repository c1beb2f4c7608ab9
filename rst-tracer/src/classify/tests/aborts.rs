//! Resets of live sockets.

use super::{both, expect, sane, share, with};
use crate::correlate::{
    Crowd,
    story::{ACK, Client, Packet, RST, Server, Story},
};
use crate::event::{AtFault, Cause, Effect, Origin, SentBy, Severity, Stage};

#[test]
fn a_server_that_hangs_up_on_an_unanswered_request_left_it_unread() {
    for mut story in both() {
        story.handshake().say(Client, b"GET / HTTP/1.1\r\n\r\n").wait(2).ack(Server).abort(Server);
        let event = expect(&mut story, Cause::ClosedWithUnreadData);
        assert_eq!((event.stage, event.sent_by), (Stage::PostPush, SentBy::Server));
        assert_eq!((event.origin, event.effect), (Origin::Endpoint, Effect::Accepted));
        assert_eq!((event.severity, event.at_fault), (Severity::Medium, AtFault::Server));
        assert!(share(&event, Cause::Linger0Close) >= 10);
        assert_eq!(event.app, "http");
    }
}

#[test]
fn a_server_that_has_answered_everything_closes_with_linger_0() {
    for mut story in both() {
        story.handshake().exchange().abort(Server);
        let event = expect(&mut story, Cause::Linger0Close);
        assert_eq!(event.severity, Severity::Info);
        assert!(share(&event, Cause::AdminKill) > 0, "the two look the same");
    }
}

#[test]
fn after_a_whole_answer_a_cancel_and_a_linger_0_look_alike() {
    let mut story = Story::v4();
    story.handshake().exchange().abort(Client);
    let event = expect(&mut story, Cause::Linger0Close);
    assert!(share(&event, Cause::ClientCancel) >= 30);
    assert!(event.confidence.percent() <= 55);
}

#[test]
fn a_client_that_hangs_up_amid_the_answer_cancels() {
    for mut story in both() {
        story.handshake().exchange().say(Server, &[b'x'; 900]).wait(1).say(Server, &[b'x'; 900]);
        story.abort(Client);
        let event = expect(&mut story, Cause::ClientCancel);
        assert_eq!(event.at_fault, AtFault::Nobody);
    }
}

#[test]
fn a_client_that_says_nothing_and_hangs_up_once_perhaps_checks_health() {
    let mut story = Story::v4();
    story.handshake().abort(Client);
    let event = expect(&mut story, Cause::Linger0Close);
    assert!(share(&event, Cause::LbHealthCheck) >= 20);
}

#[test]
fn a_server_that_resets_a_silent_connection_had_perhaps_not_accepted_it() {
    let mut story = Story::v4();
    story.handshake().abort(Server);
    let event = expect(&mut story, Cause::Linger0Close);
    assert!(share(&event, Cause::RestartWithPendingConnections) >= 30);
    assert_eq!(share(&event, Cause::ClosedWithUnreadData), 0, "there is nothing unread");
    let restart = |facts: fn(&mut Crowd)| {
        let mut story = Story::v4();
        with(story.handshake().abort(Server), |joined| facts(&mut joined.crowd))
    };
    for more in
        [restart(|crowd| crowd.of_endpoint = 2), restart(|crowd| crowd.refused_later = true)]
    {
        assert_eq!(more.cause, Cause::RestartWithPendingConnections, "others went with it");
    }
}

#[test]
fn a_tls_alert_for_first_words_is_a_mismatch() {
    let mut story = Story::v4();
    story.handshake().say(Client, b"GET / HTTP/1.1\r\n\r\n").wait(2);
    story.say(Server, b"\x15\x03\x01\x00\x02\x02\x46").abort(Server);
    expect(&mut story, Cause::ProtocolMismatch);
}

#[test]
fn a_close_notify_before_the_reset_is_an_orderly_end_of_tls() {
    let mut story = Story::v4();
    story.handshake().say(Client, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").wait(2);
    story.say(Server, b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03").wait(2);
    story.say(Client, &[0x17; 24]).abort(Client);
    let event = expect(&mut story, Cause::TlsCloseThenRst);
    assert_eq!(event.app, "tls");
}

#[test]
fn probes_without_answer_and_then_a_reset_are_a_keepalive_timeout() {
    for mut story in both() {
        story.handshake().exchange().wait(1000).probe(Client).wait(1000).probe(Client).wait(1000);
        story.abort(Client);
        let event = expect(&mut story, Cause::KeepaliveTimeout);
        assert!(event.confidence.percent() >= 95);
        assert_eq!(event.effect, Effect::Unknown, "nobody knows whether it arrived");
        let text = &event.evidence[0].text;
        assert!(text.contains("2 probes") && text.contains("1000 ms"), "{text}");
    }
}

#[test]
fn a_reset_right_behind_the_own_fin_speaks_of_memory() {
    let mut story = Story::v4();
    story.handshake().exchange().fin(Client).abort(Client);
    let event = sane(story.first());
    assert!(share(&event, Cause::OrphanOrMemoryPressure) >= 12);
    assert!(share(&event, Cause::RstAfterFin) >= 20);
}

#[test]
fn a_reset_long_after_the_own_fin_is_a_fast_close() {
    let mut story = Story::v4();
    story.handshake().exchange().fin(Server).wait(5).ack(Client).wait(500).abort(Server);
    let event = expect(&mut story, Cause::RstAfterFin);
    assert_eq!(event.stage, Stage::PostFin);
}

#[test]
fn a_server_that_expects_no_proxy_header_hangs_up_on_it() {
    for header in [&b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x21"] {
        let mut story = Story::v4();
        story.handshake().say(Client, header).wait(1).say(Server, b"SSH-2.0-x\r\n").wait(1);
        let event = expect(story.abort(Server), Cause::ProtocolMismatch);
        assert!(event.evidence.iter().any(|e| e.id == "proxy_header"), "{event:#?}");
    }
}

#[test]
fn mptcp_says_its_reason() {
    let tcprst = |story: &Story, reason| Packet {
        options: vec![30, 4, 0x80, reason],
        ..story.packet(Server, RST | ACK)
    };
    let mut full = Story::v4();
    full.handshake().exchange();
    full.send(tcprst(&full, 2));
    let event = expect(&mut full, Cause::MptcpResource);
    assert_eq!(event.mptcp_reason.as_deref(), Some("lack of resources"));

    let mut meddled = Story::v4();
    meddled.handshake().exchange();
    meddled.send(tcprst(&meddled, 6));
    let event = expect(&mut meddled, Cause::MptcpProtocol);
    assert_eq!(event.mptcp_reason.as_deref(), Some("middlebox interference"));

    // Linux gives reason 0 where the owner ends the whole connection, too.
    let mut ended = Story::v4();
    ended.handshake().exchange();
    let stamped = ended.packet(Server, RST | ACK).options;
    let options = [&stamped[..], &[30, 4, 0x80, 0]].concat();
    ended.send(Packet { options, ..ended.packet(Server, RST | ACK) });
    let event = expect(&mut ended, Cause::Linger0Close);
    assert!((10..=40).contains(&share(&event, Cause::MptcpProtocol)), "{event:#?}");
}
