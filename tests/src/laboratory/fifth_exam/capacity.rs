//! No room: a queue of callers that is full, and boxes on the way that have no place left.

use std::net::TcpStream;
use std::thread;

use anyhow::Result;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST};
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{Listed, Scene, settle};
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Side, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::injected::forged;
use super::super::injected::watcher::{heard_at_rest, shoot};
use super::super::second_exam::daemons::clients::hear_until;
use super::super::second_exam::filter::{Cause, broken, by_router, refused, talk};
use super::super::third_exam::capacity::waiting;
use super::super::third_exam::common::{ms, with};
use super::common::{LIGHTTPD, NFT, Ruleset, lighttpd, nft_words};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "lighttpd_hangs_with_a_full_queue",
        "lighttpd hangs with a full queue",
        "lighttpd, told to keep two callers waiting, hangs (SIGSTOP); a third one, whose last ACK \
         was late, finds no place, and tcp_abort_on_overflow is on.",
        lighttpd_hangs_with_a_full_queue,
    )
    .needs(LIGHTTPD)
    .slow(),
    Listed::new(
        "three_sessions_for_each_host",
        "Three sessions for each host",
        "The router's nft counts the connections of each host in a set (ct count over 3) and rejects \
         two more calls.",
        three_sessions_for_each_host,
    )
    .needs(NFT),
    Listed::new(
        "translator_gives_a_port_away",
        "A translator gives a port away",
        "A translator on the way that needs a port resets both sides of the oldest of three \
         connections, with the IETF draft's diagnostic payload: resource exceeded.",
        translator_gives_a_port_away,
    ),
];

const OVERFLOW: Cause = ("resource_limitation", "accept_queue_overflow");
const FULL: Cause = ("resource_limitation", "middlebox_table_full");

fn lighttpd_hangs_with_a_full_queue(scene: &Scene<'_>) -> Result<GroundTruth> {
    const ASKED: &[u8] = b"GET /page HTTP/1.0\r\n\r\n";
    let key = "net/ipv4/tcp_abort_on_overflow";
    let setting = scene.lab.set_for_now(&scene.lab.server, &[(key, "1")])?;
    let host = &scene.lab.server;
    let lighttpd = lighttpd(host, scene.server, "server.listen-backlog = 1")?;
    lighttpd.halt()?;
    let queue_is = |n| wait::until("the queue", || Ok(waiting(host, scene.server)? == n));
    // The last ACKs of two handshakes are held: a full queue would answer no SYN.
    let hold = || {
        let bound = scene.bound()?;
        let hold = scene.lose(&[(Port::From(bound.1.port()), Only::WithoutSyn)])?;
        anyhow::Ok((scene.dial_from(bound)?, hold))
    };
    let first = scene.dial()?;
    queue_is(1)?;
    let [(second, seconds), (third, thirds)] = [hold()?, hold()?];
    let ask = |client: &TcpStream| scene.lab.client.run(|| sockets::say(client, ASKED));
    drop(seconds);
    ask(&second.0)?;
    queue_is(2)?;
    drop(thirds);
    // Its SYN-ACK is sent again after a second.
    broken(&third.0)?;
    drop(setting);
    let reset = Reset::by(Sender::Server, Stage::PostAck, OVERFLOW);
    let mut connections = vec![with(third.1, vec![reset])];
    lighttpd.carry_on()?;
    ask(&first.0)?;
    for (client, connection) in [first, second] {
        hear_until(&client, b"hello\n")?;
        sockets::await_end(&client)?;
        settle(scene.lab, &connection)?;
        connections.push(connection);
    }
    Ok(GroundTruth { connections, done: "the caller without a place got ECONNRESET" })
}

fn three_sessions_for_each_host(scene: &Scene<'_>) -> Result<GroundTruth> {
    // Connections are counted as long as they are tracked: nobody may flush the table meanwhile.
    let _turn = scene.lab.set_for_now(&scene.lab.router, &[])?;
    let [protocol, kind] = nft_words(scene);
    let port = scene.server.port();
    let contents = format!(
        "set hosts {{ type {kind}; flags dynamic; size 64; }}\n\
         chain forward {{ type filter hook forward priority 0;\n\
         tcp dport {port} ct state new add @hosts {{ {protocol} saddr ct count over 3 }} \
         reject with tcp reset\n}}"
    );
    let rules = Ruleset::put(scene, &scene.lab.router, "inet", &contents)?;
    let listener = scene.listen(8)?;
    let sessions =
        [scene.pair_at(&listener)?, scene.pair_at(&listener)?, scene.pair_at(&listener)?];
    let mut connections = Vec::new();
    for _ in 0..2 {
        // The gateway rejects because it has no room for another connection of that host.
        let reset = by_router(Side::Server, Stage::PostSyn, FULL);
        let reset = reset.or_as_truly(&["network_firewall_reject"]);
        connections.push(refused(scene, scene.server, reset)?);
        thread::sleep(ms(100));
    }
    drop(rules);
    for pair in sessions {
        pair.exchange()?;
        connections.push(pair.connection.clone());
        pair.part()?;
    }
    Ok(GroundTruth { connections, done: "two calls returned ECONNREFUSED" })
}

fn translator_gives_a_port_away(scene: &Scene<'_>) -> Result<GroundTruth> {
    const TEXT: &[u8] = b"port reassigned";
    let lines: &[(Side, &[u8])] =
        &[(Side::Client, b"NICK lab\r\n"), (Side::Server, b":irc.lab 001 lab :welcome\r\n")];
    let listener = scene.listen(8)?;
    let mut pairs = Vec::new();
    for _ in 0..3 {
        let pair = scene.pair_at(&listener)?;
        talk(&pair, lines)?;
        pairs.push(pair);
        thread::sleep(ms(120));
    }
    let oldest = pairs.remove(0);
    // The magic cookie, then a map of the code (1) and a text (3), in CBOR.
    let head = [0x19, 0x30, 0x39, 0xa2, 1, 10, 3, 0x60 | TEXT.len() as u8];
    let heard = heard_at_rest(scene.lab, &oldest.connection)?;
    let both = [heard.to_client(RST | ACK), heard.to_server(RST | ACK)].map(|plain| Forgery {
        payload: [&head[..], TEXT].concat(),
        ttl: 64,
        ip_id: 0,
        ..plain
    });
    shoot(scene.lab, &oldest.connection, &both)?;
    broken(&oldest.client)?;
    broken(&oldest.server)?;
    let resets = [Side::Server, Side::Client]
        .map(|side| forged(side, Stage::PostData, FULL).or_as_truly(&["injected_reset"]));
    let mut connections = vec![with(oldest.connection, resets.into())];
    for pair in pairs {
        talk(&pair, lines)?;
        connections.push(pair.connection.clone());
        pair.part()?;
    }
    Ok(GroundTruth { connections, done: "both sides of one connection got ECONNRESET" })
}
