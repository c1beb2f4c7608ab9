//! Connections that a program ends abruptly, on purpose or because it does not understand.

use std::net::Shutdown;
use std::thread;

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Side, Stage};
use rst_tracer::demo::wait;

use super::super::closing::{spoken_tls, tls};
use super::super::options;
use super::super::second_exam::daemons::clients::await_fin;
use super::super::second_exam::filter::{Cause, broken, shout, talk, talked};
use super::super::servers::openssl;
use super::super::servers::program::{Folder, command};
use super::common::{CANCEL, LINGER0, UNREAD, calls, ms, passed, source, target, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "load_generator",
        "A load generator leaves no traces",
        "A client asks, hears the answer and closes with SO_LINGER 0, five times in a row, so that \
         no port of its waits.",
        load_generator,
    ),
    Listed::new(
        "idle_sessions_purged",
        "A server purges idle sessions",
        "After 700 ms of silence a server goes through its three idle sessions and closes each \
         with SO_LINGER 0.",
        idle_sessions_purged,
    ),
    Listed::new(
        "websocket_closed_and_aborted",
        "A WebSocket closed in order, then aborted",
        "Both sides say that they close the WebSocket; then the server dissolves the connection \
         (connect to AF_UNSPEC).",
        websocket_closed_and_aborted,
    ),
    Listed::new(
        "half_closed_then_unread",
        "A server closes one half, then the other",
        "The server answers and closes its direction while an upload still goes on; then it closes \
         the rest, with a part of the upload unread.",
        half_closed_then_unread,
    ),
    Listed::new(
        "form_sent_twice",
        "A form sent twice",
        "The client, which wants no second answer, has sent its request twice; it closes in the \
         middle of the first answer, two parts of which lie unread.",
        form_sent_twice,
    ),
    Listed::new(
        "farewell_answered_too_late",
        "The client's TLS farewell comes too late",
        "The server says goodbye in TLS and closes; the client answers the farewell.",
        farewell_answered_too_late,
    ),
    Listed::new(
        "tickets_unread",
        "A TLS client that reads nothing",
        "A program in Python says something to openssl s_server and closes; it has not read the \
         tickets that the server sent after the handshake.",
        tickets_unread,
    )
    .needs(&["python3", "openssl"]),
    Listed::new(
        "wrong_greeting",
        "Greeted in another language",
        "The client expects a database's greeting; it reads the first four bytes of that of a mail \
         server and closes, the rest unread.",
        wrong_greeting,
    ),
    Listed::new(
        "proxy_header_unexpected",
        "A header that the service does not know",
        "The client begins with the header of a proxy (PROXY protocol); the service reads six \
         bytes, complains and closes with the rest unread.",
        proxy_header_unexpected,
    ),
];

const AFTER_TLS: Cause = ("normal_abortive_close", "tls_close_then_rst");
const MISMATCH: Cause = ("application_error", "protocol_mismatch");

fn load_generator(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let mut connections = Vec::new();
    for _ in 0..5 {
        let pair = scene.pair_at(&listener)?;
        pair.exchange()?;
        pair.settle()?;
        scene.lab.client.run(|| sockets::abort(pair.client))?;
        broken(&pair.server)?;
        let reset = Reset::by(Sender::Client, Stage::PostData, LINGER0);
        connections.push(with(pair.connection, vec![reset]));
    }
    Ok(GroundTruth { connections, done: "five times the server got ECONNRESET" })
}

fn idle_sessions_purged(scene: &Scene<'_>) -> Result<GroundTruth> {
    let lines: &[(Side, &[u8])] =
        &[(Side::Client, b"JOIN lobby\n"), (Side::Server, b"WELCOME\n"), (Side::Server, b"MOTD\n")];
    let sessions = talked(scene, 3, lines)?;
    thread::sleep(ms(700));
    let mut connections = Vec::new();
    for session in sessions {
        scene.lab.server.run(|| sockets::abort(session.server))?;
        broken(&session.client)?;
        let reset = Reset::by(Sender::Server, Stage::PostData, LINGER0);
        connections.push(with(session.connection, vec![reset]));
    }
    Ok(GroundTruth { connections, done: "three clients got ECONNRESET" })
}

fn websocket_closed_and_aborted(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    talk(
        &pair,
        &[
            (Side::Client, b"GET /live HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
            (Side::Server, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
            (Side::Server, b"\x81\x05hello"),
            // Closing, status 1000 (RFC 6455, 5.5.1); the client masks what it says.
            (Side::Server, b"\x88\x02\x03\xe8"),
            (Side::Client, b"\x88\x82\x01\x02\x03\x04\x02\xea"),
        ],
    )?;
    scene.lab.server.run(|| options::dissolve(&pair.server))?;
    broken(&pair.client)?;
    // Linux does the same as for SO_LINGER 0 (tcp_disconnect): a deliberate abort with all read.
    let reset = Reset::by(Sender::Server, Stage::PostData, LINGER0);
    Ok(pair.truth("the client got ECONNRESET", vec![reset]))
}

fn half_closed_then_unread(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    let lines: &[(Side, &[u8])] = &[
        (Side::Client, b"POST /photo HTTP/1.1\r\nContent-Length: 5000\r\n\r\n"),
        (Side::Server, b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n"),
    ];
    talk(&pair, lines)?;
    pair.server.shutdown(Shutdown::Write)?;
    sockets::await_end(&pair.client)?;
    pair.settle()?;
    shout(&pair, Side::Client, &[b'p'; 1300])?;
    sockets::await_unread(&pair.server)?;
    pair.settle()?;
    // Both are what was done: it closed after its own FIN, and with data unread.
    let reset = Reset::by(Sender::Server, Stage::PostFin, UNREAD);
    let reset = reset.or_as_truly(&["rst_after_fin"]);
    let truth = pair.truth("the client's socket got EPIPE", vec![reset]);
    scene.lab.server.run(|| sockets::close(pair.server))?;
    sockets::await_error(&pair.client, Errno::EPIPE)?;
    Ok(truth)
}

fn form_sent_twice(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    talk(&pair, &[(Side::Client, REQUEST), (Side::Client, REQUEST)])?;
    talk(&pair, &[(Side::Server, b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n")])?;
    for part in [[b'1'; 900], [b'2'; 900]] {
        shout(&pair, Side::Server, &part)?;
    }
    pair.settle()?;
    // It cancels; that the kernel resets is because something lies unread.
    let reset = Reset::by(Sender::Client, Stage::PostData, CANCEL);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    let truth = pair.truth("the server got ECONNRESET", vec![reset]);
    scene.lab.client.run(|| sockets::close(pair.client))?;
    broken(&pair.server)?;
    Ok(truth)
}

fn farewell_answered_too_late(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = spoken_tls(scene)?;
    talk(&pair, &[(Side::Server, tls::CLOSE_NOTIFY)])?;
    // TLS was closed first, which is the point; the answer to it was data after a close.
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_TLS);
    let reset = reset.or_as_truly(&["data_after_close"]);
    let truth = pair.truth("the client's socket got EPIPE", vec![reset]);
    scene.lab.server.run(|| sockets::close(pair.server))?;
    await_fin(scene, &pair.connection)?;
    scene.lab.client.run(|| sockets::say(&pair.client, tls::CLOSE_NOTIFY))?;
    sockets::await_error(&pair.client, Errno::EPIPE)?;
    Ok(truth)
}

fn tickets_unread(scene: &Scene<'_>) -> Result<GroundTruth> {
    const CLIENT: &str = "\
import socket, ssl, sys
plain = socket.create_connection((sys.argv[1], int(sys.argv[2])), source_address=(sys.argv[3], 0))
client = ssl._create_unverified_context().wrap_socket(plain)
client.sendall(b'measured: 21.5\\n')
sys.stdin.readline()
client.close()
";
    let (host, folder) = (&scene.lab.server, openssl::with_certificate(scene)?);
    let mut server = command("openssl");
    server.args(["s_server", "-quiet", "-accept", &scene.server.to_string(), "-cert"]);
    server.arg(folder.path("server.pem"));
    let server = folder.start(host, &mut server)?.await_listening(host, scene.server)?;
    let mut client = command("python3");
    client.args(["-c", CLIENT]).args(target(scene)).arg(source(scene));
    let mut client = Folder::new()?.start(&scene.lab.client, &mut client)?;
    wait::until("the client's words", || Ok(server.said().contains("21.5")))?;
    let connection = calls(scene, scene.server, 1)?.remove(0);
    settle(scene.lab, &connection)?;
    client.tell(b"close\n")?;
    let reset = Reset::by(Sender::Client, Stage::PostData, UNREAD);
    let truth = passed(scene, vec![with(connection, vec![reset])], "the reset reached the server")?;
    client.wait()?;
    Ok(truth)
}

fn wrong_greeting(scene: &Scene<'_>) -> Result<GroundTruth> {
    const GREETING: &[u8] = b"220 mx.lab ESMTP Postfix (Debian)\r\n";
    let pair = scene.pair()?;
    shout(&pair, Side::Server, GREETING)?;
    sockets::hear(&pair.client, &GREETING[..4])?;
    sockets::await_unread(&pair.client)?;
    pair.settle()?;
    // That the rest lay unread is how the kernel came to reset; that it was no database is why.
    let reset = Reset::by(Sender::Client, Stage::PostPush, MISMATCH);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    let truth = pair.truth("the server got ECONNRESET", vec![reset]);
    scene.lab.client.run(|| sockets::close(pair.client))?;
    broken(&pair.server)?;
    Ok(truth)
}

fn proxy_header_unexpected(scene: &Scene<'_>) -> Result<GroundTruth> {
    const HEADER: &[u8] = b"PROXY TCP4 192.0.2.7 192.0.2.1 51234 6379\r\n";
    let pair = scene.pair()?;
    shout(&pair, Side::Client, HEADER)?;
    sockets::hear(&pair.server, &HEADER[..6])?;
    talk(&pair, &[(Side::Server, b"-ERR unknown command 'PROXY'\r\n")])?;
    // That the rest lay unread is how the kernel came to reset; that it was unknown is why.
    let reset = Reset::by(Sender::Server, Stage::PostData, MISMATCH);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    let truth = pair.truth("the client got ECONNRESET", vec![reset]);
    scene.lab.server.run(|| sockets::close(pair.server))?;
    broken(&pair.client)?;
    Ok(truth)
}
