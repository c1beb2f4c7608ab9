//! HAProxy: its health checks, and how it ends sessions.

use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::{Result, ensure};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use rst_tracer::demo::frame::{ACK, RST};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Scene, settle};
use rst_tracer::demo::sniffer::Sighting;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::super::servers::haproxy::start;
use super::super::super::servers::program::{Folder, Program};
use super::super::super::servers::{sshd, truth};
use super::super::daemons::Cause;
use super::super::daemons::clients::{balancer, called, dial_front};
use super::{CHECK, DRAIN, PROXY};

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const PONG: &[u8] = b"+PONG\r\n";
const GONE: Cause = ("connection_refused", "listener_went_away");

/// What HAProxy says about the scenario's server.
fn server(scene: &Scene<'_>, how: &str) -> String {
    format!("server one {} source {} {how}", scene.server, scene.at(Place::Client, 0))
}

fn is_over(connection: &Connection, seen: &[Sighting]) -> Option<SocketAddr> {
    let reset = seen.iter().map(|one| &one.segment).find(|one| one.has(RST))?;
    let ours = [connection.client, connection.server];
    ours.into_iter().find(|one| *one == reset.src)
}

/// All connections with the scenario's server, once there are `many` and each has been reset;
/// HAProxy then makes no more.
fn checks(scene: &Scene<'_>, haproxy: Program, many: usize, reset: Reset) -> Result<GroundTruth> {
    let witness = scene.lab.sniffer(Place::Server);
    let all = || {
        let callers = witness.callers(scene.server).into_iter();
        callers.map(|one| Connection::between(one, scene.server)).collect::<Vec<_>>()
    };
    let over = |one: &Connection| is_over(one, &witness.segments(one)).is_some();
    wait::until("health checks", || Ok(all().len() >= many && all().iter().all(over)))?;
    haproxy.kill()?;
    let with_reset = |one| Connection { resets: vec![reset], ..one };
    let connections = all().into_iter().map(with_reset).collect();
    Ok(GroundTruth { connections, done: "each check was reset" })
}

pub(super) fn redis_check(scene: &Scene<'_>) -> Result<GroundTruth> {
    const CHECKS: usize = 3;
    let listener = scene.listen(8)?;
    let rules =
        format!("timeout check 8s\n option redis-check\n {}", server(scene, "check inter 600ms"));
    let (haproxy, _) = balancer(scene, &rules)?;
    for _ in 0..CHECKS {
        let (redis, _) = called(scene, &listener)?;
        sockets::hear(&redis, PING)?;
        scene.lab.server.run(|| sockets::say(&redis, PONG))?;
        sockets::await_error(&redis, Errno::ECONNRESET)?;
    }
    // SO_LINGER 0 is how health checks hang up.
    let reset = Reset::by(Sender::Client, Stage::PostData, CHECK);
    checks(scene, haproxy, CHECKS, reset.or_as_truly(&["linger0_close"]))
}

pub(super) fn checks_sshd(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _sshd = sshd::start(scene, "MaxStartups 100")?;
    let rules = format!(
        "timeout check 8s\n option tcp-check\n tcp-check expect rstring ^SSH-2.0-\n {}",
        server(scene, "check inter 600ms")
    );
    let (haproxy, _) = balancer(scene, &rules)?;
    // SO_LINGER 0 is how health checks hang up.
    let reset = Reset::by(Sender::Client, Stage::PostPush, CHECK);
    checks(scene, haproxy, 3, reset.or_as_truly(&["linger0_close"]))
}

/// A session through HAProxy: its own client, the server's end, and the connection between.
struct Session {
    client: TcpStream,
    server: TcpStream,
    connection: Connection,
}

/// Whoever was to be accepted has hung up.
fn is_gone(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|one| one.kind() == std::io::ErrorKind::NotConnected)
}

/// How far a check has come that HAProxy ends as soon as it is connected: its host may have
/// acknowledged the SYN-ACK by then.
fn stage_of(check: &Connection, seen: &[Sighting]) -> Stage {
    let is_it = |one: &Sighting| one.segment.src == check.client && one.segment.flags == ACK;
    if seen.iter().any(is_it) { Stage::PostAck } else { Stage::PostSynack }
}

/// Opens one, over which a question and an answer have gone.
fn session(scene: &Scene<'_>, front: SocketAddr, listener: &TcpListener) -> Result<Session> {
    let client = dial_front(scene, front)?;
    sockets::say(&client, PING)?;
    // A check that was slow to hang up may have been waiting, too.
    let (server, connection) = loop {
        match called(scene, listener) {
            Ok((server, connection)) if sockets::hear(&server, PING).is_ok() => {
                break (server, connection);
            }
            Err(error) if !is_gone(&error) => return Err(error),
            _ => {}
        }
    };
    scene.lab.server.run(|| sockets::say(&server, PONG))?;
    sockets::hear(&client, PONG)?;
    settle(scene.lab, &connection)?;
    Ok(Session { client, server, connection })
}

/// What HAProxy does to a session that it ends: FIN and, at once, SO_LINGER 0.
fn ended(also: &'static [&'static str]) -> Reset {
    Reset::by(Sender::Client, Stage::PostFin, DRAIN).or_as_truly(also)
}

pub(super) fn marked_down(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let how = "check inter 500ms fastinter 300ms downinter 60s fall 2 rise 1 \
               on-marked-down shutdown-sessions";
    let (haproxy, front) = balancer(scene, &server(scene, how))?;
    let sessions = [session(scene, front, &listener)?, session(scene, front, &listener)?];
    let witness = scene.lab.sniffer(Place::Client);
    wait::until("a health check", || Ok(witness.callers(scene.server).len() > sessions.len()))?;
    scene.lab.server.run(|| sockets::close(listener))?;
    let mut connections = Vec::new();
    for Session { client, server, connection } in sessions {
        sockets::await_error(&server, Errno::EPIPE)?;
        sockets::await_end(&client)?;
        let reset = ended(&["proxy_abort", "linger0_close", "rst_after_fin"]);
        connections.push(Connection { resets: vec![reset], ..connection });
    }
    haproxy.kill()?;
    let known: Vec<SocketAddr> = connections.iter().map(|one| one.client).collect();
    for caller in witness.callers(scene.server) {
        if known.contains(&caller) {
            continue;
        }
        let check = Connection::between(caller, scene.server);
        let sender = witness.wait_for("the end", &check, |seen| is_over(&check, seen))?;
        // The checks that were refused are those after the service had stopped to listen.
        let reset = if sender == caller {
            let stage = stage_of(&check, &witness.segments(&check));
            let hung_up = Reset::by(Sender::Client, stage, CHECK);
            hung_up.or_as_truly(&["linger0_close"])
        } else {
            Reset::by(Sender::Server, Stage::PostSyn, GONE)
        };
        connections.push(Connection { resets: vec![reset], ..check });
    }
    let refused = connections.iter().filter(|one| one.resets[0].sender == Sender::Server).count();
    ensure!(refused >= 2, "{refused} checks were refused");
    Ok(GroundTruth { connections, done: "the sessions had ended" })
}

pub(super) fn hard_stop(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let rules = format!("{}\nglobal\n hard-stop-after 500ms", server(scene, ""));
    let (mut haproxy, front) = balancer(scene, &rules)?;
    let sessions = [session(scene, front, &listener)?, session(scene, front, &listener)?];
    haproxy.signal(Signal::SIGUSR1)?;
    let mut connections = Vec::new();
    for Session { server, connection, .. } in &sessions {
        sockets::await_error(server, Errno::EPIPE)?;
        let reset = ended(&["proxy_abort", "linger0_close", "rst_after_fin"]);
        connections.push(Connection { resets: vec![reset], ..connection.clone() });
    }
    haproxy.wait()?;
    Ok(GroundTruth { connections, done: "HAProxy had ended" })
}

pub(super) fn idle_nolinger(scene: &Scene<'_>) -> Result<GroundTruth> {
    let redis = scene.lab.server.run(|| sockets::listen_on(([127, 0, 0, 1], 0).into(), 8))?;
    let (listen, behind) = (scene.server, redis.local_addr()?);
    let section = format!(
        "listen proxy\n bind {listen}\n option nolinger\n timeout client 1500ms\n timeout server 1500ms\n \
         server redis {behind}\n"
    );
    let _haproxy = start(&scene.lab.server, Folder::new()?, listen, &section)?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, PING))?;
    let behind = scene.lab.server.run(|| sockets::accept(&redis))?;
    sockets::hear(&behind, PING)?;
    sockets::say(&behind, PONG)?;
    sockets::hear(&client, PONG)?;
    sockets::await_error(&client, Errno::EPIPE)?;
    // A proxy ends what was idle for too long; FIN and, at once, SO_LINGER 0 is how.
    let reset = Reset::by(Sender::Server, Stage::PostFin, PROXY);
    let reset = reset.or_as_truly(&["idle_timeout_middlebox", "linger0_close", "rst_after_fin"]);
    Ok(truth(connection, reset, "the client's socket got EPIPE"))
}
