//! Middleboxes that say in the reset itself why they send it.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::scenarios::{Listed, Pair, Scene};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Side, Stage};

use super::recipes::{
    big_ip_expired, big_ip_full, big_ip_policy, diagnostic_forbidden, diagnostic_full,
};
use super::watcher::{Recipe, Trigger, heard_at_rest, shoot, watched};
use super::{KNOWN_BY, PROVOCATION, forged};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "big_ip_flow_expired",
        "A BIG-IP lets an idle connection go",
        "After three seconds of silence a load balancer (after F5 BIG-IP) resets both sides and \
         writes that the flow expired.",
        big_ip_flow_expired,
    )
    .slow(),
    Listed::new(
        "big_ip_connection_limit",
        "A BIG-IP is full",
        "A load balancer (after F5 BIG-IP) resets a connection just opened and writes that its \
         limit is exceeded.",
        |scene| at_once(scene, big_ip_full, TABLE_FULL),
    ),
    Listed::new(
        "big_ip_policy_action",
        "A BIG-IP enforces a policy",
        "A load balancer (after F5 BIG-IP) resets both sides for what the client asked and writes \
         that it was a policy.",
        big_ip_policy_action,
    ),
    Listed::new(
        "diagnostic_resource_exceeded",
        "A middlebox says that it is full",
        "A middlebox resets a connection just opened, with the IETF draft's diagnostic payload: \
         resource exceeded.",
        |scene| at_once(scene, diagnostic_full, TABLE_FULL),
    ),
    Listed::new(
        "diagnostic_not_authorized",
        "A middlebox says that it is not allowed",
        "A middlebox resets a connection just opened, with the IETF draft's diagnostic payload: \
         not authorized.",
        |scene| at_once(scene, diagnostic_forbidden, FORBIDDEN),
    ),
];

const TABLE_FULL: (&str, &str) = ("resource_limitation", "middlebox_table_full");
const FORBIDDEN: (&str, &str) = ("policy_enforcement", "network_firewall_reject");

fn to_both(stage: Stage, cause: (&'static str, &'static str)) -> Vec<Reset> {
    [Side::Server, Side::Client].map(|side| forged(side, stage, cause)).into()
}

fn big_ip_flow_expired(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    thread::sleep(Duration::from_secs(3));
    let heard = heard_at_rest(scene.lab, &pair.connection)?;
    shoot(scene.lab, &pair.connection, &big_ip_expired(&heard))?;
    both_reset(&pair)?;
    let cause = ("traffic_management", "idle_timeout_middlebox");
    Ok(pair.truth("both got ECONNRESET", to_both(Stage::PostData, cause)))
}

fn both_reset(pair: &Pair<'_>) -> Result<()> {
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)
}

fn at_once(
    scene: &Scene<'_>,
    recipe: Recipe,
    cause: (&'static str, &'static str),
) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let bound = scene.bound()?;
    let connection = Connection::between(bound.1, scene.server);
    watched(scene, &connection, Trigger::Handshake, recipe, || {
        let (client, connection) = scene.dial_from(bound)?;
        let server = scene.lab.server.run(|| sockets::accept(&listener))?;
        both_reset(&Pair { lab: scene.lab, connection, client, server })
    })?;
    let connection = Connection { resets: to_both(Stage::PostAck, cause), ..connection };
    Ok(GroundTruth { connections: vec![connection], done: "both got ECONNRESET" })
}

fn big_ip_policy_action(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    let trigger = Trigger::Request(KNOWN_BY);
    watched(scene, &pair.connection, trigger, big_ip_policy, || {
        scene.lab.client.run(|| sockets::say(&pair.client, PROVOCATION))
    })?;
    both_reset(&pair)?;
    // The policy was about what the client asked.
    let resets = to_both(Stage::PostData, FORBIDDEN);
    let resets = resets.into_iter().map(|reset| reset.or_as_truly(&["dpi_block"])).collect();
    Ok(pair.truth("both got ECONNRESET", resets))
}
