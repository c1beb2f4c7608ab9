//! Proxies, monitors, firewalls that forget, administrators: whoever directs traffic and ends it.

use std::net::TcpListener;
use std::thread;

use anyhow::{Result, ensure};
use nix::errno::Errno;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, Scene, answer_of_the_dead, settle};
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Side, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::fifth_exam::common::Ruleset;
use super::super::second_exam::daemons::clients::{balancer, called, served};
use super::super::second_exam::filter::{Cause, broken, by_router, port_after};
use super::super::servers::iproute::kill;
use super::super::servers::program::{Program, command, run};
use super::super::third_exam::balancers::order;
use super::super::third_exam::common::{calls, ms, passed, with};
use super::common::{Session, memcached, redis, replica};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "haproxy_checks_a_cache",
        "HAProxy checks a cache",
        "HAProxy on the client asks memcached every 500 ms for its version, reads the answer and \
         hangs up (option tcp-check).",
        haproxy_checks_a_cache,
    )
    .needs(&["haproxy", "memcached"])
    .slow(),
    Listed::new(
        "agent_takes_its_server_out",
        "An agent takes its server out",
        "The server's agent, whom HAProxy on the client asks every 500 ms (agent-check), says that \
         the server goes down; HAProxy ends the two sessions that it has there (on-marked-down \
         shutdown-sessions).",
        agent_takes_its_server_out,
    )
    .needs(&["haproxy"])
    .slow(),
    Listed::new(
        "replication_link_killed",
        "A link of a replication killed",
        "The administrator of the server kills the connection of a Redis replica (ss -K); the \
         replica calls again and goes on where it was.",
        replication_link_killed,
    )
    .needs(&["redis-server", "ss"])
    .slow(),
    Listed::new(
        "session_after_lunch",
        "A session after lunch",
        "Somebody leaves an ssh session alone for longer than the router remembers it (its nft \
         rejects what belongs to no connection), and types again; later the session, which was not \
         told, says something.",
        session_after_lunch,
    )
    .needs(&["sshd", "ssh-keygen", "unshare", "ssh", "nft", "conntrack"])
    .slow(),
];

const CHECK: Cause = ("traffic_management", "lb_health_check");
const DRAIN: Cause = ("traffic_management", "lb_drain");
const KILLED: Cause = ("traffic_management", "admin_kill");
const IDLE: Cause = ("traffic_management", "idle_timeout_middlebox");

fn haproxy_checks_a_cache(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _memcached = memcached(scene, &[])?;
    let rules = format!(
        "option tcp-check\n timeout check 8s\n tcp-check connect\n \
         tcp-check send version\\r\\n\n tcp-check expect rstring ^VERSION\n \
         server cache {} source {} check inter 500ms",
        scene.server,
        scene.at(Place::Client, 0)
    );
    let (haproxy, _front) = balancer(scene, &rules)?;
    calls(scene, scene.server, 3)?;
    // A check that has begun comes to its end.
    let said = order(&haproxy, "disable health proxy/cache")?;
    ensure!(said.trim().is_empty(), "HAProxy says: {said}");
    thread::sleep(ms(700));
    // SO_LINGER 0 is how health checks hang up.
    let reset = Reset::by(Sender::Client, Stage::PostData, CHECK).or_as_truly(&["linger0_close"]);
    let connections = calls(scene, scene.server, 3)?;
    let connections = connections.into_iter().map(|one| with(one, vec![reset])).collect();
    passed(scene, connections, "each check was reset")
}

fn agent_takes_its_server_out(scene: &Scene<'_>) -> Result<GroundTruth> {
    let agents = scene.listen(8)?;
    let backend = port_after(scene, 1);
    let listener = scene.lab.server.run(|| sockets::listen_on(backend, 8))?;
    let rules = format!(
        "timeout check 8s\n server one {backend} source {} weight 100 agent-check agent-port {} \
         agent-inter 500ms on-marked-down shutdown-sessions",
        scene.at(Place::Client, 0),
        scene.server.port()
    );
    let (haproxy, front) = balancer(scene, &rules)?;
    let mut connections = Vec::new();
    let ask = |words: &[u8]| {
        let (agent, connection) = called(scene, &agents)?;
        scene.lab.server.run(|| sockets::say(&agent, words))?;
        broken(&agent)?;
        // SO_LINGER 0 is how health checks hang up.
        let reset = Reset::by(Sender::Client, Stage::PostPush, CHECK);
        anyhow::Ok(with(connection, vec![reset.or_as_truly(&["linger0_close"])]))
    };
    connections.push(ask(b"up 100%\n")?);
    let sessions = [served(scene, front, &listener)?, served(scene, front, &listener)?];
    connections.push(ask(b"down #memory\n")?);
    let mut ended = Vec::new();
    for (_client, server, connection) in sessions {
        sockets::await_error(&server, Errno::EPIPE)?;
        // FIN and, at once, SO_LINGER 0 is how HAProxy does it.
        let reset = Reset::by(Sender::Client, Stage::PostFin, DRAIN);
        let reset = reset.or_as_truly(&["proxy_abort", "linger0_close", "rst_after_fin"]);
        ended.push(with(connection, vec![reset]));
    }
    let further = left_alone(scene, &agents, haproxy, connections.len())?;
    let connections = [ended, connections, further].concat();
    Ok(GroundTruth { connections, done: "twice the server's socket got EPIPE" })
}

/// HAProxy ends; further checks than `count` may have begun before that, and end with its process.
fn left_alone(
    scene: &Scene<'_>,
    listener: &TcpListener,
    haproxy: Program,
    count: usize,
) -> Result<Vec<Connection>> {
    haproxy.kill()?;
    let mut further = Vec::new();
    for _ in count..calls(scene, scene.server, count)?.len() {
        let (server, connection) = called(scene, listener)?;
        sockets::drain(&server)?;
        settle(scene.lab, &connection)?;
        scene.lab.server.run(|| sockets::close(server))?;
        further.push(connection);
    }
    Ok(further)
}

fn replication_link_killed(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _master = redis(&scene.lab.server, scene.server, &["--repl-diskless-sync-delay", "0"])?;
    let replica = replica(scene)?;
    wait::until("the replica to be up to date", || {
        Ok(replica.said().contains("Finished with success"))
    })?;
    let killed = calls(scene, scene.server, 1)?.swap_remove(0);
    settle(scene.lab, &killed)?;
    let [here, there] = [killed.server, killed.client].map(|end| format!(":{}", end.port()));
    let filter = ["state", "established", &format!("( sport = {here} and dport = {there} )")];
    kill(&scene.lab.server, &filter, 1)?;
    wait::until("the replica to go on", || Ok(replica.said().contains("Successful partial")))?;
    let after = calls(scene, scene.server, 2)?;
    ensure!(after.len() == 2, "{} instead of two calls of the replica", after.len());
    settle(scene.lab, &after[1])?;
    let reset = Reset::by(Sender::Server, Stage::PostData, KILLED);
    let connections = vec![with(killed, vec![reset]), after[1].clone()];
    let truth = passed(scene, connections, "the replica was reset and is up to date")?;
    replica.kill()?;
    Ok(truth)
}

fn session_after_lunch(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (router, port) = (&scene.lab.router, scene.server.port());
    let stray = "tcp flags & (fin|syn|rst|ack) != syn ct state new reject with tcp reset";
    let contents = format!(
        "chain forward {{ type filter hook forward priority 0;\n\
         tcp dport {port} {stray}\ntcp sport {port} {stray}\n}}"
    );
    // Nobody may change meanwhile how the router tracks connections.
    let _turn = scene.lab.set_for_now(router, &[])?;
    let rules = Ruleset::put(scene, router, "inet", &contents)?;
    let mut session = Session::open(scene)?;
    let family = if scene.server.is_ipv4() { "ipv4" } else { "ipv6" };
    let mut conntrack = command("conntrack");
    conntrack.args(["-U", "-f", family, "-p", "tcp", "--orig-port-dst", &port.to_string()]);
    run(router, conntrack.args(["--timeout", "1"]))?;
    thread::sleep(ms(2500));
    session.ssh.tell(b"uptime\n")?;
    session.ssh.wait()?;
    drop(rules);
    session.speak()?;
    // A rule of the firewall rejects, because the firewall forgot.
    let reset = by_router(Side::Server, Stage::PostData, IDLE);
    let reset = reset.or_as_truly(&["network_firewall_reject"]).refuted();
    let connection = with(session.connection.clone(), vec![reset, answer_of_the_dead()]);
    passed(scene, vec![connection], "ssh ended, and the session was reset, too")
}
