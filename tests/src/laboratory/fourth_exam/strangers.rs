//! Strangers that guess at unusual moments, and scanners with habits of their own.

use std::net::SocketAddr;
use std::thread;

use anyhow::{Result, ensure};
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{RST, SYN};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::packet;
use rst_tracer::demo::scenarios::{Listed, Pair, RAW_CLIENT_PORT, REQUEST, Scene, last};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{
    Connection, Effect, Family, GroundTruth, Maker, Reset, Sender, Side, Stage,
};

use super::super::injected::stranger::Stranger;
use super::super::second_exam::filter::{Cause, port_after};
use super::super::servers::program::{command, run};
use super::super::third_exam::common::{calls_with, ms, passed, source, target, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "guesses_at_both_ends",
        "Guesses at both ends in turn",
        "A stranger writes four resets in the name of each side, in turn, 15 ms apart, all far off; \
         the session goes on.",
        guesses_at_both_ends,
    ),
    Listed::new(
        "guesses_at_a_handshake",
        "Guesses at a handshake that takes its time",
        "The last ACK of a handshake is lost; meanwhile a stranger writes three resets in the \
         client's name to the server, all far off. The client speaks, and all is well.",
        guesses_at_a_handshake,
    ),
    Listed::new(
        "zmap_asks_four_ports",
        "A scan after ZMap",
        "A scanner on the client writes SYNs without options, with ZMap's IP ID and a TTL of 255, \
         to two open and two closed ports; its host's TCP resets the SYN-ACKs.",
        zmap_asks_four_ports,
    ),
    Listed::new(
        "hping_counts_up",
        "hping counts the ports up",
        "hping3 writes a SYN every 100 ms, to one port after the other (-p ++): four are closed, \
         two open; the client's TCP resets the SYN-ACKs.",
        hping_counts_up,
    )
    .needs(&["hping3"])
    .only_over(&[Family::V4])
    .slow(),
];

const BLIND: Cause = ("security_measure", "blind_reset_attempt");
const PROBE: Cause = ("security_measure", "scanner_probe");
const SCANNED: Cause = ("security_measure", "scan_response");

/// A stranger's reset in the name of `side` that nobody believes.
fn guess(side: Side, stage: Stage) -> Reset {
    let reset = Reset::by(Sender::StrangerOnBehalfOf(side), stage, BLIND);
    reset.made_by(Maker::Injector).with_effect(Effect::Ignored).refuted()
}

fn guesses_at_both_ends(scene: &Scene<'_>) -> Result<GroundTruth> {
    const EACH: u32 = 4;
    let pair = scene.busy_pair()?;
    let stranger = Stranger::arrive(scene)?;
    let exact = |side, place| {
        let seen = pair.last_of(side, place)?;
        anyhow::Ok(Forgery { ack: 0, window: 0, ttl: 109, ..Forgery::after(&seen, RST) })
    };
    let ends = [
        exact(Side::Server, Place::RouterClientSide)?,
        exact(Side::Client, Place::RouterServerSide)?,
    ];
    let mut resets = Vec::new();
    for n in 1..=EACH {
        for (exact, side) in ends.iter().zip([Side::Server, Side::Client]) {
            let seq = exact.seq.wrapping_add(0x1a00_0000 * n);
            stranger.send(&Forgery { seq, ip_id: 0x0303 * n as u16, ..exact.clone() })?;
            let stage = if n == 1 { Stage::PostData } else { Stage::Closed };
            resets.push(guess(side, stage));
            thread::sleep(ms(15));
        }
    }
    let truth = pair.truth("the session was used once more and closed with FINs", resets);
    scene.await_resets(&truth)?;
    pair.exchange()?;
    pair.part()?;
    Ok(truth)
}

fn guesses_at_a_handshake(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let bound = scene.bound()?;
    // A bare ACK with timestamps, which no segment of the stranger's is as long as.
    let bare = match scene.family {
        Family::V4 => 52,
        Family::V6 => 72,
    };
    let held = scene.lose(&[(Port::From(bound.1.port()), Only::Length(bare))])?;
    let (client, connection) = scene.dial_from(bound)?;
    let stranger = Stranger::arrive(scene)?;
    let syn =
        scene.lab.sniffer(Place::RouterServerSide).wait_for("a SYN", &connection, |seen| {
            last(seen, &connection, Side::Client).cloned()
        })?;
    let exact = Forgery { ack: 0, ttl: 238, ..Forgery::after(&syn, RST) };
    let mut resets = Vec::new();
    for n in 1..=3_u32 {
        let seq = exact.seq.wrapping_add(0x2b00_0000 * n);
        stranger.send(&Forgery { seq, ip_id: 0x0900 + n as u16, ..exact.clone() })?;
        let stage = if n == 1 { Stage::PostSynack } else { Stage::Closed };
        resets.push(guess(Side::Client, stage));
    }
    let connections = vec![with(connection.clone(), resets)];
    let done = "the connection was used and closed with FINs";
    let truth = passed(scene, connections, done)?;
    drop(held);
    // Data completes a handshake as well as the ACK that was lost.
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    let server = scene.lab.server.run(|| sockets::accept(&listener))?;
    let pair = Pair { lab: scene.lab, connection, client, server };
    sockets::hear(&pair.server, REQUEST)?;
    pair.answer()?;
    pair.exchange()?;
    pair.part()?;
    Ok(truth)
}

/// What a closed port answers to a scan; by itself it is the answer of a closed port.
fn scanned() -> Reset {
    Reset::by(Sender::Server, Stage::PostSyn, SCANNED).or_as_truly(&["closed_port"])
}

fn zmap_asks_four_ports(scene: &Scene<'_>) -> Result<GroundTruth> {
    const OPEN: [u16; 2] = [0, 3];
    let listen = |number| scene.lab.server.run(|| sockets::listen_on(port_after(scene, number), 4));
    let _open = [listen(OPEN[0])?, listen(OPEN[1])?];
    let plain = scene.raw_from_client(SYN)?;
    let mut connections = Vec::new();
    for number in [1, 3, 0, 2] {
        let src = SocketAddr::new(plain.src.ip(), RAW_CLIENT_PORT + 300 + 53 * number);
        let syn = Forgery {
            src,
            dst: port_after(scene, number),
            seq: 0x4c11_db70_u32.wrapping_mul(u32::from(number) + 1),
            ack: 0,
            window: 65_535,
            ttl: 255,
            ip_id: 54_321,
            ..plain.clone()
        };
        packet::inject(&scene.lab.client, Place::Client.interface(), &syn.to_frame())?;
        // The scanner's TCP knows nothing of the SYN.
        let probe = Reset::by(Sender::Client, Stage::PostSynack, PROBE);
        let reset = if OPEN.contains(&number) { probe } else { scanned() };
        connections.push(with(Connection::between(syn.src, syn.dst), vec![reset]));
        thread::sleep(ms(40));
    }
    passed(scene, connections, "all resets were seen")
}

fn hping_counts_up(scene: &Scene<'_>) -> Result<GroundTruth> {
    const PORTS: u16 = 6;
    const OPEN: [u16; 2] = [2, 3];
    let listen = |number| scene.lab.server.run(|| sockets::listen_on(port_after(scene, number), 4));
    let _open = [listen(OPEN[0])?, listen(OPEN[1])?];
    let [ip, first] = target(scene);
    let mut hping = command("hping3");
    hping.args(["-q", "-n", "-S", "-I", Place::Client.interface(), "-a", &source(scene)]);
    hping.args(["-i", "u100000", "-c", &PORTS.to_string(), "-p", &format!("++{first}"), &ip]);
    run(&scene.lab.client, &mut hping)?;
    let mut connections = Vec::new();
    for number in 0..PORTS {
        // The scanner's TCP knows nothing of the SYN.
        let probe = Reset::by(Sender::Client, Stage::PostSynack, PROBE);
        let reset = if OPEN.contains(&number) { probe } else { scanned() };
        connections.extend(calls_with(scene, port_after(scene, number), 1, reset)?);
    }
    ensure!(connections.len() == usize::from(PORTS), "hping asked {} ports", connections.len());
    // Only a scan asks ports in a row.
    passed(scene, connections, "hping had all its answers")
}
