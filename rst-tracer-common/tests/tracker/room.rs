//! Who gets a place in the table, who has to give way, and who is taken for whom.

use rst_tracer_common::{
    flow::{Began, Count, Facts, HEAD, Identity, Memory, Observed, SLOTS, Side, Slot, Stage, WAYS},
    wire::{Address, NO_SCALE, Seq},
};

use crate::world::*;

/// What became of a newcomer from another port.
fn newcomer(world: &mut World, port: u32) -> Option<Began> {
    world.client.port = port;
    match world.client(SYN, C, 0, 0) {
        Observed::Tracked(tracked) => Some(tracked.began),
        Observed::Full => None,
        other => panic!("{other:?}"),
    }
}

/// A table of one bucket, full of established connections from ports 1 to 8.
fn full() -> World {
    let mut world = World::with_buckets(1);
    for port in 1..=WAYS {
        world.client.port = port;
        world.handshake();
    }
    world
}

/// The ports from 1 to `last` that are still remembered.
fn remembered(world: &mut World, last: u32) -> Vec<u32> {
    (1..=last)
        .filter(|port| {
            world.client.port = *port;
            world.is_tracked()
        })
        .collect()
}

#[test]
fn an_empty_place_is_taken_first() {
    let mut world = World::with_buckets(1);
    for port in 1..=WAYS {
        assert_eq!(newcomer(&mut world, port), Some(Began::IN_EMPTY));
    }
    assert_eq!(remembered(&mut world, WAYS).len(), 8);
}

#[test]
fn the_oldest_half_open_connection_gives_way() {
    let mut world = World::with_buckets(1);
    for port in 1..=WAYS {
        newcomer(&mut world, port);
        world.wait_ms(10);
    }
    assert_eq!(newcomer(&mut world, 9), Some(Began::FOR_HALF_OPEN));
    assert_eq!(remembered(&mut world, 9), (2..=9).collect::<Vec<_>>());
}

#[test]
fn a_live_connection_never_gives_way() {
    let mut world = full();
    for port in 100..200 {
        assert_eq!(newcomer(&mut world, port), None);
    }
    assert_eq!(remembered(&mut world, 200), (1..=8).collect::<Vec<_>>());
}

#[test]
fn a_closed_connection_gives_way_before_a_half_open_one() {
    let mut world = full();
    world.client.port = 3;
    world.server(RST, S + 1, 0, 0);
    world.wait_ms(6000);
    world.client.port = 5;
    world.server(RST, S + 1, 0, 0);
    assert_eq!(newcomer(&mut world, 9), Some(Began::FOR_FINISHED));
    assert_eq!(remembered(&mut world, 9), [1, 2, 4, 5, 6, 7, 8, 9]);
    world.wait_ms(10);
    world.client.port = 9;
    world.client(SYN, C, 0, 0);
    assert_eq!(newcomer(&mut world, 10), Some(Began::FOR_HALF_OPEN), "closed just now");
    assert_eq!(remembered(&mut world, 10), [1, 2, 4, 6, 7, 8, 9, 10]);
}

#[test]
fn an_abandoned_connection_gives_way_after_ten_minutes() {
    let mut world = full();
    world.wait_ms(599_000);
    assert_eq!(newcomer(&mut world, 9), None);
    world.client.port = 1;
    world.client(ACK, C + 1, S + 1, 1);
    world.wait_ms(2_000);
    assert_eq!(newcomer(&mut world, 9), Some(Began::FOR_FINISHED));
    assert!(remembered(&mut world, 1) == [1], "it spoke a moment ago");
}

#[test]
fn a_newcomer_shows_nothing_of_who_was_there_before() {
    let mut world = World::with_buckets(1);
    for port in 1..=WAYS {
        world.client.port = port;
        world.handshake();
        world.server_says(ACK, S + 1, C + 1, b"HTTP/1.1 200 OK\r\n");
        for at in 0..SLOTS {
            world.client(ACK, C + 1 + at, S + 18, 1);
        }
        assert_eq!(world.hot().counts[world.them()].latest, Count::KEPT);
    }
    world.wait_ms(700_000);
    assert_eq!(newcomer(&mut world, 9), Some(Began::FOR_FINISHED));
    let (us, them) = (world.us(), world.them());
    let flow = world.flow();
    assert_eq!(flow.facts[them], Facts::NONE);
    assert_eq!((flow.facts[us].head, flow.facts[us].words), ([0; HEAD], [0; HEAD]));
    assert_eq!(flow.kept, [Slot::default(); 2]);
    assert_eq!(
        (world.history().as_str(), world.side(them)),
        ("S", Side { scale: NO_SCALE, ..Side::default() })
    );
    world.server(SYN | ACK, S, C + 1, 0);
    let flow = world.flow();
    assert_eq!(
        (flow.facts[them].head_len, flow.facts[them].words_len, flow.facts[them].probes),
        (0, 0, 0)
    );
    assert_eq!(flow.facts[them].isn, Seq(S));
}

#[test]
fn a_connection_older_than_the_tracer_is_protected_once_both_sides_spoke() {
    let mut world = World::with_buckets(1);
    for port in 1..=WAYS {
        world.client.port = port;
        world.client(ACK, C, S, 10);
        world.wait_ms(2); // Of the same age they would be alike, and any might go.
    }
    assert_eq!(newcomer(&mut world, 9), Some(Began::FOR_HALF_OPEN));
    for port in 2..=WAYS {
        world.client.port = port;
        world.server(ACK, S, C + 10, 0);
    }
    assert_eq!(newcomer(&mut world, 10), Some(Began::FOR_HALF_OPEN), "only 9 has to go");
    world.client.port = 10;
    world.server(SYN | ACK, S, C + 1, 0);
    world.client(ACK, C + 1, S + 1, 0);
    assert_eq!(newcomer(&mut world, 11), None);
}

#[test]
fn a_flood_of_syns_evicts_no_confirmed_connection() {
    let mut world = World::with_buckets(256);
    let established = 800;
    let mut kept = Vec::new();
    for port in 1..=established {
        world.client.port = port;
        world.handshake();
        kept.extend(world.is_tracked().then_some(port));
    }
    let (home, mut random) = (world.client, 0x2545_f491_4f6c_dd1d_u64);
    for _ in 0..100_000 {
        // xorshift64: any ends will do, as long as they are many.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        world.client.address = Address::v4(random as u32);
        world.client.port = (random >> 32) as u32 & 0xffff;
        world.client(SYN, (random >> 16) as u32, 0, 0);
    }
    world.client = home;
    for port in kept {
        world.client.port = port;
        assert!(world.is_tracked(), "port {port} was pushed out");
        assert_eq!((world.stage(), world.history().as_str()), (Stage::PostAck, "ShA"));
    }
}

#[test]
fn time_may_wrap_without_anyone_losing_a_place() {
    let mut world = World::with_buckets(1);
    // Coarse time is 32 bits of 2^20 ns: it wraps in the middle of this.
    world.now = (1 << 52) - 10_000_000;
    for port in 1..=WAYS {
        world.client.port = port;
        world.handshake();
    }
    world.wait_ms(20_000);
    assert_eq!(newcomer(&mut world, 9), None);
}

#[test]
fn a_clock_that_goes_back_pushes_nobody_out() {
    for back_ms in [2, 1_000, 60_000, 900_000] {
        let mut world = full();
        world.now -= back_ms * 1_000_000;
        for port in 100..200 {
            assert_eq!(newcomer(&mut world, port), None, "{back_ms} ms back");
        }
        assert_eq!(remembered(&mut world, 200), (1..=8).collect::<Vec<_>>());
    }
}

#[test]
fn a_place_that_was_closed_lingers_where_the_clock_goes_back() {
    let mut world = full();
    world.client.port = 3;
    world.server(RST, S + 1, 0, 0);
    world.now -= 2_000_000_000;
    assert_eq!(newcomer(&mut world, 9), Some(Began::FOR_HALF_OPEN), "closed just now");
    assert_eq!(remembered(&mut world, 9), [1, 2, 4, 5, 6, 7, 8, 9]);
}

/// Two clients whose connections to the server have the same tag in the same bucket. They are sought
/// with a table of one bucket, by the birthday paradox.
fn twins(world: &World) -> (u32, u32) {
    let mut seen = std::collections::HashMap::new();
    for number in 0..4_000_000_u32 {
        let mut client = world.client;
        client.address = Address::v4(number);
        let id = Identity::of(&client, &world.server, &world.keys);
        if let Some((other, side)) = seen.insert(id.tag(), (number, id.side))
            && side == id.side
        {
            return (other, number);
        }
    }
    panic!("no collision of 31 bits among four million");
}

#[test]
fn a_rst_is_never_reported_with_the_flow_of_another_connection() {
    let mut world = World::with_buckets(1);
    let (one, other) = twins(&world);
    world.client.address = Address::v4(one);
    world.handshake();
    assert!(world.is_tracked());
    world.client.address = Address::v4(other);
    assert!(world.is_tracked(), "the tag is the same");
    assert_eq!(world.client(RST, C + 1, 0, 0), Observed::Reset(None));
    assert_eq!(world.server(RST, S + 1, 0, 0), Observed::Reset(None));
    world.client.address = Address::v4(one);
    assert_eq!((world.stage(), world.flow().resets), (Stage::PostAck, 0));
    assert!(matches!(world.client(RST, C + 1, 0, 0), Observed::Reset(Some(_))));
    assert_eq!(world.table.mask(), 0);
}

#[test]
fn pairs_of_syn_and_ack_that_nobody_answers_fill_no_place() {
    let mut world = World::with_buckets(1);
    for port in 1..=WAYS {
        world.client.port = port;
        world.client(SYN, C, 0, 0);
        world.client(ACK, C + 1, S + 1, 0);
        assert_eq!(world.stage(), Stage::PostAck, "in a capture of one direction it is open");
        world.wait_ms(2);
    }
    assert_eq!(newcomer(&mut world, 100), Some(Began::FOR_HALF_OPEN));
    world.server(SYN | ACK, S, C + 1, 0);
    world.client(ACK, C + 1, S + 1, 0);
    assert_eq!(remembered(&mut world, WAYS), (2..=WAYS).collect::<Vec<_>>());
}

#[test]
fn an_ack_that_is_guessed_confirms_no_connection() {
    let mut world = World::with_buckets(1);
    for port in 1..=WAYS {
        world.client.port = port;
        world.client(SYN, C, 0, 0);
        world.server(SYN | ACK, S, C + 1, 0);
        world.client(ACK, C + 1, S + 1 + port * 1000, 0);
        assert_eq!(world.stage(), Stage::PostSynAck);
    }
    assert_eq!(newcomer(&mut world, 100), Some(Began::FOR_HALF_OPEN));
}
