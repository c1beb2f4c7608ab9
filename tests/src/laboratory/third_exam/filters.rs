//! Packet filters, on the server, on the client and on the way, by rules of daily use.

use std::thread;

use anyhow::{Context, Result};
use nix::errno::Errno;
use rst_tracer::demo::frame::RST;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Hook, Only, Port, Verdict};
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, answer_of_the_dead};
use rst_tracer::demo::sniffer::Direction;
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Side, Stage};

use super::super::options;
use super::super::second_exam::filter::{
    AFTER_RESET, IPTABLES, NETWORK, Rule, broken, by_host, by_router, late, only, port_after,
    refused, shout, talk, talked,
};
use super::common::{CLOSED, begin_call, ms, passed, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "knock_first",
        "A port that wants a knock",
        "The server's iptables rejects who has not knocked at another port within the last seconds \
         (recent). The client calls in vain, knocks at that port, which is closed, and is let in.",
        knock_first,
    )
    .needs(IPTABLES),
    Listed::new(
        "quota_of_upload",
        "An upload beyond its quota",
        "The server's iptables lets some bytes through (quota) and rejects what follows, in the \
         middle of an upload; later the server complains that the rest is missing.",
        quota_of_upload,
    )
    .needs(IPTABLES),
    Listed::new(
        "every_second_call",
        "Every second call rejected",
        "The router's iptables rejects every second SYN (statistic): of four calls two are refused \
         and two are served.",
        every_second_call,
    )
    .needs(IPTABLES),
    Listed::new(
        "last_ack_rejected",
        "The last ACK of a handshake rejected",
        "The server's iptables rejects bare ACKs for a moment: the client, which has connected, is \
         reset before it has said anything; the server repeats its SYN-ACK.",
        last_ack_rejected,
    )
    .needs(IPTABLES)
    .slow(),
    Listed::new(
        "long_answers_rejected",
        "The client's firewall takes no long answers",
        "The client's own iptables rejects long segments (length): the server is reset amid its \
         answer; later the client asks again.",
        long_answers_rejected,
    )
    .needs(IPTABLES),
    Listed::new(
        "marked_traffic_rejected",
        "No expedited traffic here",
        "The router's iptables rejects segments of a certain class (dscp); the client raises the \
         class of a call in the middle of it. Later the server, which was not told, hangs up.",
        marked_traffic_rejected,
    )
    .needs(IPTABLES),
    Listed::new(
        "no_way_back",
        "A firewall lets no answer out",
        "The router's firewall rejects the server's SYN-ACK; the caller, which is not told, is \
         gone.",
        no_way_back,
    ),
    Listed::new(
        "pool_after_quiet_rule",
        "A rule that a pool meets one by one",
        "The server's firewall begins to reject; of two idle connections one is used and one is \
         closed. The rule is taken back, and the server goes on with both.",
        pool_after_quiet_rule,
    ),
];

fn knock_first(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (host, port) = (&scene.lab.server, scene.server.port());
    let (known, door) = (format!("-m recent --name knock{port}"), port_after(scene, 1));
    let stranger = format!("--dport {port} --syn {known} ! --rcheck --seconds 20");
    let _wall = Rule::reject(scene, host, "INPUT", &stranger)?;
    let knock = format!("INPUT -p tcp --dport {} --syn {known} --set", door.port());
    let _list = Rule::append(scene, host, "filter", knock)?;
    let listener = scene.listen(8)?;
    let wall = || refused(scene, scene.server, by_host(Sender::Server, Stage::PostSyn));
    let mut connections = vec![wall()?, wall()?];
    connections.push(refused(scene, door, Reset::by(Sender::Server, Stage::PostSyn, CLOSED))?);
    let pair = scene.pair_at(&listener)?;
    pair.exchange()?;
    connections.push(pair.connection.clone());
    pair.part()?;
    Ok(GroundTruth { connections, done: "three calls returned ECONNREFUSED, the fourth did not" })
}

/// What a side said last was either acknowledged or answered with a reset.
fn rejected_yet(scene: &Scene<'_>, connection: &Connection, side: Side) -> Result<bool> {
    let place = if side == Side::Client { Place::Client } else { Place::Server };
    let [from, to] = match side {
        Side::Client => [connection.client, connection.server],
        Side::Server => [connection.server, connection.client],
    };
    scene.lab.sniffer(place).wait_for("an answer", connection, |seen| {
        let sent = seen.iter().rev().find(|one| one.segment.src == from)?.segment.next_seq();
        let heard = seen.iter().rev().find(|one| one.segment.src == to)?;
        let reset = heard.segment.has(RST) && heard.direction == Direction::In;
        (reset || heard.segment.ack == sent).then_some(reset)
    })
}

fn quota_of_upload(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (host, port) = (&scene.lab.server, scene.server.port());
    let quota = format!("INPUT -p tcp --dport {port} -m quota --quota 12000 -j ACCEPT");
    let quota = Rule::append(scene, host, "filter", quota)?;
    let wall = Rule::reject(scene, host, "INPUT", &format!("--dport {port}"))?;
    let pair = scene.pair()?;
    talk(&pair, &[(Side::Client, b"PUT /backup HTTP/1.1\r\nContent-Length: 90000\r\n\r\n")])?;
    while !rejected_yet(scene, &pair.connection, Side::Client)? {
        shout(&pair, Side::Client, &[b'u'; 1000])?;
    }
    broken(&pair.client)?;
    drop(wall);
    drop(quota);
    late(&pair, Side::Server, b"HTTP/1.1 408 Request Timeout\r\n\r\n")?;
    let resets = vec![by_host(Sender::Server, Stage::PostData).refuted(), answer_of_the_dead()];
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}

fn every_second_call(scene: &Scene<'_>) -> Result<GroundTruth> {
    let nth = "-m statistic --mode nth --every 2 --packet 0";
    let matches = format!("--dport {} --syn {nth}", scene.server.port());
    let _wall = Rule::reject(scene, &scene.lab.router, "FORWARD", &matches)?;
    let listener = scene.listen(8)?;
    let mut connections = Vec::new();
    for _ in 0..2 {
        let reset = by_router(Side::Server, Stage::PostSyn, NETWORK);
        connections.push(refused(scene, scene.server, reset)?);
        let pair = scene.pair_at(&listener)?;
        pair.exchange()?;
        connections.push(pair.connection.clone());
        pair.part()?;
        thread::sleep(ms(70));
    }
    Ok(GroundTruth { connections, done: "two calls returned ECONNREFUSED" })
}

fn last_ack_rejected(scene: &Scene<'_>) -> Result<GroundTruth> {
    let matches = format!("--dport {} --tcp-flags SYN,ACK,PSH,RST ACK", scene.server.port());
    let wall = Rule::reject(scene, &scene.lab.server, "INPUT", &matches)?;
    let _listener = scene.listen(8)?;
    let (socket, client) = scene.bound()?;
    // The reset may be faster than the return from connect.
    match scene.lab.client.run(|| Ok(sockets::connect(&socket, scene.server)))? {
        Ok(()) => broken(&socket.into())?,
        Err(Errno::ECONNRESET) => {}
        Err(other) => anyhow::bail!("connect was to succeed or be reset, got {other}"),
    }
    drop(wall);
    // After a second the server repeats its SYN-ACK.
    let resets = vec![by_host(Sender::Server, Stage::PostAck).refuted(), answer_of_the_dead()];
    let connection = with(Connection::between(client, scene.server), resets);
    passed(scene, vec![connection], "the client got ECONNRESET and reset another SYN-ACK")
}

fn long_answers_rejected(scene: &Scene<'_>) -> Result<GroundTruth> {
    let matches = format!("--sport {} -m length --length 900:", scene.server.port());
    let wall = Rule::reject(scene, &scene.lab.client, "INPUT", &matches)?;
    let pair = scene.busy_pair()?;
    talk(&pair, &[(Side::Client, b"EXPLAIN\r\n"), (Side::Server, &[b'-'; 500])])?;
    shout(&pair, Side::Server, &[b'='; 1200])?;
    broken(&pair.server)?;
    drop(wall);
    late(&pair, Side::Client, b"QUIT\r\n")?;
    let first = by_host(Sender::Client, Stage::PostData).refuted();
    let second = Reset::by(Sender::Server, Stage::Closed, AFTER_RESET);
    Ok(pair.truth("first the server, then the client got ECONNRESET", vec![first, second]))
}

fn marked_traffic_rejected(scene: &Scene<'_>) -> Result<GroundTruth> {
    // Expedited forwarding (RFC 3246), in the upper six bits.
    const EXPEDITED: u8 = 46 << 2;
    let matches = format!("--dport {} -m dscp --dscp 46", scene.server.port());
    let _wall = Rule::reject(scene, &scene.lab.router, "FORWARD", &matches)?;
    let lines: &[(Side, &[u8])] = &[
        (Side::Client, b"INVITE sip:desk@lab SIP/2.0\r\n\r\n"),
        (Side::Server, b"SIP/2.0 180\r\n"),
    ];
    let pair = talked(scene, 1, lines)?.remove(0);
    options::mark(&pair.client, scene.family, EXPEDITED)?;
    shout(&pair, Side::Client, b"UPDATE sip:desk@lab SIP/2.0\r\n\r\n")?;
    broken(&pair.client)?;
    let first = by_router(Side::Server, Stage::PostData, NETWORK).refuted();
    let done = "the client got ECONNRESET, later the server's FIN was reset";
    let truth = pair.truth(done, vec![first, answer_of_the_dead()]);
    scene.lab.server.run(|| sockets::close(pair.server))?;
    scene.await_resets(&truth)?;
    Ok(truth)
}

fn no_way_back(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(8)?;
    let answers = [(Port::From(scene.server.port()), Only::WithSyn)];
    let wall = scene.rules(&scene.lab.router, Hook::Forward, &answers, Verdict::Reject)?;
    let (socket, connection) = begin_call(scene, 0)?;
    let reset = by_router(Side::Client, Stage::PostSynack, NETWORK);
    let truth = only(connection, vec![reset], "the server was reset, the caller was not");
    scene.await_resets(&truth)?;
    sockets::vanish(socket.into())?;
    drop(wall);
    Ok(truth)
}

fn pool_after_quiet_rule(scene: &Scene<'_>) -> Result<GroundTruth> {
    let lines: &[(Side, &[u8])] =
        &[(Side::Client, b"PREPARE\r\n"), (Side::Server, b"OK\r\n"), (Side::Client, b"RUN\r\n")];
    let pairs = talked(scene, 2, lines)?;
    let wall = scene.reject(&scene.lab.server, Hook::Input)?;
    let [used, closed] = <[_; 2]>::try_from(pairs).ok().context("two pairs")?;
    let first = |stage| by_host(Sender::Server, stage).refuted();
    shout(&used, Side::Client, REQUEST)?;
    broken(&used.client)?;
    let mut connections = vec![used.connection.clone(), closed.connection.clone()];
    connections[0].resets = vec![first(Stage::PostData)];
    connections[1].resets = vec![first(Stage::PostFin)];
    scene.lab.client.run(|| sockets::close(closed.client))?;
    scene.await_resets(&GroundTruth { connections: connections.clone(), done: "" })?;
    drop(wall);
    connections.iter_mut().for_each(|one| one.resets.push(answer_of_the_dead()));
    late(&used, Side::Server, b"DONE\r\n")?;
    scene.lab.server.run(|| sockets::say(&closed.server, b"NOTICE\r\n"))?;
    broken(&closed.server)?;
    Ok(GroundTruth { connections, done: "first the clients, then the servers got ECONNRESET" })
}
