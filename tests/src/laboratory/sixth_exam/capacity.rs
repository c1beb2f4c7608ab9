//! No room: a queue of callers that is full, and a gateway that counts the sessions of a service.

use std::net::TcpStream;

use anyhow::{Context, Result};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{Listed, Pair, Scene, settle};
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Side, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::second_exam::filter::{Cause, IPTABLES, Rule, broken, by_router, refused, talk};
use super::super::third_exam::capacity::waiting;
use super::super::third_exam::common::with;
use super::common::{REDIS, redis};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "redis_has_no_place_for_a_worker",
        "Redis has no place for a worker",
        "Redis, told to keep two callers waiting (tcp-backlog), hangs (SIGSTOP); of three workers \
         that call, the third one's command finds no place, and tcp_abort_on_overflow is on.",
        redis_has_no_place_for_a_worker,
    )
    .needs(REDIS)
    .slow(),
    Listed::new(
        "service_may_have_three_sessions",
        "A service may have three sessions",
        "The router's iptables takes three connections with a service, whoever calls \
         (connlimit-daddr), and rejects two more; when one has ended, the next is let through.",
        service_may_have_three_sessions,
    )
    .needs(IPTABLES),
];

const OVERFLOW: Cause = ("resource_limitation", "accept_queue_overflow");
const FULL: Cause = ("resource_limitation", "middlebox_table_full");

fn redis_has_no_place_for_a_worker(scene: &Scene<'_>) -> Result<GroundTruth> {
    const PING: &[u8] = b"PING\r\n";
    let key = "net/ipv4/tcp_abort_on_overflow";
    let setting = scene.lab.set_for_now(&scene.lab.server, &[(key, "1")])?;
    let host = &scene.lab.server;
    let redis = redis(host, scene.server, &["--tcp-backlog", "1"])?;
    redis.halt()?;
    let queue_is = |n| wait::until("the queue", || Ok(waiting(host, scene.server)? == n));
    // The last ACKs of two handshakes are held: a full queue would answer no SYN.
    let hold = || {
        let bound = scene.bound()?;
        let hold = scene.lose(&[(Port::From(bound.1.port()), Only::WithoutSyn)])?;
        anyhow::Ok((scene.dial_from(bound)?, hold))
    };
    let ask = |client: &TcpStream| scene.lab.client.run(|| sockets::say(client, PING));
    let first = scene.dial()?;
    queue_is(1)?;
    let [(second, seconds), (third, thirds)] = [hold()?, hold()?];
    drop(seconds);
    ask(&second.0)?;
    queue_is(2)?;
    drop(thirds);
    ask(&third.0)?;
    broken(&third.0)?;
    drop(setting);
    let words = super::common::words(scene, Place::Client, &third.1, third.1.client);
    let stage = if words > 1 { Stage::PostData } else { Stage::PostPush };
    let reset = Reset::by(Sender::Server, stage, OVERFLOW);
    let mut connections = vec![with(third.1, vec![reset])];
    redis.carry_on()?;
    ask(&first.0)?;
    for (client, connection) in [first, second] {
        sockets::hear(&client, b"+PONG\r\n")?;
        settle(scene.lab, &connection)?;
        client.shutdown(std::net::Shutdown::Write).context("closing a direction")?;
        sockets::await_end(&client)?;
        settle(scene.lab, &connection)?;
        connections.push(connection);
    }
    Ok(GroundTruth { connections, done: "the worker without a place got ECONNRESET" })
}

fn service_may_have_three_sessions(scene: &Scene<'_>) -> Result<GroundTruth> {
    let lines: &[(Side, &[u8])] = &[(Side::Client, b"HELLO\n"), (Side::Server, b"WELCOME\n")];
    // Connections are counted as long as they are tracked: nobody may flush the table meanwhile.
    let _turn = scene.lab.set_for_now(&scene.lab.router, &[])?;
    let rule = format!(
        "--syn --dport {} -m connlimit --connlimit-above 3 --connlimit-daddr",
        scene.server.port()
    );
    let _rule = Rule::reject(scene, &scene.lab.router, "FORWARD", &rule)?;
    let listener = scene.listen(8)?;
    let mut sessions = vec![scene.pair_at(&listener)?, scene.pair_at(&listener)?];
    // The third one comes from another address.
    let home = Place::Client.ip(scene.family);
    let (client, connection) = scene.dial_from(scene.lab.client.run(|| sockets::bound(home))?)?;
    let server = scene.lab.server.run(|| sockets::accept(&listener))?;
    sessions.push(Pair { lab: scene.lab, connection, client, server });
    for session in &sessions {
        talk(session, lines)?;
    }
    let mut connections = Vec::new();
    for _ in 0..2 {
        // The gateway rejects because it takes no more connections with the service.
        let reset = by_router(Side::Server, Stage::PostSyn, FULL);
        let reset = reset.or_as_truly(&["network_firewall_reject"]);
        connections.push(refused(scene, scene.server, reset)?);
    }
    let end = |pair: Pair<'_>, connections: &mut Vec<Connection>| {
        connections.push(pair.connection.clone());
        pair.part()
    };
    end(sessions.remove(0), &mut connections)?;
    let next = scene.pair_at(&listener)?;
    talk(&next, lines)?;
    sessions.push(next);
    for session in sessions {
        end(session, &mut connections)?;
    }
    Ok(GroundTruth { connections, done: "two calls returned ECONNREFUSED" })
}
