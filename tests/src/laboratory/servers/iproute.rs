//! The administrator's `ss -K`.

use anyhow::{Result, ensure};
use nix::errno::Errno;
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::scenarios::{Listed, Scene};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};
use rst_tracer::exit::{Code, Failure};

use super::program::{command, run};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "ss_kill",
        "ss -K for one connection",
        "The server's administrator kills an idle connection by its two addresses (ss -K).",
        kill_one,
    )
    .needs(SS),
    Listed::new(
        "ss_kill_all",
        "ss -K for all connections with a service",
        "The client's administrator kills three connections by the service's port (ss -K).",
        kill_all,
    )
    .needs(SS),
];

const SS: &[&str] = &["ss"];
const KILLED: (&str, &str) = ("traffic_management", "admin_kill");

/// Kills on a host what the filter describes; `ss` shows a line for each that it could kill.
pub(in crate::laboratory) fn kill(host: &Netns, filter: &[&str], count: usize) -> Result<()> {
    let killed = run(host, command("ss").args(["-K", "-H", "-n", "-t"]).args(filter))?;
    let found = killed.lines().count();
    if found == 0 {
        let message = "ss -K killed nothing (CONFIG_INET_DIAG_DESTROY is off)";
        return Err(Failure::new(Code::UNAVAILABLE, message).into());
    }
    ensure!(found == count, "ss -K killed {found} sockets instead of {count}:\n{killed}");
    Ok(())
}

fn kill_one(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    let Connection { client, server, .. } = pair.connection;
    kill(&scene.lab.server, &["src", &server.to_string(), "dst", &client.to_string()], 1)?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, KILLED);
    Ok(pair.truth("the client got ECONNRESET", vec![reset]))
}

fn kill_all(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let pairs = (0..3).map(|_| scene.pair_at(&listener)).collect::<Result<Vec<_>>>()?;
    for pair in &pairs {
        pair.exchange()?;
        pair.settle()?;
    }
    kill(&scene.lab.client, &["dport", "=", &format!(":{}", scene.server.port())], pairs.len())?;
    let mut connections = Vec::new();
    for pair in pairs {
        sockets::await_error(&pair.server, Errno::ECONNRESET)?;
        let resets = vec![Reset::by(Sender::Client, Stage::PostData, KILLED)];
        connections.push(Connection { resets, ..pair.connection.clone() });
    }
    Ok(GroundTruth { connections, done: "on each connection the server got ECONNRESET" })
}
