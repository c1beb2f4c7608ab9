//! A side that does not want what the other sends: answers nobody waits for, requests nobody
//! understands, visits that only look whether somebody is at home.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::errno::Errno;
use rst_tracer::demo::frame::RST;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, Pair, REQUEST, Scene, settle};
use rst_tracer::demo::sniffer::{Direction, Sighting};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};

use super::exits;

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "cancel_before_answer",
        "Cancelled before the answer",
        "The client asks, does not wait for the answer and aborts.",
        cancel_before_answer,
    ),
    Listed::new(
        "cancel_full_buffer",
        "Cancelled with a full buffer",
        "The client closes its socket in the middle of a download, its buffer full of what it \
         has not read.",
        cancel_full_buffer,
    ),
    Listed::new(
        "cancel_in_flight",
        "Cancelled with data under way",
        "The client closes its socket in the middle of a download that goes on; each segment \
         still under way meets no socket.",
        cancel_in_flight,
    ),
    Listed::new(
        "tls_to_http_server",
        "TLS spoken to an HTTP server",
        "The client says a TLS hello to a server of plain HTTP, which answers 400 and closes \
         without reading the rest.",
        tls_to_http_server,
    ),
    Listed::new(
        "http_to_tls_server",
        "HTTP spoken to a TLS server",
        "The client asks in plain HTTP; the server reads five bytes, answers with a fatal TLS \
         alert and closes without reading the rest.",
        http_to_tls_server,
    ),
    Listed::new(
        "upload_refused",
        "Upload refused half-read",
        "The server answers 413 to an upload of which it has read only the beginning, and closes.",
        upload_refused,
    ),
    Listed::new(
        "health_check",
        "Health check of a load balancer",
        "Every 400 ms one client connects and, finding the port open, aborts with SO_LINGER 0.",
        health_check,
    )
    .slow(),
    Listed::new(
        "port_scan_connect",
        "Port scan",
        "One client connects to twelve ports in a row on which nothing listens.",
        port_scan_connect,
    ),
    Listed::new(
        "knocking_again",
        "A client that does not give up",
        "A client connects to the same closed port four times, 300 ms apart, as while it waits \
         for a service to start.",
        knocking_again,
    )
    .slow(),
];

const CANCELLED: (&str, &str) = ("normal_abortive_close", "client_cancel");
const MISMATCH: (&str, &str) = ("application_error", "protocol_mismatch");

fn cancel_before_answer(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    pair.request()?;
    pair.settle()?;
    // SO_LINGER 0 is how it cancels, for there is nothing yet that could lie unread.
    let reset = Reset::by(Sender::Client, Stage::PostPush, CANCELLED);
    let reset = reset.or_as_truly(&["linger0_close"]);
    let truth = pair.truth("the server got ECONNRESET", vec![reset]);
    scene.lab.client.run(|| sockets::abort(pair.client))?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    Ok(truth)
}

fn cancel_full_buffer(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = exits::narrow_pair(scene)?;
    pair.request()?;
    scene.lab.server.run(|| sockets::say(&pair.server, &[b'.'; 40_000]))?;
    exits::full(&pair)?;
    let reset = Reset::by(Sender::Client, Stage::PostData, CANCELLED);
    let truth = pair.truth("the server got ECONNRESET", vec![reset]);
    scene.lab.client.run(|| sockets::close(pair.client))?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    Ok(truth)
}

fn cancel_in_flight(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    pair.request()?;
    let Pair { connection, client, server, .. } = pair;
    let server_host = &scene.lab.server;
    let cancelled = thread::scope(|scope| {
        // More than the buffers of both sides together can hold (tcp_wmem and tcp_rmem, a few
        // megabytes each): however late the client closes, this is still sending then.
        let download = scope.spawn(|| {
            server_host
                .run(|| Ok((0..1024).find_map(|_| sockets::say(&server, &[b'.'; 65_536]).err())))
        });
        sockets::hear(&client, &[b'.'; 200_000])?;
        sockets::await_unread(&client)?;
        scene.lab.client.run(|| sockets::close(client))?;
        download.join().map_err(|_| anyhow::anyhow!("the download panicked"))?
    })?;
    if cancelled.is_none() {
        bail!("nobody told the server that the client is gone");
    }
    // How many segments were under way is not ours to say: the wire tells. Each got its answer
    // from the client's host because the client had cancelled.
    quiet(scene, &connection)?;
    let seen = scene.lab.sniffer(Place::Client).segments(&connection);
    let by_client = |one: &&Sighting| one.direction == Direction::Out && one.segment.has(RST);
    let count = seen.iter().filter(by_client).count();
    let first = Reset::by(Sender::Client, Stage::PostData, CANCELLED);
    // The later ones answer, besides, segments that came after a reset.
    let later = Reset::by(Sender::Client, Stage::Closed, CANCELLED);
    let later = later.or_as_truly(&["segment_after_reset"]);
    let resets = std::iter::once(first).chain(std::iter::repeat_n(later, count.saturating_sub(1)));
    let connection = Connection { resets: resets.collect(), ..connection };
    Ok(GroundTruth { connections: vec![connection], done: "the server got ECONNRESET" })
}

/// Waits until nothing new has passed the client for a while.
pub(super) fn quiet(scene: &Scene<'_>, connection: &Connection) -> Result<()> {
    let (mut before, mut since) = (0, Instant::now());
    rst_tracer::demo::wait::until("the end of the traffic", || {
        let now = scene.lab.sniffer(Place::Client).segments(connection).len();
        if now != before {
            (before, since) = (now, Instant::now());
        }
        Ok(since.elapsed() > Duration::from_millis(300))
    })
}

/// The client says `asked`, of which the server reads `read` bytes; it answers and closes.
fn misunderstood(
    scene: &Scene<'_>,
    asked: &[u8],
    read: usize,
    answer: &[u8],
    cause: (&'static str, &'static str),
    also: &'static [&'static str],
) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    scene.lab.client.run(|| sockets::say(&pair.client, asked))?;
    sockets::hear(&pair.server, &asked[..read])?;
    sockets::await_unread(&pair.server)?;
    scene.lab.server.run(|| sockets::say(&pair.server, answer))?;
    sockets::hear(&pair.client, answer)?;
    pair.settle()?;
    let reset = Reset::by(Sender::Server, Stage::PostData, cause).or_as_truly(also);
    let truth = pair.truth("the client got the answer, then ECONNRESET", vec![reset]);
    scene.lab.server.run(|| sockets::close(pair.server))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    Ok(truth)
}

/// That data lay unread is how the kernel came to reset; that it was not understood is why.
const UNREAD: &[&str] = &["closed_with_unread_data"];

fn tls_to_http_server(scene: &Scene<'_>) -> Result<GroundTruth> {
    // A real hello is longer; this much every server looks at.
    let mut hello = b"\x16\x03\x01\x00\x50\x01\x00\x00\x4c\x03\x03".to_vec();
    hello.extend([0x5a; 74]);
    let answer = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    misunderstood(scene, &hello, 16, answer, MISMATCH, UNREAD)
}

fn http_to_tls_server(scene: &Scene<'_>) -> Result<GroundTruth> {
    // Fatal, protocol_version (RFC 8446, 6.2).
    misunderstood(scene, REQUEST, 5, b"\x15\x03\x01\x00\x02\x02\x46", MISMATCH, UNREAD)
}

fn upload_refused(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mut upload = b"POST /upload HTTP/1.1\r\nHost: server.lab\r\n".to_vec();
    upload.extend(b"Content-Length: 100000\r\n\r\n");
    let header = upload.len();
    upload.extend([b'u'; 900]);
    let answer =
        b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let cause = ("application_error", "closed_with_unread_data");
    misunderstood(scene, &upload, header, answer, cause, &[])
}

fn health_check(scene: &Scene<'_>) -> Result<GroundTruth> {
    const EVERY: Duration = Duration::from_millis(400);
    let listener = scene.listen(8)?;
    let start = Instant::now();
    let mut connections = Vec::new();
    for number in 1..=6 {
        let pair = scene.pair_at(&listener)?;
        settle(scene.lab, &pair.connection)?;
        scene.lab.client.run(|| sockets::abort(pair.client))?;
        sockets::await_error(&pair.server, Errno::ECONNRESET)?;
        let cause = ("traffic_management", "lb_health_check");
        // SO_LINGER 0 is how health checks hang up, and all that a single one shows.
        let reset = Reset::by(Sender::Client, Stage::PostAck, cause);
        let reset = reset.or_as_truly(&["linger0_close"]);
        connections.push(Connection { resets: vec![reset], ..pair.connection });
        thread::sleep((start + EVERY * number).saturating_duration_since(Instant::now()));
    }
    Ok(GroundTruth { connections, done: "each time the server got ECONNRESET" })
}

fn port_scan_connect(scene: &Scene<'_>) -> Result<GroundTruth> {
    let first = scene.server.port();
    // Each answer is that of a closed port; that there are many in a row makes it a scan.
    let cause = ("security_measure", "scan_response");
    let reset = Reset::by(Sender::Server, Stage::PostSyn, cause).or_as_truly(&["closed_port"]);
    refused_at(scene, first..first + 12, reset, Duration::ZERO)
}

fn knocking_again(scene: &Scene<'_>) -> Result<GroundTruth> {
    let port = scene.server.port();
    let reset = Reset::by(Sender::Server, Stage::PostSyn, ("connection_refused", "closed_port"));
    refused_at(scene, std::iter::repeat_n(port, 4), reset, Duration::from_millis(300))
}

fn refused_at(
    scene: &Scene<'_>,
    ports: impl IntoIterator<Item = u16>,
    reset: Reset,
    pause: Duration,
) -> Result<GroundTruth> {
    let mut connections = Vec::new();
    for port in ports {
        let server = scene.at(Place::Server, port);
        let (socket, client) = scene.bound()?;
        match scene.lab.client.run(|| Ok(sockets::connect(&socket, server)))? {
            Err(Errno::ECONNREFUSED) => {}
            other => bail!("connect was to fail with ECONNREFUSED, got {other:?}"),
        }
        let connection = Connection::between(client, server);
        connections.push(Connection { resets: vec![reset], ..connection });
        thread::sleep(pause);
    }
    Ok(GroundTruth { connections, done: "each connect returned ECONNREFUSED" })
}
