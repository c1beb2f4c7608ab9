//! The next connection between the same two ends.

use rst_tracer_common::{
    flow::{Began, Observed, Stage},
    wire::Seq,
};

use crate::world::*;

const NEXT: u32 = 700_000;

#[test]
fn a_new_syn_after_the_farewell_is_a_new_connection() {
    let mut world = World::new();
    world.handshake();
    world.farewell();
    world.client(SYN, NEXT, 0, 0);
    let us = world.us();
    let flow = world.flow();
    assert_eq!((world.stage(), world.history().as_str()), (Stage::PostSyn, "S"));
    assert_eq!((flow.reuses, flow.facts[us].isn, world.side(us).packets), (1, Seq(NEXT), 1));
    assert_eq!(world.recorded().len(), 1);
}

#[test]
fn so_is_one_after_a_rst() {
    let mut world = World::new();
    world.handshake();
    world.server(RST, S + 1, 0, 0);
    world.client(SYN, NEXT, 0, 0);
    assert_eq!((world.history().as_str(), world.flow().reuses), ("S", 1));
}

#[test]
fn the_other_side_may_open_the_next_one() {
    let mut world = World::new();
    world.handshake();
    world.farewell();
    world.server(SYN, NEXT, 0, 0);
    assert_eq!(world.hot().opener(), Some(world.them() as u32));
    assert_eq!(world.history(), "S");
}

#[test]
fn a_retransmitted_syn_does_not_reopen_what_is_closed() {
    let mut world = World::new();
    world.client(SYN, C, 0, 0);
    world.server(RST | ACK, 0, C + 1, 0);
    world.client(SYN, C, 0, 0);
    assert_eq!((world.flow().reuses, world.stage()), (0, Stage::Closed));
}

#[test]
fn a_syn_on_a_live_connection_is_remembered_but_not_believed() {
    let mut world = World::new();
    world.handshake();
    world.client(ACK, C + 1, S + 1, 50);
    world.client(SYN, NEXT, 0, 0);
    let us = world.us();
    let flow = world.flow();
    assert_eq!((flow.contested, flow.contesting_syn), (1, Seq(NEXT)));
    assert_eq!((flow.reuses, flow.facts[us].isn), (0, Seq(C)));
    assert_eq!(world.hot().seq_end[us], Seq(C + 51), "it does not move the numbers");
    assert_eq!(world.stage(), Stage::PostPush);
}

#[test]
fn the_peers_answer_decides_the_contest() {
    let mut world = World::new();
    world.handshake();
    world.client(SYN, NEXT, 0, 0);
    world.server(ACK, S + 1, C + 1, 0); // A challenge ACK: the old connection lives.
    assert_eq!(world.flow().reuses, 0);
    world.server(SYN | ACK, 9_000_000, NEXT + 1, 0);
    assert_eq!(world.flow().reuses, 1);
    assert_eq!(world.hot().opener(), Some(world.us() as u32));
    world.client(ACK, NEXT + 1, 9_000_001, 0);
    assert_eq!((world.stage(), world.flow().reuses), (Stage::PostAck, 1));
}

#[test]
fn a_syn_after_silence_is_believed_when_it_is_answered() {
    let mut world = World::new();
    world.handshake();
    world.client(ACK, C + 1, S + 1, 50);
    world.wait_ms(3_600_000);
    world.client(SYN, NEXT, 0, 0);
    world.server(ACK, S + 1, C + 51, 0); // A challenge ACK: anybody may have written the SYN.
    assert_eq!((world.flow().reuses, world.stage()), (0, Stage::PostPush));
    assert_eq!(world.history(), "ShADa");
    world.server(SYN | ACK, S, NEXT + 2, 0);
    assert_eq!(world.flow().reuses, 0, "it answers another SYN");
    world.server(SYN | ACK, S, NEXT + 1, 0);
    assert_eq!((world.flow().reuses, world.stage()), (1, Stage::PostSynAck));
}

#[test]
fn of_a_connection_that_is_seen_one_way_no_answer_is_awaited() {
    let mut world = World::new();
    world.client(SYN, C, 0, 0);
    world.client(ACK, C + 1, S + 1, 0);
    world.wait_ms(29_000);
    world.client(SYN, NEXT, 0, 0);
    assert_eq!(world.flow().reuses, 0);
    world.wait_ms(32_000);
    world.client(SYN, NEXT + 1, 0, 0);
    assert_eq!(world.flow().reuses, 1);
}

#[test]
fn a_syn_whose_time_is_before_the_last_segments_replaces_nothing() {
    for back_ms in [2, 1_000, 60_000] {
        let mut world = World::new();
        world.handshake();
        world.client(ACK, C + 1, S + 1, 50);
        world.now -= back_ms * 1_000_000;
        world.client(SYN, NEXT, 0, 0);
        assert_eq!((world.flow().reuses, world.flow().contested), (0, 1), "{back_ms} ms back");
    }
}

#[test]
fn a_half_open_attempt_gives_way_to_the_next() {
    let mut world = World::new();
    world.client(SYN, C, 0, 0);
    assert!(continued(world.client(SYN, NEXT, 0, 0)));
    let us = world.us();
    assert_eq!((world.flow().reuses, world.flow().facts[us].isn), (1, Seq(NEXT)));
}

#[test]
fn other_ports_are_another_connection() {
    let mut world = World::new();
    world.handshake();
    world.client.port += 1;
    let observed = world.client(SYN, C, 0, 0);
    let Observed::Tracked(tracked) = observed else { panic!("{observed:?}") };
    assert_eq!(tracked.began, Began::IN_EMPTY);
    assert_eq!(world.history(), "S");
    world.client.port -= 1;
    assert_eq!(world.history(), "ShA");
}
