//! Nobody listens, nobody listens any more, or nobody waits for the answer any more.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use rst_tracer::demo::frame::{ACK, SYN};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Hook, Only, Port, Rule, Table, Verdict};
use rst_tracer::demo::scenarios::{Listed, Pair, REQUEST, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, Family, GroundTruth, Reset, Sender, Stage};

use super::super::options;
use super::{Cause, only, refused_at};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "listens_on_loopback",
        "A service for its own host only",
        "The service listens on the server's loopback address; the client calls the server's own.",
        listens_on_loopback,
    ),
    Listed::new(
        "called_too_early",
        "Called before the service was up",
        "The client calls twice, 150 ms apart, before the service listens; the third call is \
         served.",
        called_too_early,
    )
    .slow(),
    Listed::new(
        "fast_open_refused",
        "TCP Fast Open to a closed port",
        "The client's SYN carries its request (TCP Fast Open); nothing listens there.",
        fast_open_refused,
    ),
    Listed::new(
        "drained_service",
        "No new callers",
        "The service stops listening and goes on serving one client; two others are refused.",
        drained_service,
    ),
    Listed::new(
        "service_restarts",
        "Called while the service restarts",
        "A client is served; the service is away for half a second, in which another client is \
         refused; a third is served again.",
        service_restarts,
    )
    .slow(),
    Listed::new(
        "connect_timeout_of_client",
        "The client's own patience ends first",
        "The server's SYN-ACKs are lost; after 1.5 s and a second SYN the client stops waiting; \
         the next SYN-ACK arrives.",
        connect_timeout_of_client,
    )
    .slow(),
    Listed::new(
        "eyeballs_loser_connected",
        "Loser of a race that was connected, too",
        "The client calls over IPv4 and IPv6 at once; both connect, and it drops one of them with \
         SO_LINGER 0 before it was accepted.",
        eyeballs_loser_connected,
    ),
    Listed::new(
        "eyeballs_both_abandoned",
        "Both of a race abandoned",
        "The client calls over IPv4 and IPv6 at once and leaves before either is answered; both \
         SYN-ACKs come late.",
        eyeballs_both_abandoned,
    )
    .slow(),
];

const CLOSED: Cause = ("connection_refused", "closed_port");
const WENT_AWAY: Cause = ("connection_refused", "listener_went_away");
const GAVE_UP: Cause = ("connection_refused", "client_gave_up");

fn no(cause: Cause) -> Reset {
    Reset::by(Sender::Server, Stage::PostSyn, cause)
}

fn listens_on_loopback(scene: &Scene<'_>) -> Result<GroundTruth> {
    let inside: IpAddr = match scene.family {
        Family::V4 => Ipv4Addr::LOCALHOST.into(),
        Family::V6 => Ipv6Addr::LOCALHOST.into(),
    };
    let inside = SocketAddr::new(inside, scene.server.port());
    let _listener = scene.lab.server.run(|| sockets::listen_on(inside, 8))?;
    let connections = vec![refused_at(scene, scene.server, no(CLOSED))?];
    Ok(GroundTruth { connections, done: "connect returned ECONNREFUSED" })
}

fn called_too_early(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mut connections = Vec::new();
    for _ in 0..2 {
        connections.push(refused_at(scene, scene.server, no(CLOSED))?);
        thread::sleep(Duration::from_millis(150));
    }
    let pair = scene.busy_pair()?;
    connections.push(pair.connection.clone());
    pair.part()?;
    Ok(GroundTruth { connections, done: "the third call was served" })
}

fn fast_open_refused(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (socket, client) = scene.bound()?;
    options::speak_in_syn(&socket)?;
    // Nothing is sent before there is something to say.
    scene.lab.client.run(|| sockets::connect(&socket, scene.server).context("connecting"))?;
    let socket = TcpStream::from(socket);
    let outcome = scene.lab.client.run(|| Ok(sockets::say(&socket, REQUEST)))?;
    match outcome.map_err(|error| error.downcast::<std::io::Error>()) {
        Err(Ok(error)) if error.raw_os_error() == Some(Errno::ECONNREFUSED as i32) => {}
        other => bail!("the SYN with data was to be refused, got {other:?}"),
    }
    let reset = Reset::by(Sender::Server, Stage::PostPush, CLOSED);
    let connection = Connection::between(client, scene.server);
    Ok(only(connection, vec![reset], "sending returned ECONNREFUSED"))
}

fn drained_service(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let pair = scene.pair_at(&listener)?;
    pair.exchange()?;
    scene.lab.server.run(|| sockets::close(listener))?;
    let mut connections = vec![
        refused_at(scene, scene.server, no(WENT_AWAY))?,
        refused_at(scene, scene.server, no(WENT_AWAY))?,
    ];
    pair.exchange()?;
    connections.push(pair.connection.clone());
    pair.part()?;
    Ok(GroundTruth { connections, done: "two calls returned ECONNREFUSED" })
}

fn service_restarts(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mut bystanders = Vec::new();
    let mut serve = || {
        let pair = scene.busy_pair()?;
        bystanders.push(pair.connection.clone());
        pair.part()
    };
    // The listener lives as long as it takes to accept.
    serve()?;
    thread::sleep(Duration::from_millis(250));
    let refused = refused_at(scene, scene.server, no(WENT_AWAY))?;
    thread::sleep(Duration::from_millis(250));
    serve()?;
    let connections = [vec![refused], bystanders].concat();
    Ok(GroundTruth { connections, done: "the second call returned ECONNREFUSED" })
}

/// Calls without waiting for the answer.
fn call(scene: &Scene<'_>, from: IpAddr, server: SocketAddr) -> Result<(OwnedFd, Connection)> {
    let (socket, client) = scene.lab.client.run(|| sockets::bound(from))?;
    let socket = TcpStream::from(socket);
    socket.set_nonblocking(true).context("asking not to wait for the handshake")?;
    let socket = socket.into();
    match scene.lab.client.run(|| Ok(sockets::connect(&socket, server)))? {
        Err(Errno::EINPROGRESS) => Ok((socket, Connection::between(client, server))),
        other => bail!("connect was to be in progress, got {other:?}"),
    }
}

fn connect_timeout_of_client(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(4)?;
    let lost = scene.lose(&[(Port::From(scene.server.port()), Only::Any)])?;
    let (socket, connection) = call(scene, scene.ip(Place::Client, scene.family), scene.server)?;
    thread::sleep(Duration::from_millis(1500));
    scene.lab.client.run(|| sockets::close(socket))?;
    drop(lost);
    let reset = Reset::by(Sender::Client, Stage::PostSynack, GAVE_UP);
    let truth = only(connection, vec![reset], "the server saw the reset");
    scene.await_resets(&truth)?;
    Ok(truth)
}

fn other_server(scene: &Scene<'_>) -> Result<(IpAddr, SocketAddr)> {
    let other = match scene.family {
        Family::V4 => Family::V6,
        Family::V6 => Family::V4,
    };
    scene.lab.require(other)?;
    let server = SocketAddr::new(scene.ip(Place::Server, other), scene.server.port());
    Ok((scene.ip(Place::Client, other), server))
}

fn eyeballs_loser_connected(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (from, server) = other_server(scene)?;
    let slow = scene.listen(8)?;
    let quick = scene.lab.server.run(|| sockets::listen_on(server, 8))?;
    let (loser, connection) = scene.dial()?;
    let (winner, address) = scene.lab.client.run(|| sockets::bound(from))?;
    scene.lab.client.run(|| sockets::connect(&winner, server).context("connecting"))?;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::abort(loser))?;
    // It hung up with SO_LINGER 0, and it did so because it wanted this connection no more.
    let reset =
        Reset::by(Sender::Client, Stage::PostAck, ("normal_abortive_close", "linger0_close"));
    let reset = reset.or_as_truly(&["client_cancel"]);
    let mut truth = only(connection, vec![reset], "the server saw the reset");
    scene.await_resets(&truth)?;
    let accepted = scene.lab.server.run(|| sockets::accept(&slow))?;
    sockets::await_error(&accepted, Errno::ECONNRESET)?;
    let pair = Pair {
        lab: scene.lab,
        connection: Connection::between(address, server),
        client: winner.into(),
        server: scene.lab.server.run(|| sockets::accept(&quick))?,
    };
    pair.exchange()?;
    truth.connections.push(pair.connection.clone());
    pair.part()?;
    Ok(truth)
}

fn eyeballs_both_abandoned(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (from, server) = other_server(scene)?;
    let _here = scene.listen(8)?;
    let _there = scene.lab.server.run(|| sockets::listen_on(server, 8))?;
    let rule = |family| Rule {
        family,
        port: Port::From(server.port()),
        only: Only::WithSyn,
        verdict: Verdict::Drop,
    };
    let name = format!("lab_both_{}", server.port());
    let rules = [Family::V4, Family::V6].map(rule);
    let lost = Table::install(&scene.lab.router, &name, Hook::Forward, &rules)?;
    let here = call(scene, scene.ip(Place::Client, scene.family), scene.server)?;
    let there = call(scene, from, server)?;
    for (_, connection) in [&here, &there] {
        scene.lab.sniffer(Place::Server).wait_for("the SYN-ACK", connection, |seen| {
            seen.iter().any(|one| one.segment.has(SYN | ACK)).then_some(())
        })?;
    }
    let abandon = |(socket, connection): (OwnedFd, Connection)| {
        scene.lab.client.run(|| sockets::close(socket))?;
        let reset = Reset::by(Sender::Client, Stage::PostSynack, GAVE_UP);
        Ok(Connection { resets: vec![reset], ..connection })
    };
    let connections = [here, there].map(abandon).into_iter().collect::<Result<_>>()?;
    drop(lost);
    let truth = GroundTruth { connections, done: "the server saw both resets" };
    scene.await_resets(&truth)?;
    Ok(truth)
}
