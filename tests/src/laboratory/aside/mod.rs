//! The scenarios that are kept aside: the engine's exam.
//!
//! In: nothing. Out: scenarios of every class of the taxonomy, by somebody who did not know the
//! engine's rules and wrote them after the rules. They differ from all others in what is done,
//! when, how often and by whom. Of their results only sums are looked at.

mod balancers;
mod endings;
mod filters;
mod lost;
mod programs;
mod refused;
mod talk;

use std::net::SocketAddr;

use anyhow::{Result, bail};
use nix::errno::Errno;
use rst_tracer::demo::scenarios::{Listed, Scene};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset};

/// Those scenarios, by family of files.
pub(super) const LISTED: &[&[Listed]] = &[
    refused::LISTED,
    filters::LISTED,
    programs::LISTED,
    endings::LISTED,
    talk::LISTED,
    lost::LISTED,
    balancers::LISTED,
];

/// A class and a cause of the taxonomy.
type Cause = (&'static str, &'static str);

/// What follows when a side believes a reset that its peer did not send.
const AFTER_RESET: Cause = ("protocol_state", "segment_after_reset");

/// The client calls `server` and is refused.
fn refused_at(scene: &Scene<'_>, server: SocketAddr, reset: Reset) -> Result<Connection> {
    let (socket, client) = scene.bound()?;
    match scene.lab.client.run(|| Ok(sockets::connect(&socket, server)))? {
        Err(Errno::ECONNREFUSED) => {}
        other => bail!("connect was to fail with ECONNREFUSED, got {other:?}"),
    }
    Ok(Connection { resets: vec![reset], ..Connection::between(client, server) })
}

/// The truth of a scenario with one connection.
fn only(connection: Connection, resets: Vec<Reset>, done: &'static str) -> GroundTruth {
    GroundTruth { connections: vec![Connection { resets, ..connection }], done }
}
