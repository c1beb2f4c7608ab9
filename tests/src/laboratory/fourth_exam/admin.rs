//! Administrators who destroy connections, once more and by state.

use std::thread;

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::diag;
use rst_tracer::demo::scenarios::{Listed, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Side, Stage};

use super::super::second_exam::filter::{Cause, broken, talk, talked};
use super::super::servers::iproute::kill;
use super::super::third_exam::common::{ms, passed, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "thrown_out_thrice",
        "Thrown out, and back, and out",
        "The server's administrator destroys a session three times; each time the client is back \
         150 ms later.",
        thrown_out_thrice,
    ),
    Listed::new(
        "leaked_sockets_swept",
        "Leaked sockets swept away",
        "The server has closed three connections that the client's program has forgotten to close; \
         the client's administrator destroys them by their state (ss -K state close-wait).",
        leaked_sockets_swept,
    )
    .needs(&["ss"]),
    Listed::new(
        "query_killed",
        "A query that takes too long",
        "A client waits for the answer to a long query; 800 ms later the server's administrator \
         destroys its connection, and nothing that the other one has.",
        query_killed,
    ),
];

const KILLED: Cause = ("traffic_management", "admin_kill");
const LOGIN: &[(Side, &[u8])] =
    &[(Side::Server, b"login: "), (Side::Client, b"mallory\r\n"), (Side::Server, b"$ ")];

fn thrown_out_thrice(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let mut connections = Vec::new();
    for _ in 0..3 {
        let pair = scene.pair_at(&listener)?;
        talk(&pair, LOGIN)?;
        let ends = &pair.connection;
        diag::destroy(&scene.lab.server, ends.server, ends.client)?;
        broken(&pair.client)?;
        let reset = Reset::by(Sender::Server, Stage::PostData, KILLED);
        connections.push(with(pair.connection, vec![reset]));
        thread::sleep(ms(150));
    }
    Ok(GroundTruth { connections, done: "three times the client got ECONNRESET" })
}

fn leaked_sockets_swept(scene: &Scene<'_>) -> Result<GroundTruth> {
    let lines: &[(Side, &[u8])] =
        &[(Side::Client, b"GET /1 HTTP/1.0\r\n\r\n"), (Side::Server, b"HTTP/1.0 204 -\r\n\r\n")];
    let (mut leaked, mut connections) = (Vec::new(), Vec::new());
    for pair in talked(scene, 3, lines)? {
        scene.lab.server.run(|| sockets::close(pair.server))?;
        sockets::await_end(&pair.client)?;
        settle(scene.lab, &pair.connection)?;
        leaked.push(pair.client);
        let reset = Reset::by(Sender::Client, Stage::PostFin, KILLED);
        connections.push(with(pair.connection, vec![reset]));
    }
    thread::sleep(ms(300));
    let port = format!(":{}", scene.server.port());
    kill(&scene.lab.client, &["state", "close-wait", "dport", "=", &port], leaked.len())?;
    passed(scene, connections, "three resets reached the server")
}

fn query_killed(scene: &Scene<'_>) -> Result<GroundTruth> {
    const QUERY: &[u8] = b"\x1b\0\0\0\x03SELECT SLEEP(3600), 'x'";
    let greeting: &[(Side, &[u8])] =
        &[(Side::Server, b"\x4a\0\0\0\x0a8.0.36\0"), (Side::Client, b"\x20\0\0\x01user app")];
    let mut pairs = talked(scene, 2, greeting)?;
    let slow = pairs.remove(0);
    talk(&slow, &[(Side::Client, QUERY)])?;
    thread::sleep(ms(800));
    diag::destroy(&scene.lab.server, slow.connection.server, slow.connection.client)?;
    sockets::await_error(&slow.client, Errno::ECONNRESET)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, KILLED);
    let mut connections = vec![with(slow.connection, vec![reset])];
    let other = pairs.remove(0);
    talk(&other, &[(Side::Client, QUERY), (Side::Server, b"\x01\0\0\x01\x01")])?;
    connections.push(other.connection.clone());
    other.part()?;
    Ok(GroundTruth { connections, done: "one of two clients got ECONNRESET" })
}
