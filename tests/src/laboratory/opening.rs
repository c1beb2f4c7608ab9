//! Resets while a connection opens: the two sides disagree about what came before.

use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use rst_tracer::demo::frame::{ACK, RST, SYN};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{Listed, Pair, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, Family, GroundTruth, Reset, Sender, Stage};

use super::options;

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "half_open_reconnect",
        "A rebooted client calls again",
        "The client loses a connection without a word and connects again from the same port; the \
         server, which still believes in the old one, answers with an ACK of that, and the \
         client's TCP resets it.",
        half_open_reconnect,
    ),
    Listed::new(
        "timewait_reuse",
        "Port reused in TIME_WAIT",
        "The server closes first and waits in TIME_WAIT; the client connects again from the same \
         port, with older sequence numbers and without timestamps.",
        timewait_reuse,
    )
    .alone(),
    Listed::new(
        "happy_eyeballs_loser",
        "Loser of a race between IPv4 and IPv6",
        "The client calls over IPv4 and IPv6 at once, as browsers do, and hangs up on the one \
         whose SYN-ACK is late.",
        happy_eyeballs_loser,
    )
    .slow(),
    Listed::new(
        "closed_port_marked",
        "Closed port, marked segments",
        "The client connects with a type of service of its own to a port on which nothing listens.",
        closed_port_marked,
    ),
    Listed::new(
        "client_hangs_up_after_handshake",
        "The client thinks better of it",
        "The client connects, says nothing, and is gone from its socket before anybody accepts: \
         it closes with SO_LINGER 0 while the service has not yet accepted.",
        client_hangs_up_after_handshake,
    ),
];

fn half_open_reconnect(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let pair = scene.pair_at(&listener)?;
    pair.exchange()?;
    pair.settle()?;
    scene.lab.client.run(|| sockets::vanish(pair.client))?;
    let socket = scene.lab.client.run(|| sockets::bound_to(pair.connection.client))?;
    let again = (socket, pair.connection.client);
    // The kernel sends its SYN again as soon as it has sent the reset.
    let (client, mut connection) = scene.dial_from(again)?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    let server = scene.lab.server.run(|| sockets::accept(&listener))?;
    let second = Pair { lab: scene.lab, connection: connection.clone(), client, server };
    second.exchange()?;
    second.part()?;
    let cause = ("protocol_state", "half_open_discovery");
    connection.resets = vec![Reset::by(Sender::Client, Stage::PostData, cause)];
    Ok(truth(connection, "the server got ECONNRESET, and the client a new connection"))
}

fn timewait_reuse(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _plain = scene.lab.set_for_now(&scene.lab.client, &[("net/ipv4/tcp_timestamps", "0")])?;
    let listener = scene.listen(8)?;
    let pair = scene.pair_at(&listener)?;
    pair.exchange()?;
    pair.settle()?;
    let (client, mut connection) = (pair.client, pair.connection);
    let first =
        scene.lab.sniffer(Place::Client).wait_for("the first SYN", &connection, |seen| {
            seen.iter().find(|one| one.segment.has(SYN)).map(|one| one.segment.seq)
        })?;
    // The server closes first, then the client; the client's port is free at once.
    scene.lab.server.run(|| sockets::close(pair.server))?;
    sockets::await_end(&client)?;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::close(client))?;
    settle(scene.lab, &connection)?;
    let socket = scene.lab.client.run(|| sockets::bound_to(connection.client))?;
    options::begin_with(&socket, first.wrapping_sub(100_000))?;
    let outcome = scene.lab.client.run(|| {
        let socket = TcpStream::from(socket);
        socket.set_nonblocking(true).context("asking not to wait for the handshake")?;
        let socket = socket.into();
        let outcome = sockets::connect(&socket, scene.server);
        Ok((outcome, socket))
    })?;
    match outcome.0 {
        Err(Errno::EINPROGRESS) => {}
        other => bail!("connect was to be in progress, got {other:?}"),
    }
    // After the reset the client's SYN comes again, and TIME_WAIT is over.
    scene.lab.sniffer(Place::Client).wait_for("a reset", &connection, |seen| {
        seen.iter().any(|one| one.segment.has(RST)).then_some(())
    })?;
    let cause = ("protocol_state", "port_reuse_timewait");
    connection.resets = vec![Reset::by(Sender::Client, Stage::PostSyn, cause)];
    // The second connection is not part of the matter: both ends go without a word.
    let server = scene.lab.server.run(|| sockets::accept(&listener))?;
    sockets::vanish(server)?;
    sockets::vanish(outcome.1.into())?;
    Ok(truth(connection, "the client reset the answer from TIME_WAIT and connected"))
}

fn happy_eyeballs_loser(scene: &Scene<'_>) -> Result<GroundTruth> {
    let other = match scene.family {
        Family::V4 => Family::V6,
        Family::V6 => Family::V4,
    };
    scene.lab.require(other)?;
    let _late = scene.listen(8)?;
    let other_server = SocketAddr::new(scene.ip(Place::Server, other), scene.server.port());
    let prompt = scene.lab.server.run(|| sockets::listen_on(other_server, 8))?;
    let held = scene.lose(&[(Port::From(scene.server.port()), Only::Any)])?;
    let (socket, client) = scene.bound()?;
    let mut connection = Connection::between(client, scene.server);
    let socket = TcpStream::from(socket);
    socket.set_nonblocking(true).context("asking not to wait for the handshake")?;
    let loser = socket.into();
    match scene.lab.client.run(|| Ok(sockets::connect(&loser, scene.server)))? {
        Err(Errno::EINPROGRESS) => {}
        answer => bail!("connect was to be in progress, got {answer:?}"),
    }
    let (winner, winner_address) =
        scene.lab.client.run(|| sockets::bound(scene.ip(Place::Client, other)))?;
    scene.lab.client.run(|| sockets::connect(&winner, other_server).context("connecting"))?;
    scene.lab.sniffer(Place::Server).wait_for("the SYN-ACK", &connection, |seen| {
        seen.iter().any(|one| one.segment.has(SYN | ACK)).then_some(())
    })?;
    drop(loser);
    drop(held);
    let cause = ("connection_refused", "client_gave_up");
    connection.resets = vec![Reset::by(Sender::Client, Stage::PostSynack, cause)];
    let server = scene.lab.server.run(|| sockets::accept(&prompt))?;
    let pair = Pair {
        lab: scene.lab,
        connection: Connection::between(winner_address, other_server),
        client: winner.into(),
        server,
    };
    pair.exchange()?;
    let bystander = pair.connection.clone();
    pair.part()?;
    let connections = vec![connection, bystander];
    let truth = GroundTruth { connections, done: "the server saw the reset" };
    scene.await_resets(&truth)?;
    Ok(truth)
}

fn closed_port_marked(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (socket, client) = scene.bound()?;
    options::mark(&socket, scene.family, 0x48)?;
    match scene.lab.client.run(|| Ok(sockets::connect(&socket, scene.server)))? {
        Err(Errno::ECONNREFUSED) => {}
        other => bail!("connect was to fail with ECONNREFUSED, got {other:?}"),
    }
    let mut connection = Connection::between(client, scene.server);
    let cause = ("connection_refused", "closed_port");
    connection.resets = vec![Reset::by(Sender::Server, Stage::PostSyn, cause)];
    Ok(truth(connection, "connect returned ECONNREFUSED"))
}

fn client_hangs_up_after_handshake(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let (client, mut connection) = scene.dial()?;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::abort(client))?;
    let cause = ("normal_abortive_close", "linger0_close");
    connection.resets = vec![Reset::by(Sender::Client, Stage::PostAck, cause)];
    let truth = truth(connection, "accept gave the server a connection already reset");
    scene.await_resets(&truth)?;
    let server = scene.lab.server.run(|| sockets::accept(&listener))?;
    sockets::await_error(&server, Errno::ECONNRESET)?;
    Ok(truth)
}

fn truth(connection: Connection, done: &'static str) -> GroundTruth {
    GroundTruth { connections: vec![connection], done }
}
