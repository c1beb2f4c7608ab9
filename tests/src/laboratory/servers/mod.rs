//! Scenarios with real servers and real tools.
//!
//! In: programs of the machine, if they are installed. Out: scenarios in which they are the
//! client, the server or the router's firewall; each truth is what was done to or by a program
//! that nobody wrote for this laboratory.

mod balancer;
mod curl;
pub(super) mod haproxy;
pub(super) mod iproute;
mod iptables;
pub(super) mod mptcp;
pub(super) mod nginx;
mod nmap;
pub(super) mod openssl;
pub(super) mod program;
mod python;
pub(super) mod sshd;

use anyhow::{Context, Result};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, Scene};
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset};
use rst_tracer::demo::wait;

/// Those scenarios, by family of files.
pub const LISTED: &[&[Listed]] = &[
    nginx::LISTED,
    haproxy::LISTED,
    balancer::LISTED,
    sshd::LISTED,
    nmap::LISTED,
    iptables::LISTED,
    iproute::LISTED,
    curl::LISTED,
    openssl::LISTED,
    python::LISTED,
    mptcp::LISTED,
];

const UNREAD: (&str, &str) = ("application_error", "closed_with_unread_data");
pub(super) const DIED: (&str, &str) = ("application_error", "process_crash_or_kill");

/// The truth of a scenario with one connection and one reset.
pub(super) fn truth(connection: Connection, reset: Reset, done: &'static str) -> GroundTruth {
    GroundTruth { connections: vec![Connection { resets: vec![reset], ..connection }], done }
}

/// The connection of a program that chose its own port.
pub(super) fn the_caller(scene: &Scene<'_>) -> Result<Connection> {
    let witness = scene.lab.sniffer(Place::Client);
    wait::until("a program to call the server", || Ok(!witness.callers(scene.server).is_empty()))?;
    let caller = witness.callers(scene.server).first().copied().context("nobody called")?;
    Ok(Connection::between(caller, scene.server))
}

/// The head of an upload that promises much, and the first `length` bytes of it.
fn upload(length: usize) -> Vec<u8> {
    let mut upload = b"POST /upload HTTP/1.1\r\nHost: server.lab\r\n".to_vec();
    upload.extend(b"Content-Length: 100000\r\n\r\n");
    upload.extend(vec![b'u'; length]);
    upload
}
