//! Resets that answer a segment of an open or closed connection.

use super::{both, expect, gives, sane, share};
use crate::correlate::story::{ACK, Client, PSH, Packet, RST, Server, Story};
use crate::event::{AtFault, Cause, Effect, Origin, Severity, Stage};

#[test]
fn data_behind_a_fin_is_refused() {
    for mut story in both() {
        story.handshake().exchange().fin(Server).wait(5).ack(Client).wait(50);
        story.say(Client, b"more").wait(5).disown(Server);
        let event = expect(&mut story, Cause::DataAfterClose);
        assert!(event.confidence.percent() >= 90);
        assert_eq!((event.stage, event.at_fault), (Stage::PostFin, AtFault::Client));
    }
}

#[test]
fn a_server_that_lost_the_connection_disowns_it() {
    for mut story in both() {
        story.handshake().exchange().wait(3000).say(Client, b"still there?").wait(5).disown(Server);
        let event = expect(&mut story, Cause::HalfOpenStaleState);
        assert_eq!((event.stage, event.origin), (Stage::PostData, Origin::Endpoint));
        assert_eq!((event.at_fault, event.effect), (AtFault::Server, Effect::Accepted));
    }
}

#[test]
fn a_connection_that_was_forgotten_in_a_known_silence_points_to_a_middlebox() {
    let mut story = Story::v4();
    story.handshake().exchange().wait(351_000).say(Client, b"again").wait(5).disown(Server);
    let event = sane(story.first());
    assert!(share(&event, Cause::IdleTimeoutMiddlebox) >= 15, "{:?}", event.alternatives);
}

#[test]
fn a_filter_that_cuts_a_connection_is_known_by_the_life_behind_it() {
    for mut story in both() {
        story.handshake().exchange().say(Client, b"and now?").wait(5).reject(Server);
        story.wait(20).say_deaf(Server, b"HTTP/1.1 200 OK\r\n\r\n", b"and now?").wait(1);
        story.disown(Client);
        let told: Vec<_> = story.told().into_iter().map(sane).collect();
        assert_eq!(told[0].cause, Cause::HostFirewallReject);
        assert_eq!(told[0].origin, Origin::HostFirewall);
        assert_eq!(told[0].evidence[0].id, "sender_goes_on");
        assert_eq!(told[1].cause, Cause::SegmentAfterReset);
        assert_eq!(told[1].stage, Stage::Closed);
        assert_eq!(told[1].effect, Effect::Unknown, "what lay between may have come");
    }
}

#[test]
fn a_filter_with_another_ttl_stands_on_the_path() {
    for mut story in both() {
        story.handshake().exchange().say(Client, b"and now?").wait(5);
        let answer = Packet { ttl: 64, tos: 0, flow_label: 0, ..story.answer(Server) };
        story.send(answer).wait(20).say(Server, b"HTTP/1.1 200 OK\r\n\r\n");
        let event = expect(&mut story, Cause::NetworkFirewallReject);
        assert_eq!(event.origin, Origin::MiddleboxProven);
        assert_eq!(event.at_fault, AtFault::Network);
    }
}

#[test]
fn segments_that_were_under_way_do_not_make_a_zombie() {
    let mut story = Story::v4();
    story.handshake().exchange().say(Client, b"request").wait(1);
    let late = story.packet(Server, ACK);
    story.abort(Server).send(late);
    let event = sane(story.first());
    assert_eq!(event.origin, Origin::Endpoint);
    assert_ne!(event.cause, Cause::InjectedReset);
}

#[test]
fn a_reset_behind_both_fins_is_a_fast_close() {
    let mut story = Story::v4();
    story.handshake().exchange().fin(Client).wait(5).fin(Server).wait(1).disown(Client);
    let event = expect(&mut story, Cause::RstAfterFin);
    assert!(event.confidence.percent() >= 80);
}

#[test]
fn further_segments_after_an_abort_are_disowned() {
    let mut story = Story::v4();
    story.handshake().exchange().abort(Server).say(Client, b"under way").wait(1).disown(Server);
    let told = story.told();
    assert_eq!(told[1].cause, Cause::SegmentAfterReset);
    assert!(told[1].evidence[0].text.contains("what still came"));
}

#[test]
fn the_text_of_a_big_ip_is_taken_at_its_word() {
    let mut story = Story::v4();
    story.handshake().exchange();
    let text = b"BIG-IP: [0x2409a71:704] Flow expired (sweeper)";
    let rst = Packet {
        payload: text.to_vec(),
        window: 0,
        options: vec![],
        ttl: 252,
        ..story.packet(Server, RST | ACK)
    };
    story.send(rst);
    let event = expect(&mut story, Cause::IdleTimeoutMiddlebox);
    assert_eq!(event.payload_text.as_deref().map(str::as_bytes), Some(&text[..]));
    assert_eq!(event.origin, Origin::MiddleboxProven);
}

#[test]
fn data_that_crosses_a_fin_is_refused_without_acknowledging_it() {
    let mut story = Story::v4();
    story.handshake().exchange();
    let crossing = Packet { payload: b"more".to_vec(), ..story.packet(Client, PSH | ACK) };
    story.fin(Server).send(crossing).wait(1).disown(Server);
    let event = expect(&mut story, Cause::DataAfterClose);
    assert!(event.confidence.percent() >= 80);
    assert!(event.evidence[0].text.contains("crossed"));
}

#[test]
fn who_was_here_a_moment_ago_may_have_believed_a_reset_that_took_another_way() {
    let told = |silence| {
        let mut story = Story::v4();
        story.handshake().exchange().wait(silence).say(Client, b"hello?").wait(5).disown(Server);
        let event = story.told().remove(0);
        (event.cause, share(&event, Cause::SegmentAfterReset))
    };
    assert_eq!(told(100).0, Cause::SegmentAfterReset);
    let (some_seconds, a_minute) = (told(5_000), told(60_000));
    assert_eq!([some_seconds.0, a_minute.0], [Cause::HalfOpenStaleState; 2]);
    assert!(some_seconds.1 > a_minute.1 + 5);
}

#[test]
fn a_server_that_does_not_wait_behind_the_clients_fin_closes_fast() {
    let mut story = Story::v4();
    story.handshake().exchange().fin(Client).wait(1).abort(Server);
    let event = expect(&mut story, Cause::RstAfterFin);
    assert!(share(&event, Cause::Linger0Close) >= 15);
}

#[test]
fn an_earlier_reset_that_nobody_believed_does_not_end_the_story() {
    let mut story = Story::v4();
    story.handshake().exchange();
    let usual = story.packet(Server, RST | ACK);
    story.send(Packet { seq: usual.seq.wrapping_add(0x5000_0000), ..usual });
    story.wait(100).exchange().abort(Server);
    let told = story.told();
    assert_eq!(told[0].effect, Effect::Ignored);
    assert_eq!(told[1].cause, Cause::Linger0Close);
}

#[test]
fn what_is_sure_of_a_whole_connection_is_less_so_of_its_end_alone() {
    let mut story = Story::v4();
    story.exchange().fin(Server).wait(5).ack(Client).wait(50);
    story.say(Client, b"more").wait(5).disown(Server);
    let event = expect(&mut story, Cause::DataAfterClose);
    assert_eq!(event.confidence.percent(), 60);
}

#[test]
fn an_answer_that_came_twice_from_two_distances_was_not_both_times_the_servers() {
    let told = |nearer: u8| {
        let mut story = Story::v4();
        story.handshake().say(Client, b"GET / HTTP/1.1").wait(5);
        let real = story.packet(Server, PSH | ACK);
        let forged =
            Packet { payload: b"HTTP/1.1 302".to_vec(), ttl: real.ttl + nearer, ..real.clone() };
        story.send(forged).wait(1).fin(Client).wait(5);
        let real = Packet { payload: b"HTTP/1.1 200 OK, and so on".to_vec(), ..real };
        story.send(real).wait(1).disown(Client);
        let event = expect(&mut story, Cause::DataAfterClose);
        (gives(&event, "said_twice"), event.at_fault, event.severity)
    };
    assert_eq!(told(2), (true, AtFault::Network, Severity::Medium));
    assert_eq!(told(0), (false, AtFault::Server, Severity::Low));
}

#[test]
fn a_keepalive_that_something_on_the_way_answers_was_forgotten_there() {
    let told = |ttl: u8| {
        let mut story = Story::v4();
        story.handshake().exchange().wait(5_000).probe(Client).wait(1);
        let answer = Packet { ttl, ..story.answer(Server) };
        sane(story.send(answer).first())
    };
    let near = told(255);
    assert_eq!(
        (near.cause, near.origin),
        (Cause::IdleTimeoutMiddlebox, Origin::MiddleboxSuspected)
    );
    assert_ne!(told(57).cause, Cause::IdleTimeoutMiddlebox);
}
