//! Segments that cross on their way: a round trip lies between what passed and the answer to it.

use super::{expect, gives, sane, share};
use crate::correlate::story::{ACK, Client, FIN, PSH, Packet, RST, SYN, Server, Story, Who};
use crate::event::{Cause, Effect, Origin};

/// So long a segment takes from here to the server.
const ONE_WAY_MS: u64 = 30;

/// A connection in use, seen at the client: the server is a round trip away.
fn far() -> Story {
    let mut story = Story::v4();
    story.syn().wait(2 * ONE_WAY_MS).syn_ack().ack(Client).say(Client, b"hello");
    story.wait(2 * ONE_WAY_MS).say(Server, b"world").ack(Client).wait(100);
    story
}

/// The answer of a TCP without a socket to this segment.
fn answer_to(story: &Story, from: Who, to: &Packet) -> Packet {
    let usual = Packet { options: vec![], window: 0, ip_id: 0, ..story.packet(from, RST) };
    Packet { seq: to.ack, ack: 0, ..usual }
}

#[test]
fn what_answers_data_that_crossed_a_reset_knew_nothing_of_that_reset() {
    let mut story = far();
    // Both close. The server's last words and its FIN are under way when the client's pass here.
    let words = Packet { payload: b"bye".to_vec(), ..story.packet(Server, PSH | ACK) };
    let fin = Packet { seq: words.seq.wrapping_add(3), ..story.packet(Server, FIN | ACK) };
    let last = Packet { payload: b"tail".to_vec(), ..story.packet(Client, FIN | PSH | ACK) };
    story.send(last.clone()).wait(ONE_WAY_MS).send(words).disown(Client).send(fin).disown(Client);
    story.wait(ONE_WAY_MS);
    let answer = answer_to(&story, Server, &last);
    let told = story.send(answer).told();
    let causes: Vec<Cause> = told.iter().map(|event| event.cause).collect();
    let expected = [Cause::DataAfterClose, Cause::SegmentAfterReset, Cause::DataAfterClose];
    assert_eq!(causes, expected, "{:#?}", told[2]);
    assert!(!gives(&told[2], "earlier_reset"));
}

#[test]
fn what_comes_behind_a_reset_is_still_answered_for_its_sake() {
    let mut story = far();
    story.abort(Server).wait(2 * ONE_WAY_MS).say(Server, b"alive").disown(Client);
    let event = sane(story.told().remove(1));
    assert_eq!(event.cause, Cause::SegmentAfterReset);
    assert!(gives(&event, "earlier_reset"));
}

#[test]
fn the_first_answer_is_to_the_data_and_not_to_the_fin_behind_it() {
    let mut story = far();
    story.fin(Server).ack(Client).wait(17).say(Client, b"more").fin(Client).wait(2 * ONE_WAY_MS);
    story.disown(Server).disown(Server);
    let told = story.told();
    assert_eq!(told[0].cause, Cause::DataAfterClose, "{:#?}", told[0]);
    assert!(told[0].evidence[0].text.contains("the client sent 4 bytes"));
    assert_eq!(told[1].cause, Cause::SegmentAfterReset);
}

#[test]
fn an_ack_that_was_under_way_is_no_challenge() {
    let challenged = |ms, times: usize| {
        let mut story = far();
        let usual = story.packet(Client, RST | ACK);
        story.send(Packet { seq: usual.seq.wrapping_add(500), ..usual });
        for _ in 0..times {
            story.wait(ms).ack(Server);
        }
        story.first().effect
    };
    assert_eq!(challenged(2 * ONE_WAY_MS, 0), Effect::Unknown, "nothing was seen of it");
    assert_eq!(challenged(3, 1), Effect::Unknown, "the reset had not come there yet");
    assert_eq!(challenged(2 * ONE_WAY_MS, 1), Effect::Challenged);
}

#[test]
fn an_ack_of_what_was_sent_right_before_is_no_challenge() {
    let mut story = far();
    story.say(Client, b"more");
    let usual = story.packet(Client, RST | ACK);
    story.send(Packet { seq: usual.seq.wrapping_add(500), ..usual });
    story.wait(2 * ONE_WAY_MS).ack(Server);
    assert_eq!(story.first().effect, Effect::Unknown);
}

#[test]
fn what_follows_the_reset_that_overtook_it_explains_its_number() {
    for late in [true, false] {
        let mut story = far();
        let words = Packet { payload: b"last words".to_vec(), ..story.packet(Server, PSH | ACK) };
        let usual = story.packet(Server, RST | ACK);
        let rst = Packet { seq: usual.seq.wrapping_add(10), ip_id: usual.ip_id + 1, ..usual };
        story.send(rst);
        if late {
            story.send(words);
        }
        let event = sane(story.first());
        assert_ne!(event.cause, Cause::BlindResetAttempt, "late: {late}");
        assert!(share(&event, Cause::BlindResetAttempt) <= 12, "{event:#?}");
        assert_ne!(event.origin, Origin::MiddleboxSuspected);
    }
}

#[test]
fn the_first_of_a_volley_behind_the_end_is_a_guess_like_the_others() {
    let mut story = far();
    story.fin(Client).wait(2 * ONE_WAY_MS).ack(Server).fin(Server).ack(Client).wait(300);
    for off in [0x2000_0000, 0x1234_5678, 0x5000_0000] {
        let usual = Packet { options: vec![], window: 0, ip_id: 77, ..story.packet(Server, RST) };
        story.send(Packet { seq: usual.seq.wrapping_add(off), ack: 0, ..usual }).wait(20);
    }
    for event in story.told().into_iter().map(sane) {
        assert!(share(&event, Cause::RstAfterFin) <= 15, "{event:#?}");
        assert_ne!(event.origin, Origin::Endpoint);
    }
}

#[test]
fn a_bare_reset_behind_a_fin_of_which_the_rest_was_not_seen_answers_something() {
    let mut story = Story::v4();
    story.syn().wait(60).ack(Client).say(Client, b"hello").wait(60).fin(Client).wait(200);
    let rst = Packet { options: vec![], window: 0, ip_id: 0, ..story.packet(Client, RST) };
    story.send(Packet { ack: 0, ..rst });
    let event = expect(&mut story, Cause::DataAfterClose);
    assert!(event.confidence.percent() <= 60);
    assert!(share(&event, Cause::RstAfterFin) > 10);
}

#[test]
fn that_no_data_had_come_is_said_only_of_what_was_seen_from_the_beginning() {
    let said = |story: &mut Story| {
        let event = sane(story.abort(Client).first());
        let text = |e: &crate::event::Evidence| e.text.contains("no data had come");
        event.evidence.iter().any(text)
    };
    assert!(said(Story::v4().syn().wait(60).syn_ack().ack(Client).wait(100)));
    assert!(!said(Story::v4().say(Client, b"amid").wait(60)), "it began amid");
    let mut one_way = Story::v4();
    one_way.syn().wait(60);
    for seq in [1, 5000] {
        let usual = one_way.packet(Client, ACK);
        one_way.send(Packet { ack: seq, ..usual }).wait(30);
    }
    assert!(!said(&mut one_way), "one direction only");
}

#[test]
fn the_frame_of_another_place_has_no_verdict_of_its_own() {
    let mut story = far();
    story.fin(Server).ack(Client).wait(200).say(Client, b"more").disown(Server);
    let again = Packet { ttl: 56, ..story.answer(Server) };
    let told: Vec<_> = story.send(again).told().into_iter().map(sane).collect();
    let causes: Vec<Cause> = told.iter().map(|event| event.cause).collect();
    assert_eq!(causes, [Cause::DataAfterClose, Cause::Unknown]);
}

#[test]
fn what_has_another_form_than_the_first_is_called_no_copy() {
    let text = |forged: bool| {
        let mut story = far();
        let old = Packet { payload: b"GET /".to_vec(), ..story.packet(Client, PSH | ACK) };
        story.send(old.clone()).wait(60).ack(Server).wait(60);
        story.fin(Client).wait(60).ack(Server).fin(Server).ack(Client).wait(1400);
        let forgery = Packet { options: vec![], window: 8192, ..old.clone() };
        story.send(if forged { forgery } else { old }).disown(Server);
        let event = expect(&mut story, Cause::StraySegment);
        event.evidence[0].text.to_string()
    };
    assert!(text(false).contains("a copy of an older segment"));
    assert!(text(true).contains("no copy of what"));
}

#[test]
fn a_port_whose_old_connection_answers_with_a_number_is_no_time_wait() {
    let cause = |ip_id| {
        let mut story = far();
        story.abort(Client).wait(400);
        let syn = story.packet(Client, SYN);
        story.send(Packet { seq: syn.seq.wrapping_add(1_000_000), ..syn }).wait(60);
        let old = story.packet(Server, ACK);
        story.send(Packet { ack: old.ack.wrapping_sub(1_000_000), ip_id, ..old });
        let event = sane(story.disown(Client).told().remove(1));
        event.cause
    };
    assert_eq!(cause(0), Cause::PortReuseTimewait);
    assert_eq!(cause(4711), Cause::HalfOpenDiscovery);
}

#[test]
fn the_counter_of_a_forger_is_not_the_senders() {
    let mut story = far();
    story.say(Server, b"a").say(Server, b"b").ack(Client).wait(50);
    let usual = Packet { options: vec![], ..story.packet(Server, RST | ACK) };
    story.send(Packet { ip_id: 43_689, ttl: 90, ..usual.clone() }).wait(5);
    story.send(Packet { ip_id: 12_345, seq: usual.seq.wrapping_add(1460), ttl: 90, ..usual });
    for event in story.told() {
        assert!(!event.evidence.iter().any(|e| e.text.contains("stood at 43689")), "{event:#?}");
    }
}

#[test]
fn data_that_had_not_come_yet_is_called_neither_unread_nor_unanswered() {
    let mut story = far();
    let rst = story.packet(Server, RST | ACK);
    story.say(Client, b"more").wait(ONE_WAY_MS).send(rst);
    let event = expect(&mut story, Cause::Linger0Close);
    assert!(!gives(&event, "unanswered_data"), "{event:#?}");
    assert!(share(&event, Cause::ClosedWithUnreadData) <= 15);
}

#[test]
fn what_a_side_said_before_it_could_have_heard_a_question_does_not_answer_it() {
    let mut story = far();
    let answer = Packet { payload: b"late".to_vec(), ..story.packet(Server, PSH | ACK) };
    story.say(Client, b"more").wait(5).send(answer).wait(2 * ONE_WAY_MS).abort(Server);
    let event = expect(&mut story, Cause::ClosedWithUnreadData);
    assert!(gives(&event, "unanswered_data"));
}

#[test]
fn a_number_one_short_is_a_guess_as_soon_as_everybody_on_the_path_may_know_better() {
    let cause = |quiet_ms| {
        let mut story = far();
        story.say(Server, b"news").ack(Client).wait(quiet_ms);
        let usual = story.packet(Server, RST);
        let (seq, options) = (usual.seq.wrapping_sub(1), vec![]);
        let (window, ttl, ip_id, df) = (16_384, 89, 20_202, false);
        story.send(Packet { seq, options, window, ttl, ip_id, df, ack: 0, ..usual });
        story.say(Client, b"more").wait(2 * ONE_WAY_MS).ack(Server).wait(20).say(Server, b"alive");
        sane(story.first()).cause
    };
    assert_eq!(cause(2 * ONE_WAY_MS + 10), Cause::BlindResetAttempt);
    assert_ne!(cause(ONE_WAY_MS), Cause::BlindResetAttempt, "it may have read what is under way");
}

#[test]
fn what_was_acknowledged_is_neither_rejected_nor_unknown() {
    for acked in [true, false] {
        let mut story = far();
        story.say(Client, b"question").wait(2 * ONE_WAY_MS);
        if acked {
            story.ack(Server);
        }
        story.wait(10);
        let usual = story.packet(Server, RST);
        let (ttl, ip_id, df, options) = (43, 3598, false, vec![]);
        story.send(Packet { options, window: 0, ttl, ip_id, df, ack: 0, ..usual });
        story.wait(40).say(Server, b"answer");
        let event = sane(story.first());
        let by_filter = share(&event, Cause::NetworkFirewallReject);
        assert_eq!(event.cause == Cause::InjectedReset, acked, "{event:#?}");
        assert_eq!(by_filter < 20, acked, "{event:#?}");
    }
}

#[test]
fn a_client_that_hangs_up_on_a_long_answer_of_which_only_the_part_under_way_is_recorded_cancels() {
    let mut story = far();
    for _ in 0..20 {
        story.say(Server, &[b'x'; 1400]).ack(Client);
    }
    let aborted = story.packet(Client, RST | ACK);
    for _ in 0..20 {
        story.say(Server, &[b'x'; 1400]);
    }
    story.wait(5).send(aborted);
    let event = expect(&mut story, Cause::ClientCancel);
    assert!(!event.evidence.iter().any(|e| e.text.contains("recorded no more")), "{event:#?}");
}

#[test]
fn no_usual_ttl_is_made_up_where_only_resets_were_seen() {
    let mut story = Story::v4();
    story.syn();
    let refusal = Packet { seq: 0, options: vec![], ..story.packet(Server, RST | ACK) };
    for n in 0..3 {
        let (ttl, window) = (65 + n, 4229 + u16::from(n));
        story.wait(5).send(Packet { ttl, window, ip_id: 32_000, df: false, ..refusal.clone() });
    }
    story.wait(1070).syn_ack();
    for event in story.told() {
        assert!(!event.evidence.iter().any(|e| e.text.contains("segments 0")), "{event:#?}");
    }
}
