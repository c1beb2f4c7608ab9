//! Segments that strangers wrote: SYNs of tools, SYNs and resets in the names of others, guesses.

use rst_tracer_common::{event::Hook, notice::Point};

use super::{expect, gives, sane, share, with};
use crate::correlate::story::{ACK, Client, PSH, Packet, RST, SYN, Server, Story};
use crate::correlate::{Rules, SendReset, Witnesses};
use crate::event::{Cause, Origin};

/// A call by a SYN with a segment size and a window scale, answered, and the answer refused.
fn probe(window: u16, ttl: u8) -> Story {
    let mut story = Story::v4();
    let options = vec![2, 4, 5, 0xb4, 3, 3, 10, 0];
    let syn = Packet { window, options, ttl, ..story.packet(Client, SYN) };
    story.send(syn).wait(10).syn_ack().wait(1).disown(Client);
    story
}

#[test]
fn nmap_is_known_when_it_looks_for_the_system() {
    let event = expect(&mut probe(16, 51), Cause::ScannerProbe);
    assert!(event.evidence.iter().any(|e| e.text.contains("detection of systems")), "{event:#?}");
}

#[test]
fn a_syn_that_came_a_longer_way_than_its_addresses_reset_was_spoofed() {
    let event = expect(&mut probe(512, 198), Cause::Backscatter);
    assert!(gives(&event, "spoofed_syn"));
    // The same distance from another start: one host, which has a tool.
    assert!(share(&probe(900, 254).first(), Cause::Backscatter) < 10);
}

#[test]
fn a_refused_syn_that_a_tool_wrote_is_a_scan_of_one_port() {
    let mut story = Story::v4();
    let syn = Packet { window: 1024, options: vec![], ttl: 49, ..story.packet(Client, SYN) };
    story.send(syn).wait(1).disown(Server);
    let event = expect(&mut story, Cause::ScanResponse);
    assert!(gives(&event, "raw_syn"));
}

#[test]
fn a_refusal_with_a_sequence_number_is_no_tcps() {
    let told = |seq: u32| {
        let mut story = Story::v4();
        story.syn().wait(5);
        let answer = Packet { seq, ip_id: 46063, df: false, ..story.answer(Server) };
        sane(story.send(answer).first())
    };
    let numbered = told(77_000);
    assert_eq!((numbered.cause, numbered.class.id()), (Cause::InjectedReset, "security_measure"));
    assert!(gives(&numbered, "numbered_refusal"));
    assert_ne!(told(0).cause, Cause::InjectedReset);
}

#[test]
fn a_reset_from_nearer_than_the_clients_syn_is_not_the_clients() {
    let told = |ttl: u8| {
        let mut story = Story::v4();
        let syn = Packet { window: 64240, ..story.packet(Client, SYN) };
        story.send(syn).wait(10).syn_ack().wait(1);
        let answer = Packet { ttl, ..story.answer(Client) };
        sane(story.send(answer).first())
    };
    let near = told(52);
    assert_eq!((near.cause, near.origin), (Cause::InjectedReset, Origin::MiddleboxSuspected));
    assert!(gives(&near, "ttl_of_the_syn"));
    assert_eq!(told(64).cause, Cause::ClientGaveUp);
}

#[test]
fn a_client_that_let_the_first_syn_ack_pass_may_have_believed_a_reset() {
    let mut story = Story::v4();
    let syn = Packet { window: 64240, ..story.packet(Client, SYN) };
    story.send(syn).wait(10).syn_ack();
    let again = Packet { ip_id: 0, ..story.packet(Server, SYN | ACK) };
    let again = Packet { seq: again.seq.wrapping_sub(1), ..again };
    story.wait(1000).send(again).wait(1).disown(Client);
    let event = sane(story.first());
    assert!(share(&event, Cause::SegmentAfterReset) >= 12, "{event:#?}");
}

#[test]
fn a_host_that_never_closed_and_does_not_know_the_fin_lost_the_connection() {
    let told = |df: bool| {
        let mut story = Story::v4();
        story.handshake().exchange().wait(2000).fin(Client).wait(10);
        let answer = Packet { df, ..story.answer(Server) };
        sane(story.send(answer).first())
    };
    let (linux, other) = (told(true), told(false));
    assert_eq!(linux.cause, Cause::HalfOpenStaleState);
    // Other systems may end a connection so.
    let behind_fin = [&linux, &other].map(|event| share(event, Cause::RstAfterFin));
    assert!(behind_fin[0] < 15 && behind_fin[0] + 5 < behind_fin[1], "{behind_fin:?}");
}

#[test]
fn who_guesses_ports_of_a_connection_that_lives_does_not_answer() {
    let shot = |df: bool, ip_id: u16, accepted: bool| {
        let mut story = Story::v4();
        let bare = Packet {
            flags: RST,
            ack: 0,
            window: 0,
            options: vec![],
            df,
            ip_id,
            ..story.packet(Server, RST)
        };
        story.send(bare);
        with(&mut story, |joined| {
            joined.crowd.sees_dst = true;
            joined.crowd.accepted_ago_ns = accepted.then_some(9_000_000_000);
        })
    };
    let guess = shot(false, 43, true);
    assert!(gives(&guess, "guessed_port"), "{guess:#?}");
    assert_eq!(guess.cause, Cause::BlindResetAttempt);
    assert_eq!(shot(true, 0, true).cause, Cause::Backscatter);
    assert_eq!(shot(false, 43, false).cause, Cause::Backscatter);
}

#[test]
fn what_was_not_seen_where_all_is_seen_both_ways_did_not_pass() {
    let told = |sees_both_ways: bool, refusal: bool| {
        let mut story = Story::v4();
        let usual = story.packet(Server, RST);
        let flags = if refusal { RST | ACK } else { RST };
        let (seq, ack) = if refusal { (0, 77) } else { (usual.seq, 0) };
        let bare = Packet { flags, seq, ack, window: 0, options: vec![], ip_id: 0, ..usual };
        story.send(bare);
        with(&mut story, |joined| joined.crowd.sees_both_ways = sees_both_ways).cause
    };
    assert_eq!((told(true, false), told(true, true)), (Cause::Backscatter, Cause::Backscatter));
    assert_eq!(
        (told(false, false), told(false, true)),
        (Cause::NoConnectionSeen, Cause::ClosedPort)
    );
}

#[test]
fn who_guesses_far_off_guesses_right_at_last() {
    let told = |off: [u32; 2], pause_ms: u64| {
        let mut story = Story::v4();
        story.handshake().exchange().wait(1000);
        let exact = Packet { df: false, ip_id: 4711, ..story.answer(Server) };
        for off in off {
            story.send(Packet { seq: exact.seq.wrapping_add(off), ..exact.clone() }).wait(10);
        }
        story.wait(pause_ms).send(exact);
        sane(story.told().pop().unwrap())
    };
    let lucky = told([0x2000_0000, 0x2700_0000], 500);
    assert!(gives(&lucky, "guessed_at_last"), "{lucky:#?}");
    assert_eq!((lucky.cause, lucky.origin), (Cause::BlindResetAttempt, Origin::MiddleboxSuspected));
    // Who aims at what is under way sees the connection; and a guess of long ago was another's.
    assert!(!gives(&told([1460, 4380], 500), "guessed_at_last"));
    assert!(!gives(&told([0x2000_0000, 0x2700_0000], 20_000), "guessed_at_last"));
}

#[test]
fn what_its_tcp_refutes_and_no_filter_writes_was_injected() {
    let told = |tos: u8| {
        let mut story = Story::v4().with_tos(0x20);
        story.handshake().exchange().say(Client, b"forbidden words").wait(1);
        let answer = Packet { tos, ..story.answer(Server) };
        story.send(answer).wait(300).say_deaf(Server, b"not a word", b"forbidden words");
        sane(story.first())
    };
    // A filter on the server's host writes no type of service, and its TCP was alive.
    let copied = told(0x20);
    assert_eq!((copied.cause, copied.origin), (Cause::InjectedReset, Origin::MiddleboxProven));
    assert_eq!(told(0).cause, Cause::HostFirewallReject);
}

#[test]
fn a_reset_of_no_connection_says_nothing_where_its_receiver_is_not_heard() {
    let mut story = Story::v4();
    let bare =
        Packet { flags: RST, ack: 0, window: 0, options: vec![], ..story.packet(Server, RST) };
    assert_eq!(story.send(bare).first().cause, Cause::NoConnectionSeen);
}

#[test]
fn a_lone_segment_that_its_own_host_does_not_know_is_a_stray() {
    let mut story = Story::v4();
    let lone = Packet { payload: b"hello".to_vec(), ..story.packet(Client, PSH | ACK) };
    story.send(lone).wait(1).disown(Server);
    let dropped = story.statement(Point::DROP, Server, "NO_SOCKET");
    let event = with(&mut story, |joined| joined.testimony.dropped = Some(Box::new(dropped)));
    assert_eq!(event.cause, Cause::StraySegment, "{event:#?}");
}

#[test]
fn who_asks_what_checkers_ask_and_hangs_up_is_one() {
    for (asked, is_check) in [
        (&b"PING\r\n"[..], true),
        (b"GET key\r\n", false),
        // HAProxy's hello in SSL 3.0, and what everybody says today.
        (b"\x16\x03\x00\x00\x79\x01\x00\x00\x75\x03\x00\x54", true),
        (b"\x16\x03\x01\x00\x79\x01\x00\x00\x75\x03\x03\x54", false),
        (b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00", true),
    ] {
        let mut story = Story::v4();
        story.handshake().say(Client, asked).wait(1).say(Server, b"+PONG\r\n").wait(1);
        let event = sane(story.abort(Client).first());
        assert_eq!(gives(&event, "check_request"), is_check, "{event:#?}");
        assert_eq!(event.cause == Cause::LbHealthCheck, is_check, "{event:#?}");
    }
}

#[test]
fn a_syn_ack_that_something_on_this_link_rejects_was_given_up_by_nobody() {
    let told = |ttl_of_the_syn: u8| {
        let mut story = Story::v4();
        (story.hook, story.ifindex) = (Hook::XDP, 2);
        let syn = Packet { window: 64240, ttl: ttl_of_the_syn, ..story.packet(Client, SYN) };
        story.send(syn).wait(1);
        (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
        let answer = Packet { ttl: 64, ..story.packet(Server, SYN | ACK) };
        story.send(answer).wait(1);
        (story.hook, story.ifindex) = (Hook::XDP, 2);
        let answer = Packet { ttl: 64, ..story.answer(Client) };
        sane(story.send(answer).first())
    };
    let near = told(63);
    assert_eq!(
        (near.cause, near.origin),
        (Cause::NetworkFirewallReject, Origin::MiddleboxSuspected)
    );
    assert_eq!(told(64).cause, Cause::ClientGaveUp);
}

#[test]
fn a_syn_that_is_nobodys_may_be_anybodys() {
    // Window 512 as nmap -O has it in a probe, but not its timestamp: that of other tools, or of a small device.
    let mut story = Story::v4();
    let options = vec![2, 4, 5, 180];
    let syn = Packet { window: 512, options, ..story.packet(Client, SYN) };
    story.send(syn).wait(1).syn_ack().wait(1).disown(Client);
    let event = sane(story.first());
    assert!(event.confidence.percent() < 60, "{event:#?}");
    assert!(share(&event, Cause::Backscatter) >= 20 && share(&event, Cause::ScannerProbe) >= 20);
}

#[test]
fn a_programs_bare_reset_with_a_number_that_answers_nothing_is_no_filters() {
    let (send_reset, drops) = (SendReset::Always, true);
    let witnesses = Witnesses { send_reset, drops, ..Witnesses::default() };
    let cause = |off: u32| {
        let mut story = Story::v4().by(Rules { witnesses, ..Rules::default() });
        (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
        story.handshake().exchange().wait(60).say(Client, b"more");
        let answer = story.answer(Server);
        story.send(Packet { seq: answer.seq.wrapping_add(off), ..answer });
        sane(story.first()).cause
    };
    assert_eq!(cause(0), Cause::HostFirewallReject);
    assert_eq!(cause(0x1234_5678), Cause::InjectedReset);
}
