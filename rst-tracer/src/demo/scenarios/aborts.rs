//! Resets by a living socket whose owner, or whose administrator, ends it without ceremony.

use anyhow::Result;
use nix::errno::Errno;

use super::Listed;
use super::scene::{ANSWER, REQUEST, Scene};
use crate::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};
use crate::demo::{diag, sockets, wait};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "unread_data",
        "Closed with unread data",
        "The server closes its socket although the client's request lies unread in it.",
        unread_data,
    ),
    Listed::new(
        "client_cancel",
        "Cancelled by the client",
        "The client closes its socket while the server's answer lies unread in it.",
        client_cancel,
    ),
    Listed::new(
        "linger0_client",
        "Abortive close by the client",
        "After request and answer the client closes with SO_LINGER 0.",
        linger0_client,
    ),
    Listed::new(
        "linger0_server",
        "Abortive close by the server",
        "After request and answer the server closes with SO_LINGER 0.",
        linger0_server,
    ),
    Listed::new(
        "listener_closed_with_pending",
        "Service stopped with connections waiting",
        "The server closes its listening socket while two connections wait to be accepted.",
        listener_closed_with_pending,
    ),
    Listed::new(
        "admin_kill",
        "Killed by the administrator",
        "The server's administrator destroys an idle connection, as `ss -K` does.",
        admin_kill,
    ),
];

fn unread_data(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_unread(&pair.server)?;
    let cause = ("application_error", "closed_with_unread_data");
    let reset = Reset::by(Sender::Server, Stage::PostPush, cause);
    let truth = pair.truth("the client got ECONNRESET", vec![reset]);
    scene.lab.server.run(|| sockets::close(pair.server))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    Ok(truth)
}

fn client_cancel(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    pair.request()?;
    scene.lab.server.run(|| sockets::say(&pair.server, ANSWER))?;
    sockets::await_unread(&pair.client)?;
    let cause = ("normal_abortive_close", "client_cancel");
    let reset = Reset::by(Sender::Client, Stage::PostData, cause);
    let truth = pair.truth("the server got ECONNRESET", vec![reset]);
    scene.lab.client.run(|| sockets::close(pair.client))?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    Ok(truth)
}

const LINGER0: (&str, &str) = ("normal_abortive_close", "linger0_close");

fn linger0_client(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let reset = Reset::by(Sender::Client, Stage::PostData, LINGER0);
    let truth = pair.truth("the server got ECONNRESET", vec![reset]);
    scene.lab.client.run(|| sockets::abort(pair.client))?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    Ok(truth)
}

fn linger0_server(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let reset = Reset::by(Sender::Server, Stage::PostData, LINGER0);
    let truth = pair.truth("the client got ECONNRESET", vec![reset]);
    scene.lab.server.run(|| sockets::abort(pair.server))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    Ok(truth)
}

fn listener_closed_with_pending(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let waiting = [scene.dial()?, scene.dial()?];
    wait::until("two connections to wait", || Ok(sockets::unaccepted(&listener)? == 2))?;
    scene.lab.server.run(|| sockets::close(listener))?;
    let cause = ("application_error", "restart_with_pending_connections");
    let reset = Reset::by(Sender::Server, Stage::PostAck, cause);
    let mut connections = Vec::new();
    for (client, connection) in waiting {
        sockets::await_error(&client, Errno::ECONNRESET)?;
        connections.push(Connection { resets: vec![reset], ..connection });
    }
    Ok(GroundTruth { connections, done: "both clients got ECONNRESET" })
}

fn admin_kill(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    diag::destroy(&scene.lab.server, pair.connection.server, pair.connection.client)?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    let cause = ("traffic_management", "admin_kill");
    let reset = Reset::by(Sender::Server, Stage::PostData, cause);
    Ok(pair.truth("the client got ECONNRESET", vec![reset]))
}
