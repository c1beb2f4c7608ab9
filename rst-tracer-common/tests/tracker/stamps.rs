//! What options tell that is kept: SACK edges, and the timestamps of a handshake.

use rst_tracer_common::wire::{Segment, Seq, option};

use crate::world::*;

fn with_sack(mut segment: Segment, right: u32) -> Segment {
    segment.tcp.options = option::SACK;
    segment.tcp.sack_right = Seq(right);
    segment
}

fn with_stamps(mut segment: Segment, tsval: u32, tsecr: u32) -> Segment {
    segment.tcp.options = option::TIMESTAMPS;
    (segment.tcp.tsval, segment.tcp.tsecr) = (tsval, tsecr);
    segment
}

#[test]
fn the_last_sack_edge_of_a_side_is_kept_with_its_acknowledgment() {
    let mut world = World::new();
    world.handshake();
    let us = world.us();
    world.client_at(HERE, &with_sack(segment(ACK, C + 1, S + 1, 0), S + 2000));
    world.client_at(HERE, &with_sack(segment(ACK, C + 1, S + 1, 0), S + 3000));
    world.client(ACK, C + 1, S + 3000, 0);
    let facts = world.flow().facts;
    assert_eq!((facts[us].sack_right, facts[us].sack_ack), (Seq(S + 3000), Seq(S + 1)));
    assert_eq!((facts[us ^ 1].sack_right, facts[us ^ 1].sack_ack), (Seq(0), Seq(0)));
}

#[test]
fn the_first_syn_and_the_last_syn_ack_leave_their_timestamps() {
    let mut world = World::new();
    world.client_at(HERE, &with_stamps(segment(SYN, C, 0, 0), 7000, 0));
    world.client_at(HERE, &with_stamps(segment(SYN, C, 0, 0), 8000, 0));
    world.server_at(HERE, &with_stamps(segment(SYN | ACK, S, C + 1, 0), 1, 8000));
    world.server_at(HERE, &with_stamps(segment(SYN | ACK, S, C + 1, 0), 1, 66));
    let flow = world.flow();
    assert_eq!((flow.syn_tsval, flow.syn_ack_tsecr), (7000, 66));
}

#[test]
fn a_syn_ack_that_answers_another_syn_leaves_none() {
    let mut world = World::new();
    world.client_at(HERE, &with_stamps(segment(SYN, C, 0, 0), 7000, 0));
    world.server_at(HERE, &with_stamps(segment(SYN | ACK, S, C + 500, 0), 1, 7000));
    assert_eq!(world.flow().syn_ack_tsecr, 0);
}
