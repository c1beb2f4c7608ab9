//! Load balancers and proxies: they look whether somebody is at home, forget the idle, send their
//! guests away, and lose patience.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST, SYN};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::packet;
use rst_tracer::demo::scenarios::{Listed, Pair, REQUEST, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Side, Stage};

use super::super::injected::forged;
use super::super::injected::watcher::{Heard, heard_at_rest, shoot};
use super::{Cause, only};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "health_check_reads_greeting",
        "Health check that waits for a greeting",
        "Every 700 ms one client connects, reads the greeting and aborts with SO_LINGER 0.",
        health_check_reads_greeting,
    )
    .slow(),
    Listed::new(
        "health_check_half_open",
        "Health check without a connection",
        "Every 500 ms a monitor on the client writes a SYN; its host's TCP resets the SYN-ACK.",
        health_check_half_open,
    )
    .slow(),
    Listed::new(
        "balancer_drains",
        "A load balancer sends its guests away",
        "A load balancer on the way resets both sides of three connections in use at once, because \
         their server is taken out.",
        balancer_drains,
    ),
    Listed::new(
        "balancer_idle_both_sides",
        "A load balancer ends the idle by itself",
        "After three seconds of silence a load balancer on the way (after Azure's) resets both \
         sides of two connections.",
        balancer_idle_both_sides,
    )
    .slow(),
    Listed::new(
        "balancer_idle_next_packet",
        "A load balancer has forgotten the idle",
        "After three seconds of silence a load balancer on the way (after AWS's) answers the \
         client's next request with a reset and lets nothing through.",
        balancer_idle_next_packet,
    )
    .slow(),
    Listed::new(
        "proxy_gateway_timeout",
        "A proxy waits in vain",
        "A proxy (the server here) waits two seconds for somebody behind it, answers 504 and \
         aborts with SO_LINGER 0.",
        proxy_gateway_timeout,
    )
    .slow(),
    Listed::new(
        "proxy_longest_duration",
        "A proxy allows three seconds",
        "A proxy (the server here) passes on a stream and aborts it with SO_LINGER 0 after three \
         seconds, its limit.",
        proxy_longest_duration,
    )
    .slow(),
];

const CHECK: Cause = ("traffic_management", "lb_health_check");
const DRAIN: Cause = ("traffic_management", "lb_drain");
const IDLE: Cause = ("traffic_management", "idle_timeout_middlebox");
const PROXY: Cause = ("traffic_management", "proxy_abort");

fn every(pause: Duration, times: u32, mut visit: impl FnMut(u32) -> Result<()>) -> Result<()> {
    let start = Instant::now();
    for number in 0..times {
        thread::sleep((start + pause * number).saturating_duration_since(Instant::now()));
        visit(number)?;
    }
    Ok(())
}

fn health_check_reads_greeting(scene: &Scene<'_>) -> Result<GroundTruth> {
    const GREETING: &[u8] = b"220 ftp.lab ready\r\n";
    let listener = scene.listen(8)?;
    let mut connections = Vec::new();
    every(Duration::from_millis(700), 4, |_| {
        let pair = scene.pair_at(&listener)?;
        scene.lab.server.run(|| sockets::say(&pair.server, GREETING))?;
        sockets::hear(&pair.client, GREETING)?;
        settle(scene.lab, &pair.connection)?;
        scene.lab.client.run(|| sockets::abort(pair.client))?;
        sockets::await_error(&pair.server, Errno::ECONNRESET)?;
        // SO_LINGER 0 is how health checks hang up, and all that a single one shows.
        let reset = Reset::by(Sender::Client, Stage::PostPush, CHECK);
        let resets = vec![reset.or_as_truly(&["linger0_close"])];
        connections.push(Connection { resets, ..pair.connection });
        Ok(())
    })?;
    Ok(GroundTruth { connections, done: "each time the server got ECONNRESET" })
}

fn health_check_half_open(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(8)?;
    let plain = scene.raw_from_client(SYN)?;
    let mut connections = Vec::new();
    every(Duration::from_millis(500), 3, |number| {
        let src = SocketAddr::new(plain.src.ip(), plain.src.port() + number as u16);
        let probe = Forgery {
            src,
            seq: 0x5151_0000 + number * 0x0101,
            ack: 0,
            window: 4128,
            ttl: 64,
            ip_id: 900 + number as u16,
            dont_fragment: true,
            options: vec![2, 4, 5, 180],
            ..plain.clone()
        };
        let connection = Connection::between(probe.src, probe.dst);
        packet::inject(&scene.lab.client, Place::Client.interface(), &probe.to_frame())?;
        // It is a health check; a single one is a scanner's probe.
        let reset = Reset::by(Sender::Client, Stage::PostSynack, CHECK);
        let resets = vec![reset.or_as_truly(&["scanner_probe"])];
        connections.push(Connection { resets, ..connection });
        Ok(())
    })?;
    scene.once_seen(GroundTruth { connections, done: "each time the server saw the reset" })
}

/// What a load balancer writes in the name of both; that it is the one who says so, and that it
/// says it in their names, is what was done.
fn by_balancer(side: Side, cause: Cause) -> Reset {
    forged(side, Stage::PostData, cause).or_as_truly(&["injected_reset"])
}

fn to_both(heard: &Heard, ttl: u8) -> Vec<Forgery> {
    [heard.to_client(RST | ACK), heard.to_server(RST | ACK)]
        .map(|plain| Forgery { ttl, ip_id: 0, dont_fragment: true, ..plain })
        .into()
}

/// Connections in use, all of which a load balancer ends after a pause.
fn ended(scene: &Scene<'_>, many: usize, pause: Duration, ttl: u8) -> Result<Vec<Connection>> {
    let listener = scene.listen(8)?;
    let pairs = (0..many).map(|_| scene.pair_at(&listener)).collect::<Result<Vec<_>>>()?;
    for pair in &pairs {
        pair.exchange()?;
        pair.settle()?;
    }
    thread::sleep(pause);
    for pair in &pairs {
        let heard = heard_at_rest(scene.lab, &pair.connection)?;
        shoot(scene.lab, &pair.connection, &to_both(&heard, ttl))?;
    }
    let ended = |pair: Pair<'_>| {
        sockets::await_error(&pair.client, Errno::ECONNRESET)?;
        sockets::await_error(&pair.server, Errno::ECONNRESET)?;
        Ok(pair.connection)
    };
    pairs.into_iter().map(ended).collect()
}

fn with_resets(connections: Vec<Connection>, cause: Cause, done: &'static str) -> GroundTruth {
    let resets = || [Side::Server, Side::Client].map(|side| by_balancer(side, cause)).into();
    let of = |connection| Connection { resets: resets(), ..connection };
    GroundTruth { connections: connections.into_iter().map(of).collect(), done }
}

fn balancer_drains(scene: &Scene<'_>) -> Result<GroundTruth> {
    let connections = ended(scene, 3, Duration::from_millis(120), 250)?;
    Ok(with_resets(connections, DRAIN, "all sockets got ECONNRESET"))
}

fn balancer_idle_both_sides(scene: &Scene<'_>) -> Result<GroundTruth> {
    let connections = ended(scene, 2, Duration::from_secs(3), 127)?;
    Ok(with_resets(connections, IDLE, "all sockets got ECONNRESET"))
}

fn balancer_idle_next_packet(scene: &Scene<'_>) -> Result<GroundTruth> {
    let Pair { connection, client, server, .. } = scene.busy_pair()?;
    settle(scene.lab, &connection)?;
    thread::sleep(Duration::from_secs(3));
    let _forgotten = scene.lose(&[(Port::To(scene.server.port()), Only::Any)])?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    scene.lab.sniffer(Place::RouterClientSide).wait_for("the request", &connection, |seen| {
        let last = &seen.last()?.segment;
        (last.src == connection.client && last.payload_len > 0).then_some(())
    })?;
    let heard = heard_at_rest(scene.lab, &connection)?;
    let answer = heard.to_client(RST);
    let answer = Forgery { ack: 0, ttl: 63, ip_id: 0, dont_fragment: true, ..answer };
    shoot(scene.lab, &connection, &[answer])?;
    sockets::await_error(&client, Errno::ECONNRESET)?;
    sockets::vanish(server)?;
    Ok(only(connection, vec![by_balancer(Side::Server, IDLE)], "the client got ECONNRESET"))
}

fn proxy_gateway_timeout(scene: &Scene<'_>) -> Result<GroundTruth> {
    const ANSWER: &[u8] = b"HTTP/1.1 504 Gateway Timeout\r\nVia: 1.1 proxy.lab\r\nConnection: \
        close\r\nContent-Length: 0\r\n\r\n";
    let pair = scene.pair()?;
    pair.request()?;
    thread::sleep(Duration::from_secs(2));
    scene.lab.server.run(|| sockets::say(&pair.server, ANSWER))?;
    sockets::hear(&pair.client, ANSWER)?;
    aborted(pair)
}

/// The proxy aborts; SO_LINGER 0 is how, and that its time was up is why.
fn aborted(pair: Pair<'_>) -> Result<GroundTruth> {
    pair.settle()?;
    let reset = Reset::by(Sender::Server, Stage::PostData, PROXY);
    let reset = reset.or_as_truly(&["linger0_close"]);
    let truth = pair.truth("the client got ECONNRESET", vec![reset]);
    pair.lab.server.run(|| sockets::abort(pair.server))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    Ok(truth)
}

fn proxy_longest_duration(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    pair.request()?;
    let start = Instant::now();
    let part = [b'.'; 700];
    every(Duration::from_millis(400), 8, |_| {
        scene.lab.server.run(|| sockets::say(&pair.server, &part))?;
        sockets::hear(&pair.client, &part)
    })?;
    thread::sleep((start + Duration::from_secs(3)).saturating_duration_since(Instant::now()));
    aborted(pair)
}
