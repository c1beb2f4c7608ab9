//! Administrators who destroy sockets, and Multipath TCP.

use std::net::{IpAddr, TcpListener};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Pair, Scene, settle};
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::{diag, sockets, wait};

use super::super::super::servers::iproute::kill;
use super::super::super::servers::mptcp::{
    Multipath, Paths, bound, connected_at, listen_for_paths,
};
use super::super::super::servers::truth;
use super::super::super::wishes::quiet;
use super::super::daemons::Cause;
use super::KILLED;

/// A mail client from the address of the whole host or from the scenario's own; it is greeted.
fn greeted<'a>(scene: &Scene<'a>, listener: &TcpListener, shared: bool) -> Result<Pair<'a>> {
    const GREETING: &[u8] = b"220 mail.lab ESMTP\r\n";
    let socket = if shared {
        scene.lab.client.run(|| sockets::bound(Place::Client.ip(scene.family)))?
    } else {
        scene.bound()?
    };
    let (client, connection) = scene.dial_from(socket)?;
    let server = scene.lab.server.run(|| sockets::accept(listener))?;
    scene.lab.server.run(|| sockets::say(&server, GREETING))?;
    sockets::hear(&client, GREETING)?;
    settle(scene.lab, &connection)?;
    Ok(Pair { lab: scene.lab, connection, client, server })
}

pub(super) fn one_tenant(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let of_tenant = [greeted(scene, &listener, true)?, greeted(scene, &listener, true)?];
    let of_others = [greeted(scene, &listener, false)?, greeted(scene, &listener, false)?];
    let tenant = match Place::Client.ip(scene.family) {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let service = format!(":{}", scene.server.port());
    kill(&scene.lab.server, &["dst", &tenant, "and", "sport", "=", &service], of_tenant.len())?;
    let mut connections = Vec::new();
    for Pair { connection, client, .. } in of_tenant {
        sockets::await_error(&client, Errno::ECONNRESET)?;
        let resets = vec![Reset::by(Sender::Server, Stage::PostPush, KILLED)];
        connections.push(Connection { resets, ..connection });
    }
    for pair in of_others {
        connections.push(pair.connection.clone());
        pair.part()?;
    }
    Ok(GroundTruth { connections, done: "the tenant's clients got ECONNRESET" })
}

pub(super) fn unused_pool(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let pool = (0..3).map(|_| scene.pair_at(&listener)).collect::<Result<Vec<_>>>()?;
    thread::sleep(Duration::from_millis(1200));
    kill(&scene.lab.client, &["dport", "=", &format!(":{}", scene.server.port())], pool.len())?;
    let mut connections = Vec::new();
    for Pair { connection, server, .. } in pool {
        sockets::await_error(&server, Errno::ECONNRESET)?;
        let resets = vec![Reset::by(Sender::Client, Stage::PostAck, KILLED)];
        connections.push(Connection { resets, ..connection });
    }
    Ok(GroundTruth { connections, done: "the server's sockets got ECONNRESET" })
}

pub(super) fn subscriber(scene: &Scene<'_>) -> Result<GroundTruth> {
    const SUBSCRIBE: &[u8] = b"SUBSCRIBE news\r\n";
    const NEWS: &[u8] = b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n";
    let pair = scene.pair()?;
    scene.lab.client.run(|| sockets::say(&pair.client, SUBSCRIBE))?;
    sockets::hear(&pair.server, SUBSCRIBE)?;
    for _ in 0..8 {
        scene.lab.server.run(|| sockets::say(&pair.server, NEWS))?;
        sockets::hear(&pair.client, NEWS)?;
        thread::sleep(Duration::from_millis(25));
    }
    pair.settle()?;
    diag::destroy(&scene.lab.server, pair.connection.server, pair.connection.client)?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, KILLED);
    Ok(pair.truth("the client got ECONNRESET", vec![reset]))
}

pub(super) fn multipath_killed(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = listen_for_paths(scene)?;
    let pair = connected_at(scene, &listener)?;
    pair.exchange(scene)?;
    let Multipath { connection, client, server } = pair;
    quiet(scene, &connection)?;
    diag::destroy(&scene.lab.server, connection.server, connection.client)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, KILLED);
    let truth = truth(connection, reset, "the reset reached the client");
    scene.await_resets(&truth)?;
    // Neither has a path left over which it could say that it goes.
    drop((client, server));
    Ok(truth)
}

pub(super) fn multipath_aborted(scene: &Scene<'_>) -> Result<GroundTruth> {
    const ABORTED: Cause = ("normal_abortive_close", "linger0_close");
    // Before the settings, which need a kernel that has it.
    drop(scene.lab.client.run(|| bound(scene.at(Place::Client, 0)))?);
    let second = Place::Client.ip(scene.family);
    let endpoint = format!("endpoint add {second} dev eth0 id 9 subflow");
    let _path = Paths::set(&scene.lab.client, &endpoint, "endpoint delete id 9")?;
    let listener = listen_for_paths(scene)?;
    let pair = connected_at(scene, &listener)?;
    pair.exchange(scene)?;
    let witness = scene.lab.sniffer(Place::Client);
    let joining = || witness.callers(scene.server).into_iter().find(|one| one.ip() == second);
    wait::until("a second path", || Ok(joining().is_some()))?;
    let joined = Connection::between(joining().context("no second path")?, scene.server);
    settle(scene.lab, &joined)?;
    quiet(scene, &joined)?;
    let Multipath { connection, client, server } = pair;
    scene.lab.client.run(|| sockets::abort(client))?;
    sockets::await_error(&server, Errno::ECONNRESET)?;
    let reset = |stage| vec![Reset::by(Sender::Client, stage, ABORTED)];
    let connections = vec![
        Connection { resets: reset(Stage::PostData), ..connection },
        Connection { resets: reset(Stage::PostAck), ..joined },
    ];
    Ok(GroundTruth { connections, done: "the server got ECONNRESET" })
}
