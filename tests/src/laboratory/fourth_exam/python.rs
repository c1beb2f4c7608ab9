//! Servers in Python, as people write and run them: blocked, buggy, stopped, crashing.

use std::fs;
use std::net::TcpStream;
use std::thread;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, settle};
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::second_exam::daemons::clients::hear_until;
use super::super::second_exam::filter::{Cause, broken, only, refused};
use super::super::servers::DIED;
use super::super::servers::program::{Folder, Program, command};
use super::super::third_exam::capacity::waiting;
use super::super::third_exam::common::{UNREAD, WENT_AWAY, ms, target, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "handler_waits_too_long",
        "An upload piles up while a handler waits",
        "A server on asyncio waits for something else while an upload piles up, first in its own \
         buffer, then in the kernel's; its time is up, and it closes.",
        handler_waits_too_long,
    )
    .needs(PYTHON),
    Listed::new(
        "handler_with_a_bug",
        "A handler with a bug",
        "A handler of Python's socketserver raises an exception over the first line of an upload; \
         the server closes its direction and then all, most of the upload unread.",
        handler_with_a_bug,
    )
    .needs(PYTHON),
    Listed::new(
        "stopped_without_a_farewell",
        "A service that is stopped",
        "A server in Python that does not mind signals is stopped (SIGTERM): it has read a part of \
         what one client says and all of what another said; a third waits to be accepted.",
        stopped_without_a_farewell,
    )
    .needs(PYTHON),
    Listed::new(
        "crash_loop",
        "A service that crashes again and again",
        "A server in Python aborts (SIGABRT) over a query of which it has read four bytes; until \
         it is started again, a caller is refused. This happens twice.",
        crash_loop,
    )
    .needs(PYTHON)
    .slow(),
    Listed::new(
        "blocked_event_loop",
        "A blocked event loop",
        "A server on asyncio, told to keep one caller waiting, blocks in a handler; of three more \
         callers the last one, who says nothing, has no place, and tcp_abort_on_overflow is on.",
        blocked_event_loop,
    )
    .needs(PYTHON)
    .slow(),
];

const PYTHON: &[&str] = &["python3"];

/// Reads the head of a request, and then nothing until its input has a line.
const WAITING: &str = "\
import asyncio, sys
async def serve(reader, writer):
    await reader.readuntil(b'\\r\\n\\r\\n')
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    writer.close()
async def main():
    server = await asyncio.start_server(serve, sys.argv[1], int(sys.argv[2]))
    await server.serve_forever()
asyncio.run(main())
";

/// Takes the first line for a number.
const BUGGY: &str = "\
import socket, socketserver, sys
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        int(self.rfile.readline())
class Server(socketserver.TCPServer):
    allow_reuse_address = True
    address_family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
";

/// Takes two clients, reads ten bytes of each, says so, and then does something else.
const BUSY: &str = "\
import socket, sys, time
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
clients = [server.accept()[0] for _ in range(2)]
for client in clients:
    client.recv(10, socket.MSG_WAITALL)
print('busy', flush=True)
time.sleep(60)
";

/// Serves one client, over whose words it aborts.
const CRASHING: &str = "\
import os, socket, sys
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
client, _ = server.accept()
client.recv(4)
sys.stdin.readline()
os.abort()
";

/// Its first client's request blocks it until its input has a line; it says hello to each.
const BLOCKED: &str = "\
import asyncio, sys
first = True
async def serve(reader, writer):
    global first
    await reader.readuntil(b'\\r\\n\\r\\n')
    if first:
        first = False
        print('blocked', flush=True)
        sys.stdin.readline()
    writer.write(b'hello\\n')
    writer.close()
async def main():
    server = await asyncio.start_server(serve, sys.argv[1], int(sys.argv[2]), backlog=1)
    await server.serve_forever()
asyncio.run(main())
";

pub(super) fn start(scene: &Scene<'_>, folder: Folder, script: &str) -> Result<Program> {
    let host = &scene.lab.server;
    let mut python = command("python3");
    python.args(["-c", script]).args(target(scene));
    folder.start(host, &mut python)?.await_listening(host, scene.server)
}

/// The bytes that a host's kernel keeps for the program that has this end of a connection.
fn unread(host: &Netns, connection: &Connection) -> Result<u32> {
    let table = if connection.server.is_ipv4() { "tcp" } else { "tcp6" };
    let path = format!("/proc/thread-self/net/{table}");
    let table = host.run(|| fs::read_to_string(&path).context("reading the sockets"))?;
    let ends = [connection.server, connection.client].map(|end| format!(":{:04X}", end.port()));
    for line in table.lines() {
        // Local address, remote address, state, and the lengths of both queues.
        let columns: Vec<&str> = line.split_whitespace().skip(1).take(4).collect();
        let &[local, remote, _, queues] = columns.as_slice() else { continue };
        if local.ends_with(&ends[0]) && remote.ends_with(&ends[1]) {
            let received = queues.split(':').nth(1).context("no second queue")?;
            return u32::from_str_radix(received, 16).context("the length of a queue");
        }
    }
    anyhow::bail!("the host has no such connection")
}

fn handler_waits_too_long(scene: &Scene<'_>) -> Result<GroundTruth> {
    const HEAD: &[u8] = b"PUT /log HTTP/1.1\r\nHost: log.lab\r\nContent-Length: 900000\r\n\r\n";
    let mut python = start(scene, Folder::new()?, WAITING)?;
    let (client, connection) = scene.dial()?;
    // asyncio stops to read when it has twice 64 KiB, and leaves what had not come yet by then.
    const BODY: u32 = 140_000;
    const LEFT: u32 = BODY - 2 * 64 * 1024;
    for piece in [HEAD, &[b'l'; BODY as usize]] {
        scene.lab.client.run(|| sockets::say(&client, piece))?;
    }
    settle(scene.lab, &connection)?;
    wait::until("Python to read", || Ok(unread(&scene.lab.server, &connection)? <= LEFT))?;
    scene.lab.client.run(|| sockets::say(&client, &[b'l'; 9000]))?;
    settle(scene.lab, &connection)?;
    ensure!(unread(&scene.lab.server, &connection)? >= 9000, "asyncio reads on");
    python.tell(b"time is up\n")?;
    broken(&client)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, UNREAD);
    Ok(only(connection, vec![reset], "the client got ECONNRESET"))
}

fn handler_with_a_bug(scene: &Scene<'_>) -> Result<GroundTruth> {
    let python = start(scene, Folder::new()?, BUGGY)?;
    // All of it arrives before Python looks; it reads 8 KiB at a time.
    python.halt()?;
    let (client, connection) = scene.dial()?;
    for piece in [&b"twelve\r\n"[..], &[b'.'; 20_000]] {
        scene.lab.client.run(|| sockets::say(&client, piece))?;
    }
    settle(scene.lab, &connection)?;
    python.carry_on()?;
    sockets::await_error(&client, Errno::EPIPE)?;
    wait::until("the exception", || Ok(python.said().contains("ValueError")))?;
    let reset = Reset::by(Sender::Server, Stage::PostFin, UNREAD);
    Ok(only(connection, vec![reset], "the client's socket got EPIPE"))
}

fn stopped_without_a_farewell(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mut python = start(scene, Folder::new()?, BUSY)?;
    let [half, whole] = [scene.dial()?, scene.dial()?];
    scene.lab.client.run(|| sockets::say(&half.0, REQUEST))?;
    scene.lab.client.run(|| sockets::say(&whole.0, &REQUEST[..10]))?;
    wait::until("the server to read", || Ok(python.said().contains("busy")))?;
    let waiting = scene.dial()?;
    for (_, connection) in [&half, &whole, &waiting] {
        settle(scene.lab, connection)?;
    }
    python.signal(Signal::SIGTERM)?;
    broken(&half.0)?;
    // It was ended; that the rest lay unread is why its kernel reset.
    let reset = Reset::by(Sender::Server, Stage::PostPush, DIED);
    let first = with(half.1, vec![reset.or_as_truly(&["closed_with_unread_data"])]);
    broken(&waiting.0)?;
    // The listener went with its process: both are what was done.
    let cause = ("application_error", "restart_with_pending_connections");
    let reset = Reset::by(Sender::Server, Stage::PostAck, cause);
    let second = with(waiting.1, vec![reset.or_as_truly(&["process_crash_or_kill"])]);
    // Nothing lay unread here: a FIN.
    sockets::await_end(&whole.0)?;
    settle(scene.lab, &whole.1)?;
    python.wait()?;
    let connections = vec![first, second, whole.1];
    Ok(GroundTruth { connections, done: "two of three clients got ECONNRESET" })
}

fn crash_loop(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mut connections = Vec::new();
    for _ in 0..2 {
        let mut python = start(scene, Folder::new()?, CRASHING)?;
        let (client, connection) = scene.dial()?;
        scene.lab.client.run(|| sockets::say(&client, b"\0\0\0\x1fSELECT 1; the rest of it"))?;
        settle(scene.lab, &connection)?;
        python.tell(b"go on\n")?;
        broken(&client)?;
        python.wait()?;
        // It crashed; that the rest lay unread is why its kernel reset.
        let reset = Reset::by(Sender::Server, Stage::PostPush, DIED);
        connections.push(with(connection, vec![reset.or_as_truly(&["closed_with_unread_data"])]));
        thread::sleep(ms(150));
        let away = Reset::by(Sender::Server, Stage::PostSyn, WENT_AWAY);
        connections.push(refused(scene, scene.server, away)?);
    }
    Ok(GroundTruth { connections, done: "twice ECONNRESET, and twice ECONNREFUSED" })
}

fn blocked_event_loop(scene: &Scene<'_>) -> Result<GroundTruth> {
    let key = "net/ipv4/tcp_abort_on_overflow";
    let setting = scene.lab.set_for_now(&scene.lab.server, &[(key, "1")])?;
    let mut python = start(scene, Folder::new()?, BLOCKED)?;
    let ask = |client: &TcpStream| scene.lab.client.run(|| sockets::say(client, REQUEST));
    let first = scene.dial()?;
    ask(&first.0)?;
    wait::until("the handler to block", || Ok(python.said().contains("blocked")))?;
    let host = &scene.lab.server;
    let queue_is = |n| wait::until("the queue", || Ok(waiting(host, scene.server)? == n));
    // The last ACKs of two handshakes are held: a full queue would answer no SYN.
    let hold = || {
        let bound = scene.bound()?;
        let hold = scene.lose(&[(Port::From(bound.1.port()), Only::WithoutSyn)])?;
        anyhow::Ok((scene.dial_from(bound)?, hold))
    };
    let place = scene.dial()?;
    queue_is(1)?;
    ask(&place.0)?;
    let [(other, others), (silent, silents)] = [hold()?, hold()?];
    drop(others);
    ask(&other.0)?;
    queue_is(2)?;
    drop(silents);
    // Its SYN-ACK is sent again after a second.
    broken(&silent.0)?;
    drop(setting);
    let overflow: Cause = ("resource_limitation", "accept_queue_overflow");
    let reset = Reset::by(Sender::Server, Stage::PostAck, overflow);
    let mut connections = vec![with(silent.1, vec![reset])];
    python.tell(b"go on\n")?;
    for (client, connection) in [first, place, other] {
        hear_until(&client, b"hello\n")?;
        sockets::await_end(&client)?;
        settle(scene.lab, &connection)?;
        connections.push(connection);
    }
    Ok(GroundTruth { connections, done: "the caller without a place got ECONNRESET" })
}
