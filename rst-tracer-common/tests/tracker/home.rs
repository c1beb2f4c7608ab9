//! A host that forwards sees each segment twice; only the first sighting counts.

use rst_tracer_common::flow::{Observed, Port, RESET_BUDGET};

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

/// The next connection, over other interfaces: handshake, a request, an answer.
fn comes_another_way(world: &mut World, isn: u32) {
    let (into, out) = (Port::ingress(9), Port::ingress(8));
    let reuses = world.flow().reuses;
    let is_over = world.hot().is_closed();
    let opened = continued(world.client_at(into, &segment(SYN, isn, 0, 0)));
    assert_eq!(opened, is_over, "its SYN {isn}: where the last one may live its answer tells");
    assert_eq!(world.client_at(OUT_B, &segment(SYN, isn, 0, 0)), Observed::SecondSighting);
    assert!(continued(world.server_at(out, &segment(SYN | ACK, 77, isn + 1, 0))), "its SYN-ACK");
    assert_eq!(
        world.server_at(OUT_A, &segment(SYN | ACK, 77, isn + 1, 0)),
        Observed::SecondSighting
    );
    assert!(continued(world.client_at(into, &segment(ACK, isn + 1, 78, 0))));
    assert!(continued(world.client_at(into, &segment(ACK, isn + 1, 78, 18))));
    let history = if is_over { "ShAD" } else { "hAD" };
    assert_eq!((world.flow().reuses, world.history().as_str()), (reuses + 1, history));
}

/// Sequence numbers after and before [`C`], which a former connection began with.
const NUMBERS: [u32; 3] = [C + 7000, C.wrapping_sub(7000), C.wrapping_add(1 << 31)];

#[test]
fn after_a_farewell_the_next_connection_may_come_another_way() {
    for isn in NUMBERS {
        let mut world = World::new();
        client_passes(&mut world, SYN, C, 0, 0);
        server_passes(&mut world, SYN | ACK, S, C + 1, 0);
        client_passes(&mut world, ACK, C + 1, S + 1, 0);
        client_passes(&mut world, FIN | ACK, C + 1, S + 1, 0);
        server_passes(&mut world, FIN | ACK, S + 1, C + 2, 0);
        client_passes(&mut world, ACK, C + 2, S + 2, 0);
        comes_another_way(&mut world, isn);
    }
}

#[test]
fn after_silence_the_next_connection_may_come_another_way() {
    for isn in NUMBERS {
        let mut world = World::new();
        client_passes(&mut world, SYN, C, 0, 0);
        server_passes(&mut world, SYN | ACK, S, C + 1, 0);
        client_passes(&mut world, ACK, C + 1, S + 1, 50);
        world.wait_ms(29_000);
        let elsewhere = world.client_at(Port::ingress(9), &segment(SYN, isn, 0, 0));
        assert_eq!(elsewhere, Observed::SecondSighting, "it may still live");
        world.wait_ms(2_000);
        comes_another_way(&mut world, isn);
    }
}

#[test]
fn the_answer_to_the_next_connection_may_come_another_way() {
    let mut world = World::new();
    client_passes(&mut world, SYN, C, 0, 0);
    server_passes(&mut world, SYN | ACK, S, C + 1, 0);
    client_passes(&mut world, ACK, C + 1, S + 1, 0);
    world.wait_ms(31_000);
    assert_eq!(client_passes(&mut world, SYN, C + 7000, 0, 0), [true, false]);
    let elsewhere = segment(SYN | ACK, 77, C + 7001, 0);
    assert!(continued(world.server_at(Port::ingress(8), &elsewhere)));
    assert_eq!(client_passes(&mut world, ACK, C + 7001, 78, 0), [true, false]);
    assert_eq!((world.flow().reuses, world.history().as_str()), (1, "hA"));
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

/// How many of so many resets of the server were reported at each port, and how many of all were suppressed.
fn resets_pass(world: &mut World, count: u32, ports: [Port; 2]) -> ([u32; 2], u32) {
    let (mut reported, mut suppressed) = ([0; 2], 0);
    for number in 0..count {
        let mut reset = segment(RST, S + 50, 0, 0);
        reset.ip_id = number as u16;
        for (port, reported) in ports.into_iter().zip(&mut reported) {
            match world.server_at(port, &reset) {
                Observed::Reset(Some(_)) => *reported += 1,
                Observed::Suppressed => suppressed += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    (reported, suppressed)
}

#[test]
fn of_forwarded_resets_as_many_are_reported_as_of_others() {
    const LIMIT: u32 = RESET_BUDGET as u32;
    let mut world = World::new();
    client_passes(&mut world, SYN, C, 0, 0);
    server_passes(&mut world, SYN | ACK, S, C + 1, 0);
    client_passes(&mut world, ACK, C + 1, S + 1, 50);
    assert_eq!(resets_pass(&mut world, 100, [IN_B, OUT_A]), ([LIMIT; 2], 2 * (100 - LIMIT)));
    let flow = world.flow();
    assert_eq!((flow.resets, flow.suppressed), (100, 100 - LIMIT), "resets, not sightings");
    world.wait_ms(1_100);
    assert_eq!(resets_pass(&mut world, 1, [IN_B, OUT_A]), ([1; 2], 0));
    assert_eq!((world.flow().resets, world.flow().suppressed), (101, 0));
}

#[test]
fn a_flood_of_resets_that_comes_another_way_is_bounded_too() {
    let mut world = World::new();
    world.handshake();
    let (reported, suppressed) = resets_pass(&mut world, 100, [IN_B, OUT_A]);
    assert!(reported.iter().sum::<u32>() <= 2 * u32::from(RESET_BUDGET), "{reported:?}");
    assert_eq!(reported.iter().sum::<u32>() + suppressed, 200);
}
