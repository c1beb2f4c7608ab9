//! nmap scans the server: an open port and some that are closed.

use std::process::Command;

use anyhow::{Result, ensure};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, Scene};
use rst_tracer::demo::truth::{Connection, Family, GroundTruth, Reset, Sender, Stage};

use super::program::{command, run};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "nmap_syn_scan",
        "nmap's half-open scan",
        "nmap sends SYNs of its own to one open and ten closed ports (-sS); for the open one the \
         scanner's TCP, which knows nothing of it, answers.",
        |scene| {
            // Each answer is that of a closed port; that there are many in a row makes it a scan.
            let closed = Reset::by(Sender::Server, Stage::PostSyn, ANSWER);
            let closed = closed.or_as_truly(&["closed_port"]);
            scan(scene, "-sS", closed, Some(Reset::by(Sender::Client, Stage::PostSynack, PROBE)))
        },
    )
    .needs(NMAP),
    Listed::new(
        "nmap_connect_scan",
        "nmap's connect scan",
        "nmap connects with one open and ten closed ports (-sT) and hangs up with SO_LINGER 0.",
        |scene| {
            let closed = Reset::by(Sender::Server, Stage::PostSyn, ANSWER);
            let closed = closed.or_as_truly(&["closed_port"]);
            let open = Reset::by(Sender::Client, Stage::PostAck, PROBE);
            scan(scene, "-sT", closed, Some(open.or_as_truly(&["linger0_close"])))
        },
    )
    .needs(NMAP),
    Listed::new(
        "nmap_ack_scan",
        "nmap's ACK scan",
        "nmap sends ACKs that belong to no connection to one open and ten closed ports (-sA).",
        |scene| {
            let reset = Reset::by(Sender::Server, Stage::NoFlow, ANSWER);
            let reset = reset.or_as_truly(&["stray_segment"]);
            scan(scene, "-sA", reset, Some(reset))
        },
    )
    .needs(NMAP),
    Listed::new(
        "nmap_xmas_scan",
        "nmap's Christmas tree scan",
        "nmap sends FIN, PSH and URG to ten closed ports (-sX).",
        |scene| {
            let reset = Reset::by(Sender::Server, Stage::PostFin, ANSWER);
            scan(scene, "-sX", reset.or_as_truly(&["stray_segment"]), None)
        },
    )
    .needs(NMAP),
];

const NMAP: &[&str] = &["nmap"];
const PROBE: (&str, &str) = ("security_measure", "scanner_probe");
const ANSWER: (&str, &str) = ("security_measure", "scan_response");

/// So many ports after the first are closed.
const CLOSED: u16 = 10;

/// Scans the scenario's port, if something is known to come of it, and the closed ones after it.
fn scan(scene: &Scene<'_>, how: &str, closed: Reset, open: Option<Reset>) -> Result<GroundTruth> {
    let _listener = scene.listen(8)?;
    let port = scene.server.port();
    let ports = if open.is_some() { port } else { port + 1 }..=port + CLOSED;
    run(&scene.lab.client, nmap(scene, how).arg(format!("-p{}-{}", ports.start(), ports.end())))?;
    let mut connections = Vec::new();
    for port in ports {
        let mut server = scene.server;
        server.set_port(port);
        let callers = scene.lab.sniffer(Place::Server).callers(server);
        ensure!(!callers.is_empty(), "nmap did not call {server}");
        let reset = if server == scene.server { open.unwrap_or(closed) } else { closed };
        connections.extend(callers.into_iter().map(|client| Connection {
            resets: vec![reset],
            ..Connection::between(client, server)
        }));
    }
    Ok(GroundTruth { connections, done: "nmap had all its answers" })
}

/// nmap on the client, without any question but the scan itself.
fn nmap(scene: &Scene<'_>, how: &str) -> Command {
    let mut nmap = command("nmap");
    if scene.family == Family::V6 {
        nmap.arg("-6");
    }
    let source = scene.ip(Place::Client, scene.family).to_string();
    nmap.args(["-n", "-Pn", "-T5", "--max-retries", "0", "--host-timeout", "8s", how]);
    nmap.args(["-e", Place::Client.interface(), "-S", &source]);
    nmap.arg(scene.server.ip().to_string());
    nmap
}
