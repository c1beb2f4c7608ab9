//! How much attention a reset deserves and whose fault it is: what its context changes.

use super::{both, expect};
use crate::{
    correlate::story::{
        Story,
        Who::{Client, Server},
    },
    event::{AtFault, Cause, Severity},
};

#[test]
fn a_client_that_gives_up_late_deserves_a_look() {
    for (ms, severity) in [(100, Severity::Info), (3000, Severity::Low)] {
        let mut story = Story::v4();
        story.syn().wait(ms).syn_ack().wait(1).disown(Client);
        let event = expect(&mut story, Cause::ClientGaveUp);
        assert_eq!((event.severity, event.at_fault), (severity, AtFault::Nobody), "{ms} ms");
    }
}

#[test]
fn a_client_that_waited_long_for_an_answer_blames_the_server() {
    let told = |ms| {
        let mut story = Story::v4();
        story.handshake().exchange().say(Client, b"GET /slow HTTP/1.1\r\n\r\n").wait(1);
        story.ack(Server).wait(ms).abort(Client);
        let event = expect(&mut story, Cause::ClientCancel);
        (event.severity, event.at_fault)
    };
    assert_eq!(told(50), (Severity::Info, AtFault::Nobody));
    assert_eq!(told(9000), (Severity::Medium, AtFault::Server));
}

#[test]
fn an_abort_that_throws_its_own_data_away_is_its_senders_fault() {
    for mut story in both() {
        story.handshake().exchange().say(Server, b"the end of it").wait(500).abort(Server);
        let event = expect(&mut story, Cause::Linger0Close);
        assert_eq!((event.severity, event.at_fault), (Severity::Low, AtFault::Server));
    }
    for mut story in both() {
        story.handshake().exchange().say(Server, b"on its way").wait(5).abort(Server);
        let event = expect(&mut story, Cause::Linger0Close);
        assert_eq!((event.severity, event.at_fault), (Severity::Info, AtFault::Nobody));
    }
}
