//! Callers of services that are not there, not yet or no more: replicas, balancers, automation, guards.

use std::net::TcpStream;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use rst_tracer::demo::frame::RST;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::wait;

use super::super::fifth_exam::common::Ruleset;
use super::super::fifth_exam::common::front;
use super::super::second_exam::daemons::clients::{called, dial_front, hear_until};
use super::super::second_exam::filter::{broken, port_after};
use super::super::servers::program::{Folder, command};
use super::super::third_exam::common::{
    CLOSED, GAVE_UP, WENT_AWAY, begin_call, calls, calls_with, passed, source, target, with,
};
use super::common::{REDIS, await_words, redis, replica, words};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "replica_loses_its_master",
        "A replica loses its master",
        "A Redis on the client is a replica of the one on the server, which is stopped (SIGTERM) \
         with nothing unread; the replica calls again, once a second.",
        replica_loses_its_master,
    )
    .needs(REDIS)
    .slow(),
    Listed::new(
        "nginx_finds_one_of_two_asleep",
        "nginx finds one of two backends asleep",
        "nginx on the client balances two backends on the server, the first of which nobody has \
         started: the first page it asks for there in vain, then at the other one.",
        nginx_finds_one_of_two_asleep,
    )
    .needs(&["nginx"]),
    Listed::new(
        "automation_gives_a_host_up",
        "Automation gives a host up",
        "ssh, as an automation runs it (BatchMode, ConnectTimeout=1), calls a host whose SYN-ACKs \
         are lost, and gives up after a second; the next SYN-ACK gets through.",
        automation_gives_a_host_up,
    )
    .needs(&["ssh"])
    .slow(),
    Listed::new(
        "guard_before_a_closed_port",
        "A guard before a closed port",
        "The router's nft answers calls in the server's name first and passes them on when they \
         are real (synproxy); nobody listens there any more, so two clients connect and are reset.",
        guard_before_a_closed_port,
    )
    .needs(&["nft"]),
];

fn refused_by_nobody() -> Reset {
    Reset::by(Sender::Server, Stage::PostSyn, CLOSED)
}

fn replica_loses_its_master(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mut master = redis(&scene.lab.server, scene.server, &["--repl-diskless-sync-delay", "0"])?;
    let replica = replica(scene)?;
    wait::until("the replica to be up to date", || {
        Ok(replica.said().contains("Finished with success"))
    })?;
    let stood_by = calls(scene, scene.server, 1)?.swap_remove(0);
    // It tells once a second how far it is: right after that nothing is under way.
    let at = Place::Server;
    let so_far = words(scene, at, &stood_by, stood_by.client);
    await_words(scene, at, &stood_by, stood_by.client, so_far)?;
    settle(scene.lab, &stood_by)?;
    // It stops to listen before it closes the connection.
    master.signal(Signal::SIGTERM)?;
    master.wait()?;
    calls(scene, scene.server, 3)?;
    replica.kill()?;
    let gone = Reset::by(Sender::Server, Stage::PostSyn, WENT_AWAY);
    let mut connections = Vec::new();
    for call in calls(scene, scene.server, 3)? {
        if call.client != stood_by.client {
            connections.push(with(call, vec![gone]));
        }
    }
    connections.push(stood_by);
    passed(scene, connections, "each further call of the replica was refused")
}

fn nginx_finds_one_of_two_asleep(scene: &Scene<'_>) -> Result<GroundTruth> {
    const PAGE: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\npage";
    let (host, front, folder) = (&scene.lab.client, front(scene), Folder::new()?);
    let (asleep, listener) = (port_after(scene, 1), scene.listen(8)?);
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = kinds.map(|kind| format!("{kind}_temp_path {kind}; ")).concat();
    let text = format!(
        "daemon off; master_process off; pid pid; error_log stderr info;\n\
         events {{ worker_connections 64; }}\n\
         http {{ access_log off; {temporary}\n\
         upstream two {{ server {asleep} max_fails=1 fail_timeout=60s; server {}; }}\n\
         server {{ listen {front}; location / {{ proxy_pass http://two; proxy_bind {}; }} }} }}\n",
        scene.server,
        source(scene)
    );
    let path = folder.write("nginx.conf", text)?;
    let mut nginx = command("nginx");
    nginx.arg("-p").arg(folder.path("")).arg("-c").arg(path).args(["-e", "stderr"]);
    let _nginx = folder.start(host, &mut nginx)?.await_listening(host, front)?;
    let mut served = Vec::new();
    for _ in 0..2 {
        let client = dial_front(scene, front)?;
        sockets::say(&client, REQUEST)?;
        let (server, connection) = called(scene, &listener)?;
        hear_until(&server, b"\r\n\r\n")?;
        scene.lab.server.run(|| sockets::say(&server, PAGE))?;
        hear_until(&client, b"page")?;
        sockets::await_end(&server)?;
        settle(scene.lab, &connection)?;
        scene.lab.server.run(|| sockets::close(server))?;
        settle(scene.lab, &connection)?;
        served.push(connection);
    }
    let mut connections = calls_with(scene, asleep, 1, refused_by_nobody())?;
    connections.extend(served);
    passed(scene, connections, "two pages were served")
}

fn automation_gives_a_host_up(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(8)?;
    let lost = scene.lose(&[(Port::From(scene.server.port()), Only::WithSyn)])?;
    let [ip, port] = target(scene);
    let mut ssh = command("ssh");
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=1", "-p", &port]);
    ssh.args(["-b", &source(scene), "-l", "deploy", &ip, "uptime"]);
    let mut ssh = Folder::new()?.start(&scene.lab.client, &mut ssh)?;
    let status = ssh.wait()?;
    ensure!(ssh.said().contains("timed out"), "ssh ended with {status}: {}", ssh.said());
    drop(lost);
    let gave_up = Reset::by(Sender::Client, Stage::PostSynack, GAVE_UP);
    let connections = calls_with(scene, scene.server, 1, gave_up)?;
    passed(scene, connections, "the reset reached the server")
}

fn guard_before_a_closed_port(scene: &Scene<'_>) -> Result<GroundTruth> {
    let router = &scene.lab.router;
    // It must not take a segment in the middle of a connection for a new one.
    let _strict =
        scene.lab.set_for_now(router, &[("net/netfilter/nf_conntrack_tcp_loose", "0")])?;
    let port = scene.server.port();
    let contents = format!(
        "chain first {{ type filter hook prerouting priority raw;\n\
         tcp dport {port} tcp flags & (fin|syn|rst|ack) == syn notrack\n}}\n\
         chain forward {{ type filter hook forward priority 0;\n\
         tcp dport {port} ct state {{ invalid, untracked }} synproxy mss 1460 wscale 7 timestamp \
         sack-perm\n}}"
    );
    let _rules = Ruleset::put(scene, router, "inet", &contents)?;
    let mut connections = Vec::new();
    for _ in 0..2 {
        // The reset may come before the call has returned.
        let (socket, connection) = begin_call(scene, 0)?;
        let client = TcpStream::from(socket);
        scene.lab.sniffer(Place::Client).wait_for("a reset", &connection, |seen| {
            seen.iter().any(|one| one.segment.has(RST)).then_some(())
        })?;
        broken(&client)?;
        // The guard said yes to the client; it was the server that refused.
        let reset = Reset::by(Sender::Server, Stage::PostAck, CLOSED);
        connections.push(with(connection, vec![reset]));
    }
    Ok(GroundTruth { connections, done: "two clients got ECONNRESET" })
}
