//! HAProxy as the client of the servers that it balances: health checks, and the connections to a
//! server that it gives up.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use rst_tracer::demo::frame::{FIN, RST};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, settle};
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::{sockets, wait};

use super::haproxy::{BY_PROXY, HAPROXY, start};
use super::program::{Folder, Program};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "haproxy_health_check",
        "HAProxy's health check",
        "HAProxy on the client asks four times whether the server's port is open (check).",
        health_check,
    )
    .needs(HAPROXY)
    .slow(),
    Listed::new(
        "haproxy_timeout_server",
        "HAProxy gives up a slow server",
        "HAProxy on the client waits in vain for the server's answer and gives up (timeout server).",
        timeout_server,
    )
    .needs(HAPROXY)
    .slow(),
    Listed::new(
        "haproxy_client_abort",
        "HAProxy's own client aborts",
        "HAProxy on the client passes on that its own client has aborted in the middle of an \
         exchange.",
        client_abort,
    )
    .needs(HAPROXY),
    Listed::new(
        "haproxy_server_drained",
        "HAProxy's server taken out of service",
        "HAProxy on the client is told to put the server into maintenance and to end its three \
         sessions.",
        server_drained,
    )
    .needs(HAPROXY),
];

/// HAProxy in the client's host, in front of the scenario's server.
fn balancer(scene: &Scene<'_>, rules: &str, check: &str) -> Result<Program> {
    let (front, server) = (front(scene), scene.server);
    // Port 0 is any.
    let source = scene.at(Place::Client, 0);
    let section = format!(
        "listen proxy\n bind {front}\n {rules}\n server one {server} source {source} {check}\n"
    );
    start(&scene.lab.client, Folder::new()?, front, &section)
}

/// Where it listens: in the client's host, so that nobody on the way sees its own clients.
fn front(scene: &Scene<'_>) -> SocketAddr {
    ([127, 0, 0, 1], scene.server.port()).into()
}

fn health_check(scene: &Scene<'_>) -> Result<GroundTruth> {
    const CHECKS: usize = 4;
    let _listener = scene.listen(8)?;
    let haproxy = balancer(scene, "", "check inter 400ms")?;
    let witness = scene.lab.sniffer(Place::Server);
    let has = |one: &Connection, flag| witness.segments(one).iter().any(|s| s.segment.has(flag));
    let checks = || -> Vec<Connection> {
        let callers = witness.callers(scene.server).into_iter();
        callers.map(|one| Connection::between(one, scene.server)).collect()
    };
    wait::until("health checks", || {
        let connections = checks();
        Ok(connections.len() >= CHECKS && connections.iter().all(|one| has(one, RST)))
    })?;
    haproxy.kill()?;
    // One more may have begun before that.
    wait::until("the last check to end", || {
        Ok(checks().iter().all(|one| has(one, RST) || has(one, FIN)))
    })?;
    let mut connections = checks();
    for connection in connections.iter_mut().filter(|one| has(one, RST)) {
        let cause = ("traffic_management", "lb_health_check");
        // SO_LINGER 0 is how health checks hang up, and all that a single one shows.
        let reset = Reset::by(Sender::Client, Stage::PostSynack, cause);
        connection.resets = vec![reset.or_as_truly(&["linger0_close"])];
    }
    Ok(GroundTruth { connections, done: "each check was reset" })
}

/// A connection through HAProxy.
struct Through {
    client: TcpStream,
    server: TcpStream,
    connection: Connection,
}

/// Opens one, over which a request and an answer have gone.
fn through(scene: &Scene<'_>, listener: &std::net::TcpListener) -> Result<Through> {
    const SHORT: &[u8] = b"hello\n";
    let client = scene.lab.client.run(|| dial(scene))?;
    let server = scene.lab.server.run(|| sockets::accept(listener))?;
    let connection = Connection::between(server.peer_addr()?, scene.server);
    sockets::say(&client, REQUEST)?;
    sockets::hear(&server, REQUEST)?;
    scene.lab.server.run(|| sockets::say(&server, SHORT))?;
    sockets::hear(&client, SHORT)?;
    settle(scene.lab, &connection)?;
    Ok(Through { client, server, connection })
}

fn timeout_server(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let _haproxy = balancer(scene, "mode http\n timeout server 700ms", "")?;
    let client = scene.lab.client.run(|| dial(scene))?;
    sockets::say(&client, REQUEST)?;
    let server = scene.lab.server.run(|| sockets::accept(&listener))?;
    let connection = Connection::between(server.peer_addr()?, scene.server);
    // HAProxy writes the request in its own way.
    ensure!((&server).read(&mut [0; 4096])? >= REQUEST.len(), "half a request");
    sockets::hear(&client, b"HTTP/1.1 504 Gateway Time-out")?;
    let reset = Reset::by(Sender::Client, Stage::PostPush, BY_PROXY);
    let reset = reset.or_as_truly(&["linger0_close"]);
    sockets::await_error(&server, Errno::ECONNRESET)?;
    let connections = vec![Connection { resets: vec![reset], ..connection }];
    Ok(GroundTruth { connections, done: "the server got ECONNRESET" })
}

/// HAProxy's own client connects.
fn dial(scene: &Scene<'_>) -> Result<TcpStream> {
    let client = TcpStream::connect(front(scene)).context("connecting with HAProxy")?;
    client.set_read_timeout(Some(wait::PATIENCE))?;
    Ok(client)
}

fn client_abort(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let _haproxy = balancer(scene, "", "")?;
    let through = through(scene, &listener)?;
    let client = through.client.try_clone()?;
    sockets::abort(client)?;
    drop(through.client);
    sockets::await_error(&through.server, Errno::ECONNRESET)?;
    let reset = Reset::by(Sender::Client, Stage::PostData, BY_PROXY);
    let resets = vec![reset.or_as_truly(&["client_cancel", "linger0_close"])];
    let connections = vec![Connection { resets, ..through.connection }];
    Ok(GroundTruth { connections, done: "the server got ECONNRESET" })
}

fn server_drained(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let haproxy = balancer(scene, "", "")?;
    let sessions = (0..3).map(|_| through(scene, &listener)).collect::<Result<Vec<_>>>()?;
    order(&haproxy, "set server proxy/one state maint; shutdown sessions server proxy/one")?;
    let cause = ("traffic_management", "lb_drain");
    let mut connections = Vec::new();
    for session in sessions {
        sockets::await_error(&session.server, Errno::EPIPE)?;
        // What ends the sessions is FIN and, at once, SO_LINGER 0.
        let reset = Reset::by(Sender::Client, Stage::PostFin, cause);
        let reset = reset.or_as_truly(&["admin_kill", "linger0_close", "rst_after_fin"]);
        connections.push(Connection { resets: vec![reset], ..session.connection });
    }
    Ok(GroundTruth { connections, done: "on each session the server got EPIPE" })
}

/// Gives an order by HAProxy's own socket for administrators.
fn order(haproxy: &Program, order: &str) -> Result<()> {
    let mut socket = UnixStream::connect(haproxy.folder().path("admin"))?;
    socket.set_read_timeout(Some(wait::PATIENCE))?;
    socket.write_all(format!("{order}\n").as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).context("waiting for HAProxy's answer")?;
    ensure!(answer.trim().is_empty(), "HAProxy says: {answer}");
    Ok(())
}
