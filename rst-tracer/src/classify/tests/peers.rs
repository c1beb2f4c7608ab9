//! What other connections of a host tell about a refusal in its name.

use super::{expect, gives, sane, share};
use crate::{
    correlate::story::{Client, Packet, Server, Story},
    event::{Cause, Origin},
};

/// A server that reset an earlier connection, and then a SYN that is refused with another TTL.
fn refused(shift: u8) -> Story {
    let mut story = Story::v4();
    story.handshake().exchange().abort(Server);
    story.told();
    story.wait(500).another_client(50_001).syn().wait(40);
    let answer = story.answer(Server);
    story.send(Packet { ttl: answer.ttl - shift, ..answer });
    story
}

#[test]
fn a_refusal_from_as_far_as_the_server_is_may_be_its_own() {
    let event = expect(&mut refused(0), Cause::ListenerWentAway);
    assert!(share(&event, Cause::NetworkFirewallReject) <= 15, "{event:#?}");
}

#[test]
fn a_refusal_from_elsewhere_is_a_firewalls_on_the_path() {
    let event = expect(&mut refused(3), Cause::NetworkFirewallReject);
    assert!(gives(&event, "ttl_of_peer") && event.confidence.percent() >= 65, "{event:#?}");
    assert!(share(&event, Cause::ClosedPort) >= 5);
}

#[test]
fn a_host_that_is_not_known_has_no_usual_distance() {
    let mut story = Story::v4();
    story.syn().wait(1);
    let answer = story.answer(Server);
    story.send(Packet { ttl: answer.ttl - 3, ..answer });
    let event = expect(&mut story, Cause::ClosedPort);
    assert!(!gives(&event, "ttl_of_peer"));
}

#[test]
fn a_refusal_sooner_than_any_answer_before_raises_a_suspicion() {
    let told = |ms| {
        let mut story = Story::v4();
        story.syn().wait(40).syn_ack().ack(Client).exchange().abort(Server);
        story.told();
        story.wait(500).another_client(50_001).syn().wait(ms).disown(Server);
        sane(story.first())
    };
    let (soon, in_time) = (told(4), told(41));
    assert_eq!(soon.cause, Cause::NetworkFirewallReject);
    assert!(gives(&soon, "soon_for_peer"), "{soon:#?}");
    assert!(!gives(&in_time, "soon_for_peer"), "{in_time:#?}");
    assert_ne!(soon.origin, Origin::MiddleboxProven, "a nearer balancer would explain it");
}
