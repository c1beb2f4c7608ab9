//! Sockets that an administrator destroys.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::scenarios::{Listed, Pair, Scene, settle};
use rst_tracer::demo::truth::{Connection, Family, GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::{diag, sockets, wait};

use super::super::exits::all_reset;
use super::programs::stuffed;
use super::{Cause, only};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "admin_kills_listener",
        "The administrator destroys a listening socket",
        "The server's administrator destroys the listening socket while two callers wait in it.",
        admin_kills_listener,
    ),
    Listed::new(
        "admin_kills_download",
        "The administrator destroys a download",
        "The server's administrator destroys a connection in the middle of an answer for which \
         the client has no room.",
        admin_kills_download,
    ),
    Listed::new(
        "admin_kills_idle_clients",
        "The client's administrator tidies up",
        "After 1.6 s of silence the client's administrator destroys two idle connections.",
        admin_kills_idle_clients,
    )
    .slow(),
];

const KILLED: Cause = ("traffic_management", "admin_kill");

fn admin_kills_listener(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let waiting = vec![scene.dial()?, scene.dial()?];
    for (_, connection) in &waiting {
        settle(scene.lab, connection)?;
    }
    wait::until("two to wait", || Ok(sockets::unaccepted(&listener)? == 2))?;
    let nobody: IpAddr = match scene.family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    diag::destroy(&scene.lab.server, scene.server, SocketAddr::new(nobody, 0))?;
    // The administrator did it, and what he did was to end a listener with callers waiting.
    let reset = Reset::by(Sender::Server, Stage::PostAck, KILLED);
    all_reset(waiting, reset.or_as_truly(&["restart_with_pending_connections"]))
}

fn admin_kills_download(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = stuffed(scene)?;
    diag::destroy(&scene.lab.server, pair.connection.server, pair.connection.client)?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, KILLED);
    Ok(only(pair.connection, vec![reset], "the client got ECONNRESET"))
}

fn admin_kills_idle_clients(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let pairs = [scene.pair_at(&listener)?, scene.pair_at(&listener)?];
    for pair in &pairs {
        pair.exchange()?;
        pair.settle()?;
    }
    thread::sleep(Duration::from_millis(1600));
    let mut connections = Vec::new();
    for Pair { connection, server, client, .. } in pairs {
        diag::destroy(&scene.lab.client, connection.client, connection.server)?;
        sockets::await_error(&server, Errno::ECONNRESET)?;
        drop(client);
        let reset = Reset::by(Sender::Client, Stage::PostData, KILLED);
        connections.push(Connection { resets: vec![reset], ..connection });
    }
    Ok(GroundTruth { connections, done: "the server's sockets got ECONNRESET" })
}
