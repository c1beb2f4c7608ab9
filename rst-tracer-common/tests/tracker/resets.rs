//! Which RST ends a connection, and how many of one flow are reported.

use rst_tracer_common::flow::{ENDING_BUDGET, Observed, Port, RESET_BUDGET, Stage, flag};

use crate::world::*;

#[test]
fn a_rst_without_a_flow_makes_none() {
    let mut world = World::new();
    assert_eq!(world.client(RST, C, 0, 0), Observed::Reset(None));
    assert!(!world.is_tracked());
}

#[test]
fn the_exact_next_number_ends_the_connection() {
    for by_client in [true, false] {
        let mut world = World::new();
        world.handshake();
        if by_client {
            world.client(RST, C + 1, 0, 0);
        } else {
            world.server(RST, S + 1, 0, 0);
        }
        assert_eq!(world.stage(), Stage::Closed);
    }
}

#[test]
fn a_rst_that_is_only_within_the_window_does_not() {
    let mut world = World::new();
    world.handshake();
    for off in [1_u32.wrapping_neg(), 1, 200, 0x4000_0000, 0x8000_0000] {
        world.server(RST, (S + 1).wrapping_add(off), 0, 0);
        assert_eq!(world.stage(), Stage::PostAck, "off by {off}");
    }
    assert_eq!(world.flow().resets, 5);
    assert_ne!(world.hot().flags & flag::RST_SEEN, 0);
}

#[test]
fn a_forged_rst_does_not_move_the_numbers_of_the_flow() {
    let mut world = World::new();
    world.handshake();
    let before = (world.hot().seq_end, world.hot().ack);
    world.server(RST | ACK, S + 4000, C + 9000, 0);
    assert_eq!((world.hot().seq_end, world.hot().ack), before);
    assert!(continued(world.server(ACK, S + 1, C + 1, 10)));
    assert_eq!(world.stage(), Stage::PostPush);
}

#[test]
fn a_rst_behind_lost_data_ends_it_where_the_receiver_expects_it() {
    let mut world = World::new();
    world.handshake();
    world.server(ACK, S + 1, C + 1, 500); // Seen here, but the client never acknowledged it.
    world.server(RST, S + 1, 0, 0);
    assert_eq!(world.stage(), Stage::Closed);
}

#[test]
fn a_refused_syn_is_refused_by_what_acknowledges_it() {
    let mut world = World::new();
    world.client(SYN, C, 0, 0);
    world.server(RST | ACK, 0, C, 0);
    assert_eq!(world.stage(), Stage::PostSyn, "it acknowledges nothing");
    world.server(RST, 0, 0, 0);
    assert_eq!(world.stage(), Stage::PostSyn, "it has no acknowledgment");
    world.server(RST | ACK, 0, C + 1, 0);
    assert_eq!(world.stage(), Stage::Closed);
}

#[test]
fn zero_is_no_number_to_hit_before_a_side_was_heard() {
    let mut world = World::new();
    world.client(SYN, C, 0, 0);
    world.client(RST, 0, 0, 0);
    assert_eq!(world.stage(), Stage::PostSyn, "the server acknowledged nothing yet");
    let mut world = World::new();
    world.client(ACK, C, S, 10);
    world.server(RST, 0, 0, 0);
    assert_eq!(world.stage(), Stage::PostData, "the server sent nothing yet");
    world.server(RST, S, 0, 0);
    assert_eq!(world.stage(), Stage::Closed, "but what the client expects of it is known");
}

#[test]
fn the_clients_own_rst_does_not_answer_its_syn() {
    let mut world = World::new();
    world.client(SYN, C, 0, 0);
    world.client(RST | ACK, C + 77, C + 1, 0);
    assert_eq!(world.stage(), Stage::PostSyn);
}

#[test]
fn every_reset_is_reported_or_counted() {
    let mut world = World::new();
    world.handshake();
    let (mut reported, mut suppressed) = (0, 0);
    for _ in 0..100 {
        match world.server(RST, S + 50, 0, 0) {
            Observed::Reset(Some(_)) => reported += 1,
            Observed::Suppressed => suppressed += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((reported, suppressed), (u32::from(RESET_BUDGET), 100 - u32::from(RESET_BUDGET)));
    let flow = world.flow();
    assert_eq!((flow.resets, flow.suppressed), (100, suppressed));
}

#[test]
fn the_budget_is_renewed_after_a_second() {
    let mut world = World::new();
    world.handshake();
    for _ in 0..20 {
        world.server(RST, S + 50, 0, 0);
    }
    world.wait_ms(500);
    assert_eq!(world.server(RST, S + 50, 0, 0), Observed::Suppressed);
    world.wait_ms(600);
    assert!(matches!(world.server(RST, S + 50, 0, 0), Observed::Reset(Some(_))));
}

#[test]
fn the_budget_outlives_the_connection() {
    let mut world = World::new();
    let mut reported = 0;
    for round in 0..40 {
        let isn = C + round * 1000;
        world.client(SYN, isn, 0, 0);
        reported += u32::from(world.server(RST | ACK, 0, isn + 1, 0) != Observed::Suppressed);
    }
    let most = u32::from(RESET_BUDGET + ENDING_BUDGET);
    assert_eq!(reported, most, "a client that tries again and again");
}

#[test]
fn aftermath_lasts_eight_segments_or_five_seconds() {
    let aftermath = |observed| matches!(observed, Observed::Tracked(t) if t.is_aftermath);
    let mut world = World::new();
    world.handshake();
    assert!(!aftermath(world.server(ACK, S + 1, C + 1, 1)));
    world.client(RST, C + 1, 0, 0);
    let told = (0..12).filter(|i| aftermath(world.server(ACK, S + 2 + i, C + 1, 1))).count();
    assert_eq!(told, 8);
    world.client(RST, C + 1, 0, 0);
    world.wait_ms(4900);
    assert!(aftermath(world.server(ACK, S + 14, C + 1, 1)));
    world.wait_ms(200);
    assert!(!aftermath(world.server(ACK, S + 15, C + 1, 1)));
}

#[test]
fn the_reset_that_ends_a_connection_is_told_however_many_do_not() {
    // Where the connection is seen, and by another way.
    for port in [HERE, Port::ingress(9)] {
        let mut world = World::new();
        world.handshake();
        let budget = u32::from(RESET_BUDGET);
        let decoys = (0..1000).map(|i| segment(RST, S + 1_000_000_000 + i, 0, 0));
        let told = decoys.filter(|decoy| world.server_at(port, decoy) != Observed::Suppressed);
        assert_eq!(told.count() as u32, budget);
        assert_eq!(world.stage(), Stage::PostAck);
        let ends = segment(RST, S + 1, 0, 0);
        assert!(matches!(world.server_at(port, &ends), Observed::Reset(Some(_))), "{port:?}");
        assert_eq!(world.stage(), Stage::Closed);
        let told = (0..100).filter(|_| world.server_at(port, &ends) != Observed::Suppressed);
        assert_eq!(told.count() as u32, u32::from(ENDING_BUDGET) - 1, "their number is bounded");
    }
}

#[test]
fn a_reset_that_is_only_counted_ends_the_connection_too() {
    let mut world = World::new();
    for _ in 0..RESET_BUDGET + ENDING_BUDGET {
        world.client(SYN, C, 0, 0);
        world.server(RST | ACK, 0, C + 1, 0);
    }
    world.client(SYN, C + 5000, 0, 0);
    assert_eq!(world.stage(), Stage::PostSyn);
    assert_eq!(world.server(RST | ACK, 0, C + 5001, 0), Observed::Suppressed);
    assert_eq!(world.stage(), Stage::Closed);
}
