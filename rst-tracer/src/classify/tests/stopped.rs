//! What a filter would have stopped, and what nobody stopped: answers held against what came of what they answer.

use rst_tracer_common::event::Hook;

use super::{expect, gives, sane};
use crate::{
    correlate::story::{ACK, Client, PSH, Packet, RST, SYN, Server, Story},
    event::{Cause, Origin, RstEvent},
};

/// A question that is answered by a bare reset of the server's form, and goes on to its answer; whether the server has
/// taken the question, and whether it was asked twice.
fn answered(taken: bool, twice: bool) -> RstEvent {
    let mut story = Story::v4();
    story.handshake();
    let asked = Packet { payload: b"forbidden".to_vec(), ..story.packet(Client, PSH | ACK) };
    let before = story.packet(Server, PSH | ACK).ack;
    story.send(asked.clone()).wait(1);
    if twice {
        story.send(asked).wait(1);
    }
    story.disown(Server).wait(300);
    let usual = story.packet(Server, PSH | ACK);
    let ack = if taken { usual.ack } else { before };
    story.send(Packet { payload: b"all the same".to_vec(), ack, ..usual });
    sane(story.first())
}

#[test]
fn what_a_filter_rejects_does_not_come_through() {
    let event = answered(true, false);
    assert_eq!((event.cause, event.origin), (Cause::InjectedReset, Origin::MiddleboxProven));
    assert!(gives(&event, "took_it"), "{event:#?}");
    assert_eq!(answered(false, false).cause, Cause::HostFirewallReject);
    // The second copy may have passed.
    assert_eq!(answered(true, true).cause, Cause::HostFirewallReject);
}

#[test]
fn a_scanner_that_hears_what_its_host_hears_resets_it_once_more() {
    let told = |options: Vec<u8>| {
        let mut story = Story::v4();
        let window = if options.is_empty() { 1024 } else { 64_240 };
        let syn = Packet { window, options, ttl: 255, ..story.packet(Client, SYN) };
        story.send(syn).wait(1).syn_ack().disown(Client).wait(10);
        let again = Packet { window: 1200, ttl: 255, df: false, ip_id: 77, ..story.answer(Client) };
        story.send(again);
        sane(story.told().pop().unwrap())
    };
    let event = told(vec![]);
    assert_eq!(event.cause, Cause::ScannerProbe, "{event:#?}");
    assert!(gives(&event, "tool_resets"));
    assert_ne!(told(vec![2, 4, 5, 0xb4, 4, 2, 1, 3, 3, 7, 1, 1]).cause, Cause::ScannerProbe);
}

#[test]
fn a_filter_forgets_before_what_was_said_first_and_not_before_its_repetition() {
    let mut story = Story::v6();
    story.handshake().exchange().wait(350_000);
    let asked = Packet { payload: b"more".to_vec(), ..story.packet(Client, PSH | ACK) };
    story.send(asked.clone()).wait(200).send(asked).reject(Server);
    expect(&mut story, Cause::IdleTimeoutMiddlebox);
}

#[test]
fn two_probes_and_an_end_at_equal_distances_are_a_timer() {
    let told = |waits: [u64; 3]| {
        let mut story = Story::v4();
        story.handshake().exchange();
        for ms in &waits[..2] {
            story.wait(*ms).probe(Server).wait(1).ack(Client);
        }
        story.wait(waits[2]).abort(Server);
        sane(story.first()).cause
    };
    assert_eq!(told([1000, 1000, 1000]), Cause::KeepaliveTimeout);
    assert_ne!(told([1000, 1000, 1200]), Cause::KeepaliveTimeout);
    assert_ne!(told([100, 100, 100]), Cause::KeepaliveTimeout);
}

#[test]
fn an_old_number_behind_both_ends_answers_a_copy_that_came_another_way() {
    let mut story = Story::v4();
    story.handshake();
    let first = story.packet(Server, ACK).seq;
    story.exchange().fin(Client).wait(10).fin(Server).wait(10).ack(Client).wait(500);
    let answer = Packet { seq: first, ..story.answer(Server) };
    story.send(Packet { flags: RST, ..answer });
    expect(&mut story, Cause::StraySegment);
}

#[test]
fn a_listener_whose_connection_had_given_up_was_not_restarted() {
    let told = |times: usize| {
        let mut story = Story::v4();
        (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
        story.handshake().exchange();
        let last = Packet { payload: b"notice".to_vec(), ..story.packet(Server, PSH | ACK) };
        for _ in 0..times {
            story.wait(200).send(last.clone());
        }
        let beat = Packet { payload: b"beat".to_vec(), ..story.packet(Client, PSH | ACK) };
        story.wait(500).send(Packet { ack: last.seq, ..beat }).disown(Server);
        sane(story.kernel_answers(Server, "TCP_FLAGS").first()).cause
    };
    assert_eq!(told(3), Cause::LateSegmentAfterTimeout);
    assert_eq!(told(0), Cause::HalfOpenStaleState);
}
