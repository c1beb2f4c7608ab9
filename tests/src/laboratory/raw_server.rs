//! A server whose TCP is a program that gets the handshake wrong; the client's kernel resets.

use std::net::TcpStream;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST, SYN, Segment};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Hook, Only, Port, Verdict};
use rst_tracer::demo::packet;
use rst_tracer::demo::scenarios::{Listed, Scene};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "syn_ack_wrong_echo",
        "The SYN-ACK echoes another timestamp",
        "A program on the server answers the client's SYN, but echoes a timestamp that the client \
         never sent.",
        |scene| {
            let cause = ("protocol_state", "timestamp_mismatch");
            answered_wrongly(scene, cause, |syn, answer| {
                let sent = syn.timestamps.map_or(0, |(value, _)| value);
                let echo = sent.wrapping_sub(1_000_000).to_be_bytes();
                // MSS 1460; NOP, NOP, timestamps.
                let options = [&[2, 4, 5, 180, 1, 1, 8, 10, 0, 0, 0, 9][..], &echo].concat();
                Forgery { options, ..answer }
            })
        },
    ),
    Listed::new(
        "syn_ack_wrong_ack",
        "The SYN-ACK acknowledges another SYN",
        "A program on the server answers the client's SYN, but acknowledges a number that the \
         client never sent.",
        |scene| {
            let cause = ("protocol_state", "bad_handshake_ack");
            answered_wrongly(scene, cause, |_, answer| Forgery {
                ack: answer.ack.wrapping_add(5000),
                ..answer
            })
        },
    ),
];

pub(super) fn answered_wrongly(
    scene: &Scene<'_>,
    cause: (&'static str, &'static str),
    spoil: fn(&Segment, Forgery) -> Forgery,
) -> Result<GroundTruth> {
    // The server's kernel hears nothing, so that it does not answer itself.
    let to_server = [(Port::To(scene.server.port()), Only::Any)];
    let _deaf = scene.rules(&scene.lab.server, Hook::Input, &to_server, Verdict::Drop)?;
    let (socket, address) = scene.bound()?;
    let socket = TcpStream::from(socket);
    socket.set_nonblocking(true).context("asking not to wait for the handshake")?;
    let socket = socket.into();
    match scene.lab.client.run(|| Ok(sockets::connect(&socket, scene.server)))? {
        Err(Errno::EINPROGRESS) => {}
        other => bail!("connect was to be in progress, got {other:?}"),
    }
    let mut connection = Connection::between(address, scene.server);
    let syn = scene.lab.sniffer(Place::Server).wait_for("a SYN", &connection, |seen| {
        seen.iter().map(|one| &one.segment).find(|one| one.has(SYN)).cloned()
    })?;
    let answer = Forgery {
        macs: (syn.macs.1, syn.macs.0),
        src: syn.dst,
        dst: syn.src,
        seq: 0x0d0d_0d0d,
        ack: syn.next_seq(),
        window: 64_240,
        ttl: 64,
        dont_fragment: true,
        ip_id: 0,
        ..Forgery::after(&syn, SYN | ACK)
    };
    let spoilt = spoil(&syn, answer);
    packet::inject(&scene.lab.server, Place::Server.interface(), &spoilt.to_frame())?;
    scene.lab.sniffer(Place::Server).wait_for("a reset", &connection, |seen| {
        seen.iter().any(|one| one.segment.has(RST)).then_some(())
    })?;
    // It would call again; it is told to stop.
    sockets::close(socket)?;
    connection.resets = vec![Reset::by(Sender::Client, Stage::PostSynack, cause)];
    let done = "the server's host saw the reset";
    Ok(GroundTruth { connections: vec![connection], done })
}
