//! What happens on other connections around a reset.

use rst_tracer_common::notice::{Point, notice_trait};

use super::{at, on_the_client, on_the_server};
use crate::correlate::{
    Crowd,
    story::{Client, Server, Story},
};

fn crowds(story: &mut Story) -> Vec<Crowd> {
    story.all().iter().map(|joined| joined.crowd).collect()
}

#[test]
fn connections_reset_at_once_are_counted_and_not_their_repeats() {
    let mut story = on_the_server();
    for port in 50_000..50_003 {
        story.another_client(port).handshake().abort(Server).abort(Server);
    }
    story.wait(500).another_client(50_003).handshake().abort(Server);
    let crowds = crowds(&mut story);
    let at_once: Vec<_> = crowds.iter().map(|crowd| crowd.of_endpoint).collect();
    assert_eq!(at_once, [2, 2, 2, 2, 2, 2, 0]);
    assert!(crowds.iter().all(|crowd| crowd.of_endpoint_within_1s == 3));
    assert!(crowds.iter().all(|crowd| crowd.of_host >= crowd.of_endpoint));
}

#[test]
fn ports_that_refuse_one_destination_make_a_scan() {
    let mut story = on_the_server();
    for port in 1..=5 {
        story.another_server(port).syn().disown(Server);
    }
    let refused: Vec<_> = crowds(&mut story).iter().map(|crowd| crowd.refused_ports).collect();
    assert_eq!(refused, [1, 2, 3, 4, 5]);
}

#[test]
fn a_port_that_refuses_again_and_again_is_one_port() {
    let mut story = on_the_server();
    for port in 50_000..50_004 {
        story.another_client(port).syn().disown(Server);
    }
    assert!(crowds(&mut story).iter().all(|crowd| crowd.refused_ports == 1));
}

#[test]
fn resets_at_equal_intervals_are_a_habit() {
    let mut story = at(rst_tracer_common::event::Hook::XDP);
    for port in 50_000..50_005 {
        story.wait(2000).another_client(port).handshake().abort(Client);
    }
    let periodic: Vec<_> = crowds(&mut story).iter().map(|crowd| crowd.periodic).collect();
    assert_eq!(periodic[..3], [None; 3]);
    let (count, ms) = periodic[4].unwrap();
    assert_eq!((count, ms / 100), (4, 20));
}

#[test]
fn resets_that_no_endpoint_sent_are_alike_at_one_server_and_stage() {
    let mut story = on_the_client();
    for port in 50_000..50_003 {
        story.another_client(port).handshake().say(Client, b"forbidden").abort(Server);
        story.wait(30_000);
    }
    let alike: Vec<_> = crowds(&mut story).iter().map(|crowd| crowd.reset_alike).collect();
    assert_eq!(alike, [0, 1, 2]);
}

#[test]
fn resets_of_the_own_tcp_are_not_alike() {
    let mut story = on_the_server();
    for port in 50_000..50_003 {
        story.another_client(port).handshake().abort(Server).kernel_aborts(Server, "TCP_STATE");
    }
    assert!(crowds(&mut story).iter().all(|crowd| crowd.reset_alike == 0));
}

#[test]
fn what_a_host_showed_hours_ago_says_nothing() {
    const HOUR_MS: u64 = 3_600_000;
    let mut story = on_the_client();
    for (port, wait_ms) in [(50_000, 0), (50_001, HOUR_MS / 2), (50_002, 2 * HOUR_MS)] {
        story.wait(wait_ms).another_client(port).exchange().abort(Server);
    }
    let crowds = crowds(&mut story);
    let known: Vec<_> = crowds.iter().map(|crowd| crowd.src_peer.map(|peer| peer.ttl)).collect();
    assert_eq!(known, [None, Some(Some(57)), None]);
    assert_eq!(crowds.iter().map(|crowd| crowd.sees_dst).collect::<Vec<_>>(), [false, true, false]);
}

#[test]
fn a_listener_that_closes_with_its_connections_is_seen() {
    let mut story = on_the_server();
    story.handshake();
    let mut notice = story.statement(Point::LISTENER, Server, "");
    (notice.state, notice.state_before) = (Some("CLOSE".into()), Some("LISTEN".into()));
    notice.wire.traits |= notice_trait::SOCKET | notice_trait::STATE_BEFORE;
    notice.wire.src.address = rst_tracer_common::wire::Address::v4(0);
    story.hear(notice).abort(Server).kernel_aborts(Server, "TCP_STATE");
    assert!(crowds(&mut story)[0].listener_closed);
}
