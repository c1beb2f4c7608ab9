//! What several files of this folder say, await and conclude.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use rst_tracer::demo::frame::{ACK, SYN};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::Scene;
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset};
use rst_tracer::demo::wait;

use super::super::aside::filter::{Cause, port_after};

pub(super) const CLOSED: Cause = ("connection_refused", "closed_port");
pub(super) const WENT_AWAY: Cause = ("connection_refused", "listener_went_away");
pub(super) const GAVE_UP: Cause = ("connection_refused", "client_gave_up");
pub(super) const AFTER_CLOSE: Cause = ("application_error", "data_after_close");
pub(super) const UNREAD: Cause = ("application_error", "closed_with_unread_data");
pub(super) const LINGER0: Cause = ("normal_abortive_close", "linger0_close");
pub(super) const CANCEL: Cause = ("normal_abortive_close", "client_cancel");

pub(super) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// The scenario's address on the client, as a program is told.
pub(super) fn source(scene: &Scene<'_>) -> String {
    scene.ip(Place::Client, scene.family).to_string()
}

/// The address and the port of the scenario's server, as a program is told.
pub(super) fn target(scene: &Scene<'_>) -> [String; 2] {
    [scene.server.ip().to_string(), scene.server.port().to_string()]
}

/// A connection with these resets.
pub(super) fn with(connection: Connection, resets: Vec<Reset>) -> Connection {
    Connection { resets, ..connection }
}

/// The truth of a scenario with several connections, once their resets have passed.
pub(super) fn passed(
    scene: &Scene<'_>,
    connections: Vec<Connection>,
    done: &'static str,
) -> Result<GroundTruth> {
    let truth = GroundTruth { connections, done };
    scene.await_resets(&truth)?;
    Ok(truth)
}

/// The client begins to call the `number`-th port of the scenario and does not wait.
pub(super) fn begin_call(scene: &Scene<'_>, number: u16) -> Result<(OwnedFd, Connection)> {
    let (socket, client) = scene.bound()?;
    let server = port_after(scene, number);
    let socket = TcpStream::from(socket);
    socket.set_nonblocking(true).context("asking not to wait for the handshake")?;
    let socket = socket.into();
    match scene.lab.client.run(|| Ok(sockets::connect(&socket, server)))? {
        Err(Errno::EINPROGRESS) => Ok((socket, Connection::between(client, server))),
        other => bail!("connect was to be in progress, got {other:?}"),
    }
}

/// Waits until the server has answered a SYN.
pub(super) fn await_syn_ack(scene: &Scene<'_>, connection: &Connection) -> Result<()> {
    scene.lab.sniffer(Place::Server).wait_for("the SYN-ACK", connection, |seen| {
        seen.iter().any(|one| one.segment.has(SYN | ACK)).then_some(())
    })
}

/// The connections that programs have begun with `server`, in order, `count` of them at least.
pub(super) fn calls(
    scene: &Scene<'_>,
    server: SocketAddr,
    count: usize,
) -> Result<Vec<Connection>> {
    let callers = || scene.lab.sniffer(Place::Client).callers(server);
    wait::until("a program to call", || Ok(callers().len() >= count))?;
    Ok(callers().into_iter().map(|client| Connection::between(client, server)).collect())
}

/// The same, exactly as many, with the same reset each.
pub(super) fn calls_with(
    scene: &Scene<'_>,
    server: SocketAddr,
    count: usize,
    reset: Reset,
) -> Result<Vec<Connection>> {
    let found = calls(scene, server, count)?;
    ensure!(found.len() == count, "{} instead of {count} calls of {server}", found.len());
    Ok(found.into_iter().map(|one| with(one, vec![reset])).collect())
}
