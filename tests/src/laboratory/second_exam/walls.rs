//! Packet filters on the way, and what they do to connections.

use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::errno::Errno;
use rst_tracer::demo::frame::{RST, Segment};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Hook, Only, Port, Verdict};
use rst_tracer::demo::scenarios::{Listed, Pair, REQUEST, Scene, answer_of_the_dead, last, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Side, Stage};

use super::filter::{
    AFTER_RESET, IPTABLES, NETWORK, Rule, broken, by_router, late, only, port_after, refused,
    shout, talk, talked,
};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "download_limit",
        "A download that is too long",
        "The router's iptables lets 20000 bytes of a connection through (connbytes) and rejects \
         what the server sends beyond. Later the client, which was not told, asks again.",
        download_limit,
    )
    .needs(IPTABLES),
    Listed::new(
        "no_mail_from_here",
        "No mail out of this network",
        "The router's iptables rejects calls to three mail ports (multiport); the web is served.",
        no_mail_from_here,
    )
    .needs(IPTABLES),
    Listed::new(
        "syn_rate_limited",
        "Too many calls in a row",
        "The router's iptables lets five calls of one address through (hashlimit); the sixth to \
         the eighth are rejected.",
        syn_rate_limited,
    )
    .needs(IPTABLES),
    Listed::new(
        "full_firewall_evicts",
        "A full firewall forgets the oldest",
        "A firewall on the way has room for four connections; with the fifth it forgets the first \
         and rejects its next request. Later the server closes.",
        full_firewall_evicts,
    ),
    Listed::new(
        "half_seen_handshake",
        "A firewall that sees one direction only",
        "The router tracks what the client sends but not what the server sends, as if that took \
         another way, and rejects the last ACK of the handshake, which it cannot place.",
        half_seen_handshake,
    )
    .needs(IPTABLES)
    .slow(),
    Listed::new(
        "drop_becomes_reject",
        "A rule that drops becomes one that rejects",
        "The router loses a request and its repetitions; then its rule is changed, and the next \
         repetition is rejected. Later the server, which was not told, sends.",
        drop_becomes_reject,
    )
    .slow(),
    Listed::new(
        "pool_cut_off",
        "A new rule cuts off a pool of connections",
        "The router's firewall begins to reject while four connections are idle; the next request \
         over each is rejected. The server is heard no more.",
        pool_cut_off,
    ),
    Listed::new(
        "farewell_of_server_rejected",
        "A new rule meets the server's farewell",
        "The router's firewall begins to reject what comes from the server, which then closes; \
         later the client, which was not told, goes on sending.",
        farewell_of_server_rejected,
    ),
];

const PING: &[(Side, &[u8])] =
    &[(Side::Client, b"*1\r\n$4\r\nPING\r\n"), (Side::Server, b"+PONG\r\n")];

fn download_limit(scene: &Scene<'_>) -> Result<GroundTruth> {
    let beyond = "-m connbytes --connbytes 20000: --connbytes-dir both --connbytes-mode bytes";
    let matches = format!("--sport {} {beyond}", scene.server.port());
    let rule = Rule::reject(scene, &scene.lab.router, "FORWARD", &matches)?;
    let pair = scene.pair()?;
    pair.request()?;
    shout(&pair, Side::Server, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")?;
    while !cut_off(&pair)? {
        shout(&pair, Side::Server, &[b'd'; 1400])?;
    }
    broken(&pair.server)?;
    drop(rule);
    late(&pair, Side::Client, REQUEST)?;
    let first = by_router(Side::Client, Stage::PostData, NETWORK).refuted();
    let second = Reset::by(Sender::Server, Stage::PostData, AFTER_RESET);
    Ok(pair.truth("first the server, then the client got ECONNRESET", vec![first, second]))
}

/// What the server said last was either acknowledged or answered with a reset.
fn cut_off(pair: &Pair<'_>) -> Result<bool> {
    pair.lab.sniffer(Place::Server).wait_for("an answer", &pair.connection, |seen| {
        let client = last(seen, &pair.connection, Side::Client)?;
        let server = last(seen, &pair.connection, Side::Server)?;
        let reset = client.has(RST);
        (reset || client.ack == server.next_seq()).then_some(reset)
    })
}

fn no_mail_from_here(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mail: Vec<_> = (1..4).map(|number| port_after(scene, number)).collect();
    let listen = |&at| scene.lab.server.run(|| sockets::listen_on(at, 4));
    let _open = mail.iter().map(listen).collect::<Result<Vec<_>>>()?;
    let [from, to] = [mail[0].port(), mail[2].port()];
    let matches = format!("-m multiport --dports {from}:{to}");
    let _rule = Rule::reject(scene, &scene.lab.router, "FORWARD", &matches)?;
    let reset = by_router(Side::Server, Stage::PostSyn, NETWORK);
    let mut connections = Vec::new();
    for number in [0, 2, 1] {
        connections.push(refused(scene, mail[number], reset)?);
    }
    let web = scene.busy_pair()?;
    web.settle()?;
    connections.push(web.connection.clone());
    web.part()?;
    Ok(GroundTruth { connections, done: "three calls returned ECONNREFUSED" })
}

fn syn_rate_limited(scene: &Scene<'_>) -> Result<GroundTruth> {
    let port = scene.server.port();
    let above = "--hashlimit-above 5/minute --hashlimit-burst 5 --hashlimit-mode srcip";
    let matches = format!("--dport {port} --syn -m hashlimit {above} --hashlimit-name h{port}");
    let _rule = Rule::reject(scene, &scene.lab.router, "FORWARD", &matches)?;
    let served = talked(scene, 5, PING)?;
    let mut connections = Vec::new();
    for _ in 0..3 {
        let reset = by_router(Side::Server, Stage::PostSyn, NETWORK);
        connections.push(refused(scene, scene.server, reset)?);
    }
    for pair in served {
        connections.push(pair.connection.clone());
        pair.part()?;
    }
    Ok(GroundTruth { connections, done: "three calls returned ECONNREFUSED" })
}

fn full_firewall_evicts(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mut pairs = talked(scene, 5, PING)?;
    let oldest = pairs.remove(0);
    let forgotten = [(Port::From(oldest.connection.client.port()), Only::Any)];
    let rule = scene.rules(&scene.lab.router, Hook::Forward, &forgotten, Verdict::Reject)?;
    shout(&oldest, Side::Client, PING[0].1)?;
    broken(&oldest.client)?;
    drop(rule);
    // The firewall rejects because it had no room for another connection.
    let cause = ("resource_limitation", "middlebox_table_full");
    let reset = by_router(Side::Server, Stage::PostData, cause);
    let reset = reset.or_as_truly(&["network_firewall_reject"]).refuted();
    let done = "the client got ECONNRESET, later the server's FIN was reset";
    let mut truth = oldest.truth(done, vec![reset, answer_of_the_dead()]);
    scene.lab.server.run(|| sockets::close(oldest.server))?;
    for pair in pairs {
        talk(&pair, PING)?;
        truth.connections.push(pair.connection.clone());
        pair.part()?;
    }
    Ok(truth)
}

fn half_seen_handshake(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (router, port) = (&scene.lab.router, scene.server.port());
    let elsewhere = format!("PREROUTING -p tcp --sport {port} -j CT --notrack");
    let unseen = Rule::append(scene, router, "raw", elsewhere)?;
    let matches = format!("--dport {port} -m conntrack --ctstate INVALID");
    let rule = Rule::reject(scene, router, "FORWARD", &matches)?;
    let _listener = scene.listen(4)?;
    let (socket, client) = scene.bound()?;
    // The reset may be faster than the return from connect.
    match scene.lab.client.run(|| Ok(sockets::connect(&socket, scene.server)))? {
        Ok(()) => broken(&socket.into())?,
        Err(Errno::ECONNRESET) => {}
        Err(other) => bail!("connect was to succeed or fail with ECONNRESET, got {other}"),
    }
    let connection = Connection::between(client, scene.server);
    drop(rule);
    drop(unseen);
    // The server, which never got that ACK, repeats its SYN-ACK after a second.
    let resets =
        vec![by_router(Side::Server, Stage::PostAck, NETWORK).refuted(), answer_of_the_dead()];
    let done = "the client got ECONNRESET and reset the SYN-ACK that was repeated";
    let truth = only(connection, resets, done);
    scene.await_resets(&truth)?;
    Ok(truth)
}

fn drop_becomes_reject(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let before = pair.last_of(Side::Client, Place::Client)?;
    let lost = scene.lose(&[(Port::To(scene.server.port()), Only::Any)])?;
    shout(&pair, Side::Client, REQUEST)?;
    let is_it = |one: &Segment| {
        one.src == before.src && one.seq == before.next_seq() && one.payload_len > 0
    };
    scene.lab.sniffer(Place::Client).wait_for("repetitions", &pair.connection, |seen| {
        (seen.iter().filter(|one| is_it(&one.segment)).count() >= 3).then_some(())
    })?;
    let rule = scene.reject(&scene.lab.router, Hook::Forward)?;
    drop(lost);
    broken(&pair.client)?;
    drop(rule);
    pair.speak_to_the_dead()?;
    let resets =
        vec![by_router(Side::Server, Stage::PostData, NETWORK).refuted(), answer_of_the_dead()];
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}

fn pool_cut_off(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pairs = talked(scene, 4, PING)?;
    thread::sleep(Duration::from_millis(300));
    let _rule = scene.reject(&scene.lab.router, Hook::Forward)?;
    let mut connections = Vec::new();
    for pair in pairs {
        late(&pair, Side::Client, b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")?;
        let resets = vec![by_router(Side::Server, Stage::PostData, NETWORK)];
        connections.push(Connection { resets, ..pair.connection });
        sockets::vanish(pair.server)?;
    }
    Ok(GroundTruth { connections, done: "four clients got ECONNRESET" })
}

fn farewell_of_server_rejected(scene: &Scene<'_>) -> Result<GroundTruth> {
    let Pair { connection, client, server, .. } = talked(scene, 1, PING)?.remove(0);
    settle(scene.lab, &connection)?;
    let from_server = [(Port::From(scene.server.port()), Only::Any)];
    let rule = scene.rules(&scene.lab.router, Hook::Forward, &from_server, Verdict::Reject)?;
    scene.lab.server.run(|| sockets::close(server))?;
    let first = by_router(Side::Client, Stage::PostFin, NETWORK).refuted();
    scene.await_resets(&only(connection.clone(), vec![first], ""))?;
    drop(rule);
    scene.lab.client.run(|| sockets::say(&client, PING[0].1))?;
    broken(&client)?;
    // The client saw neither the FIN nor that reset.
    let second = Reset::by(Sender::Server, Stage::PostData, AFTER_RESET);
    Ok(only(connection, vec![first, second], "later the client got ECONNRESET"))
}
