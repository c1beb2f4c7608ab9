//! Handshakes that go wrong, and a segment that comes when all is over: by programs that write
//! frames, on a host or on the way.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, SYN, Segment};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::packet;
use rst_tracer::demo::scenarios::{Listed, Scene, last, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Side, Stage};

use super::super::raw::RawClient;
use super::super::raw_server::answered_wrongly;
use super::super::second_exam::filter::Cause;
use super::super::third_exam::common::{passed, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "two_handshakes_mixed_up",
        "Two handshakes mixed up",
        "A program on the client writes two SYNs, from two ports, and then acknowledges with each \
         what the other one was answered.",
        two_handshakes_mixed_up,
    ),
    Listed::new(
        "half_a_timestamp",
        "A proxy that keeps half a timestamp",
        "A program on the server answers the client's SYN, and echoes the lower half only of its \
         timestamp.",
        |scene| {
            let cause = ("protocol_state", "timestamp_mismatch");
            answered_wrongly(scene, cause, |syn, answer| {
                let sent = syn.timestamps.map_or(0, |(value, _)| value);
                let echo = (sent & 0xffff).to_be_bytes();
                // MSS 1400; SACK permitted, timestamps.
                let options = [&[2, 4, 5, 120, 4, 2, 8, 10, 0, 0, 7, 7][..], &echo].concat();
                Forgery { options, ..answer }
            })
        },
    ),
    Listed::new(
        "last_ack_comes_twice",
        "The last ACK comes twice",
        "The client has closed first, and all is acknowledged; the network delivers the client's \
         last ACK once more, of which the server, which listens, knows nothing any more.",
        last_ack_comes_twice,
    ),
];

fn two_handshakes_mixed_up(scene: &Scene<'_>) -> Result<GroundTruth> {
    const BAD_ACK: Cause = ("protocol_state", "bad_handshake_ack");
    let client = RawClient::new(scene)?;
    let port = client.syn.src.port();
    let syns = [port, port + 5].map(|port| Forgery {
        src: SocketAddr::new(client.syn.src.ip(), port),
        seq: 0x2200_0000 + u32::from(port),
        ip_id: port,
        ..client.syn.clone()
    });
    let mut answers: Vec<Segment> = Vec::new();
    for syn in &syns {
        client.send(syn)?;
        let connection = Connection::between(syn.src, syn.dst);
        answers.push(scene.lab.sniffer(Place::Client).wait_for(
            "a SYN-ACK",
            &connection,
            |seen| seen.iter().map(|one| &one.segment).find(|one| one.has(SYN | ACK)).cloned(),
        )?);
    }
    answers.reverse();
    let mut connections = Vec::new();
    for (syn, others) in syns.iter().zip(answers) {
        let (seq, ack) = (syn.seq.wrapping_add(1), others.next_seq());
        client.send(&Forgery { seq, ack, flags: ACK, ..syn.clone() })?;
        let reset = Reset::by(Sender::Server, Stage::PostAck, BAD_ACK);
        connections.push(with(Connection::between(syn.src, syn.dst), vec![reset]));
    }
    // The client's program hears no more: what is left of the handshakes goes with the listener.
    passed(scene, connections, "the client's host saw both resets")
}

fn last_ack_comes_twice(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let pair = scene.pair_at(&listener)?;
    pair.exchange()?;
    let connection = pair.connection.clone();
    pair.part()?;
    settle(scene.lab, &connection)?;
    let witness = scene.lab.sniffer(Place::RouterServerSide).segments(&connection);
    let seen = last(&witness, &connection, Side::Client).context("the client said nothing")?;
    let (value, echo) = seen.timestamps.unwrap_or_default();
    let again = Forgery {
        seq: seen.seq,
        window: seen.window,
        ttl: seen.ttl,
        ip_id: seen.ip_id.unwrap_or_default(),
        dont_fragment: seen.dont_fragment,
        flow_label: seen.flow_label.unwrap_or_default(),
        options: [&[1, 1, 8, 10][..], &value.to_be_bytes(), &echo.to_be_bytes()].concat(),
        ..Forgery::after(seen, ACK)
    };
    packet::inject(&scene.lab.router, Place::RouterServerSide.interface(), &again.to_frame())?;
    let reset = Reset::by(Sender::Server, Stage::Closed, ("protocol_state", "stray_segment"));
    let truth = passed(scene, vec![with(connection, vec![reset])], "the reset reached the client")?;
    scene.lab.server.run(|| sockets::close(listener))?;
    Ok(truth)
}
