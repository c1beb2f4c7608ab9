//! Load balancers on the way, which write in the names of both.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{Pair, Scene};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Side, Stage};

use super::super::super::injected::forged;
use super::super::super::injected::watcher::{heard_at_rest, shoot};
use super::super::daemons::Cause;
use super::{DRAIN, IDLE};

const QUERY: &[u8] = b"Q\0\0\0\x0dSELECT 1\0";
const ROWS: &[u8] = b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";

/// What a balancer writes in the name of a side: that it is the one who says so, and that it says
/// it in that name, is what was done.
fn by_balancer(side: Side, cause: Cause) -> Reset {
    forged(side, Stage::PostData, cause).or_as_truly(&["injected_reset"])
}

fn with(connection: Connection, resets: impl Into<Vec<Reset>>) -> Connection {
    Connection { resets: resets.into(), ..connection }
}

/// The client of a database asks and is answered.
fn asked(pair: &Pair<'_>) -> Result<()> {
    pair.lab.client.run(|| sockets::say(&pair.client, QUERY))?;
    sockets::hear(&pair.server, QUERY)?;
    pair.lab.server.run(|| sockets::say(&pair.server, ROWS))?;
    sockets::hear(&pair.client, ROWS)?;
    pair.settle()
}

pub(super) fn idle_one_by_one(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let mut idle = Vec::new();
    for _ in 0..3 {
        let pair = scene.pair_at(&listener)?;
        asked(&pair)?;
        idle.push((Instant::now(), pair));
        thread::sleep(Duration::from_millis(350));
    }
    let mut connections = Vec::new();
    for (since, Pair { lab, connection, client, server }) in idle {
        let end = since + Duration::from_millis(1500);
        thread::sleep(end.saturating_duration_since(Instant::now()));
        let heard = heard_at_rest(lab, &connection)?;
        let both = [heard.to_client(RST | ACK), heard.to_server(RST | ACK)];
        let both = both.map(|plain| Forgery { ttl: 254, dont_fragment: true, ip_id: 0, ..plain });
        shoot(lab, &connection, &both)?;
        sockets::await_error(&client, Errno::ECONNRESET)?;
        sockets::await_error(&server, Errno::ECONNRESET)?;
        let resets = [Side::Server, Side::Client].map(|side| by_balancer(side, IDLE));
        connections.push(with(connection, resets));
    }
    Ok(GroundTruth { connections, done: "all sockets got ECONNRESET" })
}

pub(super) fn idle_push(scene: &Scene<'_>) -> Result<GroundTruth> {
    const NOTICE: &[u8] = b"A\0\0\0\x16\0\0\x10\x0cprices\0higher\0";
    let pair = scene.pair()?;
    asked(&pair)?;
    thread::sleep(Duration::from_secs(2));
    let heard = heard_at_rest(scene.lab, &pair.connection)?;
    let port = scene.server.port();
    let _forgotten = scene.lose(&[(Port::From(port), Only::Any), (Port::To(port), Only::Any)])?;
    let Pair { connection, client, server, .. } = pair;
    scene.lab.server.run(|| sockets::say(&server, NOTICE))?;
    scene.lab.sniffer(Place::RouterServerSide).wait_for("the notice", &connection, |seen| {
        let last = &seen.last()?.segment;
        (last.src == connection.server && last.payload_len == NOTICE.len()).then_some(())
    })?;
    let plain = heard.to_server(RST);
    let answer = Forgery { ack: 0, ttl: 64, ip_id: 0, dont_fragment: true, ..plain };
    shoot(scene.lab, &connection, &[answer])?;
    sockets::await_error(&server, Errno::ECONNRESET)?;
    // Nobody tells the client.
    sockets::vanish(client)?;
    let connections = vec![with(connection, [by_balancer(Side::Client, IDLE)])];
    Ok(GroundTruth { connections, done: "the server got ECONNRESET" })
}

pub(super) fn deregisters(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let pairs = (0..3).map(|_| scene.pair_at(&listener)).collect::<Result<Vec<_>>>()?;
    pairs.iter().try_for_each(asked)?;
    let port = scene.server.port();
    let _taken_out = scene.lose(&[(Port::From(port), Only::Any), (Port::To(port), Only::Any)])?;
    let mut connections = Vec::new();
    for (number, Pair { connection, client, server, .. }) in pairs.into_iter().enumerate() {
        thread::sleep(Duration::from_millis(60 * number as u64));
        scene.lab.client.run(|| sockets::say(&client, QUERY))?;
        scene.lab.sniffer(Place::RouterClientSide).wait_for("a query", &connection, |seen| {
            let last = &seen.last()?.segment;
            (last.src == connection.client && last.payload_len == QUERY.len()).then_some(())
        })?;
        let heard = heard_at_rest(scene.lab, &connection)?;
        let answer =
            Forgery { ack: heard.trigger.next_seq(), ttl: 62, ..heard.to_client(RST | ACK) };
        shoot(scene.lab, &connection, &[Forgery { dont_fragment: true, ip_id: 0, ..answer }])?;
        sockets::await_error(&client, Errno::ECONNRESET)?;
        // The server is not told before it is switched off.
        sockets::vanish(server)?;
        connections.push(with(connection, [by_balancer(Side::Server, DRAIN)]));
    }
    Ok(GroundTruth { connections, done: "each client got ECONNRESET when it spoke" })
}
