//! Ends that are meant: pools that are trimmed, downloads that are too large, certificates that nobody knows.

use anyhow::Result;
use rst_tracer::demo::scenarios::{ANSWER, Listed, REQUEST, Scene, settle};
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::fifth_exam::common::{NODE, in_brackets};
use super::super::second_exam::daemons::clients::{called, hear_until};
use super::super::second_exam::filter::{broken, only};
use super::super::servers::openssl;
use super::super::servers::program::{Folder, command};
use super::super::servers::the_caller;
use super::super::third_exam::common::{CANCEL, LINGER0, UNREAD, passed, source, target, with};
use super::common::{curl, from, python};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "pool_trimmed",
        "A pool is trimmed",
        "A program in JavaScript has three connections in a pool, over each of which it has asked \
         something; it keeps one and throws the others away (resetAndDestroy).",
        pool_trimmed,
    )
    .needs(NODE),
    Listed::new(
        "picture_too_large_over_tls",
        "A picture is too large",
        "curl reads in the head of an answer over TLS that it is larger than wanted \
         (--max-filesize), says goodbye (close_notify) and closes, the rest unread.",
        picture_too_large_over_tls,
    )
    .needs(&["python3", "openssl", "curl"])
    .slow(),
    Listed::new(
        "certificate_of_nobody",
        "A certificate that nobody has signed",
        "curl finds that a TLS server's certificate is signed by nobody it knows, says so (an alert) \
         and closes, the end of the handshake unread.",
        certificate_of_nobody,
    )
    .needs(&["python3", "openssl", "curl"])
    .slow(),
    Listed::new(
        "error_page_unwanted",
        "An error page that nobody wants",
        "wget is answered 404 with a page of 20 kB that says so at length; it reads the head only, as \
         it does with errors, and closes.",
        error_page_unwanted,
    )
    .needs(&["wget"]),
];

fn pool_trimmed(scene: &Scene<'_>) -> Result<GroundTruth> {
    const CLIENT: &str = "\
const net = require('net'), [host, port, localAddress] = process.argv.slice(1);
const pool = [];
const dial = () => {
    const one = net.connect({ host, port: +port, localAddress });
    one.write('GET / HTTP/1.1\\r\\nHost: server.lab\\r\\n\\r\\n');
    one.once('data', () => { pool.push(one); console.log('answered ' + pool.length + '.');
                             if (pool.length < 3) dial(); });
};
dial();
process.stdin.once('data', () => {
    pool[0].resetAndDestroy();
    pool[1].resetAndDestroy();
    process.stdin.once('data', () => { pool[2].end(); process.stdin.destroy(); });
});
";
    let listener = scene.listen(8)?;
    let mut node = command("node");
    node.args(["-e", CLIENT]).args(target(scene)).arg(source(scene));
    let mut node = Folder::new()?.start(&scene.lab.client, &mut node)?;
    let mut pool = Vec::new();
    for number in 1..=3 {
        let (server, connection) = called(scene, &listener)?;
        sockets::hear(&server, REQUEST)?;
        scene.lab.server.run(|| sockets::say(&server, ANSWER))?;
        wait::until("the answer", || Ok(node.said().contains(&format!("answered {number}."))))?;
        settle(scene.lab, &connection)?;
        pool.push((server, connection));
    }
    node.tell(b"trim\n")?;
    let mut connections = Vec::new();
    for (server, connection) in pool.drain(..2) {
        broken(&server)?;
        let reset = Reset::by(Sender::Client, Stage::PostData, LINGER0);
        connections.push(with(connection, vec![reset]));
    }
    node.tell(b"end\n")?;
    for (server, connection) in pool {
        sockets::await_end(&server)?;
        settle(scene.lab, &connection)?;
        scene.lab.server.run(|| sockets::close(server))?;
        connections.push(connection);
    }
    node.wait()?;
    Ok(GroundTruth { connections, done: "twice the server got ECONNRESET" })
}

fn picture_too_large_over_tls(scene: &Scene<'_>) -> Result<GroundTruth> {
    const SERVER: &str = "\
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('server.pem')
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
client = context.wrap_socket(server.accept()[0], server_side=True)
client.recv(4000)
print('asked', flush=True)
sys.stdin.readline()
client.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 900000\\r\\n\\r\\n')
for _ in range(3):
    client.sendall(b'p' * 9000)
print('sent', flush=True)
sys.stdin.readline()
";
    let mut server = python(scene, openssl::with_certificate(scene)?, SERVER)?;
    let url = format!("https://{}:{}/picture", in_brackets(scene.server.ip()), scene.server.port());
    let options = ["--insecure", "--http1.1", "--max-filesize", "100000"];
    let mut curl = curl(scene, from(scene), &options, &url)?;
    wait::until("the question", || Ok(server.said().contains("asked")))?;
    let connection = the_caller(scene)?;
    settle(scene.lab, &connection)?;
    // All of it arrives before curl looks.
    curl.halt()?;
    server.tell(b"go on\n")?;
    wait::until("the answer", || Ok(server.said().contains("sent")))?;
    settle(scene.lab, &connection)?;
    curl.carry_on()?;
    curl.wait()?;
    // It did not want the rest; that this lay unread is why its kernel reset.
    let reset = Reset::by(Sender::Client, Stage::PostData, CANCEL);
    let reset = reset.or_as_truly(&["closed_with_unread_data", "tls_close_then_rst"]);
    passed(scene, vec![with(connection, vec![reset])], "the reset reached the server")
}

fn certificate_of_nobody(scene: &Scene<'_>) -> Result<GroundTruth> {
    const SERVER: &str = "\
import select, socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('server.pem')
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
client, _ = server.accept()
client = context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
client.setblocking(False)
select.select([client], [], [])
try:
    client.do_handshake()
except ssl.SSLWantReadError:
    pass
sys.stdin.readline()
";
    let mut server = python(scene, openssl::with_certificate(scene)?, SERVER)?;
    let url = format!("https://{}:{}/", in_brackets(scene.server.ip()), scene.server.port());
    curl(scene, from(scene), &[], &url)?.wait()?;
    let connection = the_caller(scene)?;
    // The kernel resets because something lies unread; that the certificate is unknown is why curl closed.
    let reset = Reset::by(Sender::Client, Stage::PostData, UNREAD);
    let reset = reset.or_as_truly(&["client_cancel", "tls_close_then_rst"]);
    let truth = passed(scene, vec![with(connection, vec![reset])], "the reset reached the server")?;
    server.tell(b"enough\n")?;
    server.wait()?;
    Ok(truth)
}

fn error_page_unwanted(scene: &Scene<'_>) -> Result<GroundTruth> {
    const HEAD: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 20000\r\n\r\n";
    let listener = scene.listen(8)?;
    let mut wget = command("wget");
    wget.args(["--no-config", "--no-proxy", "--tries=1", "-O", "/dev/null"]);
    wget.arg(format!("--bind-address={}", source(scene)));
    wget.arg(format!("http://{}/report", scene.server));
    let mut wget = Folder::new()?.start(&scene.lab.client, &mut wget)?;
    let (server, connection) = called(scene, &listener)?;
    hear_until(&server, b"\r\n\r\n")?;
    // All of it arrives before wget looks.
    wget.halt()?;
    let page = [HEAD, &[b'e'; 20_000]].concat();
    scene.lab.server.run(|| sockets::say(&server, &page))?;
    settle(scene.lab, &connection)?;
    wget.carry_on()?;
    broken(&server)?;
    wget.wait()?;
    // It did not want the rest; that this lay unread is why its kernel reset.
    let reset = Reset::by(Sender::Client, Stage::PostData, CANCEL);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    Ok(only(connection, vec![reset], "the server got ECONNRESET"))
}
