//! Genuine resets that look odd: nobody is accused.

use super::{both, gives, sane, share, with};
use crate::correlate::story::{ACK, Client, FIN, PSH, Packet, RST, SYN, Server, Story};
use crate::event::{Cause, Origin, RstEvent};
use crate::source::Notice;
use rst_tracer_common::event::Hook;

#[track_caller]
fn innocent(event: RstEvent) -> RstEvent {
    assert_ne!(event.origin, Origin::MiddleboxProven, "{event:#?}");
    sane(event)
}

#[track_caller]
fn all_innocent(story: &mut Story) {
    story.told().into_iter().for_each(|event| _ = innocent(event));
}

#[test]
fn data_that_was_overtaken_by_the_reset_does_not_refute_it() {
    for mut story in both() {
        story.handshake().exchange().say(Client, b"request").wait(1);
        let late = Packet { payload: b"answer".to_vec(), ..story.packet(Server, PSH | ACK) };
        // The server has sent the answer, then it is gone and disowns the next segment.
        let bare = story.answer(Server);
        story.wait(1).send(bare).send(late);
        all_innocent(&mut story);
    }
}

#[test]
fn a_fin_that_was_overtaken_by_the_reset_does_not_refute_it() {
    let mut story = Story::v4();
    story.handshake().exchange().say(Client, b"request").wait(1);
    let fin = story.packet(Server, FIN | ACK);
    let bare = story.answer(Server);
    story.wait(1).send(bare).send(fin);
    all_innocent(&mut story);
}

#[test]
fn segments_under_way_are_each_disowned() {
    for mut story in both() {
        story.handshake().exchange();
        let base = story.packet(Client, PSH | ACK);
        story.abort(Server);
        for i in 0..4_u32 {
            let data = Packet {
                seq: base.seq.wrapping_add(i * 100),
                payload: vec![b'x'; 100],
                ..base.clone()
            };
            story.send(data);
        }
        for _ in 0..4 {
            story.disown(Server);
        }
        all_innocent(&mut story);
    }
}

#[test]
fn rising_answers_to_rising_acknowledgments_do_not_run_ahead() {
    let mut story = Story::v4();
    story.handshake().say(Client, b"GET / HTTP/1.1\r\n\r\n").wait(5);
    for _ in 0..4 {
        story.say(Server, &[b'x'; 1000]);
    }
    let end = story.packet(Client, ACK).ack;
    for i in (0..4_u32).rev() {
        story.send(Packet { ack: end.wrapping_sub(i * 1000), ..story.packet(Client, ACK) });
        story.disown(Server);
    }
    all_innocent(&mut story);
}

#[test]
fn the_next_connection_on_the_same_ports_does_not_refute_a_reset() {
    let mut story = Story::v4();
    story.handshake().exchange().abort(Server).wait(50);
    let isn = story.packet(Client, SYN).seq.wrapping_add(100_000);
    story.send(Packet { seq: isn, ..story.packet(Client, SYN) }).wait(5);
    let seq = story.packet(Server, SYN | ACK).seq.wrapping_add(70_000);
    let syn_ack = Packet { seq, ..story.packet(Server, SYN | ACK) };
    story.send(syn_ack).wait(5).ack(Client).exchange();
    all_innocent(&mut story);
}

#[test]
fn a_repeated_syn_may_find_the_listener_back() {
    let mut story = Story::v4();
    story.syn().wait(2).disown(Server).wait(500);
    let again = Packet { seq: 1_000_000, ..story.packet(Client, SYN) };
    story.send(again).wait(2).syn_ack();
    let event = innocent(story.first());
    assert_ne!(event.cause, Cause::InjectedReset);
}

#[test]
fn a_client_that_disowns_an_old_syn_ack_goes_on_with_its_own() {
    let mut story = Story::v4();
    story.syn().wait(5);
    let old = Packet { ack: 77, seq: 999, ..story.packet(Server, ACK) };
    story.send(old).wait(1).disown(Client).wait(10);
    story.send(Packet { seq: 1_000_000, ..story.packet(Client, SYN) });
    story.send(Packet { seq: 5000, ..story.packet(Server, SYN | ACK) });
    story.ack(Client).say(Client, b"hello");
    innocent(story.first());
}

#[test]
fn a_wrong_ack_is_disowned_by_a_server_that_then_goes_on() {
    let mut story = Story::v4();
    story.syn().wait(10).syn_ack().wait(10);
    story.send(Packet { ack: 12345, ..story.packet(Client, ACK) }).wait(1).disown(Server);
    story.wait(10).ack(Client).say(Client, b"hello").wait(10).say(Server, b"world");
    innocent(story.first());
}

#[test]
fn the_same_frame_captured_twice_is_no_volley() {
    for ttl in [57, 56] {
        let mut story = Story::v4();
        story.handshake().exchange();
        let rst = story.packet(Server, RST | ACK);
        story.send(rst.clone()).send(Packet { ttl, ..rst });
        let event = innocent(story.first());
        assert!(!gives(&event, "burst"));
        assert_ne!(event.cause, Cause::InjectedReset);
    }
}

#[test]
fn a_capture_that_begins_late_accuses_nobody() {
    let mut story = Story::v4();
    story.ack(Client).wait(1).say(Server, b"x").wait(1);
    let usual = story.packet(Server, RST | ACK);
    story.send(Packet {
        ack: usual.ack.wrapping_add(3000),
        seq: usual.seq.wrapping_sub(1),
        ..usual
    });
    all_innocent(&mut story);
}

#[test]
fn segments_missed_by_the_observer_do_not_make_a_forger() {
    // 3000 bytes of the server and the client's data passed elsewhere.
    let mut story = Story::v4();
    story.handshake().exchange();
    let usual = story.packet(Server, RST | ACK);
    story.send(Packet {
        seq: usual.seq.wrapping_add(3000),
        ack: usual.ack.wrapping_add(100),
        ..usual
    });
    all_innocent(&mut story);
}

#[test]
fn super_segments_at_egress_count_with_all_their_bytes() {
    let mut story = Story::v4();
    (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
    story.handshake().say(Client, &[b'x'; 1200]);
    story.say(Client, &[b'x'; 60_000]).wait(5);
    story.hook = Hook::XDP;
    story.ack(Server).abort(Server);
    let event = innocent(story.first());
    assert!(!gives(&event, "acks_the_unsent"));
}

#[test]
fn what_the_own_kernel_sent_is_not_forged_whatever_follows() {
    let mut story = Story::v4();
    story.handshake().exchange().abort(Server).wait(30).say(Server, b"still here");
    let event = with(&mut story, |joined| {
        joined.testimony.sent = Some(Box::new(Notice {
            time: joined.reset.time,
            wire: zerocopy::FromZeros::new_zeroed(),
            reason: None,
            state: None,
            state_before: None,
        }));
    });
    assert_ne!(event.origin, Origin::MiddleboxProven);
    assert_eq!(share(&event, Cause::InjectedReset), 0);
}

#[test]
fn what_leaves_this_host_was_not_made_on_the_path() {
    let mut story = Story::v4();
    (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
    story.handshake().exchange();
    story.send(Packet { df: false, options: vec![], ttl: 50, ..story.packet(Server, RST | ACK) });
    story.wait(30).say(Server, b"still here");
    let event = innocent(story.first());
    assert_eq!(event.origin, Origin::Unknown, "a tool on this host");

    let mut filter = Story::v4();
    (filter.hook, filter.ifindex) = (Hook::TC_EGRESS, 2);
    filter.handshake().exchange().say(Client, b"and now?");
    let answer = Packet { ttl: 64, ..filter.answer(Server) };
    filter.send(answer).wait(30).say_deaf(Server, b"still here", b"and now?");
    let event = innocent(filter.first());
    assert_eq!((event.cause, event.origin), (Cause::HostFirewallReject, Origin::HostFirewall));
}

#[test]
fn one_slow_handshake_does_not_make_a_later_answer_too_soon() {
    // The first segment waited for a radio to wake up.
    let mut story = Story::v4();
    story.syn().wait(500).syn_ack().wait(1).ack(Client).say(Client, b"hello").wait(50);
    story.disown(Server);
    innocent(story.first());
}

#[test]
fn another_router_and_another_way_are_no_forgery() {
    let mut story = Story::v4();
    (story.hook, story.ifindex) = (Hook::XDP, 2);
    story.handshake().exchange();
    story.send(Packet { mac: 9, ttl: 55, ..story.packet(Server, RST | ACK) });
    let event = innocent(story.first());
    assert_ne!(event.cause, Cause::InjectedReset);
}

#[test]
fn a_common_window_is_not_taken_for_a_copy() {
    let mut story = Story::v4();
    story.handshake().exchange();
    story.send(Packet { window: 502, ..story.packet(Server, RST | ACK) });
    assert!(!gives(&innocent(story.first()), "window_copied"));
}

#[test]
fn windows_that_drops_a_connection_repeats_its_number_in_the_other_field() {
    let mut story = Story::v4();
    story.handshake().exchange().wait(3000).say(Client, b"still there?").wait(5);
    let answer = story.answer(Server);
    story.send(Packet { ack: answer.seq, ttl: 121, ip_id: 99, ..answer });
    let event = innocent(story.first());
    assert!(!gives(&event, "ack_without_flag"));
    assert_ne!(event.cause, Cause::InjectedReset);
}

#[test]
fn a_windows_host_that_mirrors_nothing_is_no_packet_filter() {
    for mut story in both().map(|story| story.with_tos(0x28)) {
        story.syn().wait(10);
        let answer = Packet { ttl: 121, ip_id: 99, tos: 0, flow_label: 0, ..story.answer(Server) };
        story.send(answer);
        let event = innocent(story.first());
        assert_eq!(event.cause, Cause::ClosedPort);
        assert!(gives(&event, "windows"));
    }
}
