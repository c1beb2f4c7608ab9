//! Which endpoints were seen to accept a connection.

use rst_tracer_common::{
    flow::{Identity, Keys, SERVER_WAYS},
    wire::Endpoint,
};

use crate::world::*;

fn server_accepted_ago(world: &mut World) -> Option<u32> {
    let (client, server) = (world.client, world.server);
    world.accepted_ago(server, client)
}

#[test]
fn a_syn_ack_shows_a_server_for_every_later_connection() {
    let mut world = World::new();
    assert_eq!(server_accepted_ago(&mut world), None);
    world.handshake();
    assert_eq!(server_accepted_ago(&mut world), Some(0));
    world.wait_ms(60_000);
    let other_client = Endpoint { port: 41_000, ..world.client };
    let server = world.server;
    let ago = world.accepted_ago(server, other_client).expect("it was seen");
    assert_eq!(u64::from(ago), 60_000_000_000 >> 20);
}

#[test]
fn a_client_and_another_port_accepted_nothing() {
    let mut world = World::new();
    world.handshake();
    let (client, server) = (world.client, world.server);
    assert_eq!(world.accepted_ago(client, server), None);
    assert_eq!(world.accepted_ago(Endpoint { port: 444, ..server }, client), None);
}

#[test]
fn a_syn_ack_that_answers_nothing_shows_nothing() {
    let mut world = World::new();
    world.client(SYN, C, 0, 0);
    world.server(SYN | ACK, S, C + 777, 0);
    assert_eq!(server_accepted_ago(&mut world), None, "it acknowledges another SYN");
    let mut world = World::new();
    world.client(ACK, C, S, 10);
    world.server(ACK, S, C + 10, 10);
    world.server(SYN | ACK, S, C + 10, 0);
    assert_eq!(server_accepted_ago(&mut world), None, "the connection is older than the tracer");
}

#[test]
fn a_clock_that_goes_back_makes_it_just_now() {
    let mut world = World::new();
    world.handshake();
    world.now -= 5_000_000_000;
    assert_eq!(server_accepted_ago(&mut world), Some(0));
}

/// The server at this port accepts a connection, a little later than the one before.
fn accept(world: &mut World, port: u32) {
    world.server.port = port;
    world.client(SYN, C, 0, 0);
    world.server(SYN | ACK, S, C + 1, 0);
    world.wait_ms(3);
}

/// Whether it is remembered that the server at this port accepted a connection.
fn is_remembered(world: &mut World, port: u32) -> bool {
    world.server.port = port;
    server_accepted_ago(world).is_some()
}

#[test]
fn thousands_of_listeners_are_remembered_beside_each_other() {
    // With one place for each hash 11 % and 36 % of them were forgotten.
    for (listeners, most) in [(1_000, 0), (4_000, 4)] {
        const DRAWS: u32 = 8;
        let mut forgotten = 0;
        for draw in 1..=DRAWS {
            let mut world = World::with_buckets(1 << 12);
            world.keys = Keys(world.keys.0.map(|key| key.wrapping_mul(2 * draw + 1)));
            (1..=listeners).for_each(|port| accept(&mut world, port));
            forgotten += (1..=listeners).filter(|port| !is_remembered(&mut world, *port)).count();
        }
        let forgotten = forgotten.div_ceil(DRAWS as usize);
        println!("{forgotten} of {listeners} are forgotten");
        assert!(forgotten <= most, "{forgotten} of {listeners} are forgotten");
    }
}

#[test]
fn who_accepted_nothing_for_the_longest_time_makes_room() {
    let mut world = World::new();
    let set_of = |world: &World, port| {
        let server = Endpoint { port, ..world.server };
        Identity::of(&server, &world.client, &world.keys).server_set()
    };
    let set = set_of(&world, 443);
    let ports: Vec<u32> = (1..65_536).filter(|port| set_of(&world, *port) == set).collect();
    let (those, newcomer) = (&ports[..SERVER_WAYS as usize], ports[SERVER_WAYS as usize]);
    those.iter().for_each(|port| accept(&mut world, *port));
    // The one that was first is now the last.
    accept(&mut world, those[0]);
    accept(&mut world, newcomer);
    let mut forgotten = those.to_vec();
    forgotten.retain(|port| !is_remembered(&mut world, *port));
    assert_eq!(forgotten, [those[1]]);
    assert!(is_remembered(&mut world, newcomer));
}
