//! Resets that say why.

use super::{expect, gives, share};
use crate::correlate::story::{ACK, Packet, RST, Server, Story};
use crate::event::{Cause, Origin};

fn saying(payload: &[u8]) -> Story {
    let mut story = Story::v4();
    story.handshake().exchange();
    let usual = story.packet(Server, RST | ACK);
    story.send(Packet { payload: payload.to_vec(), window: 0, ..usual });
    story
}

#[test]
fn a_code_of_the_ietfs_draft_names_the_cause() {
    let mut full = saying(&[0x33, 0xaa, 0, 10, 0, 0, 0, 0]);
    let event = expect(&mut full, Cause::MiddleboxTableFull);
    assert_eq!(event.payload_text.as_deref(), Some("reason 10: resource exceeded"));
    assert_eq!(event.origin, Origin::Unknown, "an endpoint may say so too");
    assert!(share(&event, Cause::OrphanOrMemoryPressure) > 0);

    let mut closed = saying(b"\x19\x30\x39\xa1\x01\x03");
    let event = expect(&mut closed, Cause::DataAfterClose);
    assert!(gives(&event, "payload_code"));
}

#[test]
fn a_code_in_the_name_of_one_who_goes_on_is_a_boxs() {
    let mut story = Story::v4();
    story.handshake().exchange().wait(300);
    let payload = b"\x19\x30\x39\xa1\x01\x0e".to_vec();
    let usual = story.packet(Server, RST | ACK);
    story.send(Packet { payload, window: 0, ttl: 200, options: vec![], ..usual });
    story.wait(30).say(Server, b"here I am");
    let event = expect(&mut story, Cause::IdleTimeoutMiddlebox);
    assert_eq!(event.origin, Origin::MiddleboxProven, "{event:#?}");
}

#[test]
fn a_code_of_a_vendor_is_shown_and_not_guessed_at() {
    let mut story = saying(&[0x33, 0xaa, 0, 10, 0, 0, 0x7e, 0xd9]);
    let event = story.first();
    assert_eq!(event.payload_text.as_deref(), Some("reason 10 of enterprise 32473"));
    assert!(!gives(&event, "payload_code"));
}

#[test]
fn big_ip_names_a_full_table() {
    let mut story = saying(b"BIG-IP: [0x2409a71:704] connection limit exceeded");
    let event = expect(&mut story, Cause::MiddleboxTableFull);
    assert_eq!(event.origin, Origin::MiddleboxProven);
}

#[test]
fn control_characters_of_strangers_reach_no_event() {
    let event = saying(b"\x19\x30\x39\xa1\x03\x64\x1b[2J").first();
    assert_eq!(event.payload_text.as_deref(), Some("\\u{1b}[2J"));
    assert_eq!(saying(b"\x1b[2J go away").first().payload_text, None);
}
