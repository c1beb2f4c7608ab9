//! Segments that a program writes where a TCP would have written others: handshakes gone wrong,
//! late duplicates, strays; and a port used again too early.

use anyhow::Result;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, FIN, PSH, SYN};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::packet;
use rst_tracer::demo::scenarios::{Listed, Pair, REQUEST, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};

use super::super::options;
use super::super::raw::RawClient;
use super::super::raw_server::answered_wrongly;
use super::{Cause, only};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "data_with_short_ack",
        "Data that acknowledges too little",
        "A program on the client writes a SYN, and then data whose acknowledgment leaves out the \
         server's SYN.",
        data_with_short_ack,
    ),
    Listed::new(
        "syn_ack_one_short",
        "A SYN-ACK that leaves out the SYN",
        "A program on the server answers the client's SYN, but acknowledges one less than it must.",
        |scene| {
            answered_wrongly(scene, BAD_ACK, |_, answer| Forgery {
                ack: answer.ack.wrapping_sub(1),
                ..answer
            })
        },
    ),
    Listed::new(
        "syn_ack_echo_from_the_future",
        "An echo from the future",
        "A program on the server answers the client's SYN, but echoes a timestamp that the client \
         would send two hours later.",
        |scene| {
            let cause = ("protocol_state", "timestamp_mismatch");
            answered_wrongly(scene, cause, |syn, answer| {
                let sent = syn.timestamps.map_or(0, |(value, _)| value);
                let echo = sent.wrapping_add(7_200_000).to_be_bytes();
                // MSS 1380; NOP, NOP, timestamps.
                let options = [&[2, 4, 5, 100, 1, 1, 8, 10, 9, 8, 7, 6][..], &echo].concat();
                Forgery { options, ..answer }
            })
        },
    ),
    Listed::new(
        "stray_data_listener",
        "Stray data at a listener",
        "Data that belongs to no connection, with timestamps, arrives at a listening port.",
        stray_data_listener,
    ),
    Listed::new(
        "stray_fin_closed_port",
        "Stray FINs at closed ports",
        "FINs that belong to no connection arrive at two ports on which nothing listens.",
        stray_fin_closed_port,
    ),
    Listed::new(
        "late_duplicate_in_timewait",
        "A late duplicate after the end",
        "A connection was closed by both; a duplicate of the client's request arrives at the \
         server, which waits in TIME_WAIT and answers; the client's host knows nothing any more.",
        late_duplicate_in_timewait,
    ),
    Listed::new(
        "timewait_reuse_inside",
        "Port reused with a number of the last connection",
        "The server, which closed first, waits in TIME_WAIT; the client calls again from the same \
         port, without timestamps, with a number out of the middle of the last connection.",
        timewait_reuse_inside,
    )
    .alone(),
];

const BAD_ACK: Cause = ("protocol_state", "bad_handshake_ack");
const STRAY: Cause = ("protocol_state", "stray_segment");

fn data_with_short_ack(scene: &Scene<'_>) -> Result<GroundTruth> {
    let client = RawClient::new(scene)?;
    client.send(&client.syn)?;
    let answer = client.syn_ack()?;
    client.send(&Forgery {
        seq: answer.ack,
        ack: answer.seq,
        flags: PSH | ACK,
        payload: REQUEST.to_vec(),
        ..client.syn.clone()
    })?;
    client.end_in_reset(Stage::PostPush)
}

fn stray_data_listener(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(2)?;
    let plain = scene.raw_from_client(PSH | ACK)?;
    let stray = Forgery {
        seq: 0x2468_ace0,
        ack: 0x1357_9bdf,
        window: 229,
        ttl: 64,
        dont_fragment: true,
        ip_id: 30_303,
        options: vec![1, 1, 8, 10, 0, 0x12, 0x34, 0x56, 0, 0x65, 0x43, 0x21],
        payload: b"left over from another life\n".to_vec(),
        ..plain
    };
    packet::inject(&scene.lab.client, Place::Client.interface(), &stray.to_frame())?;
    let connection = Connection::between(stray.src, stray.dst);
    let reset = Reset::by(Sender::Server, Stage::PostPush, STRAY);
    Ok(only(connection, vec![reset], "the client's host saw the reset"))
}

fn stray_fin_closed_port(scene: &Scene<'_>) -> Result<GroundTruth> {
    let plain = scene.raw_from_client(FIN | ACK)?;
    let mut connections = Vec::new();
    for port in [scene.server.port(), scene.server.port() + 1] {
        let dst = scene.at(Place::Server, port);
        let (seq, ack) = (0x7700_0000 + u32::from(port), 0x3300_0000);
        let stray = Forgery { dst, seq, ack, window: 501, ttl: 64, ip_id: port, ..plain.clone() };
        packet::inject(&scene.lab.client, Place::Client.interface(), &stray.to_frame())?;
        let resets = vec![Reset::by(Sender::Server, Stage::PostFin, STRAY)];
        connections.push(Connection { resets, ..Connection::between(stray.src, dst) });
    }
    Ok(GroundTruth { connections, done: "the client's host saw both resets" })
}

/// The server closes first and waits in TIME_WAIT; the client's port is free at once.
fn closed_by_both(scene: &Scene<'_>, pair: Pair<'_>) -> Result<Connection> {
    pair.settle()?;
    let Pair { connection, client, server, .. } = pair;
    scene.lab.server.run(|| sockets::close(server))?;
    sockets::await_end(&client)?;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::close(client))?;
    settle(scene.lab, &connection)?;
    Ok(connection)
}

fn late_duplicate_in_timewait(scene: &Scene<'_>) -> Result<GroundTruth> {
    let connection = closed_by_both(scene, scene.busy_pair()?)?;
    let request = scene.lab.sniffer(Place::Client).wait_for("data", &connection, |seen| {
        let is_it = |one: &&rst_tracer::demo::sniffer::Sighting| {
            one.segment.src == connection.client && one.segment.payload_len > 0
        };
        seen.iter().find(is_it).map(|one| one.segment.clone())
    })?;
    let duplicate = Forgery {
        seq: request.seq,
        ack: request.ack,
        window: request.window,
        ttl: request.ttl,
        ip_id: request.ip_id.unwrap_or_default(),
        dont_fragment: request.dont_fragment,
        flow_label: request.flow_label.unwrap_or_default(),
        payload: REQUEST.to_vec(),
        ..Forgery::after(&request, request.flags)
    };
    packet::inject(&scene.lab.client, Place::Client.interface(), &duplicate.to_frame())?;
    // What the server answers belongs to no connection that the client knows.
    let reset = Reset::by(Sender::Client, Stage::Closed, STRAY);
    Ok(only(connection, vec![reset], "the server's host saw the reset"))
}

fn timewait_reuse_inside(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _plain = scene.lab.set_for_now(&scene.lab.client, &[("net/ipv4/tcp_timestamps", "0")])?;
    let listener = scene.listen(8)?;
    let pair = scene.pair_at(&listener)?;
    pair.exchange()?;
    pair.exchange()?;
    let first =
        scene.lab.sniffer(Place::Client).wait_for("the first SYN", &pair.connection, |seen| {
            seen.iter().find(|one| one.segment.has(SYN)).map(|one| one.segment.seq)
        })?;
    let connection = closed_by_both(scene, pair)?;
    let socket = scene.lab.client.run(|| sockets::bound_to(connection.client))?;
    options::begin_with(&socket, first.wrapping_add(20))?;
    // After the reset the client's SYN comes again, and TIME_WAIT is over.
    let (client, connection) = scene.dial_from((socket, connection.client))?;
    let server = scene.lab.server.run(|| sockets::accept(&listener))?;
    let again = Pair { lab: scene.lab, connection: connection.clone(), client, server };
    again.exchange()?;
    again.part()?;
    let cause = ("protocol_state", "port_reuse_timewait");
    let reset = Reset::by(Sender::Client, Stage::PostSyn, cause);
    Ok(only(connection, vec![reset], "the client reset the answer from TIME_WAIT and connected"))
}
