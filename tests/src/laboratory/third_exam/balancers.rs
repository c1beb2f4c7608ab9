//! Proxies and load balancers, real ones and programs that behave like one.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use nix::errno::Errno;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, answer_of_the_dead, settle};
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Side, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::closing::{spoken_tls, tls};
use super::super::second_exam::daemons::clients::{
    balancer, called, dial_front, hear_until, served,
};
use super::super::second_exam::filter::{
    Cause, IPTABLES, Rule, broken, by_router, only, talk, talked,
};
use super::super::servers::haproxy::{BY_PROXY, HAPROXY, start};
use super::super::servers::program::{Folder, Program};
use super::common::{AFTER_CLOSE, GAVE_UP, await_syn_ack, calls, calls_with, ms, passed, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "haproxy_checks_pages",
        "HAProxy asks for a page",
        "HAProxy on the client asks the server every 500 ms for a page, to see whether it is well \
         (option httpchk).",
        haproxy_checks_pages,
    )
    .needs(HAPROXY)
    .slow(),
    Listed::new(
        "haproxy_connect_timeout",
        "HAProxy waits no longer for a server",
        "The server's SYN-ACKs are lost; HAProxy on the client gives it up (timeout connect) and \
         answers its own client 503. The next SYN-ACK gets through.",
        haproxy_connect_timeout,
    )
    .needs(HAPROXY)
    .slow(),
    Listed::new(
        "haproxy_session_shut",
        "One session of HAProxy shut down",
        "The administrator of HAProxy on the client shuts one of its two sessions down (shutdown \
         session); the other goes on.",
        haproxy_session_shut,
    )
    .needs(HAPROXY),
    Listed::new(
        "haproxy_request_timeout",
        "HAProxy waits in vain for a request",
        "HAProxy on the server waits two seconds for the rest of a request, answers 408 and closes \
         (timeout http-request); then the rest comes.",
        haproxy_request_timeout,
    )
    .needs(HAPROXY)
    .slow(),
    Listed::new(
        "proxy_minds_the_pace",
        "A proxy against slow callers",
        "A client says one byte every 120 ms; after the eighth the proxy (the server here) aborts \
         with SO_LINGER 0.",
        proxy_minds_the_pace,
    )
    .slow(),
    Listed::new(
        "mesh_sends_guests_away",
        "A gateway says goodbye in TLS and aborts",
        "A gateway (the server here) that retires says goodbye in TLS to each of its three clients \
         and aborts with SO_LINGER 0.",
        mesh_sends_guests_away,
    ),
    Listed::new(
        "monitor_asks_and_aborts",
        "A monitor that asks and aborts",
        "A monitor on the client asks for a page every 450 ms, reads the answer and aborts with \
         SO_LINGER 0.",
        monitor_asks_and_aborts,
    )
    .slow(),
    Listed::new(
        "router_forgets_chat",
        "A router forgets a chat",
        "The router tracks connections, forgets them after two seconds of silence and rejects what \
         it cannot place; after three the client says something. Later, the rule gone, so does the \
         server.",
        router_forgets_chat,
    )
    .needs(IPTABLES)
    .slow(),
];

const CHECK: Cause = ("traffic_management", "lb_health_check");
const DRAIN: Cause = ("traffic_management", "lb_drain");
const IDLE: Cause = ("traffic_management", "idle_timeout_middlebox");

/// The scenario's server, as a line of HAProxy's in the client's host.
fn server_line(scene: &Scene<'_>, how: &str) -> String {
    format!("server one {} source {} {how}", scene.server, scene.at(Place::Client, 0))
}

fn haproxy_checks_pages(scene: &Scene<'_>) -> Result<GroundTruth> {
    const CHECKS: usize = 3;
    const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell";
    let listener = scene.listen(8)?;
    let rules = "timeout check 8s\n option httpchk GET /health\n ";
    let check = server_line(scene, "check inter 500ms");
    let (haproxy, _) = balancer(scene, &format!("{rules}{check}"))?;
    let mut connections = Vec::new();
    for _ in 0..CHECKS {
        let (server, connection) = called(scene, &listener)?;
        hear_until(&server, b"\r\n\r\n")?;
        scene.lab.server.run(|| sockets::say(&server, PAGE))?;
        broken(&server)?;
        // SO_LINGER 0 is how health checks hang up.
        let reset = Reset::by(Sender::Client, Stage::PostData, CHECK);
        connections.push(with(connection, vec![reset.or_as_truly(&["linger0_close"])]));
    }
    haproxy.kill()?;
    // One more may have begun before that; it ended with its process.
    for _ in CHECKS..calls(scene, scene.server, CHECKS)?.len() {
        let (server, connection) = called(scene, &listener)?;
        sockets::drain(&server)?;
        settle(scene.lab, &connection)?;
        scene.lab.server.run(|| sockets::close(server))?;
        connections.push(connection);
    }
    Ok(GroundTruth { connections, done: "each check was reset" })
}

fn haproxy_connect_timeout(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(8)?;
    let held = scene.lose(&[(Port::From(scene.server.port()), Only::Any)])?;
    let rules = "mode http\n retries 0\n timeout connect 500ms\n ";
    let (_haproxy, front) = balancer(scene, &format!("{rules}{}", server_line(scene, "")))?;
    let client = dial_front(scene, front)?;
    sockets::say(&client, REQUEST)?;
    sockets::hear(&client, b"HTTP/1.1 503 Service Unavailable")?;
    let reset = Reset::by(Sender::Client, Stage::PostSynack, GAVE_UP);
    let connections = calls_with(scene, scene.server, 1, reset.or_as_truly(&["proxy_abort"]))?;
    await_syn_ack(scene, &connections[0])?;
    drop(held);
    passed(scene, connections, "the reset reached the server")
}

/// What HAProxy's own socket for administrators answers.
pub(in crate::laboratory) fn order(haproxy: &Program, order: &str) -> Result<String> {
    let mut socket = UnixStream::connect(haproxy.folder().path("admin"))?;
    socket.set_read_timeout(Some(wait::PATIENCE))?;
    socket.write_all(format!("{order}\n").as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).context("waiting for HAProxy's answer")?;
    Ok(answer)
}

fn haproxy_session_shut(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let (haproxy, front) = balancer(scene, &server_line(scene, ""))?;
    let shut = served(scene, front, &listener)?;
    let spared = served(scene, front, &listener)?;
    let (client, server, connection) = shut;
    let name = format!("src={}", client.local_addr()?);
    let shown = order(&haproxy, "show sess")?;
    let line = shown.lines().find(|line| line.contains(&name)).context("no such session")?;
    let id = line.split(':').next().context("a session without an id")?;
    order(&haproxy, &format!("shutdown session {id}"))?;
    sockets::await_error(&server, Errno::EPIPE)?;
    // FIN and, at once, SO_LINGER 0 is how HAProxy does it.
    let cause = ("traffic_management", "admin_kill");
    let reset = Reset::by(Sender::Client, Stage::PostFin, cause);
    let reset = reset.or_as_truly(&["proxy_abort", "linger0_close", "rst_after_fin"]);
    let mut connections = vec![with(connection, vec![reset])];
    let (client, server, connection) = spared;
    sockets::say(&client, REQUEST)?;
    sockets::hear(&server, REQUEST)?;
    client.shutdown(std::net::Shutdown::Write)?;
    sockets::await_end(&server)?;
    settle(scene.lab, &connection)?;
    scene.lab.server.run(|| sockets::close(server))?;
    sockets::await_end(&client)?;
    connections.push(connection);
    Ok(GroundTruth { connections, done: "of two servers one got EPIPE" })
}

fn haproxy_request_timeout(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listen = scene.server;
    let section = format!("listen proxy\n bind {listen}\n mode http\n timeout http-request 2s\n");
    let _haproxy = start(&scene.lab.server, Folder::new()?, listen, &section)?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, &REQUEST[..24]))?;
    sockets::drain(&client)?;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::say(&client, &REQUEST[24..]))?;
    sockets::await_error(&client, Errno::EPIPE)?;
    // The proxy gave up by closing; that the rest came afterwards is why its kernel reset.
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_CLOSE);
    let reset = reset.or_as_truly(&["proxy_abort"]);
    Ok(only(connection, vec![reset], "the client's socket got EPIPE"))
}

fn proxy_minds_the_pace(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    for byte in &REQUEST[..8] {
        talk(&pair, &[(Side::Client, &[*byte])])?;
        thread::sleep(ms(120));
    }
    // The proxy aborts for the pace; SO_LINGER 0 is how.
    let reset = Reset::by(Sender::Server, Stage::PostData, BY_PROXY);
    let reset = reset.or_as_truly(&["linger0_close"]);
    let truth = pair.truth("the client got ECONNRESET", vec![reset]);
    scene.lab.server.run(|| sockets::abort(pair.server))?;
    broken(&pair.client)?;
    Ok(truth)
}

fn mesh_sends_guests_away(scene: &Scene<'_>) -> Result<GroundTruth> {
    let guests = (0..3).map(|_| spoken_tls(scene)).collect::<Result<Vec<_>>>()?;
    let mut connections = Vec::new();
    for guest in guests {
        talk(&guest, &[(Side::Server, tls::CLOSE_NOTIFY)])?;
        scene.lab.server.run(|| sockets::abort(guest.server))?;
        broken(&guest.client)?;
        // All three are what was done: it retires, it says so in TLS, and aborts.
        let reset = Reset::by(Sender::Server, Stage::PostData, DRAIN);
        let reset = reset.or_as_truly(&["tls_close_then_rst", "linger0_close"]);
        connections.push(with(guest.connection, vec![reset]));
    }
    Ok(GroundTruth { connections, done: "three clients got ECONNRESET" })
}

fn monitor_asks_and_aborts(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let start = Instant::now();
    let mut connections = Vec::new();
    for number in 1..=4 {
        let pair = scene.pair_at(&listener)?;
        pair.exchange()?;
        pair.settle()?;
        scene.lab.client.run(|| sockets::abort(pair.client))?;
        broken(&pair.server)?;
        // SO_LINGER 0 is how the monitor hangs up, and all that a single visit shows.
        let reset = Reset::by(Sender::Client, Stage::PostData, CHECK);
        let resets = vec![reset.or_as_truly(&["linger0_close"])];
        connections.push(with(pair.connection, resets));
        thread::sleep((start + ms(450) * number).saturating_duration_since(Instant::now()));
    }
    Ok(GroundTruth { connections, done: "each time the server got ECONNRESET" })
}

fn router_forgets_chat(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (router, port) = (&scene.lab.router, scene.server.port());
    let unknown = format!("--dport {port} -m conntrack --ctstate INVALID");
    // The rule comes first: it makes the namespace track connections, and the settings appear.
    let rule = Rule::reject(scene, router, "FORWARD", &unknown)?;
    let settings = [
        ("net/netfilter/nf_conntrack_tcp_timeout_established", "2"),
        ("net/netfilter/nf_conntrack_tcp_loose", "0"),
    ];
    let settings = scene.lab.set_for_now(router, &settings)?;
    let lines: &[(Side, &[u8])] =
        &[(Side::Client, b"NICK ada\r\n"), (Side::Server, b":irc.lab 001 ada :Welcome\r\n")];
    let pair = talked(scene, 1, lines)?.remove(0);
    thread::sleep(ms(3200));
    scene.lab.client.run(|| sockets::say(&pair.client, b"PRIVMSG #lab :hello\r\n"))?;
    broken(&pair.client)?;
    drop(rule);
    drop(settings);
    // A rule of the router rejects, because the router forgot.
    let first = by_router(Side::Server, Stage::PostData, IDLE);
    let first = first.or_as_truly(&["network_firewall_reject"]).refuted();
    pair.speak_to_the_dead()?;
    let resets = vec![first, answer_of_the_dead()];
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}
