//! What the kernel said, as the event tells it.

use rst_tracer_common::{event::Hook, notice::Point};

use super::{on_the_client, on_the_server};
use crate::{
    correlate::{
        Rules,
        story::{Client, ELSEWHERE, Server},
    },
    event::{Basis, Initiator, Kernel, KnownBy, Process, SentBy},
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

#[test]
fn a_reset_whose_source_was_translated_here_is_still_the_kernels() {
    // Of a redirected port: the socket has the number of its own, the segment the one that was asked.
    let redirected = |notice: &mut crate::source::Notice| {
        notice.wire.src.port = 15_006;
        notice.wire.flow_hash ^= 0x5555;
    };
    let mut refused = on_the_server();
    refused.syn().wait(1);
    let mut notice = refused.statement(Point::SEND_RESET, Server, "NO_SOCKET");
    redirected(&mut notice);
    let notice = refused.about_last(notice, Client);
    refused.hear(notice).disown(Server);
    let mut aborted = on_the_server();
    aborted.handshake().abort(Server);
    let mut notice = aborted.statement(Point::SEND_RESET, Server, "TCP_ABORT_ON_CLOSE");
    redirected(&mut notice);
    aborted.hear(notice);
    for (mut story, said) in [(refused, "NO_SOCKET"), (aborted, "TCP_ABORT_ON_CLOSE")] {
        let event = story.first();
        assert_eq!(event.kernel.and_then(|kernel| kernel.reason).as_deref(), Some(said));
    }
}

#[test]
fn a_statement_about_a_reset_to_another_is_not_this_ones() {
    let mut story = on_the_server();
    story.handshake().abort(Server);
    let mut notice = story.statement(Point::SEND_RESET, Server, "TCP_ABORT_ON_CLOSE");
    notice.wire.dst.port += 1;
    notice.wire.flow_hash ^= 0x5555;
    story.hear(notice);
    assert_eq!(story.first().kernel, None);
}

#[test]
fn who_closed_in_a_container_is_named_on_the_host_that_receives() {
    let told = |rules: Rules, known_by| {
        let process =
            |pid, known_by| Some(Process { known_by, ..Process::bare(pid, "python3".into()) });
        let mut story = on_the_client().by(rules);
        story.handshake().exchange().wait(30).abort(Server);
        let mut notice = story.statement(Point::SEND_RESET, Server, "TCP_ABORT_ON_CLOSE");
        notice.wire.netns = ELSEWHERE;
        story.hear_of(notice, process(7, known_by));
        let believed = story.statement(Point::RECEIVE_RESET, Server, "");
        story.hear_of(believed, process(8, KnownBy::SocketOwner));
        let process = story.first().process.unwrap();
        (process.pid, process.known_by)
    };
    let (closed, owner) = (KnownBy::ActiveClose, KnownBy::SocketOwner);
    assert_eq!(told(super::rules(), closed), (7, closed));
    // Who merely has the other socket is not known to have done anything.
    assert_eq!(told(super::rules(), owner), (8, owner));
    assert_eq!(told(Rules { only_netns: true, ..super::rules() }, closed), (8, owner));
}
