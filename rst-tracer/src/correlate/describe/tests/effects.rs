//! What the receiver did with a reset, by what was seen of the connection.

use rst_tracer_common::event::Hook;

use crate::correlate::story::{ACK, Client, FIN, Packet, RST, Server, Story, Who};
use crate::event::{Effect, Stage};

/// A story seen by the receiver of the server's resets.
fn at_the_client() -> Story {
    let mut story = Story::v4();
    (story.hook, story.ifindex) = (Hook::XDP, 2);
    story
}

/// A reset so far off from what its sender's TCP would send.
fn reset_off(story: &mut Story, from: Who, off: i32) {
    let usual = story.packet(from, RST | ACK);
    story.send(Packet { seq: usual.seq.wrapping_add_signed(off), ..usual });
}

/// An ACK with a SACK block that ends so far behind what it acknowledges.
fn sack(story: &mut Story, from: Who, lost: u32, got: u32) {
    let usual = story.packet(from, ACK);
    let acked = usual.ack.wrapping_sub(lost + got);
    let mut options = vec![1, 1, 5, 10];
    options.extend(acked.wrapping_add(lost).to_be_bytes());
    options.extend(acked.wrapping_add(lost + got).to_be_bytes());
    story.send(Packet { ack: acked, options, ..usual });
}

#[test]
fn an_established_receiver_believes_the_next_number_and_ignores_what_is_outside_its_window() {
    // The story's windows are 502 << 7 bytes.
    for (off, effect) in [
        (0, Effect::Accepted),
        (1, Effect::Unknown),
        (502 << 7, Effect::Unknown),
        (503 << 7, Effect::Ignored),
        (0x4000_0000, Effect::Ignored),
        (-1, Effect::Ignored),
        (-5000, Effect::Ignored),
    ] {
        for from in [Client, Server] {
            let mut story = Story::v4();
            story.handshake().exchange();
            reset_off(&mut story, from, off);
            assert_eq!(story.first().effect, effect, "{from:?}, off by {off}");
        }
    }
}

#[test]
fn nobody_looks_at_the_acknowledgment_of_a_reset_amid_a_connection() {
    let mut story = Story::v4();
    story.handshake().exchange();
    let usual = story.packet(Server, RST | ACK);
    story.send(Packet { ack: 77, ..usual });
    assert_eq!(story.first().effect, Effect::Accepted);
}

#[test]
fn the_edge_of_the_last_sack_block_is_believed() {
    let effect = |off| {
        let mut story = Story::v4();
        story.handshake().exchange();
        story.say(Server, &[b'l'; 100]).say(Server, &[b'g'; 50]);
        sack(&mut story, Client, 100, 50);
        reset_off(&mut story, Server, off);
        story.first().effect
    };
    assert_eq!(effect(0), Effect::Accepted, "the edge");
    assert_eq!(effect(-150), Effect::Accepted, "what is missing");
    assert_eq!(effect(1), Effect::Unknown, "it is to be challenged; nobody saw that");
    assert_eq!(effect(-50), Effect::Unknown, "the missing part may have come");
    assert_eq!(effect(-151), Effect::Ignored);
}

#[test]
fn a_sack_block_whose_gap_is_filled_has_no_edge() {
    let mut story = Story::v4();
    story.handshake().exchange();
    story.say(Server, &[b'l'; 100]).say(Server, &[b'g'; 50]);
    sack(&mut story, Client, 100, 50);
    story.ack(Client).say(Server, &[b'm'; 30]).ack(Client);
    reset_off(&mut story, Server, -30);
    assert_eq!(story.first().effect, Effect::Ignored);
}

#[test]
fn a_client_without_a_syn_ack_believes_what_acknowledges_its_syn() {
    let effect = |change: fn(Packet) -> Packet| {
        let mut story = Story::v4();
        story.syn();
        let answer = story.answer(Server);
        story.send(change(answer)).first().effect
    };
    assert_eq!(effect(|p| p), Effect::Accepted);
    assert_eq!(effect(|p| Packet { seq: 12345, ..p }), Effect::Accepted, "whatever its number");
    assert_eq!(effect(|p| Packet { flags: RST, ..p }), Effect::Ignored);
    assert_eq!(effect(|p| Packet { ack: p.ack - 1, ..p }), Effect::Ignored);
    assert_eq!(effect(|p| Packet { ack: p.ack + 1, ..p }), Effect::Ignored);
}

#[test]
fn a_client_without_a_syn_ack_wants_its_own_timestamp_back() {
    let effect = |off: i32| {
        let mut story = Story::v4();
        story.syn();
        let (syn, answer) = (story.packet(Client, ACK), story.answer(Server));
        let tsval = u32::from_be_bytes(syn.options[4..8].try_into().unwrap());
        let mut options = vec![1, 1, 8, 10, 0, 0, 0, 1];
        options.extend(tsval.wrapping_add_signed(off).to_be_bytes());
        story.send(Packet { options, ..answer }).first().effect
    };
    assert_eq!(effect(0), Effect::Accepted);
    assert_eq!(effect(-9), Effect::Ignored);
    assert_eq!(effect(9), Effect::Unknown, "its clock was not read since");
}

#[test]
fn a_client_that_sends_its_syn_again_did_not_believe_the_refusal() {
    let mut story = Story::v4();
    story.syn();
    let syn = story.packet(Client, 2);
    let again = Packet { seq: syn.seq.wrapping_sub(1), ..syn };
    story.disown(Server).wait(1000).send(again);
    assert_eq!(story.first().effect, Effect::Ignored);
}

#[test]
fn a_half_open_connection_believes_the_next_number() {
    let effect = |off, sequel: fn(&mut Story)| {
        let mut story = Story::v4();
        story.syn().wait(10).syn_ack().wait(10);
        reset_off(&mut story, Client, off);
        sequel(&mut story);
        story.first().effect
    };
    let nothing: fn(&mut Story) = |_| {};
    assert_eq!(effect(0, nothing), Effect::Accepted);
    assert_eq!(effect(100, nothing), Effect::Unknown, "it depends on the kernel");
    assert_eq!(effect(100, |story| _ = story.wait(10).ack(Server)), Effect::Challenged);
    assert_eq!(effect(502, nothing), Effect::Unknown);
    assert_eq!(effect(503, nothing), Effect::Ignored, "the window of a SYN-ACK is not scaled");
    assert_eq!(effect(-1, nothing), Effect::Ignored);
    let again = |story: &mut Story| {
        let usual = story.packet(Server, 2 | ACK);
        story.wait(1000).send(Packet { seq: usual.seq.wrapping_sub(1), ..usual });
    };
    assert_eq!(effect(0, again), Effect::Ignored, "it still waits for the ACK");
}

#[test]
fn a_client_that_has_the_syn_ack_is_established() {
    let effect = |off| {
        let mut story = Story::v4();
        story.syn().wait(10).syn_ack();
        reset_off(&mut story, Server, off);
        story.first().effect
    };
    assert_eq!(effect(0), Effect::Accepted);
    assert_eq!(effect(100), Effect::Unknown);
    assert_eq!(effect(-1), Effect::Ignored);
}

#[test]
fn a_listener_that_was_not_heard_leaves_the_effect_open() {
    let mut story = Story::v4();
    story.syn();
    reset_off(&mut story, Client, 0);
    assert_eq!(story.first().effect, Effect::Unknown);
}

#[test]
fn what_arrived_moves_the_next_number_whether_or_not_it_was_acknowledged() {
    let effect = |mut story: Story| {
        story.handshake().exchange().say(Server, b"not yet acknowledged").abort(Server);
        story.first().effect
    };
    assert_eq!(effect(at_the_client()), Effect::Accepted);
    assert_eq!(effect(Story::v4()), Effect::Accepted);
}

#[test]
fn a_challenge_shows_what_the_numbers_leave_open() {
    let mut story = Story::v4();
    story.handshake().exchange().say(Server, b"not yet acknowledged");
    reset_off(&mut story, Server, -20);
    // The first acknowledges the data, the second nothing.
    assert_eq!(story.wait(10).ack(Client).ack(Client).first().effect, Effect::Challenged);
}

#[test]
fn a_receiver_that_missed_what_came_before_the_reset_says_so() {
    let mut story = at_the_client();
    story.handshake().exchange().say(Server, b"lost").abort(Server);
    let usual = story.packet(Client, ACK);
    story.send(Packet { ack: usual.ack.wrapping_sub(4), ..usual });
    assert_eq!(story.first().effect, Effect::Challenged);
}

#[test]
fn a_closed_window_takes_nothing_in() {
    let mut story = at_the_client();
    story.handshake().exchange();
    let full = Packet { window: 0, ..story.packet(Client, ACK) };
    story.send(full).say(Server, b"?");
    reset_off(&mut story, Server, -1);
    assert_eq!(story.first().effect, Effect::Accepted);
}

#[test]
fn time_wait_believes_the_next_number_only() {
    let effect = |off| {
        let mut story = Story::v4();
        story.handshake().exchange();
        story.fin(Client).wait(1).ack(Server).wait(1).fin(Server).wait(1).ack(Client);
        reset_off(&mut story, Server, off);
        story.first().effect
    };
    assert_eq!(effect(0), Effect::Accepted);
    assert_eq!(effect(-1), Effect::Ignored);
    assert_eq!(effect(100), Effect::Ignored, "without a challenge");
}

#[test]
fn who_closed_last_has_nothing_left_to_reset() {
    let mut story = Story::v4();
    story.handshake().exchange();
    story.fin(Client).wait(1).ack(Server).wait(1).fin(Server).wait(1).ack(Client);
    reset_off(&mut story, Client, 0);
    assert_eq!(story.first().effect, Effect::Unknown);
}

#[test]
fn half_closed_or_closed_makes_the_difference_within_the_window() {
    let effect = |off, challenged: bool| {
        let mut story = Story::v4();
        story.handshake().exchange().fin(Client).wait(1).ack(Server).wait(1);
        reset_off(&mut story, Server, off);
        if challenged {
            story.wait(10).ack(Client);
        }
        story.first().effect
    };
    assert_eq!(effect(0, false), Effect::Accepted);
    assert_eq!(effect(100, false), Effect::Unknown, "a closed socket would believe it");
    assert_eq!(effect(100, true), Effect::Challenged);
    assert_eq!(effect(-1, false), Effect::Ignored);
}

#[test]
fn of_several_resets_only_one_can_end_a_connection() {
    let mut story = Story::v4();
    story.handshake().exchange().abort(Server).abort(Server);
    let told = story.told();
    assert_eq!((told[0].effect, told[1].effect), (Effect::Accepted, Effect::Unknown));
}

#[test]
fn a_reset_answers_what_lives_on_behind_an_earlier_one() {
    let mut story = Story::v4();
    story.handshake().exchange().abort(Server).wait(1);
    story.say(Server, b"alive").disown(Client);
    assert_eq!(story.told()[1].effect, Effect::Accepted, "the server was not reset so far");
}

#[test]
fn a_fin_under_way_is_not_yet_had() {
    let effect = |mut story: Story| {
        story.handshake().exchange();
        let fin = story.packet(Server, FIN | ACK);
        story.send(fin);
        reset_off(&mut story, Server, -1);
        story.first().effect
    };
    assert_eq!(effect(at_the_client()), Effect::Accepted);
    assert_eq!(effect(Story::v4()), Effect::Unknown);
}

#[test]
fn a_late_ack_does_not_make_an_exact_reset_look_wrong() {
    // The client has not yet acknowledged the answer when the server aborts behind it.
    let mut story = Story::v4();
    story.handshake().say(Client, b"GET / HTTP/1.1\r\n\r\n").wait(5);
    story.say(Server, b"HTTP/1.1 200 OK\r\n\r\n").abort(Server);
    assert_eq!(story.first().effect, Effect::Accepted);
}

#[test]
fn a_number_before_the_fin_is_believed_by_who_has_the_fin() {
    let mut story = Story::v4();
    story.handshake().exchange().fin(Server).wait(5).ack(Client).wait(5);
    let usual = story.packet(Server, RST | ACK);
    story.send(Packet { seq: usual.seq.wrapping_sub(1), ..usual });
    assert_eq!(story.first().effect, Effect::Accepted);
}

#[test]
fn a_receiver_that_goes_on_long_after_did_not_believe_it() {
    let mut story = Story::v4();
    story.handshake().exchange().abort(Server).wait(300);
    story.say(Client, b"still here");
    assert_eq!(story.first().effect, Effect::Ignored);
}

#[test]
fn an_unknown_window_scale_leaves_the_effect_open() {
    let mut story = Story::v4();
    story.exchange();
    let usual = story.packet(Server, RST | ACK);
    story.send(Packet { seq: usual.seq.wrapping_add(100_000), ..usual });
    let event = story.first();
    assert_eq!((event.effect, event.stage), (Effect::Unknown, Stage::PostData));

    let mut challenged = Story::v4();
    challenged.exchange();
    let usual = challenged.packet(Server, RST | ACK);
    challenged.send(Packet { seq: usual.seq.wrapping_add(100_000), ..usual });
    challenged.send(challenged.packet(Client, ACK));
    assert_eq!(challenged.first().effect, Effect::Challenged);
}
