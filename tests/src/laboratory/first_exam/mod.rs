//! The engine's first exam: scenarios that were kept aside until their results were looked at.
//!
//! In: nothing. Out: scenarios of every class of the taxonomy, by somebody who did not know the
//! engine's rules. The exam that counts now is [`sixth_exam`](super::sixth_exam).

mod admin;
mod balancers;
mod boxes;
mod censors;
mod endings;
mod filters;
mod lost;
pub(in crate::laboratory) mod mptcp;
mod programs;
mod raw;
mod refused;
mod room;
mod scans;
mod strangers;
mod talk;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::errno::Errno;
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, answer_of_the_dead};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Side, Stage};

use super::injected::volley;
use super::injected::watcher::{Recipe, heard_at_rest, shoot};

/// Those scenarios, by family of files.
pub(super) const LISTED: &[&[Listed]] = &[
    refused::LISTED,
    filters::LISTED,
    programs::LISTED,
    admin::LISTED,
    endings::LISTED,
    talk::LISTED,
    lost::LISTED,
    balancers::LISTED,
    boxes::LISTED,
    censors::LISTED,
    strangers::LISTED,
    scans::LISTED,
    room::LISTED,
    raw::LISTED,
    mptcp::LISTED,
];

/// A class and a cause of the taxonomy.
type Cause = (&'static str, &'static str);

/// What follows when a side believes a reset that its peer did not send.
const AFTER_RESET: Cause = ("protocol_state", "segment_after_reset");

/// The client calls `server` and is refused.
fn refused_at(scene: &Scene<'_>, server: SocketAddr, reset: Reset) -> Result<Connection> {
    let (socket, client) = scene.bound()?;
    expect_refusal(scene, &socket, server)?;
    Ok(Connection { resets: vec![reset], ..Connection::between(client, server) })
}

fn expect_refusal(scene: &Scene<'_>, socket: &OwnedFd, server: SocketAddr) -> Result<()> {
    match scene.lab.client.run(|| Ok(sockets::connect(socket, server)))? {
        Err(Errno::ECONNREFUSED) => Ok(()),
        other => bail!("connect was to fail with ECONNREFUSED, got {other:?}"),
    }
}

/// After an exchange a box writes what `recipe` says in the client's name, and the server
/// believes it; then the client, which was not told, sends.
fn server_believes(
    scene: &Scene<'_>,
    recipe: Recipe,
    cause: Cause,
    count: usize,
) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    shoot(scene.lab, &pair.connection, &recipe(&heard_at_rest(scene.lab, &pair.connection)?))?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    let forged = volley(Side::Client, Stage::PostData, cause, count);
    let mut resets: Vec<Reset> = forged.into_iter().map(Reset::refuted).collect();
    // The client saw none of those.
    resets.push(Reset::by(Sender::Server, Stage::PostData, AFTER_RESET));
    Ok(pair.truth("first the server, then the client got ECONNRESET", resets))
}

/// After an exchange and a pause a box writes what `recipe` says in the server's name, and the
/// client believes it; then the server, which was not told, sends.
fn client_believes(
    scene: &Scene<'_>,
    pause: Duration,
    recipe: Recipe,
    cause: Cause,
    count: usize,
) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    thread::sleep(pause);
    shoot(scene.lab, &pair.connection, &recipe(&heard_at_rest(scene.lab, &pair.connection)?))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    let forged = volley(Side::Server, Stage::PostData, cause, count);
    let mut resets: Vec<Reset> = forged.into_iter().map(Reset::refuted).collect();
    // All of them must have come before the server speaks.
    scene.await_resets(&pair.truth("", resets.clone()))?;
    pair.speak_to_the_dead()?;
    resets.push(answer_of_the_dead());
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}

/// The truth of a scenario with one connection.
fn only(connection: Connection, resets: Vec<Reset>, done: &'static str) -> GroundTruth {
    GroundTruth { connections: vec![Connection { resets, ..connection }], done }
}
