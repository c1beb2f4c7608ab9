//! A proxy with two legs: one to its client, over the wire, one to what is behind it in its host.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use rst_tracer::demo::scenarios::{Pair, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};

use super::super::super::child::Holder;
use super::super::super::closing::tls;
use super::super::super::options;
use super::super::daemons::clients::{await_fin, hear_until};
use super::{DRAIN, PROXY};

/// What is behind the proxy listens here.
struct Origin {
    listener: TcpListener,
    address: SocketAddr,
}

impl Origin {
    fn new(scene: &Scene<'_>) -> Result<Self> {
        let listener =
            scene.lab.server.run(|| sockets::listen_on(([127, 0, 0, 1], 0).into(), 8))?;
        let address = listener.local_addr().context("asking where an origin listens")?;
        Ok(Self { listener, address })
    }

    /// The proxy connects; its end comes first.
    fn reached(&self, scene: &Scene<'_>) -> Result<(TcpStream, TcpStream)> {
        let (leg, _) = reach(scene, self.address)?;
        let leg = leg.context("the origin refuses")?;
        Ok((leg, scene.lab.server.run(|| sockets::accept(&self.listener))?))
    }
}

/// The proxy tries to connect with what is behind it.
fn reach(scene: &Scene<'_>, behind: SocketAddr) -> Result<(Option<TcpStream>, SocketAddr)> {
    scene.lab.server.run(|| {
        let (socket, address) = sockets::bound(behind.ip())?;
        match sockets::connect(&socket, behind) {
            Ok(()) => Ok((Some(socket.into()), address)),
            Err(Errno::ECONNREFUSED) => Ok((None, address)),
            Err(errno) => bail!("a proxy cannot reach what is behind it: {errno}"),
        }
    })
}

/// The proxy passes on what it reads from one leg to the other.
fn pass(scene: &Scene<'_>, from: &TcpStream, to: &TcpStream, what: &[u8]) -> Result<()> {
    sockets::hear(from, what)?;
    scene.lab.server.run(|| sockets::say(to, what))
}

/// The proxy aborts the leg to its client with SO_LINGER 0.
fn aborted(pair: Pair<'_>, reset: Reset) -> Result<Connection> {
    let Pair { lab, connection, client, server } = pair;
    settle(lab, &connection)?;
    lab.server.run(|| sockets::abort(server))?;
    sockets::await_error(&client, Errno::ECONNRESET)?;
    Ok(Connection { resets: vec![reset], ..connection })
}

fn by_proxy(stage: Stage) -> Reset {
    // SO_LINGER 0 is how it aborts.
    Reset::by(Sender::Server, stage, PROXY).or_as_truly(&["linger0_close"])
}

fn only(connection: Connection) -> GroundTruth {
    GroundTruth { connections: vec![connection], done: "the client got ECONNRESET" }
}

pub(super) fn nobody_behind(scene: &Scene<'_>) -> Result<GroundTruth> {
    // The port is taken, but nobody listens.
    let (_taken, address) = scene.lab.server.run(|| sockets::bound([127, 0, 0, 1].into()))?;
    let pair = scene.pair()?;
    scene.lab.client.run(|| sockets::say(&pair.client, tls::CLIENT_HELLO))?;
    sockets::hear(&pair.server, tls::CLIENT_HELLO)?;
    if let (Some(_), _) = reach(scene, address)? {
        bail!("somebody is behind the proxy");
    }
    Ok(only(aborted(pair, by_proxy(Stage::PostPush))?))
}

pub(super) fn origin_died(scene: &Scene<'_>) -> Result<GroundTruth> {
    const CONNECT: &[u8] = b"CONNECT origin.lab:443 HTTP/1.1\r\nHost: origin.lab:443\r\n\r\n";
    const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";
    let origin = Origin::new(scene)?;
    let pair = scene.pair()?;
    scene.lab.client.run(|| sockets::say(&pair.client, CONNECT))?;
    hear_until(&pair.server, b"\r\n\r\n")?;
    let (leg, far) = origin.reached(scene)?;
    scene.lab.server.run(|| sockets::say(&pair.server, ESTABLISHED))?;
    sockets::hear(&pair.client, ESTABLISHED)?;
    for _ in 0..2 {
        scene.lab.client.run(|| sockets::say(&pair.client, tls::DATA))?;
        pass(scene, &pair.server, &leg, tls::DATA)?;
        sockets::hear(&far, tls::DATA)?;
        sockets::say(&far, tls::DATA)?;
        pass(scene, &leg, &pair.server, tls::DATA)?;
        sockets::hear(&pair.client, tls::DATA)?;
    }
    scene.lab.client.run(|| sockets::say(&pair.client, tls::DATA))?;
    pass(scene, &pair.server, &leg, tls::DATA)?;
    sockets::await_unread(&far)?;
    Holder::of(vec![far.into()])?.kill()?;
    sockets::await_error(&leg, Errno::ECONNRESET)?;
    Ok(only(aborted(pair, by_proxy(Stage::PostData))?))
}

pub(super) fn circuit_open(scene: &Scene<'_>) -> Result<GroundTruth> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    let origin = Origin::new(scene)?;
    let listener = scene.listen(8)?;
    let mut served = Vec::new();
    for _ in 0..2 {
        let pair = scene.pair_at(&listener)?;
        let (leg, far) = origin.reached(scene)?;
        scene.lab.client.run(|| sockets::say(&pair.client, PREFACE))?;
        pass(scene, &pair.server, &leg, PREFACE)?;
        sockets::hear(&far, PREFACE)?;
        sockets::say(&far, SETTINGS)?;
        pass(scene, &leg, &pair.server, SETTINGS)?;
        sockets::hear(&pair.client, SETTINGS)?;
        served.push((pair, leg, far));
    }
    let mut connections = Vec::new();
    for _ in 0..2 {
        let pair = scene.pair_at(&listener)?;
        scene.lab.client.run(|| sockets::say(&pair.client, PREFACE))?;
        sockets::hear(&pair.server, PREFACE)?;
        connections.push(aborted(pair, by_proxy(Stage::PostPush))?);
    }
    for (pair, _leg, _far) in served {
        connections.push(pair.connection.clone());
        pair.part()?;
    }
    Ok(GroundTruth { connections, done: "the clients too many got ECONNRESET" })
}

pub(super) fn buffer_limit(scene: &Scene<'_>) -> Result<GroundTruth> {
    const LIMIT: usize = 8192;
    let upload = [&b"PUT /backup HTTP/1.1\r\nContent-Length: 900000\r\n\r\n"[..], &[b'b'; 20_000]];
    let upload = upload.concat();
    let origin = Origin::new(scene)?;
    options::receive_little(&origin.listener)?;
    let pair = scene.pair()?;
    let (leg, _far) = origin.reached(scene)?;
    scene.lab.client.run(|| sockets::say(&pair.client, &upload))?;
    pass(scene, &pair.server, &leg, &upload[..LIMIT])?;
    sockets::await_unread(&pair.server)?;
    pair.settle()?;
    let Pair { connection, client, server, .. } = pair;
    scene.lab.server.run(|| sockets::close(server))?;
    sockets::await_error(&client, Errno::ECONNRESET)?;
    // The proxy gave up; that the rest lay unread is why its kernel reset.
    let reset = Reset::by(Sender::Server, Stage::PostData, PROXY);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    Ok(only(Connection { resets: vec![reset], ..connection }))
}

pub(super) fn drained(scene: &Scene<'_>) -> Result<GroundTruth> {
    const QUESTION: &[u8] = b"EHLO client.lab\r\n";
    const ANSWER: &[u8] = b"250 gateway.lab\r\n";
    let origin = Origin::new(scene)?;
    let listener = scene.listen(8)?;
    let mut sessions = Vec::new();
    for _ in 0..4 {
        let pair = scene.pair_at(&listener)?;
        let (leg, far) = origin.reached(scene)?;
        scene.lab.client.run(|| sockets::say(&pair.client, QUESTION))?;
        pass(scene, &pair.server, &leg, QUESTION)?;
        sockets::hear(&far, QUESTION)?;
        sockets::say(&far, ANSWER)?;
        pass(scene, &leg, &pair.server, ANSWER)?;
        sockets::hear(&pair.client, ANSWER)?;
        pair.settle()?;
        sessions.push((pair, leg, far));
    }
    scene.lab.server.run(|| sockets::close(listener))?;
    let busy = sessions.split_off(2);
    for (pair, leg, _) in &busy {
        scene.lab.client.run(|| sockets::say(&pair.client, b"DATA\r\n"))?;
        pass(scene, &pair.server, leg, b"DATA\r\n")?;
    }
    let mut stood_by = Vec::new();
    for (Pair { connection, client, server, .. }, ..) in sessions {
        scene.lab.server.run(|| sockets::close(server))?;
        await_fin(scene, &connection)?;
        scene.lab.client.run(|| sockets::close(client))?;
        stood_by.push(connection);
    }
    thread::sleep(Duration::from_secs(1));
    let reset = Reset::by(Sender::Server, Stage::PostData, DRAIN);
    let reset = reset.or_as_truly(&["proxy_abort", "linger0_close"]);
    let aborted = busy.into_iter().map(|(pair, ..)| aborted(pair, reset));
    let mut connections = aborted.collect::<Result<Vec<_>>>()?;
    // Nothing more than a FIN each way passed there.
    for connection in &stood_by {
        settle(scene.lab, connection)?;
    }
    connections.extend(stood_by);
    Ok(GroundTruth { connections, done: "the busy clients got ECONNRESET" })
}
