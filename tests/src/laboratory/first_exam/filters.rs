//! Packet filters on a host or on the way: for one caller, for some bytes, too late, or again and
//! again.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::frame::RST;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Hook, Only, Port, Verdict};
use rst_tracer::demo::scenarios::{ANSWER, Listed, Pair, REQUEST, Scene, answer_of_the_dead};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Maker, Reset, Sender, Side, Stage};

use super::super::walls::{behind_conntrack, flush};
use super::{AFTER_RESET, Cause, refused_at};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "one_source_rejected",
        "Not for this caller",
        "The server's firewall rejects one address of the client's; from another the client is \
         served before and after.",
        one_source_rejected,
    ),
    Listed::new(
        "keepalive_rejected",
        "A keepalive probe meets a new rule",
        "The server's firewall begins to reject; the first to notice is the client's keepalive \
         after a second of silence. Later the server, which was not told, sends.",
        keepalive_rejected,
    )
    .slow(),
    Listed::new(
        "fin_rejected",
        "A farewell meets a new rule",
        "The server's firewall begins to reject just before the client closes; later the server, \
         which was not told, sends.",
        fin_rejected,
    ),
    Listed::new(
        "rejected_then_allowed",
        "A rule on the way is taken back",
        "The router's firewall rejects three calls, 200 ms apart; then the rule is gone and the \
         fourth is served.",
        rejected_then_allowed,
    )
    .slow(),
    Listed::new(
        "no_tls_here",
        "No TLS through this firewall",
        "The router's firewall rejects what begins like a TLS hello, twice; plain HTTP passes.",
        no_tls_here,
    ),
    Listed::new(
        "answer_rejected_by_content",
        "The client's firewall dislikes an answer",
        "The client's own firewall rejects an answer that begins with a certain status; later the \
         client's socket, which was not told, sends.",
        answer_rejected_by_content,
    ),
    Listed::new(
        "router_forgot_both",
        "A firewall that restarted cuts both off",
        "The router's stateful firewall loses its table; first the server's, then the client's \
         next segment is rejected.",
        router_forgot_both,
    )
    .slow(),
    Listed::new(
        "idle_then_server_speaks",
        "Forgotten while idle, the server notices",
        "The router's stateful firewall forgets connections after a second; after two the server \
         sends and is reset. Later the client, which was not told, sends.",
        idle_then_server_speaks,
    )
    .slow(),
];

const HOST: Cause = ("policy_enforcement", "host_firewall_reject");
const NETWORK: Cause = ("policy_enforcement", "network_firewall_reject");

fn by_router(side: Side, stage: Stage, cause: Cause) -> Reset {
    Reset::by(Sender::RouterOnBehalfOf(side), stage, cause).made_by(Maker::Netfilter)
}

fn by_host(sender: Sender, stage: Stage) -> Reset {
    Reset::by(sender, stage, HOST).made_by(Maker::Netfilter)
}

fn one_source_rejected(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let unwanted = Only::Source(scene.ip(Place::Client, scene.family));
    let which = [(Port::To(scene.server.port()), unwanted)];
    let _rule = scene.rules(&scene.lab.server, Hook::Input, &which, Verdict::Reject)?;
    let served = || {
        let from = Place::Client.ip(scene.family);
        let bound = scene.lab.client.run(|| sockets::bound(from))?;
        let (client, connection) = scene.dial_from(bound)?;
        let server = scene.lab.server.run(|| sockets::accept(&listener))?;
        let pair = Pair { lab: scene.lab, connection: connection.clone(), client, server };
        pair.exchange()?;
        pair.part()?;
        Ok::<_, anyhow::Error>(connection)
    };
    let before = served()?;
    let refused = refused_at(scene, scene.server, by_host(Sender::Server, Stage::PostSyn))?;
    let connections = vec![refused, before, served()?];
    Ok(GroundTruth { connections, done: "connect returned ECONNREFUSED for one address" })
}

fn keepalive_rejected(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    let rule = scene.reject(&scene.lab.server, Hook::Input)?;
    sockets::keep_alive(&pair.client, 1, 5)?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    drop(rule);
    pair.speak_to_the_dead()?;
    let resets = vec![by_host(Sender::Server, Stage::PostData).refuted(), answer_of_the_dead()];
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}

fn fin_rejected(scene: &Scene<'_>) -> Result<GroundTruth> {
    let Pair { connection, client, server, .. } = {
        let pair = scene.busy_pair()?;
        pair.settle()?;
        pair
    };
    let rule = scene.reject(&scene.lab.server, Hook::Input)?;
    scene.lab.client.run(|| sockets::close(client))?;
    scene.lab.sniffer(Place::Client).wait_for("a reset", &connection, |seen| {
        seen.iter().any(|one| one.segment.has(RST)).then_some(())
    })?;
    drop(rule);
    scene.lab.server.run(|| sockets::say(&server, ANSWER))?;
    sockets::await_error(&server, Errno::ECONNRESET)?;
    let resets = vec![by_host(Sender::Server, Stage::PostFin).refuted(), answer_of_the_dead()];
    Ok(super::only(connection, resets, "the client was reset, later the server got ECONNRESET"))
}

fn rejected_then_allowed(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let rule = scene.reject(&scene.lab.router, Hook::Forward)?;
    let mut connections = Vec::new();
    for _ in 0..3 {
        let reset = by_router(Side::Server, Stage::PostSyn, NETWORK);
        connections.push(refused_at(scene, scene.server, reset)?);
        thread::sleep(Duration::from_millis(200));
    }
    drop(rule);
    let pair = scene.pair_at(&listener)?;
    pair.exchange()?;
    connections.push(pair.connection.clone());
    pair.part()?;
    Ok(GroundTruth { connections, done: "three calls returned ECONNREFUSED" })
}

fn no_tls_here(scene: &Scene<'_>) -> Result<GroundTruth> {
    const HELLO: &[u8] =
        b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03 random bytes of a client's \
        hello, more";
    let listener = scene.listen(8)?;
    let which = [(Port::To(scene.server.port()), Only::Payload(b"\x16\x03\x01"))];
    let _rule = scene.rules(&scene.lab.router, Hook::Forward, &which, Verdict::Reject)?;
    // A packet filter that looks into the data: both names are right.
    let reset = by_router(Side::Server, Stage::PostPush, ("policy_enforcement", "dpi_block"));
    let reset = reset.or_as_truly(&["network_firewall_reject"]);
    let blocked = || {
        let pair = scene.pair_at(&listener)?;
        pair.settle()?;
        scene.lab.client.run(|| sockets::say(&pair.client, HELLO))?;
        sockets::await_error(&pair.client, Errno::ECONNRESET)?;
        Ok::<_, anyhow::Error>(pair)
    };
    let first = blocked()?;
    first.speak_to_the_dead()?;
    let resets = vec![reset.refuted(), answer_of_the_dead()];
    let mut connections = first.truth("", resets).connections;
    // The second server says nothing any more.
    let second = blocked()?;
    connections.extend(second.truth("", vec![reset]).connections);
    sockets::vanish(second.server)?;
    let plain = scene.pair_at(&listener)?;
    plain.exchange()?;
    connections.push(plain.connection.clone());
    plain.part()?;
    Ok(GroundTruth { connections, done: "two clients got ECONNRESET" })
}

fn answer_rejected_by_content(scene: &Scene<'_>) -> Result<GroundTruth> {
    const DISLIKED: &[u8] = b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.lab/\r\n\r\n";
    let which = [(Port::From(scene.server.port()), Only::Payload(b"HTTP/1.1 302"))];
    let _rule = scene.rules(&scene.lab.client, Hook::Input, &which, Verdict::Reject)?;
    let pair = scene.pair()?;
    pair.request()?;
    pair.settle()?;
    scene.lab.server.run(|| sockets::say(&pair.server, DISLIKED))?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    let first = by_host(Sender::Client, Stage::PostData).refuted();
    let second = Reset::by(Sender::Server, Stage::Closed, AFTER_RESET);
    Ok(pair.truth("first the server, then the client got ECONNRESET", vec![first, second]))
}

fn router_forgot_both(scene: &Scene<'_>) -> Result<GroundTruth> {
    behind_conntrack(scene, "600", |pair| {
        flush(&scene.lab.router)?;
        scene.lab.server.run(|| sockets::say(&pair.server, ANSWER))?;
        sockets::await_error(&pair.server, Errno::ECONNRESET)?;
        scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
        sockets::await_error(&pair.client, Errno::ECONNRESET)?;
        // What each side said was lost at the router, which no reset of the other's passed.
        let resets =
            [Side::Client, Side::Server].map(|side| by_router(side, Stage::PostData, NETWORK));
        Ok(pair.truth("first the server, then the client got ECONNRESET", resets.into()))
    })
}

fn idle_then_server_speaks(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (connection, client) = behind_conntrack(scene, "1", |pair| {
        thread::sleep(Duration::from_secs(2));
        scene.lab.server.run(|| sockets::say(&pair.server, ANSWER))?;
        sockets::await_error(&pair.server, Errno::ECONNRESET)?;
        Ok((pair.connection, pair.client))
    })?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    sockets::await_error(&client, Errno::ECONNRESET)?;
    let cause = ("traffic_management", "idle_timeout_middlebox");
    // A rule of the firewall rejects, because the firewall forgot.
    let first = by_router(Side::Client, Stage::PostData, cause);
    let first = first.or_as_truly(&["network_firewall_reject"]).refuted();
    let second = Reset::by(Sender::Server, Stage::PostData, AFTER_RESET);
    let connection = Connection { resets: vec![first, second], ..connection };
    let done = "first the server, then the client got ECONNRESET";
    Ok(GroundTruth { connections: vec![connection], done })
}
