//! Statements of the kernel find their reset, in both orders, once, and no other.

use rst_tracer_common::{event::Hook, notice::Point, wire::Seq};

use super::{at, on_the_client, on_the_server, rules};
use crate::correlate::{
    Joined, Rules,
    story::{Client, ELSEWHERE, Packet, RST, SYN, Server, Story},
};

fn reason(joined: &Joined) -> Option<&str> {
    joined.testimony.sent.as_ref()?.reason.as_deref()
}

#[test]
fn an_answer_is_told_before_its_packet() {
    let mut story = on_the_server();
    story.syn().kernel_answers(Server, "NO_SOCKET").disown(Server);
    let joined = story.all();
    assert_eq!(reason(&joined[0]), Some("NO_SOCKET"));
    assert_eq!(story.counts(), (0, 0, 0));
}

#[test]
fn an_abort_is_told_after_its_packet() {
    let mut story = on_the_server();
    story.handshake().abort(Server).kernel_aborts(Server, "TCP_ABORT_ON_CLOSE");
    assert_eq!(reason(&story.all()[0]), Some("TCP_ABORT_ON_CLOSE"));
}

#[test]
fn answers_in_a_burst_get_their_own_statement_each() {
    let mut story = on_the_server();
    story.handshake();
    // Two segments with different acknowledgments, answered in the other order.
    let mut answers = Vec::new();
    for reason in ["NO_SOCKET", "TCP_TIMEWAIT_SOCKET"] {
        story.say(Server, b"more").say(Client, b"x").kernel_answers(Server, reason);
        answers.push(story.answer(Server));
    }
    for answer in answers.into_iter().rev() {
        story.send(answer);
    }
    let told: Vec<_> = story.all().iter().map(|j| reason(j).unwrap().to_owned()).collect();
    assert_eq!(told, ["TCP_TIMEWAIT_SOCKET", "NO_SOCKET"]);
}

#[test]
fn a_live_sockets_reset_does_not_take_the_statement_about_an_answer_of_the_same_number() {
    let mut story = on_the_server();
    // The abort's own statement is late, and the answer to what was under way is told before it.
    story.handshake().exchange().say(Client, b"more").abort(Server);
    let answer = story.kernel_answers(Server, "NO_SOCKET").answer(Server);
    story.send(answer).kernel_aborts(Server, "TCP_ABORT_ON_CLOSE");
    let told: Vec<_> = story.all().iter().map(|j| reason(j).unwrap().to_owned()).collect();
    assert_eq!(told, ["TCP_ABORT_ON_CLOSE", "NO_SOCKET"]);
}

#[test]
fn equal_answers_take_one_statement_each_and_no_more() {
    let mut story = on_the_server();
    story.handshake().say(Client, b"x");
    let answer = story.answer(Server);
    story.kernel_answers(Server, "NO_SOCKET").kernel_answers(Server, "NO_SOCKET");
    for _ in 0..3 {
        story.send(answer.clone());
    }
    let told = story.all().iter().filter(|j| j.testimony.sent.is_some()).count();
    assert_eq!(told, 2);
}

#[test]
fn an_answer_with_another_number_is_not_the_one_that_was_told() {
    let mut story = on_the_server();
    story.handshake().say(Client, b"x").kernel_answers(Server, "NO_SOCKET");
    let answer = story.answer(Server);
    story.send(Packet { seq: answer.seq + 1, ..answer });
    assert_eq!(reason(&story.all()[0]), None);
}

#[test]
fn a_bare_reset_is_not_that_of_a_live_socket() {
    let mut story = on_the_server();
    story.handshake().say(Client, b"x").disown(Server).kernel_aborts(Server, "TCP_STATE");
    assert_eq!(reason(&story.all()[0]), None);
}

#[test]
fn an_abort_goes_to_the_nearest_reset_of_its_form() {
    let mut story = on_the_server();
    story.handshake().abort(Server).wait(100).abort(Server).kernel_aborts(Server, "TCP_STATE");
    let told: Vec<_> = story.all().iter().map(|j| j.testimony.sent.is_some()).collect();
    assert_eq!(told, [false, true]);
}

#[test]
fn a_statement_about_the_other_direction_is_not_about_this_reset() {
    let mut story = on_the_server();
    story.handshake().abort(Server).kernel_aborts(Client, "TCP_STATE");
    assert_eq!(reason(&story.all()[0]), None);
}

#[test]
fn the_own_tcp_does_not_send_what_comes_in() {
    let mut story = on_the_client();
    story.handshake().abort(Server).kernel_aborts(Server, "TCP_STATE");
    assert_eq!(reason(&story.all()[0]), None);
}

#[test]
fn what_comes_in_may_be_sent_by_another_namespace_of_the_same_kernel() {
    let mut story = on_the_client();
    story.handshake().abort(Server);
    let mut notice = story.statement(Point::SEND_RESET, Server, "TCP_STATE");
    notice.wire.netns = ELSEWHERE;
    story.hear(notice.clone());
    assert_eq!(reason(&story.all()[0]), Some("TCP_STATE"));

    let mut story = on_the_client().by(Rules { only_netns: true, ..rules() });
    story.handshake().abort(Server).hear(notice);
    assert_eq!(reason(&story.all()[0]), None);
}

#[test]
fn a_reset_is_believed_after_it_came() {
    let mut story = on_the_client();
    story.handshake().abort(Server).kernel_believes(Server);
    assert!(story.all()[0].testimony.received.is_some());
}

#[test]
fn a_connection_that_ends_without_a_reset_on_the_wire_is_none() {
    let mut story = on_the_client();
    story.handshake().kernel_believes(Server).wait(30).abort(Server);
    assert!(story.all()[0].testimony.received.is_none());
    assert_eq!(story.counts().2, 1);
}

#[test]
fn of_two_resets_tcp_believed_the_one_with_the_number_it_expects() {
    let mut story = on_the_client();
    story.handshake();
    let right = story.packet(Server, RST);
    story.send(Packet { seq: right.seq.wrapping_add(5000), ..right.clone() });
    story.send(right).kernel_believes(Server);
    let told: Vec<_> = story.all().iter().map(|j| j.testimony.received.is_some()).collect();
    assert_eq!(told, [false, true]);
}

#[test]
fn what_tcp_cannot_have_expected_it_did_not_believe() {
    let told = |offs: &[u32]| {
        let mut story = on_the_client();
        // What came last is not acknowledged yet: TCP expects what is behind it.
        story.handshake().exchange().say(Server, b"more");
        let right = story.packet(Server, RST);
        for off in offs {
            story.send(Packet { seq: right.seq.wrapping_add(*off), ..right.clone() });
        }
        story.kernel_believes(Server);
        story.all().iter().map(|j| j.testimony.received.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(told(&[1_000_000_000, 70_000, 0]), [false, false, true]);
    assert_eq!(told(&[1_000_000_000, 1, 70_000]), [false; 3], "that one was not told");
}

#[test]
fn a_dropped_reset_is_known_by_its_number() {
    let mut story = on_the_client();
    story.handshake();
    let right = story.packet(Server, RST);
    story.send(Packet { seq: right.seq.wrapping_add(5), ..right.clone() });
    let mut notice = story.about_last(story.statement(Point::DROP, Server, "TCP_RESET"), Server);
    notice.wire.trigger_seq = Seq(right.seq.wrapping_add(5));
    story.hear(notice);
    story.send(right);
    let told: Vec<_> = story.all().iter().map(|j| j.testimony.dropped.is_some()).collect();
    assert_eq!(told, [true, false]);
}

#[test]
fn a_rejected_segment_is_dropped_after_its_answer_or_before() {
    for drops_first in [false, true] {
        let mut story = on_the_server();
        story.syn();
        if drops_first {
            story.kernel_drops(Client, "NETFILTER_DROP").reject(Server);
        } else {
            story.reject(Server).kernel_drops(Client, "NETFILTER_DROP");
        }
        let joined = story.all();
        assert!(joined[0].testimony.trigger_dropped.is_some() && reason(&joined[0]).is_none());
    }
}

#[test]
fn a_drop_long_before_or_of_another_kind_is_not_about_the_answer() {
    for (reason, ms) in [("NETFILTER_DROP", 8), ("TCP_OLD_SEQUENCE", 0)] {
        let mut story = on_the_server();
        story.syn().kernel_drops(Client, reason).wait(ms).reject(Server);
        assert!(story.all()[0].testimony.trigger_dropped.is_none());
    }
}

#[test]
fn an_early_statement_is_forgotten_after_a_while() {
    let mut story = on_the_server();
    story.handshake().say(Client, b"x").kernel_answers(Server, "NO_SOCKET");
    story.wait(300).disown(Server);
    assert_eq!(reason(&story.all()[0]), None);
}

#[test]
fn a_sighting_that_leaves_lets_the_own_tcp_speak() {
    // A forwarding host sees the answer come in first; its own kernel did not send that one.
    let mut story = at(Hook::TC_INGRESS);
    story.handshake().say(Client, b"x").kernel_answers(Server, "NO_SOCKET");
    let answer = story.answer(Server);
    story.came_by = 2;
    story.send(answer.clone()).seen_at(Hook::TC_EGRESS, 3, &answer);
    assert_eq!(reason(&story.all()[0]), None);
}

#[test]
fn over_the_loopback_the_same_kernel_sends_and_believes() {
    let mut story = Story::v6().by(rules());
    (story.hook, story.ifindex) = (Hook::TC_EGRESS, 1);
    story.handshake().abort(Client);
    story.kernel_aborts(Client, "TCP_ABORT_ON_CLOSE").kernel_believes(Client);
    let joined = story.all();
    assert!(joined[0].testimony.sent.is_some() && joined[0].testimony.received.is_some());
}

#[test]
fn a_refused_syn_with_data_is_acknowledged_with_it() {
    let mut story = on_the_server();
    let syn = story.packet(Client, SYN);
    story.send(Packet { payload: vec![1; 100], ..syn });
    story.kernel_answers(Server, "NO_SOCKET").disown(Server);
    assert_eq!(reason(&story.all()[0]), Some("NO_SOCKET"));
}
