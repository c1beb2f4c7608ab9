//! No room: a queue that is full, a box on the way that is, and a program that is.

use std::fs;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use nix::errno::Errno;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST};
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, answer_of_the_dead, settle};
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Side, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::injected::forged;
use super::super::injected::recipes::noise;
use super::super::injected::watcher::{Heard, Trigger, heard_at_rest, shoot, watched};
use super::super::second_exam::filter::{
    Cause, IPTABLES, Rule, broken, by_router, refused, talked,
};
use super::super::servers::nginx;
use super::common::{UNREAD, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "nginx_queue_overflow",
        "nginx hangs, its queue is full",
        "nginx, told to keep two callers waiting at most, hangs (SIGSTOP); of three callers the \
         last one finds no place, and tcp_abort_on_overflow is on. Then nginx goes on, and the \
         caller that comes again is served.",
        nginx_queue_overflow,
    )
    .needs(&["nginx"])
    .slow(),
    Listed::new(
        "nginx_no_connection_left",
        "nginx has no connection left",
        "nginx may have four connections (worker_connections), which half a request each occupies; \
         two more clients are accepted and dropped with their requests unread.",
        nginx_no_connection_left,
    )
    .needs(&["nginx"]),
    Listed::new(
        "translator_without_ports",
        "A translator has no port left",
        "A load balancer on the way (after F5 BIG-IP) resets the client over its first request and \
         writes that it has no address left to translate to; later the server hangs up.",
        translator_without_ports,
    ),
    Listed::new(
        "gateway_table_full",
        "A gateway throws connections out",
        "A gateway on the way resets both sides of two connections in use, with the IETF draft's \
         diagnostic payload: resource exceeded, its table is full.",
        gateway_table_full,
    ),
    Listed::new(
        "gateway_counts_sessions",
        "A gateway takes three sessions of a host",
        "The router's iptables takes three connections of one address (connlimit) and rejects the \
         fourth; when one has ended, the next is let through.",
        gateway_counts_sessions,
    )
    .needs(IPTABLES),
];

const OVERFLOW: Cause = ("resource_limitation", "accept_queue_overflow");
const FULL: Cause = ("resource_limitation", "middlebox_table_full");

/// How many finished handshakes wait at a listener of somebody else.
pub(in crate::laboratory) fn waiting(host: &Netns, at: SocketAddr) -> Result<u32> {
    let table = if at.is_ipv4() { "tcp" } else { "tcp6" };
    let path = format!("/proc/thread-self/net/{table}");
    let table = host.run(|| fs::read_to_string(&path).context("reading the sockets"))?;
    let port = format!(":{:04X}", at.port());
    // Local address, remote address, state (0A: listening), and the lengths of both queues.
    let is_it = |line: &&str| {
        let mut columns = line.split_whitespace().skip(1);
        columns.next().is_some_and(|local| local.ends_with(&port)) && columns.nth(1) == Some("0A")
    };
    let line = table.lines().find(is_it).context("nobody listens")?;
    let queues = line.split_whitespace().nth(4).context("no queues")?;
    let received = queues.split(':').nth(1).context("no second queue")?;
    u32::from_str_radix(received, 16).context("the length of a queue")
}

fn nginx_queue_overflow(scene: &Scene<'_>) -> Result<GroundTruth> {
    let key = "net/ipv4/tcp_abort_on_overflow";
    let setting = scene.lab.set_for_now(&scene.lab.server, &[(key, "1")])?;
    let nginx = nginx::start_with(scene, 64, "backlog=1", "keepalive_timeout 0; return 200;")?;
    nginx.halt()?;
    let host = &scene.lab.server;
    let queue_is = |n| wait::until("the queue", || Ok(waiting(host, scene.server)? == n));
    // The last ACKs of two handshakes are held: a full queue would answer no SYN.
    let hold = || {
        let bound = scene.bound()?;
        let hold = scene.lose(&[(Port::From(bound.1.port()), Only::WithoutSyn)])?;
        Ok::<_, anyhow::Error>((scene.dial_from(bound)?, hold))
    };
    let first = scene.dial()?;
    queue_is(1)?;
    let ((second, victim), asked) = ((hold()?, hold()?), REQUEST);
    let admit = |((client, connection), hold)| {
        drop(hold);
        scene.lab.client.run(|| sockets::say(&client, asked))?;
        Ok::<_, anyhow::Error>((client, connection))
    };
    let second = admit(second)?;
    queue_is(2)?;
    let (client, connection) = admit(victim)?;
    broken(&client)?;
    drop(setting);
    let reset = Reset::by(Sender::Server, Stage::PostPush, OVERFLOW);
    let mut connections = vec![with(connection, vec![reset])];
    nginx.carry_on()?;
    let again = scene.dial()?;
    for (client, _) in [&first, &again] {
        scene.lab.client.run(|| sockets::say(client, asked))?;
    }
    for (client, connection) in [first, second, again] {
        sockets::drain(&client)?;
        settle(scene.lab, &connection)?;
        connections.push(connection);
    }
    Ok(GroundTruth { connections, done: "the caller without a place got ECONNRESET" })
}

fn nginx_no_connection_left(scene: &Scene<'_>) -> Result<GroundTruth> {
    let nginx = nginx::start_with(scene, 4, "", "return 200;")?;
    // Its listening socket is one of the four.
    let mut busy = Vec::new();
    for _ in 0..3 {
        let (client, connection) = scene.dial()?;
        scene.lab.client.run(|| sockets::say(&client, &REQUEST[..18]))?;
        settle(scene.lab, &connection)?;
        busy.push((client, connection));
    }
    wait::until("nginx to have them", || Ok(waiting(&scene.lab.server, scene.server)? == 0))?;
    nginx.halt()?;
    let late = [scene.dial()?, scene.dial()?];
    for (client, connection) in &late {
        scene.lab.client.run(|| sockets::say(client, REQUEST))?;
        settle(scene.lab, connection)?;
    }
    nginx.carry_on()?;
    let mut connections = Vec::new();
    for (client, connection) in late {
        sockets::await_error(&client, Errno::ECONNRESET)?;
        // That it had no room for them is why it closed; that they had spoken, why it was a reset.
        let reset = Reset::by(Sender::Server, Stage::PostPush, UNREAD);
        connections.push(with(connection, vec![reset]));
    }
    connections.extend(busy.into_iter().map(|(_, connection)| connection));
    Ok(GroundTruth { connections, done: "two clients got ECONNRESET" })
}

fn translator_without_ports(scene: &Scene<'_>) -> Result<GroundTruth> {
    let big_ip = |heard: &Heard| {
        let payload = b"BIG-IP: [0x1d0c3a9:1188] No available SNAT addr".to_vec();
        let plain = heard.to_client(RST | ACK);
        vec![Forgery { payload, ttl: 254, ip_id: noise(heard), dont_fragment: true, ..plain }]
    };
    let pair = scene.pair()?;
    pair.settle()?;
    let asked = Trigger::Request(b"GET /");
    watched(scene, &pair.connection, asked, big_ip, || pair.request())?;
    broken(&pair.client)?;
    let first = forged(Side::Server, Stage::PostPush, FULL).refuted();
    // The server's FIN meets nobody.
    let done = "the client got ECONNRESET, later the server's FIN was reset";
    let truth = pair.truth(done, vec![first, answer_of_the_dead()]);
    scene.lab.server.run(|| sockets::close(pair.server))?;
    scene.await_resets(&truth)?;
    Ok(truth)
}

fn gateway_table_full(scene: &Scene<'_>) -> Result<GroundTruth> {
    const TEXT: &[u8] = b"state table full";
    let lines: &[(Side, &[u8])] = &[
        (Side::Client, b"\x10\x0f\0\x04MQTT\x04\x02\0\x3c\0\x03cam"),
        (Side::Server, b"\x20\x02\0\0"),
        (Side::Client, b"\x30\x0a\0\x04temp21.5"),
    ];
    // The magic cookie, then a map of the code (1) and a text (3), in CBOR.
    let head = [0x19, 0x30, 0x39, 0xa2, 1, 10, 3, 0x60 | TEXT.len() as u8];
    let payload = [&head[..], TEXT].concat();
    let mut connections = Vec::new();
    for pair in talked(scene, 2, lines)? {
        let heard = heard_at_rest(scene.lab, &pair.connection)?;
        let ours = |plain| {
            let payload = payload.clone();
            Forgery { payload, ttl: 63, ip_id: noise(&heard), dont_fragment: true, ..plain }
        };
        let both = [heard.to_server(RST | ACK), heard.to_client(RST | ACK)].map(ours);
        shoot(scene.lab, &pair.connection, &both)?;
        broken(&pair.client)?;
        broken(&pair.server)?;
        let resets = [Side::Client, Side::Server].map(|side| forged(side, Stage::PostData, FULL));
        connections.push(with(pair.connection, resets.into()));
    }
    Ok(GroundTruth { connections, done: "both sides of two connections got ECONNRESET" })
}

fn gateway_counts_sessions(scene: &Scene<'_>) -> Result<GroundTruth> {
    // Connections are counted as long as they are tracked: nobody may flush the table meanwhile.
    let _turn = scene.lab.set_for_now(&scene.lab.router, &[])?;
    let above = "-m connlimit --connlimit-above 3 --connlimit-mask 128";
    let above = if scene.server.is_ipv4() { above.replace("128", "32") } else { above.to_owned() };
    let matches = format!("--dport {} --syn {above}", scene.server.port());
    let _limit = Rule::reject(scene, &scene.lab.router, "FORWARD", &matches)?;
    let listener = scene.listen(8)?;
    let session = || {
        let pair = scene.pair_at(&listener)?;
        pair.exchange()?;
        Ok::<_, anyhow::Error>(pair)
    };
    let mut sessions = vec![session()?, session()?, session()?];
    // The gateway rejects because it has no room for another connection of that host.
    let reset = by_router(Side::Server, Stage::PostSyn, FULL);
    let reset = reset.or_as_truly(&["network_firewall_reject"]);
    let mut connections = vec![refused(scene, scene.server, reset)?];
    let first = sessions.remove(0);
    connections.push(first.connection.clone());
    first.part()?;
    sessions.push(session()?);
    for pair in sessions {
        connections.push(pair.connection.clone());
        pair.part()?;
    }
    Ok(GroundTruth { connections, done: "the fourth call returned ECONNREFUSED" })
}
