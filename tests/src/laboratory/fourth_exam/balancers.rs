//! HAProxy's less usual checks and ends, a cluster's probes, and nginx that moves.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Result, ensure};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{ANSWER, Listed, REQUEST, Scene, settle};
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Side, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::second_exam::daemons::clients::{balancer, called, dial_front, served};
use super::super::second_exam::filter::{Cause, broken, port_after, refused, talk};
use super::super::servers::haproxy::{BY_PROXY, HAPROXY};
use super::super::servers::program::Program;
use super::super::third_exam::balancers::order;
use super::super::third_exam::capacity::waiting;
use super::super::third_exam::common::{WENT_AWAY, calls, ms, with};
use super::super::third_exam::retired;

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "haproxy_asks_an_agent",
        "HAProxy asks an agent how busy its server is",
        "Every 500 ms HAProxy on the client connects with an agent, which says a weight, and hangs \
         up (agent-check).",
        haproxy_asks_an_agent,
    )
    .needs(HAPROXY)
    .slow(),
    Listed::new(
        "haproxy_hello_check",
        "HAProxy asks a TLS server whether it is well",
        "Every 500 ms HAProxy on the client says a TLS hello, hears the answer and hangs up \
         (option ssl-hello-chk).",
        haproxy_hello_check,
    )
    .needs(HAPROXY)
    .slow(),
    Listed::new(
        "haproxy_backup_relieved",
        "A backup server relieved",
        "HAProxy on the client uses a backup server while the first one is in maintenance; told \
         that it is back, it ends the session with the backup (shutdown-backup-sessions).",
        haproxy_backup_relieved,
    )
    .needs(HAPROXY),
    Listed::new(
        "haproxy_rejects_an_answer",
        "HAProxy rejects what a server answers",
        "HAProxy on the client rejects an answer by its first bytes (tcp-response content reject).",
        haproxy_rejects_an_answer,
    )
    .needs(HAPROXY),
    Listed::new(
        "cluster_probes",
        "Two probes of a cluster",
        "A cluster's agent on the client asks in turn, 250 ms apart, whether a port is open, which \
         it leaves with SO_LINGER 0, and for a page, after which it closes in order.",
        cluster_probes,
    )
    .slow(),
    Listed::new(
        "nginx_moves",
        "nginx moves to another port",
        "nginx reloads (SIGHUP) with another port than before; two callers that do not know are \
         refused, one that does is let in.",
        nginx_moves,
    )
    .needs(&["nginx"]),
];

const CHECK: Cause = ("traffic_management", "lb_health_check");
const DRAIN: Cause = ("traffic_management", "lb_drain");

/// A server of the scenario, as a line of HAProxy's in the client's host.
fn server_line(scene: &Scene<'_>, name: &str, at: SocketAddr, how: &str) -> String {
    format!("server {name} {at} source {} {how}", scene.at(Place::Client, 0))
}

/// Three checks, each of which is served by `serve`; HAProxy then makes no more.
fn three_checks(
    scene: &Scene<'_>,
    rules: &str,
    stage: Stage,
    serve: impl Fn(&TcpStream) -> Result<()>,
) -> Result<GroundTruth> {
    const CHECKS: usize = 3;
    let listener = scene.listen(8)?;
    let (haproxy, _) = balancer(scene, &format!("timeout check 8s\n {rules}"))?;
    let mut connections = Vec::new();
    for _ in 0..CHECKS {
        let (server, connection) = called(scene, &listener)?;
        serve(&server)?;
        broken(&server)?;
        // SO_LINGER 0 is how health checks hang up.
        let reset = Reset::by(Sender::Client, stage, CHECK).or_as_truly(&["linger0_close"]);
        connections.push(with(connection, vec![reset]));
    }
    ended(scene, &listener, haproxy, connections)
}

/// HAProxy ends; one more check may have begun before that, and ends with its process.
fn ended(
    scene: &Scene<'_>,
    listener: &TcpListener,
    haproxy: Program,
    mut connections: Vec<Connection>,
) -> Result<GroundTruth> {
    haproxy.kill()?;
    let count = connections.len();
    for _ in count..calls(scene, scene.server, count)?.len() {
        let (server, connection) = called(scene, listener)?;
        sockets::drain(&server)?;
        settle(scene.lab, &connection)?;
        scene.lab.server.run(|| sockets::close(server))?;
        connections.push(connection);
    }
    Ok(GroundTruth { connections, done: "each check was reset" })
}

fn haproxy_asks_an_agent(scene: &Scene<'_>) -> Result<GroundTruth> {
    let agent =
        format!("weight 100 agent-check agent-port {} agent-inter 500ms", scene.server.port());
    // Nobody calls the server itself.
    let line = server_line(scene, "one", port_after(scene, 1), &agent);
    three_checks(scene, &line, Stage::PostPush, |agent| {
        scene.lab.server.run(|| sockets::say(agent, b"75%\n"))
    })
}

fn haproxy_hello_check(scene: &Scene<'_>) -> Result<GroundTruth> {
    // Fatal, handshake_failure: whoever answers in TLS is well.
    const ALERT: &[u8] = b"\x15\x03\x00\x00\x02\x02\x28";
    let line = server_line(scene, "one", scene.server, "check inter 500ms");
    three_checks(scene, &format!("option ssl-hello-chk\n {line}"), Stage::PostData, |server| {
        sockets::hear(server, b"\x16\x03\x00")?;
        scene.lab.server.run(|| sockets::say(server, ALERT))
    })
}

fn haproxy_backup_relieved(scene: &Scene<'_>) -> Result<GroundTruth> {
    let backup = port_after(scene, 1);
    let _first = scene.listen(8)?;
    let listener = scene.lab.server.run(|| sockets::listen_on(backup, 8))?;
    let how = "disabled on-marked-up shutdown-backup-sessions";
    let lines =
        [server_line(scene, "one", scene.server, how), server_line(scene, "two", backup, "backup")];
    let (haproxy, front) = balancer(scene, &lines.join("\n "))?;
    let (client, server, connection) = served(scene, front, &listener)?;
    let said = order(&haproxy, "set server proxy/one state ready")?;
    ensure!(said.trim().is_empty(), "HAProxy says: {said}");
    sockets::await_error(&server, Errno::EPIPE)?;
    sockets::await_end(&client)?;
    // FIN and, at once, SO_LINGER 0 is how HAProxy does it.
    let reset = Reset::by(Sender::Client, Stage::PostFin, DRAIN);
    let reset = reset.or_as_truly(&["proxy_abort", "linger0_close", "rst_after_fin"]);
    let connections = vec![with(connection, vec![reset])];
    Ok(GroundTruth { connections, done: "the backup server got EPIPE" })
}

fn haproxy_rejects_an_answer(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let rules = "tcp-response inspect-delay 5s\n \
                 tcp-response content reject if { res.payload(0,6) -m str secret }\n ";
    let line = server_line(scene, "one", scene.server, "");
    let (_haproxy, front) = balancer(scene, &format!("{rules}{line}"))?;
    let client = dial_front(scene, front)?;
    let (server, connection) = called(scene, &listener)?;
    sockets::say(&client, REQUEST)?;
    sockets::hear(&server, REQUEST)?;
    scene.lab.server.run(|| sockets::say(&server, b"secret: 42\r\n"))?;
    sockets::await_error(&server, Errno::EPIPE)?;
    // FIN and, at once, SO_LINGER 0 is how HAProxy does it.
    let reset = Reset::by(Sender::Client, Stage::PostFin, BY_PROXY);
    let reset = reset.or_as_truly(&["linger0_close", "rst_after_fin"]);
    let connections = vec![with(connection, vec![reset])];
    Ok(GroundTruth { connections, done: "the server got EPIPE" })
}

fn cluster_probes(scene: &Scene<'_>) -> Result<GroundTruth> {
    const PAGE: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: pod.lab\r\nUser-Agent: probe/1\r\n\r\n";
    let listener = scene.listen(8)?;
    let (mut connections, mut in_order) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let pair = scene.pair_at(&listener)?;
        pair.settle()?;
        scene.lab.client.run(|| sockets::abort(pair.client))?;
        broken(&pair.server)?;
        // SO_LINGER 0 is how the probe hangs up, and all that a single one shows.
        let reset = Reset::by(Sender::Client, Stage::PostAck, CHECK);
        connections.push(with(pair.connection, vec![reset.or_as_truly(&["linger0_close"])]));
        thread::sleep(ms(250));
        let pair = scene.pair_at(&listener)?;
        talk(&pair, &[(Side::Client, PAGE), (Side::Server, ANSWER)])?;
        in_order.push(pair.connection.clone());
        pair.part()?;
        thread::sleep(ms(250));
    }
    connections.extend(in_order);
    Ok(GroundTruth { connections, done: "three times the server got ECONNRESET" })
}

fn nginx_moves(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (host, there) = (&scene.lab.server, port_after(scene, 1));
    let nginx = retired::nginx(scene, "127.0.0.1:9")?;
    let (client, here) = scene.dial()?;
    leave(scene, client, &here)?;
    let [file, master] = ["nginx.conf", "pid"].map(|name| nginx.folder().path(name));
    let before = fs::read_to_string(&file)?;
    fs::write(&file, before.replace(&scene.server.to_string(), &there.to_string()))?;
    let master = Pid::from_raw(fs::read_to_string(master)?.trim().parse()?);
    kill(master, Signal::SIGHUP)?;
    let has_moved = || waiting(host, there).is_ok() && waiting(host, scene.server).is_err();
    wait::until("nginx to move", || Ok(has_moved()))?;
    let mut connections = Vec::new();
    for _ in 0..2 {
        let away = Reset::by(Sender::Server, Stage::PostSyn, WENT_AWAY);
        connections.push(refused(scene, scene.server, away)?);
        thread::sleep(ms(200));
    }
    let (socket, address) = scene.bound()?;
    scene.lab.client.run(|| Ok(sockets::connect(&socket, there)?))?;
    let (client, moved) = (TcpStream::from(socket), Connection::between(address, there));
    leave(scene, client, &moved)?;
    connections.extend([moved, here]);
    Ok(GroundTruth { connections, done: "two calls returned ECONNREFUSED" })
}

/// A client that only wanted to see whether somebody is there goes in order.
fn leave(scene: &Scene<'_>, client: TcpStream, connection: &Connection) -> Result<()> {
    client.shutdown(std::net::Shutdown::Write)?;
    sockets::await_end(&client)?;
    settle(scene.lab, connection)
}
