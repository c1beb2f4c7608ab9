//! Which endpoints were seen to accept a connection.

use rst_tracer_common::wire::Endpoint;

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
