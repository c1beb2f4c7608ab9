//! A TLS tunnel (stunnel) that is killed or has waited long enough, and a TLS server in Python.

use std::net::TcpListener;

use anyhow::Result;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, Scene, settle};
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::servers::haproxy::BY_PROXY;
use super::super::servers::program::{Folder, Program, command};
use super::super::servers::{DIED, openssl, the_caller};
use super::super::third_exam::common::{passed, with};
use super::python;

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "tunnel_killed",
        "A tunnel killed with something in it",
        "openssl s_client talks through stunnel on the server to a program behind it; stunnel hangs \
         (SIGSTOP), the client says one more thing, and stunnel is killed (SIGKILL).",
        tunnel_killed,
    )
    .needs(STUNNEL),
    Listed::new(
        "tunnel_idle",
        "A tunnel without traffic",
        "stunnel on the server resets (SO_LINGER 0) a client over whose tunnel nothing has gone \
         for a second (TIMEOUTidle).",
        tunnel_idle,
    )
    .needs(STUNNEL)
    .slow(),
    Listed::new(
        "tls_goodbye_and_abort",
        "A TLS server that says goodbye and aborts",
        "A TLS server in Python sends its close_notify to openssl s_client and closes with \
         SO_LINGER 0.",
        tls_goodbye_and_abort,
    )
    .needs(&["python3", "openssl"]),
];

const STUNNEL: &[&str] = &["stunnel4", "openssl"];

/// Shakes hands with one client; told so, says goodbye in TLS and aborts.
const GOODBYE: &str = "\
import socket, ssl, struct, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('server.pem')
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
client = context.wrap_socket(server.accept()[0], server_side=True)
client.sendall(b'hello\\n')
print('spoken', flush=True)
sys.stdin.readline()
client.setblocking(False)
try:
    client.unwrap()
except ssl.SSLWantReadError:
    pass
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
client.close()
";

/// A client that has said something through a tunnel to the program behind it.
struct Tunnel {
    stunnel: Program,
    client: Program,
    behind: std::net::TcpStream,
    connection: Connection,
}

fn tunnel(scene: &Scene<'_>, rules: &str) -> Result<Tunnel> {
    let host = &scene.lab.server;
    let listener: TcpListener = host.run(|| sockets::listen_on(([127, 0, 0, 1], 0).into(), 8))?;
    let (listen, behind) = (scene.server, listener.local_addr()?);
    let address = format!("{}:{}", listen.ip(), listen.port());
    let folder = openssl::with_certificate(scene)?;
    let text = format!(
        "foreground = yes\npid =\n[lab]\naccept = {address}\nconnect = {behind}\n\
         cert = server.pem\n{rules}\n"
    );
    let path = folder.write("stunnel.conf", text)?;
    let mut stunnel = command("stunnel4");
    let stunnel = folder.start(host, stunnel.arg(path))?.await_listening(host, listen)?;
    let mut client = command("openssl");
    client.args(["s_client", "-quiet", "-connect", &listen.to_string()]);
    client.args(["-bind", &scene.at(Place::Client, 0).to_string()]);
    let mut client = Folder::new()?.start(&scene.lab.client, &mut client)?;
    let behind = host.run(|| sockets::accept(&listener))?;
    client.tell(b"hello\n")?;
    sockets::hear(&behind, b"hello\n")?;
    sockets::say(&behind, b"welcome\n")?;
    wait::until("the answer", || Ok(client.said().contains("welcome")))?;
    let connection = the_caller(scene)?;
    settle(scene.lab, &connection)?;
    Ok(Tunnel { stunnel, client, behind, connection })
}

fn tunnel_killed(scene: &Scene<'_>) -> Result<GroundTruth> {
    let Tunnel { stunnel, mut client, behind: _behind, connection } = tunnel(scene, "")?;
    stunnel.halt()?;
    let at = scene.lab.sniffer(Place::Server);
    let before = at.segments(&connection).len();
    client.tell(b"one more thing\n")?;
    at.wait_for("the client's words", &connection, |seen| {
        seen[before..].iter().any(|one| one.segment.payload_len > 0).then_some(())
    })?;
    settle(scene.lab, &connection)?;
    stunnel.kill()?;
    // It was killed; that something lay unread is why its kernel reset.
    let reset = Reset::by(Sender::Server, Stage::PostData, DIED);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    passed(scene, vec![with(connection, vec![reset])], "the reset reached the client")
}

fn tunnel_idle(scene: &Scene<'_>) -> Result<GroundTruth> {
    let Tunnel { stunnel: _stunnel, mut client, behind: _behind, connection } =
        tunnel(scene, "TIMEOUTidle = 1")?;
    // SO_LINGER 0 is how stunnel does it.
    let reset = Reset::by(Sender::Server, Stage::PostData, BY_PROXY);
    let connections = vec![with(connection, vec![reset.or_as_truly(&["linger0_close"])])];
    let truth = passed(scene, connections, "the reset reached the client")?;
    client.wait()?;
    Ok(truth)
}

fn tls_goodbye_and_abort(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mut server = python::start(scene, openssl::with_certificate(scene)?, GOODBYE)?;
    let mut client = command("openssl");
    client.args(["s_client", "-quiet", "-connect", &scene.server.to_string()]);
    client.args(["-bind", &scene.at(Place::Client, 0).to_string()]);
    let client = Folder::new()?.start(&scene.lab.client, &mut client)?;
    wait::until("the handshake", || Ok(server.said().contains("spoken")))?;
    wait::until("a word", || Ok(client.said().contains("hello")))?;
    // It would answer the farewell.
    client.halt()?;
    let connection = the_caller(scene)?;
    settle(scene.lab, &connection)?;
    server.tell(b"go on\n")?;
    server.wait()?;
    // SO_LINGER 0 is how the reset was made; that TLS was closed first is the point.
    let cause = ("normal_abortive_close", "tls_close_then_rst");
    let reset = Reset::by(Sender::Server, Stage::PostData, cause).or_as_truly(&["linger0_close"]);
    passed(scene, vec![with(connection, vec![reset])], "the reset reached the client")
}
