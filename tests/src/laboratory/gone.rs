//! One side is gone, and the other finds out: state lost, patience lost, a listener lost.

use std::time::Duration;

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{ANSWER, Listed, REQUEST, Scene};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Effect, GroundTruth, Reset, Sender, Stage};

use super::options;

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "half_open_keepalive",
        "Half-open, found by keepalive",
        "The server loses the connection without a word; the client's keepalive probe is the \
         first to reach it.",
        half_open_keepalive,
    )
    .slow(),
    Listed::new(
        "half_open_fin",
        "Half-open, found by a FIN",
        "The server loses the connection without a word; the client closes its end.",
        half_open_fin,
    )
    .slow(),
    Listed::new(
        "half_open_client_lost",
        "The client lost its state",
        "The client loses the connection without a word, as a phone that reboots; the server \
         sends.",
        half_open_client_lost,
    )
    .slow(),
    Listed::new(
        "half_open_idle_server_lost",
        "Half-open after a silence",
        "After three seconds of silence, in which the server lost the connection without a word, \
         the client sends.",
        half_open_idle_server_lost,
    )
    .slow(),
    Listed::new(
        "keepalive_server",
        "The server's keepalive is not answered",
        "The client's answers are lost on the way; the server's keepalive gives up and resets a \
         client that hears it.",
        keepalive_server,
    )
    .slow(),
    Listed::new(
        "keepalive_user_timeout",
        "Keepalive cut short by a user timeout",
        "The network goes silent; the client's keepalive gives up after its TCP_USER_TIMEOUT.",
        keepalive_user_timeout,
    )
    .slow(),
    Listed::new(
        "late_segment_after_user_timeout",
        "Late segment after a user timeout",
        "The network goes silent and the client's TCP_USER_TIMEOUT ends its connection without a \
         word; then the network is back and the server sends.",
        late_segment_after_user_timeout,
    )
    .slow(),
    Listed::new(
        "late_segment_after_orphan_timeout",
        "Late segment after an unheard farewell",
        "The server closes, but its FIN is lost until it gives up; then the network is back and \
         the client sends.",
        late_segment_after_orphan_timeout,
    )
    .slow(),
];

/// A host that has lost its connections needs at least so long to answer again.
const RESTART: Duration = Duration::from_millis(1500);

const LOST: (&str, &str) = ("application_error", "half_open_stale_state");
const LATE: (&str, &str) = ("protocol_state", "late_segment_after_timeout");
const KEEPALIVE: (&str, &str) = ("protocol_state", "keepalive_timeout");

fn half_open_keepalive(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let reset = Reset::by(Sender::Server, Stage::PostData, LOST);
    let truth = pair.truth("the client got ECONNRESET", vec![reset]);
    pair.settle()?;
    scene.lab.server.run(|| sockets::vanish(pair.server))?;
    sockets::keep_alive(&pair.client, 1, 3)?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    Ok(truth)
}

fn half_open_fin(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let reset = Reset::by(Sender::Server, Stage::PostFin, LOST);
    let truth = pair.truth("the client's orphan was reset", vec![reset]);
    pair.settle()?;
    scene.lab.server.run(|| sockets::vanish(pair.server))?;
    std::thread::sleep(RESTART);
    scene.lab.client.run(|| sockets::close(pair.client))?;
    Ok(truth)
}

fn half_open_client_lost(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let reset = Reset::by(Sender::Client, Stage::PostData, LOST);
    let truth = pair.truth("the server got ECONNRESET", vec![reset]);
    pair.settle()?;
    scene.lab.client.run(|| sockets::vanish(pair.client))?;
    std::thread::sleep(RESTART);
    scene.lab.server.run(|| sockets::say(&pair.server, ANSWER))?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    Ok(truth)
}

fn half_open_idle_server_lost(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let reset = Reset::by(Sender::Server, Stage::PostData, LOST);
    let truth = pair.truth("the client got ECONNRESET", vec![reset]);
    pair.settle()?;
    scene.lab.server.run(|| sockets::vanish(pair.server))?;
    // The silence is the point.
    std::thread::sleep(Duration::from_secs(3));
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    Ok(truth)
}

fn keepalive_server(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    let _unheard = scene.lose(&[(Port::To(scene.server.port()), Only::Any)])?;
    sockets::keep_alive(&pair.server, 1, 3)?;
    sockets::await_error(&pair.server, Errno::ETIMEDOUT)?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, KEEPALIVE);
    Ok(pair.truth("the server got ETIMEDOUT, the client ECONNRESET", vec![reset]))
}

fn keepalive_user_timeout(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    let silence = scene.silence()?;
    options::give_up_after(&pair.client, Duration::from_millis(2500))?;
    sockets::keep_alive(&pair.client, 1, 9)?;
    sockets::await_error(&pair.client, Errno::ETIMEDOUT)?;
    let reset = Reset::by(Sender::Client, Stage::PostData, KEEPALIVE);
    let truth = pair.truth("the client got ETIMEDOUT", vec![reset.with_effect(Effect::Lost)]);
    // The reset must meet the rule, so the rule stays until the router has seen it.
    scene.await_resets(&truth)?;
    drop(silence);
    // The server knows nothing of all this; its FIN would be answered by another reset.
    sockets::vanish(pair.server)?;
    Ok(truth)
}

fn late_segment_after_user_timeout(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    options::give_up_after(&pair.client, Duration::from_millis(1500))?;
    let silence = scene.silence()?;
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_error(&pair.client, Errno::ETIMEDOUT)?;
    drop(silence);
    pair.speak_to_the_dead()?;
    let reset = Reset::by(Sender::Client, Stage::PostData, LATE);
    Ok(pair.truth("the client got ETIMEDOUT, later the server ECONNRESET", vec![reset]))
}

fn late_segment_after_orphan_timeout(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    // The FIN of the server does not reach the client, whose view of the stage is the truth's.
    let reset = Reset::by(Sender::Server, Stage::PostData, LATE);
    let truth = pair.truth("the client got ECONNRESET", vec![reset]);
    let silence = scene.silence()?;
    // The laboratory allows an orphan one retransmission; the kernel makes two of them at most.
    scene.lab.server.run(|| sockets::close(pair.server))?;
    std::thread::sleep(Duration::from_secs(4));
    drop(silence);
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    Ok(truth)
}
