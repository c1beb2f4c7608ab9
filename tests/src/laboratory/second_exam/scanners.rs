//! Scanners, and what is answered to them.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, FIN, PSH, SYN};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::packet;
use rst_tracer::demo::scenarios::{Listed, Pair, RAW_CLIENT_PORT, Scene};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Maker, Reset, Sender, Side, Stage};

use super::filter::{Cause, IPTABLES, Rule, broken, port_after, refused, talk};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "slow_connect_scan",
        "A scan in no hurry",
        "A program on the client calls six ports in no order, 300 ms apart; five are closed, and \
         it leaves the open one with SO_LINGER 0.",
        slow_connect_scan,
    )
    .slow(),
    Listed::new(
        "flagless_and_fin_ack_scan",
        "Scans without flags and with FIN and ACK",
        "A scanner on the client writes segments without flags to three closed ports, then ones \
         with FIN and ACK to two closed ports and an open one.",
        flagless_and_fin_ack_scan,
    ),
    Listed::new(
        "walled_host_scanned",
        "A scan of a host that rejects",
        "A scanner on the client writes SYNs to five ports, all of which the server's iptables \
         rejects (multiport); a server listens at two.",
        walled_host_scanned,
    )
    .needs(IPTABLES),
    Listed::new(
        "banners_grabbed",
        "Greetings collected",
        "A scanner on the client connects with three services, reads their greetings and leaves \
         each with SO_LINGER 0.",
        banners_grabbed,
    ),
    Listed::new(
        "tls_versions_scanned",
        "Which TLS do you speak?",
        "A scanner on the client sends four hellos, each for another version of TLS, reads the \
         answers and leaves each with SO_LINGER 0.",
        tls_versions_scanned,
    ),
    Listed::new(
        "system_fingerprinted",
        "What system are you?",
        "A scanner on the client (after nmap -O) writes four SYNs with odd options to an open \
         port, 100 ms apart, and three odd segments to a closed one.",
        system_fingerprinted,
    )
    .slow(),
];

const PROBE: Cause = ("security_measure", "scanner_probe");
const SCANNED: Cause = ("security_measure", "scan_response");
const URG: u8 = 0x20;

/// The server's answer to a scan; `also` is what it is taken by itself.
fn scanned(stage: Stage, also: &'static [&'static str]) -> Reset {
    Reset::by(Sender::Server, stage, SCANNED).or_as_truly(also)
}

fn slow_connect_scan(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(4)?;
    let mut connections = Vec::new();
    for number in [4, 1, 0, 5, 2, 3] {
        if number == 0 {
            let pair = scene.pair_at(&listener)?;
            pair.settle()?;
            scene.lab.client.run(|| sockets::abort(pair.client))?;
            broken(&pair.server)?;
            let reset = Reset::by(Sender::Client, Stage::PostAck, PROBE);
            let resets = vec![reset.or_as_truly(&["linger0_close"])];
            connections.push(Connection { resets, ..pair.connection });
        } else {
            let closed = scanned(Stage::PostSyn, &["closed_port"]);
            connections.push(refused(scene, port_after(scene, number), closed)?);
        }
        thread::sleep(Duration::from_millis(300));
    }
    Ok(GroundTruth { connections, done: "five calls were refused, and one was aborted" })
}

/// Writes a segment of a scanner's on the client's link, and tells what comes of it.
fn probe(scene: &Scene<'_>, segment: &Forgery, reset: Reset) -> Result<Connection> {
    packet::inject(&scene.lab.client, Place::Client.interface(), &segment.to_frame())?;
    let connection = Connection::between(segment.src, segment.dst);
    Ok(Connection { resets: vec![reset], ..connection })
}

fn flagless_and_fin_ack_scan(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(4)?;
    let plain = Forgery { ttl: 49, window: 1024, seq: 0x51a7_e001, ..scene.raw_from_client(0)? };
    let mut connections = Vec::new();
    for number in [2, 1, 3] {
        let (dst, ip_id) = (port_after(scene, number), 0x4411 * number);
        let none = Forgery { dst, ip_id, ack: 0, ..plain.clone() };
        // It belongs to no connection, and the port is closed.
        let reset = scanned(Stage::NoFlow, &["stray_segment", "closed_port"]);
        connections.push(probe(scene, &none, reset)?);
    }
    for number in [5, 0, 4] {
        let (dst, ip_id) = (port_after(scene, number), 0x2b2b * number + 9);
        let both = Forgery { dst, ip_id, flags: FIN | ACK, ack: 0x0077_ee11, ..plain.clone() };
        connections.push(probe(scene, &both, scanned(Stage::PostFin, &["stray_segment"]))?);
    }
    Ok(GroundTruth { connections, done: "all resets were seen" })
}

fn walled_host_scanned(scene: &Scene<'_>) -> Result<GroundTruth> {
    let [first, last] = [0, 4].map(|number| port_after(scene, number));
    let listen = |at| scene.lab.server.run(|| sockets::listen_on(at, 4));
    let _open = [listen(first)?, listen(last)?];
    let matches = format!("-m multiport --dports {}:{}", first.port(), last.port());
    let rule = Rule::reject(scene, &scene.lab.server, "INPUT", &matches)?;
    let plain = scene.raw_from_client(SYN)?;
    let syn = Forgery { seq: 0x9d2f_0b66, ack: 0, window: 1024, ttl: 243, ..plain };
    let mut connections = Vec::new();
    for number in [3, 0, 4, 1, 2] {
        let (dst, ip_id) = (port_after(scene, number), 0x1f0b * number + 0x3c);
        // The host's packet filter answers, and what it answers is a scan.
        let reset = scanned(Stage::PostSyn, &["host_firewall_reject"]).made_by(Maker::Netfilter);
        connections.push(probe(scene, &Forgery { dst, ip_id, ..syn.clone() }, reset)?);
    }
    let truth = GroundTruth { connections, done: "all resets were seen" };
    scene.await_resets(&truth)?;
    drop(rule);
    Ok(truth)
}

/// The scanner leaves; that it does so with SO_LINGER 0 is as true as that it scans.
fn left(stage: Stage) -> Reset {
    Reset::by(Sender::Client, stage, PROBE).or_as_truly(&["linger0_close"])
}

fn banners_grabbed(scene: &Scene<'_>) -> Result<GroundTruth> {
    const GREETINGS: [&[u8]; 3] = [
        b"SSH-2.0-OpenSSH_8.4p1 Debian-5\r\n",
        b"220 mail.lab ESMTP Exim 4.94\r\n",
        b"220 (vsFTPd 3.0.3)\r\n",
    ];
    let mut connections = Vec::new();
    for (number, greeting) in (0..).zip(GREETINGS) {
        let at = port_after(scene, number);
        let listener = scene.lab.server.run(|| sockets::listen_on(at, 4))?;
        let (socket, client) = scene.bound()?;
        scene.lab.client.run(|| Ok(sockets::connect(&socket, at)?))?;
        let server = scene.lab.server.run(|| sockets::accept(&listener))?;
        let connection = Connection::between(client, at);
        let pair = Pair { lab: scene.lab, connection, client: socket.into(), server };
        talk(&pair, &[(Side::Server, greeting)])?;
        scene.lab.client.run(|| sockets::abort(pair.client))?;
        broken(&pair.server)?;
        connections.push(Connection { resets: vec![left(Stage::PostPush)], ..pair.connection });
    }
    Ok(GroundTruth { connections, done: "three servers got ECONNRESET" })
}

fn tls_versions_scanned(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let mut connections = Vec::new();
    for version in 1..=4 {
        let head = |kind| [22, 3, version.min(3), 0, 64, kind, 0, 0, 60, 3, version];
        let hello = |kind, fill: u8| [&head(kind)[..], &[fill; 58]].concat();
        let pair = scene.pair_at(&listener)?;
        let lines = [(Side::Client, hello(1, 0x1c)), (Side::Server, hello(2, 0x2c))];
        talk(&pair, &lines.each_ref().map(|(side, line)| (*side, &line[..])))?;
        scene.lab.client.run(|| sockets::abort(pair.client))?;
        broken(&pair.server)?;
        connections.push(Connection { resets: vec![left(Stage::PostData)], ..pair.connection });
    }
    Ok(GroundTruth { connections, done: "the server got ECONNRESET four times" })
}

fn system_fingerprinted(scene: &Scene<'_>) -> Result<GroundTruth> {
    const ODD: [&[u8]; 4] = [
        &[3, 3, 10, 1, 2, 4, 5, 180, 8, 10, 255, 255, 255, 255, 0, 0, 0, 0, 4, 2],
        &[2, 4, 5, 120, 3, 3, 0, 4, 2, 8, 10, 255, 255, 255, 255, 0, 0, 0, 0, 0],
        &[8, 10, 255, 255, 255, 255, 0, 0, 0, 0, 1, 1, 3, 3, 5, 1, 2, 4, 2, 128],
        &[4, 2, 8, 10, 255, 255, 255, 255, 0, 0, 0, 0, 3, 3, 10, 0],
    ];
    let _listener = scene.listen(8)?;
    let plain = Forgery { ttl: 57, seq: 0x2c40_90f1, ack: 0, ..scene.raw_from_client(SYN)? };
    let mut connections = Vec::new();
    let from = |number| {
        let src = SocketAddr::new(plain.src.ip(), RAW_CLIENT_PORT + number);
        let (seq, ip_id) = (plain.seq + u32::from(number), 0x33b1_u16.wrapping_mul(number + 1));
        Forgery { src, seq, ip_id, ..plain.clone() }
    };
    for (number, options) in (0..).zip(ODD) {
        let syn = Forgery { options: options.to_vec(), window: 1 << number, ..from(number) };
        let reset = Reset::by(Sender::Client, Stage::PostSynack, PROBE);
        connections.push(probe(scene, &syn, reset)?);
        thread::sleep(Duration::from_millis(100));
    }
    let dst = port_after(scene, 1);
    let at_closed = [
        (SYN, 31_337, scanned(Stage::PostSyn, &["closed_port"])),
        (ACK, 32_768, scanned(Stage::NoFlow, &["stray_segment"])),
        (FIN | PSH | URG, 65_535, scanned(Stage::PostFin, &["stray_segment", "closed_port"])),
    ];
    for (number, (flags, window, reset)) in (4..).zip(at_closed) {
        let odd = Forgery { dst, flags, window, options: ODD[0].to_vec(), ..from(number) };
        connections.push(probe(scene, &odd, reset)?);
    }
    Ok(GroundTruth { connections, done: "all resets were seen" })
}
