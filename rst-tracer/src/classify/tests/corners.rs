//! Rules for what is rare on the wire: each fails here when it is not there.

use super::{both, expect, gives, sane, share};
use crate::{
    correlate::story::{ACK, Client, Packet, RST, SYN, Server, Story},
    event::{Cause, RstEvent},
};

const FIN_PSH_URG: u8 = 0x29;

/// The last event of a story.
fn last(story: &mut Story) -> RstEvent {
    sane(story.told().pop().unwrap())
}

#[test]
fn a_syn_ack_of_another_number_is_a_bad_handshake() {
    for mut story in both() {
        story.syn().wait(10);
        let usual = story.packet(Server, SYN | ACK);
        story.send(Packet { ack: usual.ack.wrapping_add(77), ..usual }).wait(1).disown(Client);
        let event = expect(&mut story, Cause::BadHandshakeAck);
        assert!(gives(&event, "wrong_ack"));
    }
}

#[test]
fn a_second_syn_amid_a_handshake_is_not_a_listener_that_went_away() {
    let mut story = Story::v6();
    story.syn().wait(10).syn_ack().wait(10);
    let usual = story.packet(Client, SYN);
    story.send(Packet { seq: usual.seq.wrapping_add(9_000), ..usual }).wait(1).disown(Server);
    let event = expect(&mut story, Cause::BadHandshakeAck);
    assert!(gives(&event, "second_syn"), "{event:#?}");
}

#[test]
fn a_refused_multipath_syn_where_the_port_accepts_may_be_a_second_path() {
    let told = |is_multipath: bool| {
        let mut story = Story::v4();
        story.handshake().exchange().another_client(50_001).wait(100);
        let usual = story.packet(Client, SYN);
        // MP_JOIN (RFC 8684 section 3.2).
        let join = [30, 12, 0x10, 1, 0, 0, 0, 1, 0, 0, 0, 2];
        let options = [usual.options.as_slice(), if is_multipath { &join } else { &[] }].concat();
        story.send(Packet { options, ..usual }).wait(1).disown(Server);
        last(&mut story)
    };
    assert_eq!(told(false).cause, Cause::ListenerWentAway);
    let event = told(true);
    assert_eq!(event.cause, Cause::MptcpProtocol, "{event:#?}");
    assert!(share(&event, Cause::ListenerWentAway) >= 20);
}

#[test]
fn a_reset_in_place_of_the_last_ack_checks_a_port() {
    for mut story in both() {
        story.syn().wait(10).syn_ack().wait(1).abort(Client);
        let event = expect(&mut story, Cause::LbHealthCheck);
        assert!(gives(&event, "reset_for_ack"));
    }
}

#[test]
fn a_segment_with_neither_syn_nor_ack_is_a_scanners() {
    for mut story in both() {
        let probe = story.packet(Client, FIN_PSH_URG);
        story.send(Packet { options: vec![], ..probe }).wait(1).disown(Server);
        let event = expect(&mut story, Cause::ScanResponse);
        assert!(gives(&event, "odd_flags"));
    }
}

#[test]
fn probes_that_were_answered_here_and_not_heard_there_end_in_a_timeout() {
    for mut story in both() {
        story.handshake().exchange();
        for _ in 0..3 {
            story.wait(1000).probe(Server).wait(1).ack(Client);
        }
        story.wait(999).abort(Server);
        expect(&mut story, Cause::KeepaliveTimeout);
    }
    let mut story = Story::v4();
    let waited = story.handshake().exchange().wait(1000).probe(Client).wait(1000).abort(Client);
    expect(waited, Cause::KeepaliveTimeout);
    // One that comes at once after the last probe is no timer's.
    let mut story = Story::v4();
    story.handshake().exchange();
    for _ in 0..3 {
        story.wait(1000).probe(Server).wait(1).ack(Client);
    }
    story.wait(5).abort(Server);
    assert_ne!(story.first().cause, Cause::KeepaliveTimeout);
}

#[test]
fn an_old_connection_that_was_seen_to_end_waits_in_time_wait() {
    for mut story in both() {
        story.handshake().exchange().fin(Server).wait(5).ack(Client).fin(Client).wait(5);
        story.ack(Server).wait(500);
        let old = Packet { ip_id: 0, ..story.packet(Server, ACK) };
        let usual = story.packet(Client, SYN);
        story.send(Packet { seq: usual.seq.wrapping_sub(100_000), ..usual }).wait(1);
        story.send(old).wait(1).disown(Client);
        assert_eq!(last(&mut story).cause, Cause::PortReuseTimewait);
    }
}

#[test]
fn one_of_a_volley_that_hits_is_no_blind_guess() {
    let told = |hits: bool| {
        let mut story = Story::v4();
        story.handshake().exchange();
        let exact = story.packet(Server, RST | ACK);
        let forged = Packet { ttl: exact.ttl - 6, options: vec![], window: 0, ..exact.clone() };
        story.send(Packet { seq: forged.seq.wrapping_add(5_000), ip_id: 9, ..forged.clone() });
        if hits {
            story.send(forged);
        }
        story.first().cause
    };
    assert_eq!(told(false), Cause::BlindResetAttempt);
    assert_ne!(told(true), Cause::BlindResetAttempt);
}

#[test]
fn a_reset_that_its_sender_did_not_heed_explains_no_later_one() {
    let told = |goes_on: bool| {
        let mut story = Story::v6();
        story.handshake().exchange().wait(100);
        let exact = story.packet(Server, RST);
        // Far from what the client expects: it is ignored.
        let seq = exact.seq.wrapping_add(1 << 30);
        story.send(Packet { seq, ack: 0, window: 0, options: vec![], ..exact }).wait(100);
        if goes_on {
            story.say(Client, b"still there?").wait(30).say(Server, b"yes").wait(30);
        }
        // Then its host loses the connection.
        story.wait(5_000).say(Client, b"and now?").wait(30).disown(Server);
        last(&mut story).cause
    };
    assert_eq!(told(true), Cause::HalfOpenStaleState);
    assert_eq!(told(false), Cause::SegmentAfterReset);
}

#[test]
fn a_refused_syn_that_is_accepted_after_all_is_answered_as_after_a_reset() {
    for mut story in both() {
        story.syn().wait(5);
        let refusal = story.answer(Server);
        story.send(refusal).wait(20).syn_ack().wait(1).disown(Client);
        assert_eq!(last(&mut story).cause, Cause::SegmentAfterReset);
    }
}

#[test]
fn a_syn_ack_that_echoes_what_the_syn_never_said_is_refused_for_it() {
    let told = |off: u32| {
        let mut story = Story::v4();
        story.syn();
        let sent = u32::from_be_bytes(story.packet(Client, SYN).options[4..8].try_into().unwrap());
        story.wait(10);
        let mut answer = story.packet(Server, SYN | ACK);
        answer.options[8..12].copy_from_slice(&sent.wrapping_sub(off).to_be_bytes());
        story.send(answer).wait(1).disown(Client);
        sane(story.first()).cause
    };
    assert_eq!(told(1_000), Cause::TimestampMismatch);
    assert_ne!(told(0), Cause::TimestampMismatch);
}
