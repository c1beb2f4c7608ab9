//! A firewall rule comes into force while a connection lives: reset by a third party, mid-stream.

use anyhow::Result;
use nix::errno::Errno;

use super::Listed;
use super::pair::answer_of_the_dead;
use super::scene::{REQUEST, Scene};
use crate::demo::netns::Netns;
use crate::demo::nft::Hook;
use crate::demo::sockets;
use crate::demo::truth::{GroundTruth, Maker, Reset, Sender, Side, Stage};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "nft_reject_server_midstream",
        "Cut off by the server's firewall",
        "The server's firewall begins to reject a connection in use; \
         later the server, which was not told, sends again.",
        nft_reject_server_midstream,
    ),
    Listed::new(
        "nft_reject_router_midstream",
        "Cut off by a firewall on the way",
        "The router's firewall begins to reject a connection in use; \
         later the server, which was not told, sends again.",
        nft_reject_router_midstream,
    ),
];

fn nft_reject_server_midstream(scene: &Scene<'_>) -> Result<GroundTruth> {
    let cause = ("policy_enforcement", "host_firewall_reject");
    let reset = Reset::by(Sender::Server, Stage::PostData, cause);
    rejected(scene, &scene.lab.server, Hook::Input, reset)
}

fn nft_reject_router_midstream(scene: &Scene<'_>) -> Result<GroundTruth> {
    let cause = ("policy_enforcement", "network_firewall_reject");
    let reset = Reset::by(Sender::RouterOnBehalfOf(Side::Server), Stage::PostData, cause);
    rejected(scene, &scene.lab.router, Hook::Forward, reset)
}

fn rejected(scene: &Scene<'_>, at: &Netns, hook: Hook, reset: Reset) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    // Nothing may be under way, or the rule would answer an ACK before the request.
    pair.settle()?;
    let rule = scene.reject(at, hook)?;
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    drop(rule);
    pair.speak_to_the_dead()?;
    let resets = vec![reset.made_by(Maker::Netfilter).refuted(), answer_of_the_dead()];
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}
