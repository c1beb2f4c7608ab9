//! Scanners that write their own segments, with other habits than the best known one.

use anyhow::Result;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, FIN, PSH, SYN};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::packet;
use rst_tracer::demo::scenarios::{Listed, Scene};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};

use super::Cause;

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "masscan_three_open",
        "A scan after masscan",
        "A scanner on the client writes SYNs without options to three open ports; its host's TCP \
         resets each SYN-ACK.",
        masscan_three_open,
    ),
    Listed::new(
        "nmap_syn_sweep",
        "A scan after nmap",
        "A scanner on the client writes SYNs with one option to one open and five closed ports.",
        nmap_syn_sweep,
    ),
    Listed::new(
        "xmas_scan",
        "A scan with FIN, PSH and URG",
        "A scanner on the client writes segments with FIN, PSH and URG to five closed ports.",
        xmas_scan,
    ),
    Listed::new(
        "ack_scan",
        "A scan with ACKs",
        "A scanner on the client writes bare ACKs to two open and two closed ports, to map a \
         firewall.",
        ack_scan,
    ),
];

const PROBE: Cause = ("security_measure", "scanner_probe");
const SCANNED: Cause = ("security_measure", "scan_response");

/// Writes `segment` to as many ports in a row as there are resets, each of which it brings about.
fn probe(scene: &Scene<'_>, segment: &Forgery, resets: &[Reset]) -> Result<GroundTruth> {
    let mut connections = Vec::new();
    for (number, &reset) in (0..).zip(resets) {
        let dst = scene.at(Place::Server, segment.dst.port() + number);
        let ip_id = segment.ip_id.wrapping_add(number.wrapping_mul(0x2f31));
        let one = Forgery { dst, ip_id, ..segment.clone() };
        packet::inject(&scene.lab.client, Place::Client.interface(), &one.to_frame())?;
        connections.push(Connection { resets: vec![reset], ..Connection::between(one.src, dst) });
    }
    let truth = GroundTruth { connections, done: "all resets were seen" };
    scene.await_resets(&truth)?;
    Ok(truth)
}

fn listening(scene: &Scene<'_>, ports: u16) -> Result<Vec<std::net::TcpListener>> {
    let first = scene.server.port();
    let listen =
        |port| scene.lab.server.run(|| sockets::listen_on(scene.at(Place::Server, port), 4));
    (first..first + ports).map(listen).collect()
}

fn masscan_three_open(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _open = listening(scene, 3)?;
    let plain = scene.raw_from_client(SYN)?;
    let syn = Forgery { seq: 0x3fa1_c07e, ack: 0, window: 1024, ttl: 255, ip_id: 0x1d2c, ..plain };
    probe(scene, &syn, &[Reset::by(Sender::Client, Stage::PostSynack, PROBE); 3])
}

fn nmap_syn_sweep(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _open = listening(scene, 1)?;
    let options = vec![2, 4, 5, 180];
    let plain = scene.raw_from_client(SYN)?;
    let syn = Forgery { seq: 0x77aa_0102, ack: 0, window: 1024, ttl: 41, options, ..plain };
    // Each answer is that of a closed port; that there are many in a row makes it a scan.
    let closed = Reset::by(Sender::Server, Stage::PostSyn, SCANNED);
    let mut resets = vec![Reset::by(Sender::Client, Stage::PostSynack, PROBE)];
    resets.extend([closed.or_as_truly(&["closed_port"]); 5]);
    probe(scene, &syn, &resets)
}

fn xmas_scan(scene: &Scene<'_>) -> Result<GroundTruth> {
    const URG: u8 = 0x20;
    let plain = scene.raw_from_client(FIN | PSH | URG)?;
    let tree = Forgery { seq: 0x0bad_cafe, ack: 0, window: 1024, ttl: 52, ..plain };
    // It is a scan's, of a closed port, for a segment of no connection.
    let reset = Reset::by(Sender::Server, Stage::PostFin, SCANNED);
    probe(scene, &tree, &[reset.or_as_truly(&["stray_segment", "closed_port"]); 5])
}

fn ack_scan(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _open = listening(scene, 2)?;
    let plain = scene.raw_from_client(ACK)?;
    let (seq, ack) = (0x6e6d_6170, 0x5a5a_0001);
    let probes = Forgery { seq, ack, window: 1024, ttl: 47, ..plain };
    // It is a scan's, for a segment of no connection.
    let reset = Reset::by(Sender::Server, Stage::NoFlow, SCANNED);
    probe(scene, &probes, &[reset.or_as_truly(&["stray_segment"]); 4])
}
