//! Servers as people write and run them: forked workers, limits of files, two listeners on a port,
//! nginx' patience; and a player that seeks.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket,
    sockopt,
};
use rst_tracer::demo::frame::RST;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, last, settle};
use rst_tracer::demo::sniffer::Sighting;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Side, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::options;
use super::super::second_exam::daemons::clients::hear_until;
use super::super::second_exam::filter::{Cause, broken, only};
use super::super::servers::program::{Folder, Program, command};
use super::super::servers::{DIED, nginx};
use super::common::{AFTER_CLOSE, CANCEL, LINGER0, passed, target, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "forked_worker_timed_out",
        "A master kills a worker that hangs",
        "A server in Python forks a worker for a client; the worker hangs, the client asks, and \
         the master kills it (SIGKILL) and serves the next client with another.",
        forked_worker_timed_out,
    )
    .needs(&["python3"]),
    Listed::new(
        "too_many_open_files",
        "A server dies of too many open files",
        "A server in Python may have one more file than it has; it takes one client, dies over the \
         second (EMFILE), and a third waits, too.",
        too_many_open_files,
    )
    .needs(&["python3"]),
    Listed::new(
        "one_of_two_listeners_closes",
        "One of two listeners on a port closes",
        "Two workers listen on one port (SO_REUSEPORT); one of them closes its listening socket \
         with callers waiting, the other serves its own.",
        one_of_two_listeners_closes,
    ),
    Listed::new(
        "nginx_kept_alive_reused",
        "A connection kept alive used too late",
        "nginx closes a connection that was idle for a second (keepalive_timeout); the client asks \
         again over it.",
        nginx_kept_alive_reused,
    )
    .needs(&["nginx"])
    .slow(),
    Listed::new(
        "nginx_body_timeout",
        "nginx waits in vain for an upload",
        "A client sends a part of an upload; after three seconds nginx gives up (client_body_timeout) \
         and resets the connection (SO_LINGER 0).",
        nginx_body_timeout,
    )
    .needs(&["nginx"])
    .slow(),
    Listed::new(
        "player_seeks",
        "A player seeks in a film",
        "A player on the client asks nginx for a film and, its buffer full, closes and asks for \
         another place in it, twice.",
        player_seeks,
    )
    .needs(&["nginx"]),
];

/// Forks a worker for each client. The first hangs; told so, the master kills it. The next says
/// hello and goodbye.
const FORKED: &str = "\
import os, signal, socket, sys, time
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
for number in range(2):
    client, _ = server.accept()
    worker = os.fork()
    if worker == 0:
        if number == 0:
            time.sleep(60)
        client.sendall(b'hello\\n')
        os._exit(0)
    client.close()
    print('forked', flush=True)
    sys.stdin.readline()
    if number == 0:
        os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
";

/// May open one more file than it has, and does not expect that it might not; keeps its clients.
const FULL: &str = "\
import os, resource, socket, sys
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
spare = os.dup(0)
os.close(spare)
resource.setrlimit(resource.RLIMIT_NOFILE, (spare + 1, spare + 1))
sys.stdin.readline()
clients = []
while True:
    clients.append(server.accept())
";

fn python(scene: &Scene<'_>, script: &str) -> Result<Program> {
    let host = &scene.lab.server;
    let mut python = command("python3");
    python.args(["-c", script]).args(target(scene));
    Folder::new()?.start(host, &mut python)?.await_listening(host, scene.server)
}

fn forked_worker_timed_out(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mut server = python(scene, FORKED)?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    settle(scene.lab, &connection)?;
    wait::until("a worker", || Ok(server.said().contains("forked")))?;
    server.tell(b"kill it\n")?;
    broken(&client)?;
    // It was killed; that the request lay unread is why its kernel reset.
    let reset = Reset::by(Sender::Server, Stage::PostPush, DIED);
    let first = with(connection, vec![reset.or_as_truly(&["closed_with_unread_data"])]);
    let (client, served) = scene.dial()?;
    hear_until(&client, b"hello\n")?;
    server.tell(b"go on\n")?;
    sockets::await_end(&client)?;
    settle(scene.lab, &served)?;
    server.wait()?;
    Ok(GroundTruth { connections: vec![first, served], done: "the first client got ECONNRESET" })
}

fn too_many_open_files(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mut server = python(scene, FULL)?;
    let [taken, silent, asking] = [scene.dial()?, scene.dial()?, scene.dial()?];
    scene.lab.client.run(|| sockets::say(&asking.0, REQUEST))?;
    for (_, connection) in [&taken, &silent, &asking] {
        settle(scene.lab, connection)?;
    }
    server.tell(b"go on\n")?;
    let cause: Cause = ("application_error", "restart_with_pending_connections");
    let mut connections = Vec::new();
    for ((client, connection), stage) in [(silent, Stage::PostAck), (asking, Stage::PostPush)] {
        broken(&client)?;
        // The listener went with its process: both are what was done.
        let reset = Reset::by(Sender::Server, stage, cause);
        connections.push(with(connection, vec![reset.or_as_truly(&["process_crash_or_kill"])]));
    }
    server.wait()?;
    ensure!(server.said().contains("Too many open files"), "it said: {}", server.said());
    // Nothing lay unread here: a FIN.
    sockets::await_end(&taken.0)?;
    settle(scene.lab, &taken.1)?;
    connections.push(taken.1);
    Ok(GroundTruth { connections, done: "two clients got ECONNRESET" })
}

/// A listening socket that shares its port with others.
fn sharing(at: SocketAddr) -> Result<TcpListener> {
    let family = if at.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
        .context("opening a TCP socket")?;
    setsockopt(&socket, sockopt::ReusePort, &true).context("allowing a port to be shared")?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(at)).context("binding a socket")?;
    listen(&socket, Backlog::new(64)?).context("listening")?;
    Ok(socket.into())
}

fn one_of_two_listeners_closes(scene: &Scene<'_>) -> Result<GroundTruth> {
    let host = &scene.lab.server;
    let [closing, staying] = host.run(|| Ok([sharing(scene.server)?, sharing(scene.server)?]))?;
    // Who gets which caller is the kernel's choice.
    let mut callers = Vec::new();
    while sockets::unaccepted(&closing)? < 2 || sockets::unaccepted(&staying)? < 1 {
        ensure!(callers.len() < 64, "the kernel gives all callers to one listener");
        let (client, connection) = scene.dial()?;
        settle(scene.lab, &connection)?;
        callers.push((client, connection));
    }
    let (lost, kept) = (sockets::unaccepted(&closing)?, sockets::unaccepted(&staying)?);
    ensure!((lost + kept) as usize == callers.len(), "{lost} + {kept} callers wait");
    host.run(|| sockets::close(closing))?;
    let was_reset = |connection: &Connection| {
        let seen = scene.lab.sniffer(Place::Client).segments(connection);
        seen.iter().any(|one| one.segment.has(RST))
    };
    wait::until("the callers of one listener to be reset", || {
        Ok(callers.iter().filter(|(_, one)| was_reset(one)).count() == lost as usize)
    })?;
    let cause: Cause = ("application_error", "restart_with_pending_connections");
    let mut connections = Vec::new();
    for (client, connection) in callers {
        if was_reset(&connection) {
            broken(&client)?;
            let reset = Reset::by(Sender::Server, Stage::PostAck, cause);
            connections.push(with(connection, vec![reset]));
        } else {
            client.shutdown(std::net::Shutdown::Write)?;
            settle(scene.lab, &connection)?;
            let server = host.run(|| sockets::accept(&staying))?;
            sockets::await_end(&server)?;
            host.run(|| sockets::close(server))?;
            sockets::await_end(&client)?;
            connections.push(connection);
        }
    }
    // Those that were reset come first.
    connections.sort_by_key(|one| one.resets.is_empty());
    Ok(GroundTruth { connections, done: "the callers of one listener got ECONNRESET" })
}

fn nginx_kept_alive_reused(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _nginx = nginx::start_with(scene, 64, "", "keepalive_timeout 1s; return 200 'hello';")?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    hear_until(&client, b"hello")?;
    sockets::await_end(&client)?;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    sockets::await_error(&client, Errno::EPIPE)?;
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_CLOSE);
    Ok(only(connection, vec![reset], "the client's socket got EPIPE"))
}

fn nginx_body_timeout(scene: &Scene<'_>) -> Result<GroundTruth> {
    const HEAD: &[u8] = b"PUT /file HTTP/1.1\r\nHost: server.lab\r\nContent-Length: 9000\r\n\r\n";
    // Only what passes an upload on reads it.
    let rules = "reset_timedout_connection on; client_body_timeout 3s; \
                 location / { proxy_pass http://127.0.0.1:9; }";
    let _nginx = nginx::start_with(scene, 64, "", rules)?;
    let (client, connection) = scene.dial()?;
    for part in [HEAD, &[b'u'; 700]] {
        scene.lab.client.run(|| sockets::say(&client, part))?;
    }
    broken(&client)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, LINGER0);
    Ok(only(connection, vec![reset], "the client got ECONNRESET"))
}

fn player_seeks(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _nginx = nginx::start_with(scene, 64, "", "")?;
    let mut connections = Vec::new();
    for from in [0, 1_500_000] {
        let (socket, address) = scene.bound()?;
        options::receive_little(&socket)?;
        let (client, connection) = scene.dial_from((socket, address))?;
        let ask = format!("GET /file HTTP/1.1\r\nHost: films.lab\r\nRange: bytes={from}-\r\n\r\n");
        scene.lab.client.run(|| sockets::say(&client, ask.as_bytes()))?;
        hear_until(&client, b"\r\n\r\n")?;
        scene.lab.sniffer(Place::Server).wait_for("a closed window", &connection, |seen| {
            is_full(&connection, seen).then_some(())
        })?;
        scene.lab.client.run(|| sockets::close(client))?;
        // It cancels; that the kernel resets is because the rest lies unread.
        let reset = Reset::by(Sender::Client, Stage::PostData, CANCEL);
        let reset = reset.or_as_truly(&["closed_with_unread_data"]);
        connections.push(with(connection, vec![reset]));
        scene.await_resets(&GroundTruth { connections: connections.clone(), done: "" })?;
    }
    passed(scene, connections, "two resets reached the server")
}

/// The client has acknowledged all and has no room for more.
fn is_full(connection: &Connection, seen: &[Sighting]) -> bool {
    let of = |side| last(seen, connection, side);
    let Some((told, sent)) = of(Side::Client).zip(of(Side::Server)) else { return false };
    told.ack == sent.next_seq() && sent.payload_len > 0 && told.window < 100
}
