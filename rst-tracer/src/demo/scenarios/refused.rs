//! Resets in answer to the first SYN: nobody listens, or a firewall says so.

use anyhow::{Result, bail};
use nix::errno::Errno;

use super::Listed;
use super::scene::Scene;
use crate::demo::nft::Hook;
use crate::demo::sockets;
use crate::demo::truth::{Connection, GroundTruth, Maker, Reset, Sender, Side, Stage};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "closed_port",
        "Closed port",
        "The client connects to a port on which nothing listens.",
        closed_port,
    ),
    Listed::new(
        "nft_reject_server_syn",
        "Refused by the server's firewall",
        "A service listens, but the server's own firewall rejects the connection.",
        nft_reject_server_syn,
    ),
    Listed::new(
        "nft_reject_router_syn",
        "Refused by a firewall on the way",
        "A service listens, but the router's firewall rejects the connection in its name.",
        nft_reject_router_syn,
    ),
];

fn closed_port(scene: &Scene<'_>) -> Result<GroundTruth> {
    let cause = ("connection_refused", "closed_port");
    refused(scene, Reset::by(Sender::Server, Stage::PostSyn, cause))
}

fn nft_reject_server_syn(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(1)?;
    let _rule = scene.reject(&scene.lab.server, Hook::Input)?;
    let cause = ("policy_enforcement", "host_firewall_reject");
    refused(scene, Reset::by(Sender::Server, Stage::PostSyn, cause).made_by(Maker::Netfilter))
}

fn nft_reject_router_syn(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(1)?;
    let _rule = scene.reject(&scene.lab.router, Hook::Forward)?;
    let cause = ("policy_enforcement", "network_firewall_reject");
    let sender = Sender::RouterOnBehalfOf(Side::Server);
    refused(scene, Reset::by(sender, Stage::PostSyn, cause).made_by(Maker::Netfilter))
}

/// Connects and expects to be told no.
fn refused(scene: &Scene<'_>, reset: Reset) -> Result<GroundTruth> {
    let (socket, client) = scene.bound()?;
    match scene.lab.client.run(|| Ok(sockets::connect(&socket, scene.server)))? {
        Err(Errno::ECONNREFUSED) => {}
        other => bail!("connect was to fail with ECONNREFUSED, got {other:?}"),
    }
    let connection =
        Connection { resets: vec![reset], ..Connection::between(client, scene.server) };
    Ok(GroundTruth { connections: vec![connection], done: "connect returned ECONNREFUSED" })
}
