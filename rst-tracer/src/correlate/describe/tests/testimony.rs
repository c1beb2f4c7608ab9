//! What the receiver's kernel says of the effect goes before what the wire shows.

use rst_tracer_common::{event::Hook, notice};

use crate::correlate::story::{ACK, Client, Packet, RST, Server, Story};
use crate::correlate::{Joined, Scene, describe};
use crate::event::{Effect, Timestamp};
use crate::source::Notice;

fn notice(reason: Option<&'static str>, state: Option<&'static str>) -> Option<Box<Notice>> {
    Some(Box::new(Notice {
        time: Timestamp(0),
        wire: notice::Notice::default(),
        reason: reason.map(Into::into),
        state: state.map(Into::into),
        state_before: None,
    }))
}

fn effect(joined: &Joined) -> Effect {
    describe(joined, &Scene { host: "here".into(), ..Scene::default() }).effect
}

/// A reset of the server, so far off, seen at this hook.
fn seen_at(hook: Hook, off: u32) -> Joined {
    let mut story = Story::v4();
    (story.hook, story.ifindex) = (hook, 2);
    story.handshake().exchange();
    let usual = story.packet(Server, RST | ACK);
    story.send(Packet { seq: usual.seq.wrapping_add(off), ..usual }).joined()
}

#[test]
fn a_reset_that_the_kernel_believed_was_accepted() {
    let mut joined = seen_at(Hook::XDP, 100);
    assert_eq!(effect(&joined), Effect::Unknown, "by its numbers it is to be challenged");
    joined.testimony.received = notice(None, Some("ESTABLISHED"));
    assert_eq!(effect(&joined), Effect::Accepted);
}

#[test]
fn a_reset_that_the_kernel_dropped_was_not() {
    for (reason, state, expected) in [
        ("TCP_RESET", Some("ESTABLISHED"), Effect::Challenged),
        ("TCP_RESET", None, Effect::Challenged),
        ("TCP_RESET", Some("LISTEN"), Effect::Ignored),
        ("TCP_RESET", Some("SYN_SENT"), Effect::Ignored),
        ("TCP_OLD_SEQUENCE", None, Effect::Ignored),
        ("TCP_INVALID_SEQUENCE", None, Effect::Ignored),
        ("TCP_INVALID_ACK_SEQUENCE", None, Effect::Ignored),
        ("NETFILTER_DROP", None, Effect::Ignored),
        ("NO_SOCKET", None, Effect::Ignored),
        ("SOMETHING_NEW", None, Effect::Accepted),
    ] {
        let mut joined = seen_at(Hook::XDP, 0);
        joined.testimony.dropped = notice(Some(reason), state);
        assert_eq!(effect(&joined), expected, "{reason} in {state:?}");
    }
}

#[test]
fn who_sends_or_forwards_a_reset_says_nothing_of_its_effect() {
    for hook in [Hook::TC_EGRESS, Hook::PCAP] {
        let mut joined = seen_at(hook, 100);
        joined.testimony.received = notice(None, Some("CLOSE_WAIT"));
        assert_eq!(effect(&joined), Effect::Unknown);
    }
}

#[test]
fn a_half_open_connection_is_not_taken_for_its_listener() {
    let mut story = Story::v4();
    (story.hook, story.ifindex) = (Hook::XDP, 2);
    story.syn().syn_ack();
    let usual = story.packet(Client, RST);
    let mut joined = story.send(usual).joined();
    joined.testimony.dropped = notice(Some("TCP_RESET"), Some("LISTEN"));
    assert_eq!(effect(&joined), Effect::Accepted);
}
