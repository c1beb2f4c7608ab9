//! Somebody on no path between the two guesses, and what a side hears of traffic in its name.

use std::net::SocketAddr;

use anyhow::Result;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST, SYN};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, Pair, RAW_CLIENT_PORT, Scene};
use rst_tracer::demo::truth::{Connection, Effect, GroundTruth, Maker, Reset, Sender, Side, Stage};

use super::super::injected::stranger::Stranger;
use super::{Cause, only};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "blind_inside_servers_window",
        "Guesses inside the server's window",
        "A stranger writes three resets in the client's name, all inside the server's window; the \
         server asks back, and the connection lives on.",
        blind_inside_servers_window,
    ),
    Listed::new(
        "blind_wild_acks",
        "Guesses with made-up acknowledgments",
        "A stranger writes four resets in the server's name, far from the client's window and with \
         acknowledgments of anything; the connection lives on.",
        blind_wild_acks,
    ),
    Listed::new(
        "blind_one_short",
        "A guess that is one short",
        "A stranger writes one reset in the server's name, whose number is one too low; the \
         connection lives on.",
        blind_one_short,
    ),
    Listed::new(
        "unasked_syn_ack",
        "A SYN-ACK nobody asked for",
        "A stranger writes a SYN-ACK in the server's name; the client, which never called, resets \
         it.",
        unasked_syn_ack,
    ),
    Listed::new(
        "backscatter_of_a_scan",
        "Backscatter of a scan",
        "A stranger scans four closed ports in the client's name; the client gets four resets for \
         calls it never made.",
        backscatter_of_a_scan,
    ),
];

const BLIND: Cause = ("security_measure", "blind_reset_attempt");
const BACKSCATTER: Cause = ("security_measure", "backscatter");

fn guess(side: Side, stage: Stage, effect: Effect) -> Reset {
    Reset::by(Sender::StrangerOnBehalfOf(side), stage, BLIND)
        .made_by(Maker::Injector)
        .with_effect(effect)
        .refuted()
}

/// What `side` would say next, had it to reset.
fn exact(pair: &Pair<'_>, side: Side, flags: u8) -> Result<Forgery> {
    let place = match side {
        Side::Server => Place::RouterClientSide,
        Side::Client => Place::RouterServerSide,
    };
    Ok(Forgery::after(&pair.last_of(side, place)?, flags))
}

fn lives_on(scene: &Scene<'_>, pair: Pair<'_>, resets: Vec<Reset>) -> Result<GroundTruth> {
    let truth = pair.truth("the connection was used once more and closed with FINs", resets);
    scene.await_resets(&truth)?;
    pair.exchange()?;
    pair.part()?;
    Ok(truth)
}

fn blind_inside_servers_window(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let stranger = Stranger::arrive(scene)?;
    let exact = exact(&pair, Side::Client, RST)?;
    for (beyond, ip_id) in [(2000, 31), (9000, 32), (30_000, 33)] {
        let seq = exact.seq.wrapping_add(beyond);
        stranger.send(&Forgery { seq, ack: 0, ttl: 128, ip_id, ..exact.clone() })?;
    }
    scene.lab.sniffer(Place::Server).wait_for("a challenge ACK", &pair.connection, |seen| {
        let mut since = seen.iter().map(|one| &one.segment).skip_while(|one| !one.has(RST));
        since.any(|one| one.src == pair.connection.server && one.flags == ACK).then_some(())
    })?;
    // The kernel asks back twice a second at most.
    let resets = vec![
        guess(Side::Client, Stage::PostData, Effect::Challenged),
        guess(Side::Client, Stage::Closed, Effect::Ignored),
        guess(Side::Client, Stage::Closed, Effect::Ignored),
    ];
    lives_on(scene, pair, resets)
}

fn blind_wild_acks(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let stranger = Stranger::arrive(scene)?;
    let exact = exact(&pair, Side::Server, RST | ACK)?;
    for n in 0..4 {
        // Wherever the client stands, these are a billion bytes away or more.
        let seq = exact.seq.wrapping_add(0x4800_0000 + n * 0x1357_9bdf);
        let ack = 0x9abc_def0_u32.wrapping_mul(n + 3);
        stranger.send(&Forgery { seq, ack, window: 8192, ttl: 244, ip_id: 0, ..exact.clone() })?;
    }
    let mut resets = vec![guess(Side::Server, Stage::PostData, Effect::Ignored)];
    resets.extend(vec![guess(Side::Server, Stage::Closed, Effect::Ignored); 3]);
    lives_on(scene, pair, resets)
}

fn blind_one_short(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let stranger = Stranger::arrive(scene)?;
    let exact = exact(&pair, Side::Server, RST)?;
    let seq = exact.seq.wrapping_sub(1);
    stranger.send(&Forgery { seq, ack: 0, window: 16_384, ttl: 90, ip_id: 20_202, ..exact })?;
    lives_on(scene, pair, vec![guess(Side::Server, Stage::PostData, Effect::Ignored)])
}

/// A segment that the stranger writes between the two addresses.
fn written(src: SocketAddr, dst: SocketAddr, flags: u8) -> Forgery {
    let nobody = [0; 6];
    Forgery {
        macs: (nobody, nobody),
        src,
        dst,
        seq: 0x1a2b_3c4d,
        ack: if flags & ACK == 0 { 0 } else { 0x5e6f_7081 },
        flags,
        window: 1024,
        ttl: 120,
        ip_id: 7007,
        dont_fragment: false,
        tos: 0,
        flow_label: 0,
        options: vec![2, 4, 5, 180],
        payload: Vec::new(),
    }
}

fn unasked_syn_ack(scene: &Scene<'_>) -> Result<GroundTruth> {
    let stranger = Stranger::arrive(scene)?;
    let client = scene.at(Place::Client, RAW_CLIENT_PORT);
    stranger.send(&written(scene.server, client, SYN | ACK))?;
    // An answer to traffic that the server never sent, and to a segment of no connection.
    let reset = Reset::by(Sender::Client, Stage::PostSynack, BACKSCATTER);
    let resets = vec![reset.or_as_truly(&["stray_segment"])];
    let connection = Connection::between(client, scene.server);
    let truth = only(connection, resets, "the server's host saw the reset");
    scene.await_resets(&truth)?;
    Ok(truth)
}

fn backscatter_of_a_scan(scene: &Scene<'_>) -> Result<GroundTruth> {
    let stranger = Stranger::arrive(scene)?;
    let client = scene.at(Place::Client, RAW_CLIENT_PORT);
    let mut connections = Vec::new();
    for port in scene.server.port()..scene.server.port() + 4 {
        let server = scene.at(Place::Server, port);
        stranger.send(&written(client, server, SYN))?;
        let reset = Reset::by(Sender::Server, Stage::NoFlow, BACKSCATTER);
        let resets = vec![reset.or_as_truly(&["closed_port"])];
        connections.push(Connection { resets, ..Connection::between(client, server) });
    }
    let truth = GroundTruth { connections, done: "the client's host saw all four" };
    scene.await_resets(&truth)?;
    Ok(truth)
}
