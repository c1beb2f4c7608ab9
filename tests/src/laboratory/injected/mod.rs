//! Resets that a box on the way forges, by what gives them away, and by nothing.
//!
//! All injectors here are test tools of our own ([`watcher`]), built after published descriptions
//! ([`recipes`]); they write into the laboratory's links only.

mod blocks;
pub(super) mod recipes;
mod spoofed;
mod statements;
pub(super) mod stranger;
pub(super) mod watcher;

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{ANSWER, Listed, Pair, Scene, answer_of_the_dead};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, Effect, GroundTruth, Maker, Reset, Sender, Side, Stage};

use recipes::*;
use watcher::{Recipe, Trigger, watched};

/// Our scenarios, by file.
pub(super) const LISTED: &[&[Listed]] =
    &[FORGED, blocks::LISTED, statements::LISTED, spoofed::LISTED];

const FORGED: &[Listed] = &[
    Listed::new(
        "suricata_reject_src",
        "Suricata rejects to the source",
        "An IPS on the way (after Suricata) resets the client for what it asked; later the server \
         answers.",
        |scene| believed(scene, suricata_src, IPS, 1),
    ),
    Listed::new(
        "suricata_reject_dst",
        "Suricata rejects to the destination",
        "An IPS on the way (after Suricata) resets the server with a number that is out of date; \
         the connection lives on.",
        suricata_reject_dst,
    ),
    Listed::new(
        "suricata_reject_both",
        "Suricata rejects to both",
        "An IPS on the way (after Suricata) resets both; only the client believes it, and the \
         server answers.",
        suricata_reject_both,
    ),
    Listed::new(
        "snort_reset_src",
        "Snort resets the source",
        "An IPS on the way (after Snort 3) resets the client for what it asked; later the server \
         answers.",
        |scene| believed(scene, snort_src, IPS, 1),
    ),
    Listed::new(
        "snort_reset_both",
        "Snort resets both, with strafing",
        "An IPS on the way (after Snort 3) resets both sides, three times each.",
        |scene| both_believe(scene, snort_both, IPS, 3),
    ),
    Listed::new(
        "tcpkill",
        "tcpkill",
        "A tool on the way (after dsniff's tcpkill) writes three bare resets in the server's \
         name; later the server answers.",
        |scene| believed(scene, tcpkill, INJECTED, 3),
    ),
    Listed::new(
        "gfw_both_kinds",
        "Two kinds of resets at once",
        "A censor on the way (after the Great Firewall) writes one bare reset and three others, \
         to both sides.",
        |scene| both_believe(scene, gfw_both_kinds, INJECTED, 4),
    ),
    Listed::new(
        "gfw_syn_triple",
        "Three resets for a SYN",
        "A censor on the way (after the Great Firewall of 2023) answers the SYN with three \
         resets; the server's SYN-ACK comes later.",
        gfw_syn_triple_then_syn_ack,
    )
    .slow(),
    Listed::new(
        "henan_payload",
        "A reset that carries ten bytes",
        "A censor on the way (after the firewall of Henan) resets the client with 01 to 09 and 00 \
         as payload; later the server answers.",
        |scene| believed(scene, henan, INJECTED, 1),
    ),
    Listed::new(
        "sandvine_pair",
        "Two resets, far apart",
        "A traffic shaper on the way (after Sandvine) resets both sides, twice each.",
        |scene| both_believe(scene, sandvine, INJECTED, 2),
    ),
    Listed::new(
        "scapy_reset",
        "A reset written with scapy",
        "Somebody on the way writes a bare reset with scapy's defaults; later the server answers.",
        |scene| believed(scene, scapy, INJECTED, 1),
    ),
    Listed::new(
        "stale_injected_reset",
        "An injector that is too slow",
        "A box on the way resets the client for what it asked, but the server's answer was \
         faster; the connection lives on.",
        stale_injected_reset,
    ),
    Listed::new(
        "wild_timestamp",
        "A reset with an impossible timestamp",
        "A careful injector makes up the timestamp; later the server answers.",
        |scene| believed(scene, recipes::wild_timestamp, INJECTED, 1),
    ),
    Listed::new(
        "careful_injector",
        "A careful injector",
        "A box on the way resets the client, copying all that can be copied; later the server \
         answers.",
        |scene| believed(scene, careful, INJECTED, 1),
    ),
    Listed::new(
        "careful_injector_both",
        "A careful injector that silences both",
        "A box on the way resets both sides, copying all that can be copied.",
        |scene| both_believe(scene, careful_both, INJECTED, 1),
    ),
    Listed::new(
        "careful_injector_blackhole",
        "A careful injector that lets nothing through",
        "A box on the way resets the client, copying all that can be copied, and from then on \
         loses what the server sends.",
        careful_injector_blackhole,
    ),
];

const IPS: (&str, &str) = ("security_measure", "ips_active_response");
const INJECTED: (&str, &str) = ("security_measure", "injected_reset");

/// What the client says to provoke a box, and how the box knows it.
const PROVOCATION: &[u8] = b"GET /provocation HTTP/1.1\r\nHost: server.lab\r\n\r\n";
const KNOWN_BY: &[u8] = b"/provocation";

/// A reset that a box forges in the name of `side`, and that is believed.
pub(super) fn forged(side: Side, stage: Stage, cause: (&'static str, &'static str)) -> Reset {
    Reset::by(Sender::RouterOnBehalfOf(side), stage, cause).made_by(Maker::Injector)
}

/// `count` of them; all but the first find that nothing is left to end.
pub(super) fn volley(
    side: Side,
    stage: Stage,
    cause: (&'static str, &'static str),
    count: usize,
) -> Vec<Reset> {
    let stages = std::iter::once(stage).chain(std::iter::repeat(Stage::Closed));
    stages.take(count).map(|stage| forged(side, stage, cause)).collect()
}

/// The client provokes, is reset and believes it; then the server, which knows nothing, answers.
fn believed(
    scene: &Scene<'_>,
    recipe: Recipe,
    cause: (&'static str, &'static str),
    count: usize,
) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    provoke(scene, &pair, Trigger::Request(KNOWN_BY), recipe)?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    pair.speak_to_the_dead()?;
    let resets = volley(Side::Server, Stage::PostData, cause, count);
    let mut resets: Vec<Reset> = resets.into_iter().map(Reset::refuted).collect();
    resets.push(answer_of_the_dead());
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}

/// The client provokes, both sides are reset and believe it: nobody is left to contradict.
fn both_believe(
    scene: &Scene<'_>,
    recipe: Recipe,
    cause: (&'static str, &'static str),
    count: usize,
) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    provoke(scene, &pair, Trigger::Request(KNOWN_BY), recipe)?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    let mut resets = volley(Side::Server, Stage::PostData, cause, count);
    resets.extend(volley(Side::Client, Stage::PostData, cause, count));
    Ok(pair.truth("both got ECONNRESET", resets))
}

fn provoke(scene: &Scene<'_>, pair: &Pair<'_>, trigger: Trigger, recipe: Recipe) -> Result<()> {
    watched(scene, &pair.connection, trigger, recipe, || {
        scene.lab.client.run(|| sockets::say(&pair.client, PROVOCATION))
    })
}

fn suricata_reject_dst(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    provoke(scene, &pair, Trigger::Request(KNOWN_BY), suricata_dst)?;
    let reset = forged(Side::Client, Stage::PostData, IPS).with_effect(Effect::Ignored).refuted();
    let truth = pair.truth("the connection was used on and closed with FINs", vec![reset]);
    scene.await_resets(&truth)?;
    sockets::hear(&pair.server, PROVOCATION)?;
    pair.answer()?;
    pair.exchange()?;
    pair.part()?;
    Ok(truth)
}

fn suricata_reject_both(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    provoke(scene, &pair, Trigger::Request(KNOWN_BY), suricata_both)?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    let to_client = forged(Side::Server, Stage::PostData, IPS).refuted();
    // The client, which believed the other one, says nothing any more.
    let to_server = forged(Side::Client, Stage::PostData, IPS).with_effect(Effect::Ignored);
    let truth = pair.truth("", vec![to_client, to_server]);
    scene.await_resets(&truth)?;
    pair.speak_to_the_dead()?;
    let resets = vec![to_client, to_server, answer_of_the_dead()];
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}

fn gfw_syn_triple_then_syn_ack(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(8)?;
    let late = scene.lose(&[(Port::From(scene.server.port()), Only::WithSyn)])?;
    let (socket, client) = scene.bound()?;
    let connection = Connection::between(client, scene.server);
    watched(scene, &connection, Trigger::Syn, gfw_syn_triple, || {
        match scene.lab.client.run(|| Ok(sockets::connect(&socket, scene.server)))? {
            Err(Errno::ECONNREFUSED) => Ok(()),
            other => anyhow::bail!("connect was to fail with ECONNREFUSED, got {other:?}"),
        }
    })?;
    // The server repeats its SYN-ACK after a second, and now it gets through.
    drop(late);
    let resets = volley(Side::Server, Stage::PostSyn, INJECTED, 3);
    let mut resets: Vec<Reset> = resets.into_iter().map(Reset::refuted).collect();
    resets.push(answer_of_the_dead());
    let connections = vec![Connection { resets, ..connection }];
    let done = "connect returned ECONNREFUSED, and the client reset the server's SYN-ACK";
    let truth = GroundTruth { connections, done };
    scene.await_resets(&truth)?;
    Ok(truth)
}

fn stale_injected_reset(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    watched(scene, &pair.connection, Trigger::Answer(KNOWN_BY), stale, || {
        scene.lab.client.run(|| sockets::say(&pair.client, PROVOCATION))?;
        sockets::hear(&pair.server, PROVOCATION)?;
        pair.answer()
    })?;
    let reset = forged(Side::Server, Stage::PostData, INJECTED);
    let reset = reset.with_effect(Effect::Ignored).refuted();
    let truth = pair.truth("the connection was used on and closed with FINs", vec![reset]);
    scene.await_resets(&truth)?;
    pair.exchange()?;
    pair.part()?;
    Ok(truth)
}

fn careful_injector_blackhole(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    provoke(scene, &pair, Trigger::Request(KNOWN_BY), careful)?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    let hole = scene.lose(&[(Port::From(scene.server.port()), Only::Any)])?;
    scene.lab.server.run(|| sockets::say(&pair.server, ANSWER))?;
    let truth = pair.truth(
        "the client got ECONNRESET; the server was heard no more",
        vec![forged(Side::Server, Stage::PostData, INJECTED)],
    );
    scene.await_resets(&truth)?;
    sockets::vanish(pair.server)?;
    drop(hole);
    Ok(truth)
}
