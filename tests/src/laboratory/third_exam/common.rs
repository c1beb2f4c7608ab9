//! What several files of this folder say, await and conclude.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use rst_tracer::demo::frame::{ACK, RST, SYN, Segment};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::Scene;
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset};
use rst_tracer::demo::wait;

use super::super::second_exam::filter::{Cause, port_after};

pub(in crate::laboratory) const CLOSED: Cause = ("connection_refused", "closed_port");
pub(in crate::laboratory) const WENT_AWAY: Cause = ("connection_refused", "listener_went_away");
pub(in crate::laboratory) const GAVE_UP: Cause = ("connection_refused", "client_gave_up");
pub(in crate::laboratory) const AFTER_CLOSE: Cause = ("application_error", "data_after_close");
pub(in crate::laboratory) const UNREAD: Cause = ("application_error", "closed_with_unread_data");
pub(in crate::laboratory) const LINGER0: Cause = ("normal_abortive_close", "linger0_close");
pub(in crate::laboratory) const CANCEL: Cause = ("normal_abortive_close", "client_cancel");

pub(in crate::laboratory) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// The scenario's address on the client, as a program is told.
pub(in crate::laboratory) fn source(scene: &Scene<'_>) -> String {
    scene.ip(Place::Client, scene.family).to_string()
}

/// The address and the port of the scenario's server, as a program is told.
pub(in crate::laboratory) fn target(scene: &Scene<'_>) -> [String; 2] {
    [scene.server.ip().to_string(), scene.server.port().to_string()]
}

/// A connection with these resets.
pub(in crate::laboratory) fn with(connection: Connection, resets: Vec<Reset>) -> Connection {
    Connection { resets, ..connection }
}

/// The truth of a scenario with several connections, once their resets have passed.
pub(in crate::laboratory) fn passed(
    scene: &Scene<'_>,
    connections: Vec<Connection>,
    done: &'static str,
) -> Result<GroundTruth> {
    let truth = GroundTruth { connections, done };
    scene.await_resets(&truth)?;
    Ok(truth)
}

/// The client begins to call the `number`-th port of the scenario and does not wait.
pub(in crate::laboratory) fn begin_call(
    scene: &Scene<'_>,
    number: u16,
) -> Result<(OwnedFd, Connection)> {
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
pub(in crate::laboratory) fn await_syn_ack(
    scene: &Scene<'_>,
    connection: &Connection,
) -> Result<()> {
    scene.lab.sniffer(Place::Server).wait_for("the SYN-ACK", connection, |seen| {
        seen.iter().any(|one| one.segment.has(SYN | ACK)).then_some(())
    })
}

/// The connections that programs have begun with `server`, in order, `count` of them at least.
pub(in crate::laboratory) fn calls(
    scene: &Scene<'_>,
    server: SocketAddr,
    count: usize,
) -> Result<Vec<Connection>> {
    let callers = || scene.lab.sniffer(Place::Client).callers(server);
    wait::until("a program to call", || Ok(callers().len() >= count))?;
    Ok(callers().into_iter().map(|client| Connection::between(client, server)).collect())
}

/// The same, exactly as many, with the same reset each.
pub(in crate::laboratory) fn calls_with(
    scene: &Scene<'_>,
    server: SocketAddr,
    count: usize,
    reset: Reset,
) -> Result<Vec<Connection>> {
    let found = calls(scene, server, count)?;
    ensure!(found.len() == count, "{} instead of {count} calls of {server}", found.len());
    Ok(found.into_iter().map(|one| with(one, vec![reset])).collect())
}

/// Waits until the client has answered the `count`-th reset, which it does not believe, with an ACK.
pub(in crate::laboratory) fn await_challenge(
    scene: &Scene<'_>,
    connection: &Connection,
    count: usize,
) -> Result<()> {
    scene.lab.sniffer(Place::Client).wait_for("a challenge ACK", connection, |seen| {
        let reset = seen.iter().enumerate().filter(|(_, one)| one.segment.has(RST)).nth(count - 1);
        let after = &seen[reset?.0..];
        let is_it = |one: &Segment| one.src == connection.client && one.flags == ACK;
        after.iter().any(|one| is_it(&one.segment)).then_some(())
    })
}

/// A TLS hello that names a server of at most 30 letters.
pub(in crate::laboratory) fn hello(name: &[u8]) -> Vec<u8> {
    let length = |more: usize| ((name.len() + more) as u16).to_be_bytes();
    [
        // A record (handshake), and in it a ClientHello of TLS 1.2 with a random number.
        &b"\x16\x03\x01"[..],
        &length(56),
        b"\x01\x00",
        &length(52),
        b"\x03\x03",
        &[0xa7; 32],
        // No session, one cipher suite, no compression.
        b"\x00\x00\x02\x13\x01\x01\x00",
        // One extension: the server's name (RFC 6066, 3).
        &length(9),
        b"\x00\x00",
        &length(5),
        &length(3),
        b"\x00",
        &length(0),
        name,
    ]
    .concat()
}
