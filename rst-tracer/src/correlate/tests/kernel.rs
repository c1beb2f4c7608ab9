//! What the kernel said, as the event tells it.

use rst_tracer_common::{event::Hook, notice::Point};

use super::{on_the_client, on_the_server};
use crate::{
    correlate::story::{Client, ELSEWHERE, Server},
    event::{Basis, Initiator, Kernel, SentBy},
};

#[test]
fn a_closed_socket_is_told_with_the_state_before() {
    let mut story = on_the_server();
    story.handshake().abort(Server).kernel_aborts(Server, "TCP_ABORT_ON_CLOSE");
    let event = story.first();
    let (reason, state) = (Some("TCP_ABORT_ON_CLOSE".into()), Some("ESTABLISHED".into()));
    assert_eq!(event.kernel, Some(Kernel { reason, state, netns: None }));
    assert_eq!(event.basis, Basis::WireKernel);
}

#[test]
fn without_a_statement_the_wire_is_all() {
    let mut story = on_the_server();
    story.handshake().abort(Server);
    let event = story.first();
    assert_eq!((event.kernel, event.basis), (None, Basis::Wire));
}

#[test]
fn evidence_from_another_namespace_is_marked() {
    let mut story = on_the_client();
    story.handshake().abort(Server);
    let mut notice = story.statement(Point::SEND_RESET, Server, "TCP_STATE");
    notice.wire.netns = ELSEWHERE;
    story.hear(notice);
    assert_eq!(story.first().kernel.unwrap().netns, Some(ELSEWHERE));
}

#[test]
fn a_listener_tells_the_server_before_the_ports_do() {
    let mut story = crate::correlate::story::Story::between(false, 443, 51_234).by(super::rules());
    (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
    story.say(Client, b"x").disown(Server);
    let mut joined = story.all().remove(0);
    joined.listens = Some(true);
    let scene = crate::correlate::Scene { host: "here".into(), ..Default::default() };
    let event = crate::correlate::describe(&joined, &scene);
    assert_eq!((event.initiator, event.sent_by), (Initiator::Listener, SentBy::Server));
}
