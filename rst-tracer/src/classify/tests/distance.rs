//! Answers that come from another distance than the side in whose name they travel.

use super::{both, sane, share};
use crate::{
    correlate::story::{Client, Packet, Server},
    event::Cause,
};

#[test]
fn who_had_closed_answers_from_where_it_is() {
    for (shift, expected) in [(0, Cause::DataAfterClose), (5, Cause::NetworkFirewallReject)] {
        for mut story in both() {
            story.handshake().exchange().fin(Server).wait(5).ack(Client).wait(200);
            story.say(Client, b"more").wait(20);
            let answer = story.answer(Server);
            // A filter's, which labels nothing.
            let flow_label = if shift > 0 { 0 } else { answer.flow_label };
            story.send(Packet { ttl: answer.ttl + shift, flow_label, ..answer });
            let event = sane(story.first());
            assert_eq!(event.cause, expected, "{event:#?}");
            assert!(shift == 0 || share(&event, Cause::DataAfterClose) >= 10);
        }
    }
}
