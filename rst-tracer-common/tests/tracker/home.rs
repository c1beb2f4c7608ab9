//! A host that forwards sees each segment twice; only the first sighting counts.

use rst_tracer_common::flow::{Observed, Port};

use crate::world::*;

const IN_A: Port = Port::ingress(2);
const OUT_B: Port = Port::egress(3);
const IN_B: Port = Port::ingress(3);
const OUT_A: Port = Port::egress(2);

/// A segment of the client comes in at A and leaves at B.
fn client_passes(world: &mut World, flags: u8, seq: u32, ack: u32, len: u32) -> [bool; 2] {
    let segment = segment(flags, seq, ack, len);
    [IN_A, OUT_B].map(|port| matches!(world.client_at(port, &segment), Observed::Tracked(_)))
}

/// A segment of the server comes in at B and leaves at A.
fn server_passes(world: &mut World, flags: u8, seq: u32, ack: u32, len: u32) -> [bool; 2] {
    let segment = segment(flags, seq, ack, len);
    [IN_B, OUT_A].map(|port| matches!(world.server_at(port, &segment), Observed::Tracked(_)))
}

#[test]
fn no_port_is_zero_and_no_two_are_alike() {
    let ports = [IN_A, OUT_B, IN_B, OUT_A];
    for (i, port) in ports.iter().enumerate() {
        assert_ne!(port.0, 0);
        assert!(!ports[..i].contains(port));
    }
}

#[test]
fn a_forwarded_connection_looks_like_any_other() {
    let mut world = World::new();
    assert_eq!(client_passes(&mut world, SYN, C, 0, 0), [true, false]);
    assert_eq!(server_passes(&mut world, SYN | ACK, S, C + 1, 0), [true, false]);
    assert_eq!(client_passes(&mut world, ACK, C + 1, S + 1, 0), [true, false]);
    assert_eq!(client_passes(&mut world, ACK, C + 1, S + 1, 50), [true, false]);
    assert_eq!(server_passes(&mut world, ACK, S + 1, C + 51, 70), [true, false]);
    let (us, them) = (world.us(), world.them());
    let [ours, theirs] = [us, them].map(|side| world.side(side));
    assert_eq!((ours.packets, ours.retransmits), (3, 0));
    assert_eq!((theirs.packets, theirs.retransmits), (2, 0));
    assert_eq!(world.history(), "ShADd");
}

#[test]
fn a_forwarded_retransmission_counts_once() {
    let mut world = World::new();
    client_passes(&mut world, SYN, C, 0, 0);
    client_passes(&mut world, ACK, C + 1, S + 1, 50);
    assert_eq!(client_passes(&mut world, ACK, C + 1, S + 1, 50), [true, false]);
    let us = world.us();
    assert_eq!(world.side(us).retransmits, 1);
}

#[test]
fn when_the_path_changes_the_home_moves_with_the_news() {
    let mut world = World::new();
    client_passes(&mut world, SYN, C, 0, 0);
    client_passes(&mut world, ACK, C + 1, S + 1, 50);
    let elsewhere = Port::ingress(9);
    let old = segment(ACK, C + 1, S + 1, 50);
    assert_eq!(world.client_at(elsewhere, &old), Observed::SecondSighting);
    let new = segment(ACK, C + 51, S + 1, 50);
    assert!(continued(world.client_at(elsewhere, &new)));
    assert_eq!(world.client_at(OUT_B, &new), Observed::SecondSighting);
    assert!(continued(world.client_at(elsewhere, &segment(ACK, C + 101, S + 1, 50))));
    let us = world.us();
    assert_eq!(world.side(us).bytes, 150);
}

#[test]
fn the_next_connection_may_come_another_way() {
    let mut world = World::new();
    client_passes(&mut world, SYN, C, 0, 0);
    world.server_at(IN_B, &segment(RST | ACK, 0, C + 1, 0));
    let elsewhere = Port::ingress(9);
    assert!(continued(world.client_at(elsewhere, &segment(SYN, C + 7000, 0, 0))));
    assert_eq!(world.client_at(OUT_B, &segment(SYN, C + 7000, 0, 0)), Observed::SecondSighting);
    assert_eq!(world.flow().reuses, 1);
}

#[test]
fn a_rst_is_reported_wherever_it_is_seen_and_noted_once() {
    let mut world = World::new();
    client_passes(&mut world, SYN, C, 0, 0);
    for port in [IN_B, OUT_A] {
        let observed = world.server_at(port, &segment(RST | ACK, 0, C + 1, 0));
        assert!(matches!(observed, Observed::Reset(Some(_))), "{observed:?}");
    }
    assert_eq!(world.flow().resets, 1);
    assert_eq!(world.history(), "Sr");
}
