//! Programs in Python: a database that crashes, a pool of connections, a TLS server.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{ANSWER, Scene, settle};
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::super::servers::program::{Folder, Program, command};
use super::super::super::servers::{DIED, openssl, the_caller, truth};
use super::clients::{await_fin, called, hear_until};
use super::{AFTER_CLOSE, Cause};

/// Lets everybody in, and crashes over the first query.
const DATABASE: &str = "\
import faulthandler, resource, socket, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
client, _ = server.accept()
startup = client.recv(int.from_bytes(client.recv(4), 'big') - 4)
client.sendall(b'R\\0\\0\\0\\x08\\0\\0\\0\\0' + b'Z\\0\\0\\0\\x05I')
assert client.recv(5)[:1] == b'Q'
sys.stdin.readline()
faulthandler._sigsegv()
";

/// Asks twice over one connection; before the second time it waits for a line of its input.
const POOL: &str = "\
import http.client, sys
pool = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), source_address=(sys.argv[3], 0))
pool.request('GET', '/stock')
pool.getresponse().read()
print('answered', flush=True)
sys.stdin.readline()
try:
    pool.request('GET', '/stock')
    pool.getresponse()
except OSError as error:
    print(error, flush=True)
sys.stdin.readline()
";

/// Says farewell when it is told to, and closes when it is told again, without having listened.
const TLS_CLIENT: &str = "\
import socket, ssl, sys
plain = socket.create_connection((sys.argv[1], int(sys.argv[2])), source_address=(sys.argv[3], 0))
client = ssl._create_unverified_context().wrap_socket(plain)
client.sendall(b'hello')
print(client.recv(100), flush=True)
sys.stdin.readline()
client.setblocking(False)
try:
    client.unwrap()
except ssl.SSLWantReadError:
    pass
sys.stdin.readline()
client.close()
";

/// Answers a farewell when it is told to.
const TLS_SERVER: &str = "\
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('server.pem')
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
client, _ = server.accept()
client = context.wrap_socket(client, server_side=True, suppress_ragged_eofs=False)
while client.recv(100):
    client.sendall(b'welcome')
print('farewell', flush=True)
sys.stdin.readline()
client.unwrap()
sys.stdin.readline()
";

fn server(scene: &Scene<'_>, folder: Folder, script: &str) -> Result<Program> {
    let (ip, port) = (scene.server.ip().to_string(), scene.server.port().to_string());
    let mut python = command("python3");
    python.args(["-c", script, &ip, &port]);
    folder.start(&scene.lab.server, &mut python)?.await_listening(&scene.lab.server, scene.server)
}

fn await_said(program: &Program, word: &str) -> Result<()> {
    wait::until(word, || Ok(program.said().contains(word)))
}

pub(super) fn segfault(scene: &Scene<'_>) -> Result<GroundTruth> {
    const STARTUP: &[u8] = b"\0\0\0\x12\0\x03\0\0user\0app\0\0";
    const READY: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
    const QUERY: &[u8] = b"Q\0\0\0\x22select name from customers;\0\0\0";
    let mut database = server(scene, Folder::new()?, DATABASE)?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, STARTUP))?;
    sockets::hear(&client, READY)?;
    scene.lab.client.run(|| sockets::say(&client, QUERY))?;
    settle(scene.lab, &connection)?;
    database.tell(b"crash\n")?;
    sockets::await_error(&client, Errno::ECONNRESET)?;
    database.wait()?;
    // It crashed; that most of the query lay unread is why its kernel reset.
    let reset = Reset::by(Sender::Server, Stage::PostData, DIED);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    Ok(truth(connection, reset, "the client got ECONNRESET"))
}

pub(super) fn pool_reuse(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let (ip, port) = (scene.server.ip().to_string(), scene.server.port().to_string());
    let source = scene.ip(Place::Client, scene.family).to_string();
    let mut pool = command("python3");
    pool.args(["-c", POOL, &ip, &port, &source]);
    let mut pool = Folder::new()?.start(&scene.lab.client, &mut pool)?;
    let (server, connection) = called(scene, &listener)?;
    hear_until(&server, b"\r\n\r\n")?;
    scene.lab.server.run(|| sockets::say(&server, ANSWER))?;
    await_said(&pool, "answered")?;
    thread::sleep(Duration::from_secs(1));
    scene.lab.server.run(|| sockets::close(server))?;
    await_fin(scene, &connection)?;
    pool.tell(b"again\n")?;
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_CLOSE);
    let truth = truth(connection, reset, "the reset reached the client");
    scene.await_resets(&truth)?;
    Ok(truth)
}

pub(super) fn tls_client_leaves_first(scene: &Scene<'_>) -> Result<GroundTruth> {
    const AFTER_TLS: Cause = ("normal_abortive_close", "tls_close_then_rst");
    let mut server = server(scene, openssl::with_certificate(scene)?, TLS_SERVER)?;
    let (ip, port) = (scene.server.ip().to_string(), scene.server.port().to_string());
    let source = scene.ip(Place::Client, scene.family).to_string();
    let mut client = command("python3");
    client.args(["-c", TLS_CLIENT, &ip, &port, &source]);
    let mut client = Folder::new()?.start(&scene.lab.client, &mut client)?;
    await_said(&client, "welcome")?;
    let connection = the_caller(scene)?;
    client.tell(b"farewell\n")?;
    await_said(&server, "farewell")?;
    settle(scene.lab, &connection)?;
    client.tell(b"close\n")?;
    client.wait()?;
    settle(scene.lab, &connection)?;
    server.tell(b"answer\n")?;
    // TLS was closed first, which is the point; the answer to it was data after a close.
    let reset = Reset::by(Sender::Client, Stage::PostFin, AFTER_TLS);
    let reset = reset.or_as_truly(&["data_after_close"]);
    let truth = truth(connection, reset, "the reset reached the server");
    scene.await_resets(&truth)?;
    Ok(truth)
}
