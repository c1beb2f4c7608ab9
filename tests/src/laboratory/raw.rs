//! Handshakes with a TCP that no kernel has: a program of the client or the server writes frames,
//! the other side's kernel answers.

use std::net::{SocketAddr, TcpListener};

use anyhow::Result;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, FIN, PSH, RST, SYN, Segment};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Hook, Only, Port, Table, Verdict};
use rst_tracer::demo::packet;
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};

use super::options;

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "bad_handshake_ack",
        "The last ACK of the handshake is wrong",
        "A program on the client writes a SYN, and then an ACK that acknowledges what the server \
         has not sent.",
        bad_handshake_ack,
    ),
    Listed::new(
        "syn_in_handshake",
        "Another SYN in the middle of the handshake",
        "A program on the client writes a SYN, and then another one inside the window.",
        syn_in_handshake,
    ),
    Listed::new(
        "bad_cookie",
        "The answer to a SYN cookie is wrong",
        "The server answers SYNs with cookies; a program on the client returns a wrong one.",
        bad_cookie,
    )
    .alone(),
    Listed::new(
        "bad_ack_in_fast_open",
        "TCP Fast Open, wrongly acknowledged",
        "A program on the client opens with data in its SYN (TCP Fast Open), and then \
         acknowledges what the server has not sent.",
        bad_ack_in_fast_open,
    ),
    Listed::new(
        "stray_fin_listener",
        "Stray FIN at a listener",
        "A FIN that belongs to no connection arrives at a listening port.",
        |scene| stray(scene, true, FIN | ACK),
    ),
    Listed::new(
        "stray_ack_closed_port",
        "Stray ACK at a closed port",
        "An ACK that belongs to no connection arrives at a port on which nothing listens.",
        |scene| stray(scene, false, ACK),
    ),
    Listed::new(
        "stray_data_closed_port",
        "Stray data at a closed port",
        "Data that belongs to no connection arrives at a port on which nothing listens.",
        |scene| stray(scene, false, PSH | ACK),
    ),
];

const BAD_ACK: (&str, &str) = ("protocol_state", "bad_handshake_ack");

/// A client whose TCP is a program: its kernel does not hear what the server answers.
pub(super) struct RawClient<'s, 'a> {
    scene: &'s Scene<'a>,
    listener: TcpListener,
    _deaf: Table,
    pub(super) syn: Forgery,
    connection: Connection,
}

impl<'s, 'a> RawClient<'s, 'a> {
    pub(super) fn new(scene: &'s Scene<'a>) -> Result<Self> {
        let plain = scene.raw_from_client(SYN)?;
        let from_server = [(Port::From(scene.server.port()), Only::Any)];
        let deaf = scene.rules(&scene.lab.client, Hook::Input, &from_server, Verdict::Drop)?;
        let listener = scene.listen(8)?;
        let syn = Forgery {
            seq: 0x0102_0304,
            ack: 0,
            window: 64_240,
            ttl: 64,
            ip_id: 7,
            dont_fragment: true,
            ..plain
        };
        let connection = Connection::between(syn.src, syn.dst);
        Ok(Self { scene, listener, _deaf: deaf, syn, connection })
    }

    pub(super) fn send(&self, segment: &Forgery) -> Result<()> {
        packet::inject(&self.scene.lab.client, Place::Client.interface(), &segment.to_frame())
    }

    /// The server's answer to the SYN.
    pub(super) fn syn_ack(&self) -> Result<Segment> {
        self.scene.lab.sniffer(Place::Client).wait_for("a SYN-ACK", &self.connection, |seen| {
            seen.iter().map(|one| &one.segment).find(|one| one.has(SYN | ACK)).cloned()
        })
    }

    /// The server resets; then its listener goes, and with it what is left of the handshake.
    pub(super) fn end_in_reset(self, stage: Stage) -> Result<GroundTruth> {
        let resets = vec![Reset::by(Sender::Server, stage, BAD_ACK)];
        let connections = vec![Connection { resets, ..self.connection }];
        let truth = GroundTruth { connections, done: "the client's host saw the reset" };
        self.scene.await_resets(&truth)?;
        drop(self.listener);
        Ok(truth)
    }
}

fn bad_handshake_ack(scene: &Scene<'_>) -> Result<GroundTruth> {
    let client = RawClient::new(scene)?;
    client.send(&client.syn)?;
    client.send(&wrong_ack(&client)?)?;
    client.end_in_reset(Stage::PostAck)
}

/// The ACK that ends a handshake, but of bytes that the server never sent.
fn wrong_ack(client: &RawClient<'_, '_>) -> Result<Forgery> {
    let answer = client.syn_ack()?;
    Ok(Forgery {
        seq: answer.ack,
        ack: answer.seq.wrapping_add(1000),
        flags: ACK,
        ..client.syn.clone()
    })
}

fn syn_in_handshake(scene: &Scene<'_>) -> Result<GroundTruth> {
    let client = RawClient::new(scene)?;
    client.send(&client.syn)?;
    let answer = client.syn_ack()?;
    let other = Forgery { seq: answer.ack.wrapping_add(500), ..client.syn.clone() };
    client.send(&other)?;
    client.end_in_reset(Stage::PostSyn)
}

fn bad_cookie(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _cookies = scene.lab.set_for_now(&scene.lab.server, &[("net/ipv4/tcp_syncookies", "2")])?;
    bad_handshake_ack(scene)
}

fn bad_ack_in_fast_open(scene: &Scene<'_>) -> Result<GroundTruth> {
    // TFO_SERVER_ENABLE | TFO_SERVER_COOKIE_NOT_REQD of net/tcp.h.
    let _fast = scene.lab.set_for_now(&scene.lab.server, &[("net/ipv4/tcp_fastopen", "514")])?;
    let client = RawClient::new(scene)?;
    options::open_fast(&client.listener, 8)?;
    // An empty Fast Open option (RFC 7413, 4.1.1), for which the server asks no cookie here.
    let options = vec![34, 2, 1, 1];
    client.send(&Forgery { options, payload: REQUEST.to_vec(), ..client.syn.clone() })?;
    client.send(&wrong_ack(&client)?)?;
    scene.lab.sniffer(Place::Client).wait_for("a reset", &client.connection, |seen| {
        seen.iter().any(|one| one.segment.has(RST)).then_some(())
    })?;
    // The connection may be accepted already; closed with the listener it would be reset again.
    sockets::vanish(scene.lab.server.run(|| sockets::accept(&client.listener))?)?;
    client.end_in_reset(Stage::PostPush)
}

fn stray(scene: &Scene<'_>, listening: bool, flags: u8) -> Result<GroundTruth> {
    let _listener = listening.then(|| scene.listen(1)).transpose()?;
    let plain = scene.raw_from_client(flags)?;
    let src = SocketAddr::new(plain.src.ip(), plain.src.port());
    let payload = if flags & PSH != 0 { REQUEST.to_vec() } else { Vec::new() };
    let (seq, ack) = (0x0a0b_0c0d, 0x0e0f_1011);
    let stray = Forgery { src, seq, ack, window: 512, ttl: 64, payload, ..plain };
    let connection = Connection::between(stray.src, stray.dst);
    packet::inject(&scene.lab.client, Place::Client.interface(), &stray.to_frame())?;
    let stage = match flags {
        _ if flags & FIN != 0 => Stage::PostFin,
        _ if flags & PSH != 0 => Stage::PostPush,
        _ => Stage::NoFlow,
    };
    let cause = ("protocol_state", "stray_segment");
    let resets = vec![Reset::by(Sender::Server, stage, cause)];
    let connections = vec![Connection { resets, ..connection }];
    Ok(GroundTruth { connections, done: "the client's host saw the reset" })
}
