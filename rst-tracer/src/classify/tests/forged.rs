//! Resets in somebody else's name.

use super::{both, expect, sane, share};
use crate::correlate::story::{ACK, Client, Packet, RST, SYN, Server, Story};
use crate::event::{AtFault, Cause, Effect, Origin, Severity};

/// As an injector on the path writes it: right addresses, its own habits.
fn forged(story: &Story, beyond: u32) -> Packet {
    let usual = story.packet(Server, RST | ACK);
    Packet {
        seq: usual.seq.wrapping_add(beyond),
        window: 0,
        options: vec![],
        ttl: 50,
        ip_id: 1,
        df: false,
        flow_label: 0,
        ..usual
    }
}

#[test]
fn an_exact_reset_that_the_server_refutes_was_injected() {
    for mut story in both() {
        story.handshake().exchange();
        story.send(forged(&story, 0)).wait(30).say(Server, b"HTTP/1.1 200 OK\r\n\r\n");
        story.wait(1).disown(Client);
        let told: Vec<_> = story.told().into_iter().map(sane).collect();
        assert_eq!(told[0].cause, Cause::InjectedReset);
        assert!(told[0].confidence.percent() >= 45);
        assert!(share(&told[0], Cause::IpsActiveResponse) >= 5, "nothing says whose hand");
        assert_eq!((told[0].origin, told[0].effect), (Origin::MiddleboxProven, Effect::Accepted));
        assert_eq!((told[0].severity, told[0].at_fault), (Severity::High, AtFault::Network));
        assert_eq!(told[1].cause, Cause::SegmentAfterReset);
    }
}

#[test]
fn without_a_proof_strange_headers_only_raise_a_suspicion() {
    let mut story = Story::v4();
    story.handshake().exchange();
    story.send(forged(&story, 0));
    let event = sane(story.first());
    assert_ne!(event.origin, Origin::MiddleboxProven);
    assert!((30..70).contains(&share(&event, Cause::InjectedReset)), "{event:#?}");
}

#[test]
fn a_reset_inside_the_window_is_challenged() {
    for mut story in both() {
        story.handshake().exchange();
        story.send(forged(&story, 1000)).wait(10).ack(Client).wait(10).exchange();
        let event = expect(&mut story, Cause::BlindResetAttempt);
        assert_eq!(event.effect, Effect::Challenged);
        assert!(event.confidence.percent() >= 90);
        assert!(event.evidence.iter().any(|e| e.text.contains("1000 bytes ahead")));
    }
}

#[test]
fn a_reset_outside_the_window_is_ignored() {
    for mut story in both() {
        story.handshake().exchange();
        story.send(forged(&story, 0x5000_0000)).wait(10).exchange();
        let event = expect(&mut story, Cause::BlindResetAttempt);
        assert_eq!(event.effect, Effect::Ignored);
    }
}

#[test]
fn a_syn_that_is_refused_and_then_accepted_was_answered_by_two() {
    let mut story = Story::v4();
    story.syn().wait(2);
    let answer = Packet { ttl: 61, ..story.answer(Server) };
    story.send(answer).wait(20).syn_ack();
    let event = expect(&mut story, Cause::InjectedReset);
    assert_eq!(event.origin, Origin::MiddleboxProven);
}

#[test]
fn a_reset_that_a_client_in_syn_sent_must_not_believe_is_ignored() {
    let mut story = Story::v4();
    story.syn().wait(2);
    let bare = Packet { flags: RST, ack: 0, seq: 5, window: 0, ..story.packet(Server, RST) };
    story.send(bare);
    let event = expect(&mut story, Cause::InjectedReset);
    assert_eq!((event.effect, event.origin), (Effect::Ignored, Origin::MiddleboxSuspected));
    assert!(event.confidence.percent() <= 40);
}

#[test]
fn an_older_system_without_window_on_its_resets_is_not_accused() {
    let mut story = Story::v4();
    story.handshake().exchange();
    let rst = Packet { window: 0, options: vec![], ..story.packet(Server, RST | ACK) };
    story.send(rst);
    let event = expect(&mut story, Cause::Linger0Close);
    assert_eq!(event.origin, Origin::Endpoint);
}

#[test]
fn an_ack_of_what_came_only_after_the_reset_shows_the_sender_alive() {
    let mut story = Story::v4();
    story.handshake().exchange();
    story.send(forged(&story, 0)).wait(5).say(Client, b"under way").wait(5).ack(Server);
    let event = expect(&mut story, Cause::InjectedReset);
    assert_eq!(event.origin, Origin::MiddleboxProven);
}

#[test]
fn three_resets_with_strange_headers_in_a_burst_are_an_injectors() {
    let told = |times: usize| {
        let mut story = Story::v4();
        story.handshake().exchange();
        // Without the burst, one of its habits alone.
        let rst = Packet { options: vec![], df: false, ..story.packet(Server, RST | ACK) };
        (0..times).for_each(|i| _ = story.send(Packet { ip_id: 900 + i as u16, ..rst.clone() }));
        share(&sane(story.first()), Cause::InjectedReset)
    };
    assert!(told(3) > told(1));
}

#[test]
fn a_window_that_nothing_opened_is_not_its_senders() {
    let suspected = |factor: u16| {
        let mut story = Story::v4();
        story.handshake().wait(5);
        let usual = story.packet(Client, RST | ACK);
        let window = usual.window.saturating_mul(factor);
        // Its timestamp and identification fit, its TTL and don't-fragment do not.
        let reset = Packet { window, ttl: 41, df: false, ..usual };
        share(&story.send(reset).first(), Cause::InjectedReset) > 0
    };
    assert_eq!([suspected(4), suspected(1)], [true, false]);
}

#[test]
fn linux_numbers_what_a_live_socket_sends_and_not_its_syn_ack() {
    let suspected = |ip_id: u16| {
        let mut story = Story::v4();
        story.syn().wait(5);
        let syn_ack = Packet { ip_id: 0, window: 65_160, ..story.packet(Server, SYN | ACK) };
        story.send(syn_ack).wait(5).ack(Client).wait(5);
        let usual = story.packet(Server, RST | ACK);
        let ttl = usual.ttl - 1;
        share(&story.send(Packet { ip_id, ttl, ..usual }).first(), Cause::InjectedReset) > 0
    };
    assert_eq!([suspected(0), suspected(4711)], [true, false]);
}
