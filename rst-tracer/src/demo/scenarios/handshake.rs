//! Resets around the handshake: a full accept queue, a caller that hangs up, a port scan, a stray.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;

use super::Listed;
use super::pair::settle;
use super::scene::{REQUEST, Scene};
use crate::demo::forge::Forgery;
use crate::demo::frame::{ACK, SYN};
use crate::demo::lab::Place;
use crate::demo::nft::{Only, Port};
use crate::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};
use crate::demo::{packet, sockets, wait};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "accept_queue_overflow",
        "Accept queue overflow",
        "The service does not accept fast enough; its queue is full and \
         tcp_abort_on_overflow is on.",
        accept_queue_overflow,
    )
    .slow(),
    Listed::new(
        "client_gave_up",
        "The client gave up",
        "The client closes its socket before the server's SYN-ACK arrives.",
        client_gave_up,
    )
    .slow(),
    Listed::new(
        "half_open_scan",
        "Half-open port scan",
        "A scanner on the client writes a SYN of its own; the client's TCP knows nothing of it.",
        half_open_scan,
    ),
    Listed::new(
        "stray_ack",
        "Stray segment",
        "An ACK that belongs to no connection arrives at a listening port.",
        stray_ack,
    ),
];

fn accept_queue_overflow(scene: &Scene<'_>) -> Result<GroundTruth> {
    let key = "net/ipv4/tcp_abort_on_overflow";
    let _setting = scene.lab.set_for_now(&scene.lab.server, &[(key, "1")])?;
    let room = 2;
    let listener = scene.listen(room)?;
    let queue_is = |n| wait::until("the queue", || Ok(sockets::unaccepted(&listener)? == n));
    let mut callers = vec![scene.dial()?, scene.dial()?];
    queue_is(2)?;
    // With one place left, two handshakes are held before their last ACK: both get a SYN-ACK,
    // which a full queue would refuse them.
    let (third, victim) = (scene.bound()?, scene.bound()?);
    let hold = |(_, caller): &(_, SocketAddr)| {
        scene.lose(&[(Port::From(caller.port()), Only::WithoutSyn)])
    };
    let holds = (hold(&third)?, hold(&victim)?);
    callers.push(scene.dial_from(third)?);
    let (victim, mut connection) = scene.dial_from(victim)?;
    drop(holds.0);
    // Data completes a handshake as well as the ACK that was lost.
    scene.lab.client.run(|| sockets::say(&callers[2].0, REQUEST))?;
    queue_is(3)?;
    // After a second the server repeats its SYN-ACK, and this time the ACK gets through to it.
    drop(holds.1);
    sockets::await_error(&victim, Errno::ECONNRESET)?;

    let cause = ("resource_limitation", "accept_queue_overflow");
    connection.resets = vec![Reset::by(Sender::Server, Stage::PostAck, cause)];
    let mut connections = vec![connection];
    let (callers, bystanders): (Vec<TcpStream>, Vec<_>) = callers.into_iter().unzip();
    part_from(scene, &listener, callers, &bystanders)?;
    connections.extend(bystanders);
    Ok(GroundTruth { connections, done: "the client that found no place got ECONNRESET" })
}

/// Lets the callers that did get a place end in order, so that no other reset is provoked.
fn part_from(
    scene: &Scene<'_>,
    listener: &TcpListener,
    callers: Vec<TcpStream>,
    connections: &[Connection],
) -> Result<()> {
    for client in &callers {
        client.shutdown(Shutdown::Write).context("closing a caller's direction")?;
    }
    connections.iter().try_for_each(|connection| settle(scene.lab, connection))?;
    for _ in &callers {
        let server = scene.lab.server.run(|| sockets::accept(listener))?;
        sockets::drain(&server)?;
        scene.lab.server.run(|| sockets::close(server))?;
    }
    callers.iter().try_for_each(sockets::await_end)
}

fn client_gave_up(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(1)?;
    let held = scene.lose(&[(Port::From(scene.server.port()), Only::Any)])?;
    let (socket, client) = scene.bound()?;
    let mut connection = Connection::between(client, scene.server);
    let socket = TcpStream::from(socket);
    socket.set_nonblocking(true).context("asking not to wait for the handshake")?;
    let socket = socket.into();
    match scene.lab.client.run(|| Ok(sockets::connect(&socket, scene.server)))? {
        Err(Errno::EINPROGRESS) => {}
        other => bail!("connect was to be in progress, got {other:?}"),
    }
    scene.lab.sniffer(Place::Server).wait_for("the SYN-ACK", &connection, |seen| {
        seen.iter().any(|one| one.segment.has(SYN | ACK)).then_some(())
    })?;
    sockets::close(socket)?;
    drop(held);
    // The server repeats its SYN-ACK after a second, and now it gets through.
    let cause = ("connection_refused", "client_gave_up");
    connection.resets = vec![Reset::by(Sender::Client, Stage::PostSynack, cause)];
    let truth = GroundTruth { connections: vec![connection], done: "the server saw the reset" };
    scene.await_resets(&truth)?;
    Ok(truth)
}

fn half_open_scan(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(1)?;
    // As ZMap writes it: fixed IP ID, maximal TTL and window, no options.
    let probe = Forgery {
        seq: 0x0102_0304,
        ack: 0,
        window: 65535,
        ttl: 255,
        ip_id: 54321,
        ..scene.raw_from_client(SYN)?
    };
    let connection = Connection::between(probe.src, probe.dst);
    packet::inject(&scene.lab.client, Place::Client.interface(), &probe.to_frame())?;
    let cause = ("security_measure", "scanner_probe");
    let resets = vec![Reset::by(Sender::Client, Stage::PostSynack, cause)];
    let connections = vec![Connection { resets, ..connection }];
    scene.once_seen(GroundTruth { connections, done: "the server saw the reset" })
}

fn stray_ack(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(1)?;
    let stray = Forgery {
        seq: 0x0a0b_0c0d,
        ack: 0x0e0f_1011,
        window: 512,
        ttl: 64,
        ..scene.raw_from_client(ACK)?
    };
    let connection = Connection::between(stray.src, stray.dst);
    packet::inject(&scene.lab.client, Place::Client.interface(), &stray.to_frame())?;
    let cause = ("protocol_state", "stray_segment");
    let resets = vec![Reset::by(Sender::Server, Stage::NoFlow, cause)];
    let connections = vec![Connection { resets, ..connection }];
    scene.once_seen(GroundTruth { connections, done: "the client saw the reset" })
}
