//! Blind resets, backscatter and other things that strangers send.

use std::net::{Shutdown, SocketAddr};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, PSH, RST, SYN};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::Hook;
use rst_tracer::demo::scenarios::{Listed, Pair, RAW_CLIENT_PORT, Scene};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, Effect, GroundTruth, Maker, Reset, Sender, Side, Stage};

use super::super::injected::stranger::Stranger;
use super::filter::{Cause, port_after, talk};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "blind_port_guessing",
        "A stranger guesses ports",
        "A stranger writes resets in the server's name to four ports of the client that have no \
         connection, and two to one that has, with numbers far off. The connection lives on.",
        blind_port_guessing,
    ),
    Listed::new(
        "blind_after_half_close",
        "Guesses at a connection half closed",
        "The client has asked and closed its direction; a stranger writes three resets in its \
         name, far outside the window. The server answers and closes.",
        blind_after_half_close,
    ),
    Listed::new(
        "blind_and_patient",
        "A stranger who takes time between guesses",
        "A stranger writes three resets in the server's name, 700 ms apart, all inside the \
         client's window; the client asks back each time. The connection lives on.",
        blind_and_patient,
    )
    .slow(),
    Listed::new(
        "blind_amid_transfer",
        "Guesses during a transfer",
        "While the server sends 60 pieces, a stranger writes six resets in the client's name \
         outside the window; all pieces arrive.",
        blind_amid_transfer,
    ),
    Listed::new(
        "reflected_off_two_services",
        "Two services answer somebody who never called",
        "A stranger writes SYNs in the client's name, from three ports to two open ones; the \
         client resets all SYN-ACKs.",
        reflected_off_two_services,
    ),
    Listed::new(
        "backscatter_of_data",
        "Answers to data that nobody sent",
        "A stranger writes data in the client's name to two closed ports and a listener; the \
         client gets three resets.",
        backscatter_of_data,
    ),
    Listed::new(
        "backscatter_of_a_wall",
        "A firewall answers somebody who never called",
        "A stranger writes three SYNs in the client's name to a port that the server's firewall \
         rejects; the client gets three resets.",
        backscatter_of_a_wall,
    ),
];

const BLIND: Cause = ("security_measure", "blind_reset_attempt");
const BACKSCATTER: Cause = ("security_measure", "backscatter");

fn guess(side: Side, stage: Stage, effect: Effect) -> Reset {
    let sender = Sender::StrangerOnBehalfOf(side);
    Reset::by(sender, stage, BLIND).made_by(Maker::Injector).with_effect(effect)
}

/// Guesses of which none is believed; after the first the wire shows a closed connection.
fn guesses(side: Side, stage: Stage, effect: Effect, count: usize) -> Vec<Reset> {
    let stages = std::iter::once(stage).chain(std::iter::repeat(Stage::Closed));
    stages.take(count).map(|stage| guess(side, stage, effect).refuted()).collect()
}

/// A bare reset in the name of `side`, with the right number.
fn exact(pair: &Pair<'_>, side: Side) -> Result<Forgery> {
    let place = match side {
        Side::Server => Place::RouterClientSide,
        Side::Client => Place::RouterServerSide,
    };
    Ok(Forgery { ack: 0, ..Forgery::after(&pair.last_of(side, place)?, RST) })
}

fn blind_port_guessing(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    // A routing session (RFC 4271, 4.1): two KEEPALIVEs.
    let keepalive = [&[0xff; 16][..], &[0, 19, 4]].concat();
    talk(&pair, &[(Side::Client, &keepalive), (Side::Server, &keepalive)])?;
    let stranger = Stranger::arrive(scene)?;
    let exact = Forgery { ttl: 230, window: 0, ..exact(&pair, Side::Server)? };
    let real = pair.connection.client;
    let mut strays = Vec::new();
    for step in [3, 2, 1, 4] {
        let dst = SocketAddr::new(real.ip(), real.port() - step);
        let seq = 0x3000_0000 * u32::from(step);
        stranger.send(&Forgery { dst, seq, ip_id: 40 + step, ..exact.clone() })?;
        let resets = vec![guess(Side::Server, Stage::NoFlow, Effect::Accepted)];
        strays.push(Connection { resets, ..Connection::between(dst, scene.server) });
    }
    for beyond in [0x5800_0000, 0x9800_0000_u32] {
        let seq = exact.seq.wrapping_add(beyond);
        stranger.send(&Forgery { seq, ip_id: 99, ..exact.clone() })?;
    }
    let resets = guesses(Side::Server, Stage::PostData, Effect::Ignored, 2);
    let mut truth = pair.truth("the connection was used on and closed with FINs", resets);
    truth.connections.extend(strays);
    scene.await_resets(&truth)?;
    talk(&pair, &[(Side::Client, &keepalive), (Side::Server, &keepalive)])?;
    pair.part()?;
    Ok(truth)
}

fn blind_after_half_close(scene: &Scene<'_>) -> Result<GroundTruth> {
    const ANSWER: &[u8] = b"domain: lab.example\nowner: nobody\n";
    let pair = scene.pair()?;
    talk(&pair, &[(Side::Client, b"lab.example\r\n")])?;
    pair.client.shutdown(Shutdown::Write).context("closing the client's direction")?;
    sockets::await_end(&pair.server)?;
    let stranger = Stranger::arrive(scene)?;
    let exact = Forgery { ttl: 113, ip_id: 0xbeef, ..exact(&pair, Side::Client)? };
    for n in 1..=3 {
        let seq = exact.seq.wrapping_add(0x3100_0000 * n);
        stranger.send(&Forgery { seq, ..exact.clone() })?;
    }
    // The client acknowledges what the server says, which one that had reset would not.
    let resets = guesses(Side::Client, Stage::PostFin, Effect::Ignored, 3);
    let truth = pair.truth("the server answered and closed with a FIN", resets);
    scene.await_resets(&truth)?;
    talk(&pair, &[(Side::Server, ANSWER)])?;
    scene.lab.server.run(|| sockets::close(pair.server))?;
    sockets::await_end(&pair.client)?;
    Ok(truth)
}

fn blind_and_patient(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let stranger = Stranger::arrive(scene)?;
    let exact = Forgery { ttl: 61, flags: RST | ACK, ..exact(&pair, Side::Server)? };
    for (n, beyond) in (1..).zip([31_000, 12_345, 700]) {
        let seq = exact.seq.wrapping_add(beyond);
        stranger.send(&Forgery { seq, ack: beyond, ip_id: 1 + n as u16, ..exact.clone() })?;
        scene.lab.sniffer(Place::Client).wait_for("a challenge ACK", &pair.connection, |seen| {
            let since = seen.iter().map(|one| &one.segment).skip_while(|one| !one.has(RST));
            let asks = since.filter(|one| one.src == pair.connection.client && one.flags == ACK);
            (asks.count() >= n).then_some(())
        })?;
        // The kernel asks back twice a second at most.
        thread::sleep(Duration::from_millis(700));
    }
    let resets = guesses(Side::Server, Stage::PostData, Effect::Challenged, 3);
    let truth = pair.truth("the connection was used once more and closed with FINs", resets);
    pair.exchange()?;
    pair.part()?;
    Ok(truth)
}

fn blind_amid_transfer(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    pair.request()?;
    let stranger = Stranger::arrive(scene)?;
    let exact = Forgery { ttl: 88, ip_id: 5, ..exact(&pair, Side::Client)? };
    for piece in 0..60 {
        talk(&pair, &[(Side::Server, &[b'a' + piece / 10; 1000])])?;
        if piece % 10 == 4 {
            let seq = exact.seq.wrapping_sub(0x2222_0000 * (u32::from(piece) / 10 + 1));
            stranger.send(&Forgery { seq, ..exact.clone() })?;
        }
    }
    let resets = guesses(Side::Client, Stage::PostData, Effect::Ignored, 6);
    let truth = pair.truth("all pieces arrived, and both closed with FINs", resets);
    scene.await_resets(&truth)?;
    pair.part()?;
    Ok(truth)
}

/// A segment in the client's name that a stranger writes.
fn in_clients_name(scene: &Scene<'_>, number: u16, flags: u8) -> Forgery {
    let nobody = [0; 6];
    Forgery {
        macs: (nobody, nobody),
        src: scene.at(Place::Client, RAW_CLIENT_PORT + 7 * number),
        dst: scene.server,
        seq: 0x6170_0000 + 0x0101 * u32::from(number),
        ack: if flags & ACK == 0 { 0 } else { 0x2020_4040 },
        flags,
        window: 512,
        ttl: 199,
        ip_id: 0x0d0d_u16.wrapping_mul(number + 1),
        dont_fragment: false,
        tos: 0,
        flow_label: 0,
        options: Vec::new(),
        payload: Vec::new(),
    }
}

/// The stranger writes all of `segments`; each brings about `reset`.
fn scattered(scene: &Scene<'_>, segments: &[Forgery], reset: Reset) -> Result<GroundTruth> {
    let stranger = Stranger::arrive(scene)?;
    let mut connections = Vec::new();
    for segment in segments {
        stranger.send(segment)?;
        let connection = Connection::between(segment.src, segment.dst);
        connections.push(Connection { resets: vec![reset], ..connection });
    }
    let truth = GroundTruth { connections, done: "all resets were seen" };
    scene.await_resets(&truth)?;
    Ok(truth)
}

fn reflected_off_two_services(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listen = |number| scene.lab.server.run(|| sockets::listen_on(port_after(scene, number), 8));
    let _open = [listen(0)?, listen(1)?];
    let one = |n: u16| Forgery {
        dst: port_after(scene, n % 2),
        options: vec![2, 4, 5, 180],
        ..in_clients_name(scene, n / 2, SYN)
    };
    let segments: Vec<Forgery> = (0..6).map(one).collect();
    scattered(scene, &segments, Reset::by(Sender::Client, Stage::PostSynack, BACKSCATTER))
}

fn backscatter_of_data(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(4)?;
    let one = |n: u16| Forgery {
        dst: port_after(scene, n),
        payload: vec![b'x'; 20 + 10 * usize::from(n)],
        ..in_clients_name(scene, n, PSH | ACK)
    };
    // To the server it is data of no connection; the client never sent it.
    let reset = Reset::by(Sender::Server, Stage::NoFlow, BACKSCATTER);
    scattered(scene, &[0, 1, 2].map(one), reset.or_as_truly(&["stray_segment"]))
}

fn backscatter_of_a_wall(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(4)?;
    let _rule = scene.reject(&scene.lab.server, Hook::Input)?;
    // The server's packet filter answers; the client never called.
    let reset = Reset::by(Sender::Server, Stage::NoFlow, BACKSCATTER).made_by(Maker::Netfilter);
    let segments = [0, 1, 2].map(|n| in_clients_name(scene, n, SYN));
    scattered(scene, &segments, reset.or_as_truly(&["host_firewall_reject"]))
}
