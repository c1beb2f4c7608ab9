//! One side has lost what the other believes in, or the two never agreed.

use std::net::{SocketAddr, TcpStream};
use std::thread;

use anyhow::{Context, Result};
use nix::errno::Errno;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, FIN, PSH, SYN};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::packet;
use rst_tracer::demo::scenarios::{ANSWER, Listed, Pair, RAW_CLIENT_PORT, REQUEST, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, Effect, GroundTruth, Reset, Sender, Side, Stage};

use super::super::options;
use super::super::raw::RawClient;
use super::super::raw_server::answered_wrongly;
use super::super::second_exam::filter::{Cause, broken, only, talk, talked};
use super::common::{ms, passed, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "mounts_after_two_crashes",
        "A client that crashes twice",
        "The client, which always calls from the same port, loses its state without a word and \
         calls again, twice.",
        mounts_after_two_crashes,
    ),
    Listed::new(
        "pool_after_failover",
        "A pool meets a server that knows nothing",
        "The server loses three connections without a word, as in a failover; 1.6 s later the \
         client uses one, closes one, and a keepalive probe goes over the third.",
        pool_after_failover,
    )
    .slow(),
    Listed::new(
        "laptop_is_new",
        "A server looks after a client that is new",
        "The client loses its state without a word; the first to reach it is a keepalive probe of \
         the server's.",
        laptop_is_new,
    )
    .slow(),
    Listed::new(
        "keepalive_never_used",
        "Keepalive on a connection never used",
        "The client connects and says nothing; the network goes silent, and its keepalive gives \
         up.",
        keepalive_never_used,
    )
    .slow(),
    Listed::new(
        "probe_after_user_timeout",
        "A probe after a user timeout",
        "The network goes silent in the middle of an answer, and the server's TCP_USER_TIMEOUT ends \
         its side; then the network is back, and the client's keepalive asks.",
        probe_after_user_timeout,
    )
    .slow(),
    Listed::new(
        "farewell_before_welcome",
        "A farewell instead of the last ACK",
        "A program on the client writes a SYN and, when it is answered, a FIN that acknowledges \
         what the server has not sent.",
        farewell_before_welcome,
    ),
    Listed::new(
        "syn_ack_echoes_itself",
        "The SYN-ACK echoes its own timestamp",
        "A program on the server answers the client's SYN, and puts its own timestamp where the \
         client's should be.",
        syn_ack_echoes_itself,
    ),
    Listed::new(
        "session_of_another_day",
        "A session from another day",
        "A program on the client writes TLS data, a keepalive probe and an acknowledgment into \
         three sessions that the service, which listens, has never had.",
        session_of_another_day,
    ),
    Listed::new(
        "port_back_too_soon",
        "A fixed port comes back too soon",
        "The server answers an upload and closes first; the client, which always calls from the \
         same port, calls again with a lower sequence number and without timestamps.",
        port_back_too_soon,
    )
    .alone(),
];

const DISCOVERED: Cause = ("protocol_state", "half_open_discovery");
const LOST: Cause = ("application_error", "half_open_stale_state");
const KEEPALIVE: Cause = ("protocol_state", "keepalive_timeout");

fn mounts_after_two_crashes(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let mut pair = scene.pair_at(&listener)?;
    let address = pair.connection.client;
    for _ in 0..2 {
        talk(
            &pair,
            &[(Side::Client, b"\x80\0\0\x28 call"), (Side::Server, b"\x80\0\0\x18 reply")],
        )?;
        let Pair { client, server: before, .. } = pair;
        sockets::vanish(client)?;
        let socket = scene.lab.client.run(|| sockets::bound_to(address))?;
        // The kernel sends its SYN again as soon as it has sent the reset.
        let (client, connection) = scene.dial_from((socket, address))?;
        broken(&before)?;
        let server = scene.lab.server.run(|| sockets::accept(&listener))?;
        pair = Pair { lab: scene.lab, connection, client, server };
    }
    pair.exchange()?;
    let reset = Reset::by(Sender::Client, Stage::PostData, DISCOVERED);
    let truth = pair.truth("twice the server got ECONNRESET", vec![reset, reset]);
    pair.part()?;
    Ok(truth)
}

fn pool_after_failover(scene: &Scene<'_>) -> Result<GroundTruth> {
    let lines: &[(Side, &[u8])] =
        &[(Side::Client, b"BEGIN;"), (Side::Server, b"BEGIN"), (Side::Client, b"COMMIT;")];
    let pairs = talked(scene, 3, lines)?;
    let mut connections = Vec::new();
    let mut clients = Vec::new();
    for Pair { connection, client, server, .. } in pairs {
        sockets::vanish(server)?;
        connections.push(connection);
        clients.push(client);
    }
    thread::sleep(ms(1600));
    let [used, closed, probed] = <[TcpStream; 3]>::try_from(clients).ok().context("three")?;
    scene.lab.client.run(|| sockets::say(&used, REQUEST))?;
    broken(&used)?;
    scene.lab.client.run(|| sockets::close(closed))?;
    sockets::keep_alive(&probed, 1, 3)?;
    broken(&probed)?;
    let stages = [Stage::PostData, Stage::PostFin, Stage::PostData];
    for (connection, stage) in connections.iter_mut().zip(stages) {
        connection.resets = vec![Reset::by(Sender::Server, stage, LOST)];
    }
    passed(scene, connections, "two clients got ECONNRESET, one orphan was reset")
}

fn laptop_is_new(scene: &Scene<'_>) -> Result<GroundTruth> {
    let lines: &[(Side, &[u8])] = &[(Side::Client, b"SUB news\n"), (Side::Server, b"OK\n")];
    let Pair { connection, client, server, .. } = talked(scene, 1, lines)?.remove(0);
    sockets::vanish(client)?;
    sockets::keep_alive(&server, 1, 4)?;
    broken(&server)?;
    let reset = Reset::by(Sender::Client, Stage::PostData, LOST);
    passed(scene, vec![with(connection, vec![reset])], "the server got ECONNRESET")
}

fn keepalive_never_used(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    pair.settle()?;
    let silence = scene.silence()?;
    sockets::keep_alive(&pair.client, 1, 2)?;
    sockets::await_error(&pair.client, Errno::ETIMEDOUT)?;
    let reset = Reset::by(Sender::Client, Stage::PostAck, KEEPALIVE).with_effect(Effect::Lost);
    let truth = pair.truth("the client got ETIMEDOUT", vec![reset]);
    // The reset must meet the rule, so the rule stays until the router has seen it.
    scene.await_resets(&truth)?;
    drop(silence);
    // The server knows nothing of all this; its FIN would be answered by another reset.
    sockets::vanish(pair.server)?;
    Ok(truth)
}

fn probe_after_user_timeout(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    pair.request()?;
    talk(&pair, &[(Side::Server, &[b'1'; 1400])])?;
    options::give_up_after(&pair.server, ms(1200))?;
    let silence = scene.silence()?;
    scene.lab.server.run(|| sockets::say(&pair.server, ANSWER))?;
    sockets::await_error(&pair.server, Errno::ETIMEDOUT)?;
    drop(silence);
    sockets::keep_alive(&pair.client, 1, 4)?;
    broken(&pair.client)?;
    let cause = ("protocol_state", "late_segment_after_timeout");
    let reset = Reset::by(Sender::Server, Stage::PostData, cause);
    Ok(pair.truth("the server got ETIMEDOUT, later the client ECONNRESET", vec![reset]))
}

fn farewell_before_welcome(scene: &Scene<'_>) -> Result<GroundTruth> {
    let client = RawClient::new(scene)?;
    client.send(&client.syn)?;
    let answer = client.syn_ack()?;
    let ack = answer.next_seq().wrapping_add(777);
    let farewell =
        Forgery { seq: answer.ack, ack, flags: FIN | ACK, ip_id: 8, ..client.syn.clone() };
    client.send(&farewell)?;
    client.end_in_reset(Stage::PostFin)
}

fn syn_ack_echoes_itself(scene: &Scene<'_>) -> Result<GroundTruth> {
    let cause = ("protocol_state", "timestamp_mismatch");
    answered_wrongly(scene, cause, |syn, answer| {
        let sent = syn.timestamps.map_or(0, |(value, _)| value);
        let own = sent.wrapping_add(0x0123_4567).to_be_bytes();
        // MSS 1400; NOP, NOP, timestamps.
        let options = [&[2, 4, 5, 120, 1, 1, 8, 10][..], &own, &own].concat();
        Forgery { options, window: 28_960, ..answer }
    })
}

fn session_of_another_day(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(8)?;
    let plain = Forgery {
        seq: 0x7e57_0001,
        ack: 0x7e58_0001,
        window: 501,
        ttl: 64,
        dont_fragment: true,
        ..scene.raw_from_client(ACK)?
    };
    let from = |number: u16| SocketAddr::new(plain.src.ip(), RAW_CLIENT_PORT + 200 + number);
    let record = b"\x17\x03\x03\x00\x20 what was said that day, encrypted".to_vec();
    let data = Forgery { src: from(0), flags: PSH | ACK, payload: record, ..plain.clone() };
    let probe = Forgery { src: from(1), payload: vec![0], ip_id: 2, ..plain.clone() };
    let bare = Forgery { src: from(2), ip_id: 3, ..plain.clone() };
    let cause: Cause = ("protocol_state", "stray_segment");
    let stages = [(data, Stage::PostPush), (probe, Stage::PostPush), (bare, Stage::NoFlow)];
    let mut connections = Vec::new();
    for (segment, stage) in stages {
        let frame = segment.to_frame();
        packet::inject(&scene.lab.client, Place::Client.interface(), &frame)?;
        let connection = Connection::between(segment.src, segment.dst);
        connections.push(with(connection, vec![Reset::by(Sender::Server, stage, cause)]));
        thread::sleep(ms(60));
    }
    passed(scene, connections, "the client saw three resets")
}

fn port_back_too_soon(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _plain = scene.lab.set_for_now(&scene.lab.client, &[("net/ipv4/tcp_timestamps", "0")])?;
    let listener = scene.listen(8)?;
    let pair = scene.pair_at(&listener)?;
    let lines: &[(Side, &[u8])] = &[(Side::Client, &[b'u'; 9000]), (Side::Server, b"226 done\r\n")];
    talk(&pair, lines)?;
    let Pair { client, server, connection, .. } = pair;
    let number = scene.lab.sniffer(Place::Client).wait_for("a SYN", &connection, |seen| {
        seen.iter().find(|one| one.segment.has(SYN)).map(|one| one.segment.seq)
    })?;
    // The server closes first, then the client; the client's port is free at once.
    scene.lab.server.run(|| sockets::close(server))?;
    sockets::await_end(&client)?;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::close(client))?;
    settle(scene.lab, &connection)?;
    let socket = scene.lab.client.run(|| sockets::bound_to(connection.client))?;
    options::begin_with(&socket, number.wrapping_sub(3))?;
    // TIME_WAIT answers with what it remembers; after the reset the SYN comes again.
    let (client, _) = scene.dial_from((socket, connection.client))?;
    let cause = ("protocol_state", "port_reuse_timewait");
    let reset = Reset::by(Sender::Client, Stage::PostSyn, cause);
    // The second connection is not part of the matter: both ends go without a word.
    sockets::vanish(scene.lab.server.run(|| sockets::accept(&listener))?)?;
    sockets::vanish(client)?;
    Ok(only(connection, vec![reset], "the client reset the answer of TIME_WAIT and was let in"))
}
