//! nginx as the server: how it drops requests, loses patience, refuses uploads, and dies.

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::frame::RST;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};

use super::program::{Folder, Program, command};
use super::{UNREAD, upload};
use crate::laboratory::options;

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "nginx_444_unread",
        "nginx drops an upload",
        "nginx answers 444, which means: close without a word; the body of the request lies unread.",
        |scene| dropped(scene, "lingering_close off; return 444;", &upload(1200), UNREAD),
    )
    .needs(NGINX),
    Listed::new(
        "nginx_444_reset",
        "nginx drops a request and says so",
        "nginx answers 444 and is told to reset what it closes like that (SO_LINGER 0).",
        |scene| dropped(scene, "reset_timedout_connection on; return 444;", REQUEST, ABORTED),
    )
    .needs(NGINX),
    Listed::new(
        "nginx_header_timeout",
        "nginx waits in vain for the rest of a request",
        "A client sends half a request; after a second nginx resets the connection (SO_LINGER 0).",
        |scene| {
            let rules = "reset_timedout_connection on; client_header_timeout 1s; return 200;";
            dropped(scene, rules, &REQUEST[..20], ABORTED)
        },
    )
    .needs(NGINX)
    .slow(),
    Listed::new(
        "nginx_send_timeout",
        "nginx waits in vain for a client that does not read",
        "A client does not read its download; after a second nginx resets the connection \
         (SO_LINGER 0).",
        send_timeout,
    )
    .needs(NGINX)
    .slow(),
    Listed::new(
        "nginx_413_upload",
        "nginx refuses an upload that goes on",
        "nginx answers 413 to an upload, waits a moment for the rest and closes; then the client goes \
         on.",
        upload_goes_on,
    )
    .needs(NGINX),
    Listed::new(
        "nginx_killed_pending",
        "nginx killed with connections waiting",
        "nginx hangs (SIGSTOP); two clients connect, one with a request; then it is killed.",
        killed_pending,
    )
    .needs(NGINX),
];

const NGINX: &[&str] = &["nginx"];
const ABORTED: (&str, &str) = ("normal_abortive_close", "linger0_close");

/// Starts nginx in the server's host, in one process, with `rules` in its server block.
pub(super) fn start(scene: &Scene<'_>, rules: &str) -> Result<Program> {
    start_with(scene, 64, "", rules)
}

/// The same, with room for so many connections and with parameters of `listen`.
pub(in crate::laboratory) fn start_with(
    scene: &Scene<'_>,
    connections: u32,
    listening: &str,
    rules: &str,
) -> Result<Program> {
    let folder = Folder::new()?;
    folder.write("file", vec![b'.'; 4 << 20])?;
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = kinds.map(|kind| format!("{kind}_temp_path {kind}; ")).concat();
    let listen = scene.server;
    let configuration = format!(
        "daemon off; master_process off; pid pid; error_log stderr info;\n\
         events {{ worker_connections {connections}; }}\n\
         http {{ access_log off; lingering_timeout 100ms; {temporary}\n\
         server {{ listen {listen} {listening}; root .; {rules} }} }}\n"
    );
    let path = folder.write("nginx.conf", configuration)?;
    let prefix = folder.path("");
    let mut nginx = command("nginx");
    nginx.arg("-p").arg(prefix).arg("-c").arg(path).args(["-e", "stderr"]);
    folder.start(&scene.lab.server, &mut nginx)?.await_listening(&scene.lab.server, listen)
}

/// The client says something in one segment, and nginx resets.
fn dropped(
    scene: &Scene<'_>,
    rules: &str,
    request: &[u8],
    cause: (&'static str, &'static str),
) -> Result<GroundTruth> {
    let _nginx = start(scene, rules)?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, request))?;
    sockets::await_error(&client, Errno::ECONNRESET)?;
    let resets = vec![Reset::by(Sender::Server, Stage::PostPush, cause)];
    let connections = vec![Connection { resets, ..connection }];
    Ok(GroundTruth { connections, done: "the client got ECONNRESET" })
}

fn send_timeout(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _nginx = start(scene, "reset_timedout_connection on; send_timeout 1s;")?;
    let (socket, address) = scene.bound()?;
    options::receive_little(&socket)?;
    let (client, connection) = scene.dial_from((socket, address))?;
    scene.lab.client.run(|| sockets::say(&client, b"GET /file HTTP/1.0\r\n\r\n"))?;
    scene.lab.sniffer(Place::Client).wait_for("a reset", &connection, |seen| {
        seen.iter().find(|one| one.segment.has(RST)).map(drop)
    })?;
    sockets::await_error(&client, Errno::ECONNRESET)?;
    let resets = vec![Reset::by(Sender::Server, Stage::PostData, ABORTED)];
    let connections = vec![Connection { resets, ..connection }];
    Ok(GroundTruth { connections, done: "the client got ECONNRESET" })
}

fn upload_goes_on(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _nginx =
        start(scene, "client_max_body_size 1k; keepalive_timeout 0; lingering_close off;")?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, &upload(4000)))?;
    sockets::drain(&client)?;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::say(&client, &[b'u'; 1000]))?;
    sockets::await_error(&client, Errno::EPIPE)?;
    let cause = ("application_error", "data_after_close");
    let resets = vec![Reset::by(Sender::Server, Stage::PostFin, cause)];
    let connections = vec![Connection { resets, ..connection }];
    Ok(GroundTruth { connections, done: "the client's socket got EPIPE" })
}

fn killed_pending(scene: &Scene<'_>) -> Result<GroundTruth> {
    let nginx = start(scene, "return 200;")?;
    nginx.halt()?;
    let (silent, asking) = (scene.dial()?, scene.dial()?);
    scene.lab.client.run(|| sockets::say(&asking.0, REQUEST))?;
    for (_, connection) in [&silent, &asking] {
        settle(scene.lab, connection)?;
    }
    nginx.kill()?;
    let cause = ("application_error", "restart_with_pending_connections");
    let mut connections = Vec::new();
    for ((client, connection), stage) in [(silent, Stage::PostAck), (asking, Stage::PostPush)] {
        sockets::await_error(&client, Errno::ECONNRESET)?;
        // The listener went with its process: both are what was done.
        let reset = Reset::by(Sender::Server, stage, cause).or_as_truly(&["process_crash_or_kill"]);
        connections.push(Connection { resets: vec![reset], ..connection });
    }
    Ok(GroundTruth { connections, done: "both clients got ECONNRESET" })
}
