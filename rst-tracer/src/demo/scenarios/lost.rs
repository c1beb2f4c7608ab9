//! One side has gone, or seems to have: what the other side sends then ends in a reset.

use anyhow::Result;
use nix::errno::Errno;

use super::Listed;
use super::pair::settle;
use super::scene::{REQUEST, Scene};
use crate::demo::nft::{Only, Port};
use crate::demo::sockets;
use crate::demo::truth::{Effect, GroundTruth, Reset, Sender, Stage};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "data_after_close",
        "Data after the close",
        "The server closes the connection in order; the client writes all the same.",
        data_after_close,
    ),
    Listed::new(
        "half_open_reboot",
        "Half-open after a reboot",
        "The server loses the connection without a word, as in a power cut; the client writes.",
        half_open_reboot,
    )
    .slow(),
    Listed::new(
        "keepalive_timeout",
        "Keepalive unanswered",
        "The network between the two goes silent; the client's keepalive gives up.",
        keepalive_timeout,
    )
    .slow(),
];

fn data_after_close(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let cause = ("application_error", "data_after_close");
    let reset = Reset::by(Sender::Server, Stage::PostFin, cause);
    let truth = pair.truth("the client's socket got EPIPE", vec![reset]);
    pair.settle()?;
    scene.lab.server.run(|| sockets::close(pair.server))?;
    sockets::await_end(&pair.client)?;
    // The FIN must have been acknowledged, or the answer would come from another of the
    // server's states (FIN_WAIT1).
    settle(scene.lab, &pair.connection)?;
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_error(&pair.client, Errno::EPIPE)?;
    Ok(truth)
}

fn half_open_reboot(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let cause = ("application_error", "half_open_stale_state");
    let reset = Reset::by(Sender::Server, Stage::PostData, cause);
    let truth = pair.truth("the client got ECONNRESET", vec![reset]);
    // A late acknowledgment would meet the rebooted server before the request does.
    pair.settle()?;
    scene.lab.server.run(|| sockets::vanish(pair.server))?;
    // No host is back at once.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    Ok(truth)
}

fn keepalive_timeout(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let cause = ("protocol_state", "keepalive_timeout");
    let reset = Reset::by(Sender::Client, Stage::PostData, cause).with_effect(Effect::Lost);
    let truth = pair.truth("the client's socket got ETIMEDOUT", vec![reset]);
    pair.settle()?;
    let port = scene.server.port();
    let silence = scene.lose(&[(Port::To(port), Only::Any), (Port::From(port), Only::Any)])?;
    sockets::keep_alive(&pair.client, 1, 2)?;
    sockets::await_error(&pair.client, Errno::ETIMEDOUT)?;
    // The reset must meet the rule, so the rule stays until the router has seen it.
    scene.await_resets(&truth)?;
    drop(silence);
    // The server knows nothing of all this; its FIN would be answered by another reset.
    sockets::vanish(pair.server)?;
    Ok(truth)
}
