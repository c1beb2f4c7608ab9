//! Proxies that end many connections at once.

use rst_tracer_common::{
    event::Hook,
    notice::{Point, notice_trait},
};

use super::sane;
use crate::correlate::story::{Client, Server, Story};
use crate::event::{Cause, Process, RstEvent};

/// What is told of the first of so many connections that a process of the server's host aborts in one moment.
fn ends(name: &str, connections: u16) -> RstEvent {
    let mut story = Story::v4();
    (story.hook, story.ifindex) = (Hook::TC_EGRESS, 2);
    for port in 50_000..50_000 + connections {
        story.another_client(port).syn().syn_ack().ack(Client).abort(Server);
        let mut sent = story.statement(Point::SEND_RESET, Server, "TCP_STATE");
        sent.wire.traits |= notice_trait::SOCKET;
        sent.wire.inode = u64::from(port);
        sent.state = Some("CLOSE".into());
        story.hear_of(sent, Some(Process::bare(7, name.to_owned())));
    }
    sane(story.first())
}

#[test]
fn a_proxy_that_ends_several_connections_in_one_moment_drains() {
    let event = ends("haproxy", 3);
    assert_eq!(event.cause, Cause::LbDrain, "{event:#?}");
    assert!(event.evidence[0].text.contains("reset 2 other connections"), "{event:#?}");
    assert!(event.confidence.percent() < 70, "it may have other reasons");
}

#[test]
fn one_at_a_time_or_by_another_program_is_no_drain() {
    assert_eq!(ends("haproxy", 1).cause, Cause::ProxyAbort);
    assert_eq!(ends("postgres", 3).cause, Cause::Linger0Close);
}
