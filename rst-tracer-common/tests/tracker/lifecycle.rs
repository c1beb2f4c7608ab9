//! From data to the end: stages, history, retransmissions, probes, numbers that wrap.

use rst_tracer_common::{
    flow::{SLOTS, Stage, slot_trait},
    wire::{Flags, Segment, Seq, Tcp},
};

use crate::world::*;

#[test]
fn the_stages_follow_the_data() {
    let mut world = World::new();
    world.handshake();
    world.client(ACK, C + 1, S + 1, 50);
    assert_eq!(world.stage(), Stage::PostPush);
    world.server(ACK, S + 1, C + 51, 0);
    assert_eq!(world.stage(), Stage::PostPush, "a pure ACK is no data");
    world.server(ACK, S + 1, C + 51, 70);
    assert_eq!(world.stage(), Stage::PostData);
}

#[test]
fn an_http_exchange_reads_as_zeek_writes_it() {
    let mut world = World::new();
    world.handshake();
    world.client(ACK, C + 1, S + 1, 50);
    world.server(ACK, S + 1, C + 51, 0);
    world.server(ACK, S + 1, C + 51, 70);
    world.client(RST | ACK, C + 51, S + 1, 0);
    assert_eq!(world.history(), "ShADadR");
    assert_eq!(world.stage(), Stage::Closed);
}

#[test]
fn a_letter_stands_once_however_often_it_happens() {
    let mut world = World::new();
    world.handshake();
    for i in 0..5 {
        world.client(ACK, C + 1 + i * 10, S + 1, 10);
        world.server(ACK, S + 1, C + 11 + i * 10, 0);
    }
    assert_eq!(world.history(), "ShADa");
}

#[test]
fn both_sides_must_finish_and_be_heard() {
    let mut world = World::new();
    world.handshake();
    world.client(FIN | ACK, C + 1, S + 1, 0);
    assert_eq!(world.stage(), Stage::PostFin);
    world.server(ACK, S + 1, C + 2, 100);
    assert_eq!(world.stage(), Stage::PostFin, "half closed");
    world.server(FIN | ACK, S + 101, C + 2, 0);
    assert_eq!(world.stage(), Stage::PostFin);
    world.client(ACK, C + 2, S + 102, 0);
    assert_eq!(world.stage(), Stage::Closed);
    assert_eq!(world.history(), "ShAFdf");
}

#[test]
fn a_fin_is_not_confirmed_by_an_older_ack() {
    let mut world = World::new();
    world.handshake();
    world.client(FIN | ACK, C + 1, S + 1, 0);
    world.server(FIN | ACK, S + 1, C + 1, 0);
    world.client(ACK, C + 2, S + 2, 0);
    assert_eq!(world.stage(), Stage::PostFin, "the client's FIN is still on its way");
    world.server(ACK, S + 2, C + 2, 0);
    assert_eq!(world.stage(), Stage::Closed);
}

#[test]
fn repeated_data_is_a_retransmission() {
    let mut world = World::new();
    world.handshake();
    world.client(ACK, C + 1, S + 1, 100);
    world.client(ACK, C + 1, S + 1, 100);
    let us = world.us();
    let side = world.side(us);
    assert_eq!((side.retransmits, side.data_segments, side.bytes), (1, 1, 200));
    assert_eq!(world.history(), "ShADT");
    assert_eq!(world.stage(), Stage::PostPush, "said twice is said once");
    let marked = |slot: &rst_tracer_common::flow::Slot| slot.traits & slot_trait::RETRANSMIT != 0;
    assert_eq!(
        world.recorded().iter().map(marked).collect::<Vec<_>>(),
        [false, false, false, false, true]
    );
}

#[test]
fn keepalives_are_probes_and_not_retransmissions() {
    let mut world = World::new();
    world.handshake();
    world.client(ACK, C + 1, S + 1, 100);
    for _ in 0..3 {
        world.wait_ms(75_000);
        world.client(ACK, C + 100, S + 1, 0);
    }
    world.client(ACK, C + 100, S + 1, 1); // Some stacks send a byte of garbage.
    let us = world.us();
    let flow = world.flow();
    assert_eq!((flow.facts[us].probes, flow.retransmits[us]), (4, 0));
}

#[test]
fn an_ordinary_ack_is_no_probe() {
    let mut world = World::new();
    world.handshake();
    world.client(ACK, C + 1, S + 1, 0);
    let us = world.us();
    assert_eq!(world.flow().facts[us].probes, 0);
}

#[test]
fn a_zero_window_is_noted_but_not_that_of_a_rst() {
    let mut world = World::new();
    world.handshake();
    let closed = |flags| {
        let segment = segment(flags, S + 1, C + 1, 0);
        Segment { tcp: Tcp { window: 0, ..segment.tcp }, ..segment }
    };
    world.server_at(HERE, &closed(RST));
    assert_eq!(world.history(), "ShAr");
    world.server_at(HERE, &closed(ACK));
    assert_eq!(world.history(), "ShAraw");
}

#[test]
fn flags_that_exclude_each_other_have_their_own_letter() {
    let mut world = World::new();
    world.handshake();
    world.client(SYN | FIN, C + 1, 0, 0);
    assert_eq!(world.history(), "ShAQ");
}

#[test]
fn sequence_numbers_wrap_around() {
    let mut world = World::new();
    let (c, s) = (u32::MAX - 4, u32::MAX);
    world.client(SYN, c, 0, 0);
    world.server(SYN | ACK, s, c + 1, 0);
    world.client(ACK, c + 1, 0, 0);
    assert_eq!(world.stage(), Stage::PostAck);
    world.client(ACK, c + 1, 0, 100);
    let (us, them) = (world.us(), world.them());
    assert_eq!(world.hot().seq_end[us], Seq(96));
    world.server(ACK, 0, 96, 0);
    assert_eq!(world.hot().ack[them], Seq(96));
    world.client(ACK, c + 1, 0, 100);
    assert_eq!(world.side(us).retransmits, 1);
    world.client(ACK, 96, 0, 10);
    assert_eq!(world.side(us).retransmits, 1, "behind zero is further on");
    world.client(RST, 106, 0, 0);
    assert_eq!(world.stage(), Stage::Closed);
}

#[test]
fn numbers_beyond_any_window_are_not_followed() {
    let mut world = World::new();
    world.handshake();
    world.client(ACK, C + 0x5000_0000, S + 1, 10);
    let us = world.us();
    assert_eq!(world.hot().seq_end[us], Seq(C + 1));
    world.client(ACK, C + 1, S + 0x5000_0000, 0);
    assert_eq!(world.hot().ack[us], Seq(S + 1));
}

#[test]
fn the_recorder_keeps_the_last_segments_in_order() {
    let mut world = World::new();
    world.handshake();
    for i in 0..100 {
        world.client(ACK, C + 1 + i, S + 1, 1);
    }
    let slots = world.recorded();
    assert_eq!(slots.len(), SLOTS as usize);
    assert!(slots.is_sorted_by_key(|slot| slot.time_ns));
    assert_eq!(slots.last().map(|slot| slot.seq), Some(Seq(C + 100)));
    assert_eq!(slots.first().map(|slot| slot.seq), Some(Seq(C + 85)));
}

#[test]
fn a_change_of_ttl_is_noticed() {
    let mut world = World::new();
    world.handshake();
    let us = world.us();
    let varies = |world: &mut World| {
        world.side(us).traits & rst_tracer_common::flow::side_trait::TTL_VARIES != 0
    };
    assert!(!varies(&mut world));
    world.client_at(HERE, &Segment { ttl: 63, ..segment(ACK, C + 1, S + 1, 0) });
    assert!(varies(&mut world));
    world.client(ACK, C + 1, S + 1, 0);
    assert!(varies(&mut world), "and not forgotten");
}

#[test]
fn the_last_segment_of_a_side_that_only_listens_is_kept() {
    let mut world = World::new();
    world.handshake();
    let last = Segment { ip_id: 77, tos: 8, ..segment(ACK, S + 1, C + 1, 0) };
    world.server_at(HERE, &last);
    let (us, them) = (world.us(), world.them());
    let known = world.side(them);
    assert_eq!((known.ip_id, known.tos, known.packets), (77, 8, 2));
    for i in 0..40 {
        world.client(ACK, C + 1 + i * 100, S + 1, 100);
        assert_eq!(world.side(them), known, "after {} segments of the other side", i + 1);
    }
    assert!(world.recorded().iter().all(|slot| slot.ip_id != 77), "its slot was taken");
    assert_eq!((world.side(us).packets, world.side(us).data_segments), (42, 40));
}

#[test]
fn a_reset_is_not_the_last_segment_of_its_side() {
    let mut world = World::new();
    world.handshake();
    let us = world.us();
    let known = world.side(us);
    for i in 0..20 {
        // Somewhere: each is reported and recorded, none ends the connection.
        let forged = Segment { ip_id: 4000 + i, tos: 99, ..segment(RST, C + 900_000, 0, 0) };
        world.client_at(HERE, &forged);
        world.wait_ms(100); // No more than are reported one by one.
        let now = world.side(us);
        assert_eq!((now.ip_id, now.tos), (known.ip_id, known.tos));
    }
    assert!(world.recorded().iter().all(|slot| slot.flags.has(Flags::RST)));
}

#[test]
fn a_fin_far_from_the_end_of_its_side_is_nobodys() {
    for off in [1 << 29, 700_000_000_u32.wrapping_neg(), 1 << 31, 5_000_000] {
        let mut world = World::new();
        world.handshake();
        world.server(ACK, S + 1, C + 1, 100);
        let end = (S + 101).wrapping_add(off);
        world.server(FIN | ACK, end, C + 1, 0);
        let them = world.them();
        assert_eq!(world.stage(), Stage::PostPush, "off by {off}");
        assert_eq!(world.hot().seq_end[them], Seq(S + 101), "off by {off}");
        world.client(ACK, C + 1, end.wrapping_add(1), 0);
        assert_eq!(world.stage(), Stage::PostPush);
        // The one that it sends itself, behind data that was missed.
        world.server(FIN | ACK, S + 101 + 100_000, C + 1, 0);
        assert_eq!(world.stage(), Stage::PostFin);
    }
}

#[test]
fn a_capture_without_data_still_knows_a_fin() {
    // SYN, FIN and RST only, as filters of tcpdump have it.
    let mut world = World::new();
    world.client(SYN, C, 0, 0);
    world.server(SYN | ACK, S, C + 1, 0);
    world.client(FIN | ACK, C + 50_000_000, S + 60_000_000, 0);
    assert_eq!(world.stage(), Stage::PostFin);
}
