//! Resets after long silences: who forgot the connection, and whether anything was answered.

use super::{expect, gives, sane, share};
use crate::{
    correlate::story::{ACK, Client, Packet, RST, Server, Story},
    event::{Cause, Origin, Severity},
};

/// A bare reset of the server that nobody asked for, after so long a silence.
fn unasked(ms: u64) -> Story {
    let mut story = Story::v4();
    story.handshake().exchange().wait(ms);
    let usual = story.packet(Server, RST);
    story.send(Packet { window: 0, ip_id: 0, options: vec![], ..usual });
    story
}

#[test]
fn a_bare_reset_long_after_the_last_segment_answers_nothing() {
    for ms in [240_000, 350_000] {
        let event = expect(&mut unasked(ms), Cause::IdleTimeoutMiddlebox);
        assert_eq!(event.origin, Origin::MiddleboxSuspected);
        let text = &event.evidence[0].text;
        assert!(
            text.contains("nothing had been said for") && text.ends_with("then it came"),
            "{text}"
        );
        assert_eq!(share(&event, Cause::HalfOpenStaleState), 0);
    }
    let event = sane(unasked(20_000).first());
    assert!(!gives(&event, "unknown_connection"), "nothing was answered: {event:#?}");
    assert!(share(&event, Cause::IdleTimeoutMiddlebox) >= 20, "{:?}", event.alternatives);
}

#[test]
fn what_answers_from_elsewhere_after_minutes_of_silence_had_forgotten_the_connection() {
    let told = |ms: u64, ttl: u8| {
        let mut story = Story::v4();
        story.handshake().exchange().wait(ms).say(Client, b"again").wait(1);
        let answer = Packet { ttl, ..story.answer(Server) };
        sane(story.send(answer).first())
    };
    let event = told(400_000, 254);
    assert_eq!(event.cause, Cause::IdleTimeoutMiddlebox, "{event:#?}");
    assert_eq!(event.origin, Origin::MiddleboxSuspected);
    assert_eq!(told(100_000, 254).cause, Cause::NetworkFirewallReject);
    assert_eq!(told(400_000, 57).cause, Cause::HalfOpenStaleState);
}

#[test]
fn nobody_is_alarmed_by_what_is_less_than_half_sure() {
    let told = |df: bool| {
        let mut story = Story::v4();
        story.handshake().exchange().wait(30_000);
        let usual = story.packet(Server, RST | ACK);
        story.send(Packet { ttl: 254, df, window: 0, ip_id: 4000, options: vec![], ..usual });
        sane(story.first())
    };
    for event in [told(true), told(false)] {
        assert_eq!(event.cause, Cause::InjectedReset, "{event:#?}");
        let expected =
            if event.confidence.percent() < 50 { Severity::Medium } else { Severity::High };
        assert_eq!(event.severity, expected, "{event:#?}");
    }
    assert!([told(true), told(false)].iter().any(|event| event.severity == Severity::Medium));
}
