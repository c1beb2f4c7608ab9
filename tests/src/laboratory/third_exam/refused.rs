//! Calls that nobody takes, and callers that do not wait, as programs in daily use make them.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::thread;

use anyhow::{Context, Result};
use nix::sys::socket::{Shutdown, shutdown};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Hook, Only, Port, Verdict};
use rst_tracer::demo::scenarios::{Listed, Pair, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, Family, GroundTruth, Reset, Sender, Stage};

use super::super::child::Holder;
use super::super::second_exam::daemons::clients::called;
use super::super::second_exam::filter::{IPTABLES, Rule, port_after, refused};
use super::super::servers::program::{Folder, command};
use super::common::{
    CLOSED, GAVE_UP, WENT_AWAY, await_syn_ack, begin_call, calls, calls_with, ms, passed, source,
    target, with,
};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "bound_but_deaf",
        "A service that forgot to listen",
        "A program of the server has bound its port, but does not listen; the client calls three \
         times, after longer and longer pauses.",
        bound_but_deaf,
    ),
    Listed::new(
        "wrong_family_first",
        "A service of the other family only",
        "The service listens on the server's address of the other family only; the client tries \
         this one first, then that one, and is served.",
        wrong_family_first,
    ),
    Listed::new(
        "redirected_to_nobody",
        "Published, but nobody behind it",
        "The server's iptables hands the port on to another one (REDIRECT), on which nothing \
         listens; the client calls twice.",
        redirected_to_nobody,
    )
    .needs(IPTABLES),
    Listed::new(
        "listener_shut_down",
        "A listening socket shut down",
        "A client is served; then the program shuts its listening socket down (shutdown) and keeps \
         it, and two more calls are refused.",
        listener_shut_down,
    ),
    Listed::new(
        "ncat_serves_once",
        "ncat takes one caller only",
        "ncat listens, serves one client and ends; the next client is refused.",
        ncat_serves_once,
    )
    .needs(&["ncat"]),
    Listed::new(
        "curl_in_vain",
        "curl tries again, in vain",
        "curl calls a port on which nothing listens, and twice more, a second apart (--retry).",
        curl_in_vain,
    )
    .needs(&["curl"])
    .slow(),
    Listed::new(
        "script_waits_for_port",
        "A start script waits for a service",
        "A script of bash tries every 150 ms whether the service listens (/dev/tcp); at last it \
         does.",
        script_waits_for_port,
    )
    .needs(&["bash"])
    .slow(),
    Listed::new(
        "curl_connect_timeout",
        "curl waits no longer for a connection",
        "The server's SYN-ACKs are lost; after a second curl gives up (--connect-timeout). The \
         next SYN-ACK gets through.",
        curl_connect_timeout,
    )
    .needs(&["curl"])
    .slow(),
    Listed::new(
        "race_of_mirrors",
        "The fastest of three mirrors",
        "The client calls three mirrors at once, stays with the first to answer and hangs up on \
         the other two before they have.",
        race_of_mirrors,
    )
    .slow(),
    Listed::new(
        "killed_while_calling",
        "Killed while it calls",
        "The client's process is killed (SIGKILL) while it waits for the handshake; then the \
         SYN-ACK arrives.",
        killed_while_calling,
    )
    .slow(),
];

fn nobody_there() -> Reset {
    Reset::by(Sender::Server, Stage::PostSyn, CLOSED)
}

fn gone() -> Reset {
    Reset::by(Sender::Server, Stage::PostSyn, WENT_AWAY)
}

fn gave_up() -> Reset {
    Reset::by(Sender::Client, Stage::PostSynack, GAVE_UP)
}

fn bound_but_deaf(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _deaf = scene.lab.server.run(|| sockets::bound_to(scene.server))?;
    let mut connections = Vec::new();
    for pause in [0, 90, 180] {
        thread::sleep(ms(pause));
        connections.push(refused(scene, scene.server, nobody_there())?);
    }
    Ok(GroundTruth { connections, done: "three calls returned ECONNREFUSED" })
}

fn wrong_family_first(scene: &Scene<'_>) -> Result<GroundTruth> {
    let other = match scene.family {
        Family::V4 => Family::V6,
        Family::V6 => Family::V4,
    };
    scene.lab.require(other)?;
    let there = SocketAddr::new(scene.ip(Place::Server, other), scene.server.port());
    let listener = scene.lab.server.run(|| sockets::listen_on(there, 8))?;
    let first = refused(scene, scene.server, nobody_there())?;
    let here = scene.ip(Place::Client, other);
    let (socket, address) = scene.lab.client.run(|| sockets::bound(here))?;
    scene.lab.client.run(|| sockets::connect(&socket, there).context("connecting"))?;
    let server = scene.lab.server.run(|| sockets::accept(&listener))?;
    let connection = Connection::between(address, there);
    let pair = Pair { lab: scene.lab, connection, client: socket.into(), server };
    pair.exchange()?;
    let connections = vec![first, pair.connection.clone()];
    pair.part()?;
    Ok(GroundTruth { connections, done: "the first call returned ECONNREFUSED" })
}

fn redirected_to_nobody(scene: &Scene<'_>) -> Result<GroundTruth> {
    let port = scene.server.port();
    let rule = format!("PREROUTING -p tcp --dport {port} -j REDIRECT --to-ports {}", port + 1);
    let _rule = Rule::append(scene, &scene.lab.server, "nat", rule)?;
    let call = || refused(scene, scene.server, nobody_there());
    Ok(GroundTruth { connections: vec![call()?, call()?], done: "both returned ECONNREFUSED" })
}

fn listener_shut_down(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let pair = scene.pair_at(&listener)?;
    pair.exchange()?;
    let served = pair.connection.clone();
    pair.part()?;
    shutdown(listener.as_raw_fd(), Shutdown::Both).context("shutting a listener down")?;
    let call = || refused(scene, scene.server, gone());
    let connections = vec![call()?, call()?, served];
    Ok(GroundTruth { connections, done: "two calls returned ECONNREFUSED" })
}

fn ncat_serves_once(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mut ncat = command("ncat");
    ncat.args(["-n", "-l"]).args(target(scene));
    let host = &scene.lab.server;
    let mut ncat = Folder::new()?.start(host, &mut ncat)?.await_listening(host, scene.server)?;
    let (client, served) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, b"the only guest\n"))?;
    client.shutdown(std::net::Shutdown::Write)?;
    settle(scene.lab, &served)?;
    // It ends when its own input ends, too.
    ncat.end_input();
    sockets::drain(&client)?;
    ncat.wait()?;
    let late = refused(scene, scene.server, gone())?;
    Ok(GroundTruth { connections: vec![late, served], done: "the second got ECONNREFUSED" })
}

fn curl_in_vain(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mut curl = command("curl");
    curl.args(["-q", "--silent", "--noproxy", "*", "--globoff", "--interface", &source(scene)]);
    curl.args(["--retry", "2", "--retry-delay", "1", "--retry-connrefused", "-o", "/dev/null"]);
    curl.arg(format!("http://{}/", scene.server));
    Folder::new()?.start(&scene.lab.client, &mut curl)?.wait()?;
    let connections = calls_with(scene, scene.server, 3, nobody_there())?;
    Ok(GroundTruth { connections, done: "curl had been refused three times" })
}

fn script_waits_for_port(scene: &Scene<'_>) -> Result<GroundTruth> {
    const SCRIPT: &str = "until echo hello > /dev/tcp/$0/$1; do sleep 0.15; done";
    let mut bash = command("bash");
    bash.args(["-c", SCRIPT]).args(target(scene));
    let mut bash = Folder::new()?.start(&scene.lab.client, &mut bash)?;
    calls(scene, scene.server, 4)?;
    let listener = scene.listen(8)?;
    let (server, served) = called(scene, &listener)?;
    sockets::drain(&server)?;
    bash.wait()?;
    settle(scene.lab, &served)?;
    scene.lab.server.run(|| sockets::close(server))?;
    let all = calls(scene, scene.server, 5)?.into_iter();
    let refused = all.filter(|one| one.client != served.client);
    let mut connections: Vec<_> = refused.map(|one| with(one, vec![nobody_there()])).collect();
    connections.push(served);
    Ok(GroundTruth { connections, done: "the script's last call was taken" })
}

fn curl_connect_timeout(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(8)?;
    let held = scene.lose(&[(Port::From(scene.server.port()), Only::Any)])?;
    let mut curl = command("curl");
    curl.args(["-q", "--silent", "--noproxy", "*", "--globoff", "--interface", &source(scene)]);
    curl.args(["--connect-timeout", "1", &format!("http://{}/", scene.server)]);
    Folder::new()?.start(&scene.lab.client, &mut curl)?.wait()?;
    drop(held);
    let connections = calls_with(scene, scene.server, 1, gave_up())?;
    passed(scene, connections, "the reset reached the server")
}

fn race_of_mirrors(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mirrors: Vec<SocketAddr> = (0..3).map(|number| port_after(scene, number)).collect();
    let listen = |&at: &SocketAddr| scene.lab.server.run(|| sockets::listen_on(at, 8));
    let listeners = mirrors.iter().map(listen).collect::<Result<Vec<_>>>()?;
    let late = [mirrors[1], mirrors[2]].map(|at| (Port::From(at.port()), Only::Any));
    let held = scene.rules(&scene.lab.router, Hook::Forward, &late, Verdict::Drop)?;
    let losers = [begin_call(scene, 1)?, begin_call(scene, 2)?];
    let winner = scene.pair_at(&listeners[0])?;
    let mut connections = Vec::new();
    for (socket, connection) in losers {
        await_syn_ack(scene, &connection)?;
        sockets::close(socket)?;
        connections.push(with(connection, vec![gave_up()]));
    }
    drop(held);
    winner.exchange()?;
    connections.push(winner.connection.clone());
    winner.part()?;
    passed(scene, connections, "two mirrors saw resets")
}

fn killed_while_calling(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(8)?;
    let held = scene.lose(&[(Port::From(scene.server.port()), Only::Any)])?;
    let (socket, connection) = begin_call(scene, 0)?;
    let process = Holder::of(vec![socket])?;
    await_syn_ack(scene, &connection)?;
    process.kill()?;
    drop(held);
    // That the process died is why nobody was there any more.
    let reset = gave_up().or_as_truly(&["process_crash_or_kill"]);
    passed(scene, vec![with(connection, vec![reset])], "the reset reached the server")
}
