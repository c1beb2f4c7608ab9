//! Boxes on the way that forge resets because of what is said or to whom, and some that forge
//! better than others.
//!
//! All are test tools of our own, built after published descriptions, that write into the
//! laboratory's links only.

use std::time::Duration;

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{Listed, Pair, Scene, answer_of_the_dead};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, Effect, GroundTruth, Reset, Side, Stage};

use super::super::injected::recipes::{careful_both, noise};
use super::super::injected::watcher::{Heard, Trigger, heard_at_rest, shoot, watched};
use super::super::injected::{forged, volley};
use super::{Cause, client_believes, server_believes};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "censor_handshake_triple",
        "Three resets for a handshake",
        "A censor on the way (after the Great Firewall of 2025) resets the client three times as \
         soon as it is connected; the server, which was not told, greets.",
        censor_handshake_triple,
    ),
    Listed::new(
        "censor_server_only",
        "A bare reset for the server only",
        "A censor on the way writes one bare reset in the client's name; later the client, which \
         was not told, sends.",
        |scene| server_believes(scene, bare_to_server, INJECTED, 1),
    ),
    Listed::new(
        "censor_takes_its_time",
        "A censor that takes its time",
        "A censor on the way looks at an exchange for 300 ms, then resets the client twice, 1460 \
         bytes apart; later the server sends.",
        |scene| client_believes(scene, Duration::from_millis(300), two_apart, INJECTED, 2),
    ),
    Listed::new(
        "hello_swallowed",
        "A hello swallowed, both sides reset",
        "A box in the path reads the server name in two TLS hellos, lets them not pass, and resets \
         both sides; a third, with another name, passes.",
        hello_swallowed,
    ),
    Listed::new(
        "answer_censored",
        "Ended for what was answered",
        "A box on the way reads a forbidden word in the answers over two connections and resets \
         both sides, each with a bare reset and another.",
        answer_censored,
    ),
    Listed::new(
        "guessing_ahead",
        "Resets ahead of the data",
        "A censor on the way expects more data than there is and resets the client 1460 and 4380 \
         bytes too far on; the connection lives on.",
        guessing_ahead,
    ),
    Listed::new(
        "stale_towards_server",
        "A reset from before the last request",
        "A box on the way is so slow that the client has asked once more; its bare reset in the \
         client's name has an old number; the connection lives on.",
        stale_towards_server,
    ),
    Listed::new(
        "careful_towards_server",
        "A careful injector towards the server",
        "A box on the way resets the server, copying all of the client's that can be copied; later \
         the client, which was not told, sends.",
        |scene| server_believes(scene, |heard| careful_both(heard).split_off(1), INJECTED, 1),
    ),
];

const INJECTED: Cause = ("security_measure", "injected_reset");
const BLOCKED: Cause = ("policy_enforcement", "dpi_block");

/// Window and TTL count up; the number is the same in all three.
fn triple(heard: &Heard) -> Vec<Forgery> {
    let plain = heard.to_client(RST | ACK);
    let one = |n: u16| Forgery {
        window: 1980 + n,
        ttl: 44 + n as u8,
        ip_id: noise(heard).wrapping_add(17 * n),
        ..plain.clone()
    };
    (0..3).map(one).collect()
}

fn censor_handshake_triple(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let bound = scene.bound()?;
    let connection = Connection::between(bound.1, scene.server);
    let pair = watched(scene, &connection, Trigger::Handshake, triple, || {
        let (client, connection) = scene.dial_from(bound)?;
        let server = scene.lab.server.run(|| sockets::accept(&listener))?;
        Ok(Pair { lab: scene.lab, connection, client, server })
    })?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    let forged = volley(Side::Server, Stage::PostAck, INJECTED, 3);
    let mut resets: Vec<Reset> = forged.into_iter().map(Reset::refuted).collect();
    scene.await_resets(&pair.truth("", resets.clone()))?;
    pair.speak_to_the_dead()?;
    resets.push(answer_of_the_dead());
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}

fn bare_to_server(heard: &Heard) -> Vec<Forgery> {
    let plain = heard.to_server(RST);
    vec![Forgery { ack: 0, window: 31, ttl: 47, ip_id: noise(heard), ..plain }]
}

fn two_apart(heard: &Heard) -> Vec<Forgery> {
    let plain = heard.to_client(RST | ACK);
    let one = |n: u32| Forgery {
        seq: plain.seq.wrapping_add(1460 * n),
        window: 2071 + 5 * n as u16,
        ttl: 113,
        ip_id: noise(heard),
        ..plain.clone()
    };
    (0..2).map(one).collect()
}

/// It was inspected and blocked, and the resets were forged: both are what was done.
fn blocked(side: Side, stage: Stage) -> Reset {
    forged(side, stage, BLOCKED).or_as_truly(&["injected_reset"])
}

/// The beginning of a TLS hello with this server name somewhere in it.
fn hello(name: &str) -> Vec<u8> {
    let mut hello = b"\x16\x03\x01\x00\x6a\x01\x00\x00\x66\x03\x03".to_vec();
    hello.extend([0xa5; 40]);
    hello.extend([0, 0, 0, 20, 0, 18, 0, 0, 15]);
    hello.extend(name.as_bytes());
    hello.resize(111, 0);
    hello
}

fn both_sides(heard: &Heard) -> Vec<Forgery> {
    [heard.to_client(RST | ACK), heard.to_server(RST | ACK)]
        .map(|plain| Forgery { window: 256, ttl: 63, ip_id: 0, dont_fragment: true, ..plain })
        .into()
}

fn hello_swallowed(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let mut connections = Vec::new();
    for _ in 0..2 {
        let pair = scene.pair_at(&listener)?;
        pair.settle()?;
        let from = Port::From(pair.connection.client.port());
        let _swallowed = scene.lose(&[(from, Only::Payload(b"\x16\x03\x01"))])?;
        scene.lab.client.run(|| sockets::say(&pair.client, &hello("banned.example1")))?;
        let at = scene.lab.sniffer(Place::RouterClientSide);
        at.wait_for("the hello", &pair.connection, |seen| {
            seen.iter().any(|one| one.segment.payload_len > 0).then_some(())
        })?;
        let heard = heard_at_rest(scene.lab, &pair.connection)?;
        shoot(scene.lab, &pair.connection, &both_sides(&heard))?;
        sockets::await_error(&pair.client, Errno::ECONNRESET)?;
        sockets::await_error(&pair.server, Errno::ECONNRESET)?;
        // The server has seen no hello.
        let resets =
            vec![blocked(Side::Server, Stage::PostPush), blocked(Side::Client, Stage::PostAck)];
        connections.push(Connection { resets, ..pair.connection });
    }
    let pair = scene.pair_at(&listener)?;
    let liked = hello("welcome.example");
    scene.lab.client.run(|| sockets::say(&pair.client, &liked))?;
    sockets::hear(&pair.server, &liked)?;
    pair.answer()?;
    connections.push(pair.connection.clone());
    pair.part()?;
    Ok(GroundTruth { connections, done: "both sides of two connections got ECONNRESET" })
}

fn bare_and_other(heard: &Heard) -> Vec<Forgery> {
    let each = |bare: Forgery, other: Forgery| {
        let ip_id = noise(heard);
        [
            Forgery { ack: 0, window: 8192, ttl: 84, ip_id, ..bare },
            Forgery { window: 5808, ttl: 93, ip_id: ip_id ^ 0x3c3c, ..other },
        ]
    };
    [
        each(heard.to_client(RST), heard.to_client(RST | ACK)),
        each(heard.to_server(RST), heard.to_server(RST | ACK)),
    ]
    .concat()
}

fn answer_censored(scene: &Scene<'_>) -> Result<GroundTruth> {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nforbidden word";
    let listener = scene.listen(8)?;
    let mut connections = Vec::new();
    for _ in 0..2 {
        let pair = scene.pair_at(&listener)?;
        pair.request()?;
        scene.lab.server.run(|| sockets::say(&pair.server, ANSWER))?;
        sockets::hear(&pair.client, ANSWER)?;
        pair.settle()?;
        let heard = heard_at_rest(scene.lab, &pair.connection)?;
        shoot(scene.lab, &pair.connection, &bare_and_other(&heard))?;
        sockets::await_error(&pair.client, Errno::ECONNRESET)?;
        sockets::await_error(&pair.server, Errno::ECONNRESET)?;
        let of = |side| [blocked(side, Stage::PostData), blocked(side, Stage::Closed)];
        let resets = [of(Side::Server), of(Side::Client)].concat();
        connections.push(Connection { resets, ..pair.connection });
    }
    Ok(GroundTruth { connections, done: "both sides of two connections got ECONNRESET" })
}

fn ahead(heard: &Heard) -> Vec<Forgery> {
    let plain = heard.to_client(RST | ACK);
    [1460, 4380]
        .map(|n| Forgery {
            seq: plain.seq.wrapping_add(n),
            window: 1024,
            ttl: 110,
            ..plain.clone()
        })
        .into()
}

fn guessing_ahead(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    let heard = heard_at_rest(scene.lab, &pair.connection)?;
    shoot(scene.lab, &pair.connection, &ahead(&heard))?;
    scene.lab.sniffer(Place::Client).wait_for("a challenge ACK", &pair.connection, |seen| {
        let mut since = seen.iter().map(|one| &one.segment).skip_while(|one| !one.has(RST));
        since.any(|one| one.src == pair.connection.client && one.flags == ACK).then_some(())
    })?;
    // It is injected by who sees the connection, and its number is a guess that is not exact.
    let reset = |stage| forged(Side::Server, stage, INJECTED).or_as_truly(&["blind_reset_attempt"]);
    // The kernel asks back twice a second at most.
    let first = reset(Stage::PostData).with_effect(Effect::Challenged).refuted();
    let second = reset(Stage::Closed).with_effect(Effect::Ignored).refuted();
    let done = "the connection was used once more and closed with FINs";
    let truth = pair.truth(done, vec![first, second]);
    scene.await_resets(&truth)?;
    pair.exchange()?;
    pair.part()?;
    Ok(truth)
}

fn stale_towards_server(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    let before = heard_at_rest(scene.lab, &pair.connection)?;
    pair.exchange()?;
    pair.settle()?;
    let plain = Forgery { ack: 0, window: 600, ttl: 33, ..before.to_server(RST) };
    shoot(scene.lab, &pair.connection, &[Forgery { ip_id: noise(&before), ..plain }])?;
    let reset = forged(Side::Client, Stage::PostData, INJECTED);
    let reset = reset.with_effect(Effect::Ignored).refuted();
    let truth = pair.truth("the connection was used on and closed with FINs", vec![reset]);
    scene.await_resets(&truth)?;
    pair.exchange()?;
    pair.part()?;
    Ok(truth)
}
