//! Who opened a connection, and how we know.

use rst_tracer_common::{
    flow::{OpenedBy, Stage, flag},
    wire::{NO_SCALE, Segment, Seq, Tcp, option},
};

use crate::world::*;

#[test]
fn three_segments_make_a_connection() {
    let mut world = World::new();
    world.client(SYN, C, 0, 0);
    assert_eq!((world.stage(), world.history().as_str()), (Stage::PostSyn, "S"));
    world.server(SYN | ACK, S, C + 1, 0);
    assert_eq!((world.stage(), world.history().as_str()), (Stage::PostSynAck, "Sh"));
    assert!(!world.hot().is_confirmed());
    world.client(ACK, C + 1, S + 1, 0);
    assert_eq!((world.stage(), world.history().as_str()), (Stage::PostAck, "ShA"));
    assert!(world.hot().is_confirmed());
    assert_eq!(world.hot().opener(), Some(world.us() as u32));
    assert_eq!(world.flow().opened_by, OpenedBy::SYN);
}

#[test]
fn the_round_trip_can_be_told_from_its_times() {
    let mut world = World::new();
    world.client(SYN, C, 0, 0);
    world.wait_ms(20);
    world.server(SYN | ACK, S, C + 1, 0);
    world.wait_ms(30);
    world.client(ACK, C + 1, S + 1, 0);
    let flow = world.flow();
    assert_eq!(flow.first_ns, flow.syn_ns);
    assert_eq!((flow.syn_ack_ns - flow.syn_ns) / 1_000_000, 20);
    assert_eq!((flow.established_ns - flow.syn_ack_ns) / 1_000_000, 30);
}

#[test]
fn the_options_of_both_syns_are_kept() {
    let mut world = World::new();
    let offered = |mss, scale| Tcp {
        mss,
        scale,
        options: option::MSS | option::WINDOW_SCALE,
        ..segment(SYN, C, 0, 0).tcp
    };
    world.client_at(HERE, &Segment { tcp: offered(1460, 7), ..segment(SYN, C, 0, 0) });
    let answer = segment(SYN | ACK, S, C + 1, 0);
    world.server_at(HERE, &answer);
    let (us, them) = (world.us(), world.them());
    let flow = world.flow();
    assert_eq!((flow.facts[us].mss, flow.facts[us].scale), (1460, 7));
    assert_eq!((flow.facts[them].mss, flow.facts[them].scale), (0, NO_SCALE));
    assert_eq!((flow.facts[us].isn, flow.facts[them].isn), (Seq(C), Seq(S)));
}

#[test]
fn a_syn_ack_alone_tells_who_opened() {
    let mut world = World::new();
    world.server(SYN | ACK, S, C + 1, 0);
    assert_eq!(world.hot().opener(), Some(world.us() as u32));
    assert_eq!(world.flow().opened_by, OpenedBy::SYN_ACK);
    assert_eq!((world.stage(), world.history().as_str()), (Stage::PostSynAck, "h"));
    world.client(ACK, C + 1, S + 1, 0);
    assert_eq!(world.stage(), Stage::PostAck);
}

#[test]
fn a_connection_older_than_the_tracer_has_no_opener() {
    let mut world = World::new();
    world.client(ACK, C, S, 10);
    assert!(!world.hot().is_confirmed(), "one side alone proves nothing");
    world.server(ACK, S, C + 10, 0);
    assert!(world.hot().is_confirmed());
    assert_eq!(world.hot().opener(), None);
    assert_eq!(world.flow().opened_by, OpenedBy::UNKNOWN);
    assert_eq!(world.stage(), Stage::PostData, "what came before was not seen");
}

#[test]
fn a_syn_amid_an_old_connection_does_not_say_who_opened_it() {
    let mut world = World::new();
    world.server(ACK, S, C, 10);
    world.client(ACK, C, S + 10, 0);
    world.server(SYN, 77, 0, 0);
    assert_eq!(world.hot().opener(), None);
}

#[test]
fn a_retransmitted_syn_changes_nothing_but_the_count() {
    let mut world = World::new();
    world.client(SYN, C, 0, 0);
    world.wait_ms(1000);
    world.client(SYN, C, 0, 0);
    let us = world.us();
    let flow = world.flow();
    assert_eq!((world.side(us).packets, flow.reuses), (2, 0));
    assert_eq!((world.stage(), world.history().as_str()), (Stage::PostSyn, "S"));
}

#[test]
fn an_ack_of_something_else_does_not_complete_the_handshake() {
    let mut world = World::new();
    world.client(SYN, C, 0, 0);
    world.server(SYN | ACK, S, C + 1, 0);
    world.client(ACK, C + 1, S.wrapping_sub(1000), 0);
    assert_eq!(world.hot().flags & flag::ESTABLISHED, 0);
    assert_eq!(world.stage(), Stage::PostSynAck);
}

#[test]
fn a_syn_ack_that_answers_another_syn_is_not_believed() {
    let mut world = World::new();
    world.client(SYN, C, 0, 0);
    world.server(SYN | ACK, S, C + 999, 0);
    assert_eq!(world.hot().flags & flag::SYN_ACK, 0);
    assert_eq!(world.stage(), Stage::PostSyn);
}

#[test]
fn in_a_capture_of_one_direction_the_openers_ack_completes_it() {
    let mut world = World::new();
    world.client(SYN, C, 0, 0);
    world.client(ACK, C + 1, S + 1, 0);
    assert_eq!(world.stage(), Stage::PostAck);
}

#[test]
fn both_may_open_at_once() {
    let mut world = World::new();
    world.client(SYN, C, 0, 0);
    world.server(SYN, S, 0, 0);
    world.client(SYN | ACK, C, S + 1, 0);
    world.server(SYN | ACK, S, C + 1, 0);
    assert_eq!(world.hot().opener(), Some(world.us() as u32), "the first SYN counts");
    assert_eq!(world.flow().reuses, 0);
    assert_ne!(world.hot().flags & flag::SYN_ACK, 0);
}
