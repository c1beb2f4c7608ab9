//! Somebody on no path between the two writes in the name of one: guessed resets, and what comes
//! back for traffic that a side never sent.

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST, SYN};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, Pair, RAW_CLIENT_PORT, Scene, answer_of_the_dead};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, Effect, GroundTruth, Maker, Reset, Sender, Side, Stage};

use super::stranger::Stranger;

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "blind_sweep",
        "Blind resets, one inside the window",
        "A stranger guesses nine sequence numbers in the server's name; the last is inside the \
         window, and the client asks back. The connection lives on.",
        blind_sweep,
    ),
    Listed::new(
        "blind_sweep_to_server",
        "Blind resets to the server",
        "A stranger guesses six sequence numbers in the client's name, none inside the window. \
         The connection lives on.",
        blind_sweep_to_server,
    ),
    Listed::new(
        "blind_lucky",
        "A blind reset that hits",
        "A stranger guesses three sequence numbers in the server's name in vain, and later one \
         that is exact; then the server sends again.",
        blind_lucky,
    ),
    Listed::new(
        "backscatter_closed_port",
        "Backscatter of a closed port",
        "A stranger writes a SYN in the client's name to a closed port; the client gets a reset \
         for a connection it never opened.",
        backscatter_closed_port,
    ),
    Listed::new(
        "backscatter_listener",
        "Backscatter of a listener",
        "A stranger writes an ACK in the client's name to a listening port; the client gets a \
         reset for a connection it never opened.",
        backscatter_listener,
    ),
    Listed::new(
        "spoofed_syn",
        "A SYN in somebody else's name",
        "A stranger writes a SYN in the client's name to an open port; the client resets the \
         server's SYN-ACK, for which it never asked.",
        spoofed_syn,
    ),
];

/// Far more than any window (2^30 at most, RFC 7323): each guess is this much further on.
const STEP: u32 = 0x0700_0000;

const BLIND: (&str, &str) = ("security_measure", "blind_reset_attempt");
const BACKSCATTER: (&str, &str) = ("security_measure", "backscatter");

fn guess(side: Side, effect: Effect) -> Reset {
    Reset::by(Sender::StrangerOnBehalfOf(side), Stage::PostData, BLIND)
        .made_by(Maker::Injector)
        .with_effect(effect)
        .refuted()
}

/// Bare resets in the name of `side`, of which those at `beyond` = 0 are exact.
fn guesses(pair: &Pair<'_>, side: Side, beyond: &[u32]) -> Result<Vec<Forgery>> {
    let place = match side {
        Side::Server => Place::RouterClientSide,
        Side::Client => Place::RouterServerSide,
    };
    let seen = pair.last_of(side, place)?;
    let exact = Forgery { ack: 0, ttl: 64, ip_id: 4711, ..Forgery::after(&seen, RST) };
    let at = |&n: &u32| Forgery { seq: exact.seq.wrapping_add(n), ..exact.clone() };
    Ok(beyond.iter().map(at).collect())
}

fn outside(count: u32) -> Vec<u32> {
    (0..count).map(|n| 0x2000_0000 + n * STEP).collect()
}

fn blind_sweep(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let stranger = Stranger::arrive(scene)?;
    let mut beyond = outside(8);
    beyond.push(1000);
    for segment in guesses(&pair, Side::Server, &beyond)? {
        stranger.send(&segment)?;
    }
    scene.lab.sniffer(Place::Client).wait_for("a challenge ACK", &pair.connection, |seen| {
        let mut since = seen.iter().map(|one| &one.segment).skip_while(|one| !one.has(RST));
        since.any(|one| one.src == pair.connection.client && one.flags == ACK).then_some(())
    })?;
    let mut resets = vec![guess(Side::Server, Effect::Ignored); 8];
    resets.push(guess(Side::Server, Effect::Challenged));
    lives_on(scene, pair, later_ones_closed(resets))
}

/// After any reset, effective or not, the wire shows a closed connection.
fn later_ones_closed(mut resets: Vec<Reset>) -> Vec<Reset> {
    resets.iter_mut().skip(1).for_each(|reset| reset.stage = Stage::Closed);
    resets
}

fn lives_on(scene: &Scene<'_>, pair: Pair<'_>, resets: Vec<Reset>) -> Result<GroundTruth> {
    let truth = pair.truth("the connection was used once more and closed with FINs", resets);
    scene.await_resets(&truth)?;
    pair.exchange()?;
    pair.part()?;
    Ok(truth)
}

fn blind_sweep_to_server(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let stranger = Stranger::arrive(scene)?;
    for segment in guesses(&pair, Side::Client, &outside(6))? {
        stranger.send(&segment)?;
    }
    lives_on(scene, pair, later_ones_closed(vec![guess(Side::Client, Effect::Ignored); 6]))
}

fn blind_lucky(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let stranger = Stranger::arrive(scene)?;
    for segment in guesses(&pair, Side::Server, &outside(3))? {
        stranger.send(&segment)?;
    }
    let misses = vec![guess(Side::Server, Effect::Ignored); 3];
    scene.await_resets(&pair.truth("", misses.clone()))?;
    pair.exchange()?;
    for segment in guesses(&pair, Side::Server, &[0])? {
        stranger.send(&segment)?;
    }
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    pair.speak_to_the_dead()?;
    let mut resets = misses;
    // The one that hit was a guess like the others; to the client it is an injected reset.
    let hit = guess(Side::Server, Effect::Accepted).or_as_truly(&["injected_reset"]);
    resets.extend([hit, answer_of_the_dead()]);
    let resets = later_ones_closed(resets);
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}

/// A segment in the client's name that the stranger writes.
fn in_clients_name(scene: &Scene<'_>, flags: u8) -> Forgery {
    let nobody = [0; 6];
    Forgery {
        macs: (nobody, nobody),
        src: scene.at(Place::Client, RAW_CLIENT_PORT),
        dst: scene.server,
        seq: 0x0b0b_0b0b,
        ack: if flags & ACK == 0 { 0 } else { 0x0c0c_0c0c },
        flags,
        window: 64_240,
        ttl: 64,
        ip_id: 4711,
        dont_fragment: true,
        tos: 0,
        flow_label: 0,
        options: Vec::new(),
        payload: Vec::new(),
    }
}

fn scattered(scene: &Scene<'_>, flags: u8, reset: Reset) -> Result<GroundTruth> {
    let stranger = Stranger::arrive(scene)?;
    let segment = in_clients_name(scene, flags);
    stranger.send(&segment)?;
    let connection = Connection::between(segment.src, segment.dst);
    let connections = vec![Connection { resets: vec![reset], ..connection }];
    let truth = GroundTruth { connections, done: "the reset reached the other side" };
    scene.await_resets(&truth)?;
    Ok(truth)
}

fn backscatter_closed_port(scene: &Scene<'_>) -> Result<GroundTruth> {
    // The server answers a SYN at a closed port; the client never sent one.
    let reset = Reset::by(Sender::Server, Stage::NoFlow, BACKSCATTER);
    scattered(scene, SYN, reset.or_as_truly(&["closed_port"]))
}

fn backscatter_listener(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(1)?;
    // The server answers a stray ACK at its listener; the client never sent one.
    let reset = Reset::by(Sender::Server, Stage::NoFlow, BACKSCATTER);
    scattered(scene, ACK, reset.or_as_truly(&["stray_segment"]))
}

fn spoofed_syn(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(1)?;
    scattered(scene, SYN, Reset::by(Sender::Client, Stage::PostSynack, BACKSCATTER))
}
