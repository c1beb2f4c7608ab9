//! Processes that die, and what becomes of their connections; and connections that an
//! administrator destroys.

use std::net::TcpStream;

use anyhow::{Result, bail};
use nix::errno::Errno;
use rst_tracer::demo::diag;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, Pair, REQUEST, Scene, last, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Side, Stage};

use super::child::Holder;

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "server_process_killed",
        "Server process killed",
        "The server's process is killed (SIGKILL) while requests of three clients lie unread.",
        |scene| server_dies(scene, Holder::kill),
    ),
    Listed::new(
        "server_process_exits",
        "Server process ends",
        "The server's process ends by itself while requests of three clients lie unread.",
        |scene| server_dies(scene, Holder::end),
    ),
    Listed::new(
        "listener_went_away",
        "The service is gone",
        "A client is served; then the server's process is killed, and the client calls again.",
        listener_went_away,
    ),
    Listed::new(
        "client_process_killed",
        "Client process killed in a download",
        "The client's process is killed (SIGKILL) while the answer arrives faster than it reads.",
        client_process_killed,
    ),
    Listed::new(
        "server_killed_then_data",
        "Data for a killed server",
        "The server's process is killed (SIGKILL) with nothing unread, so that its kernel says \
         FIN; the client writes all the same.",
        server_killed_then_data,
    ),
    Listed::new(
        "killed_with_pending",
        "Killed with connections waiting",
        "The server's process is killed (SIGKILL) while two connections wait to be accepted, one \
         of them with a request.",
        killed_with_pending,
    ),
    Listed::new(
        "admin_kill_with_unread",
        "A busy connection killed by the administrator",
        "The server's administrator destroys a connection whose request lies unread.",
        admin_kill_with_unread,
    ),
    Listed::new(
        "admin_kill_half_closed",
        "A half-closed connection killed by the administrator",
        "The client has closed its direction; the server's administrator destroys the connection.",
        admin_kill_half_closed,
    ),
    Listed::new(
        "admin_kill_by_client",
        "Killed by the client's administrator",
        "The client's administrator destroys an idle connection.",
        admin_kill_by_client,
    ),
    Listed::new(
        "admin_kill_many",
        "All connections of a service killed by the administrator",
        "The server's administrator destroys three connections of a service one after the other; \
         the service goes on.",
        admin_kill_many,
    ),
];

const DIED: (&str, &str) = ("application_error", "process_crash_or_kill");
const KILLED: (&str, &str) = ("traffic_management", "admin_kill");

fn server_dies(scene: &Scene<'_>, how: fn(Holder) -> Result<()>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let pairs = (0..3).map(|_| scene.pair_at(&listener)).collect::<Result<Vec<_>>>()?;
    for pair in &pairs {
        scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
        sockets::await_unread(&pair.server)?;
        pair.settle()?;
    }
    let mut held = vec![listener.into()];
    let mut clients = Vec::new();
    for Pair { connection, client, server, .. } in pairs {
        held.push(server.into());
        clients.push((client, connection));
    }
    let process = Holder::of(held)?;
    how(process)?;
    // That the process died is what happened; that data lay unread is why the kernel reset
    // rather than said FIN.
    let reset = Reset::by(Sender::Server, Stage::PostPush, DIED);
    all_reset(clients, reset.or_as_truly(&["closed_with_unread_data"]))
}

pub(super) fn all_reset(
    clients: Vec<(TcpStream, Connection)>,
    reset: Reset,
) -> Result<GroundTruth> {
    let mut connections = Vec::new();
    for (client, connection) in clients {
        sockets::await_error(&client, Errno::ECONNRESET)?;
        connections.push(Connection { resets: vec![reset], ..connection });
    }
    Ok(GroundTruth { connections, done: "all clients got ECONNRESET" })
}

fn listener_went_away(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let process = Holder::of(vec![listener.try_clone()?.into()])?;
    let pair = scene.pair_at(&listener)?;
    pair.exchange()?;
    sockets::close(listener)?;
    let bystander = pair.connection.clone();
    pair.part()?;
    process.kill()?;
    let (socket, client) = scene.bound()?;
    match scene.lab.client.run(|| Ok(sockets::connect(&socket, scene.server)))? {
        Err(Errno::ECONNREFUSED) => {}
        other => bail!("connect was to fail with ECONNREFUSED, got {other:?}"),
    }
    let mut connection = Connection::between(client, scene.server);
    let cause = ("connection_refused", "listener_went_away");
    connection.resets = vec![Reset::by(Sender::Server, Stage::PostSyn, cause)];
    let done = "the second connect returned ECONNREFUSED";
    Ok(GroundTruth { connections: vec![connection, bystander], done })
}

fn client_process_killed(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = narrow_pair(scene)?;
    pair.request()?;
    scene.lab.server.run(|| sockets::say(&pair.server, &[b'.'; 40_000]))?;
    full(&pair)?;
    // The process died; to the server that is a client which no longer wants the answer.
    let reset = Reset::by(Sender::Client, Stage::PostData, DIED);
    let reset = reset.or_as_truly(&["client_cancel", "closed_with_unread_data"]);
    let truth = pair.truth("the server got ECONNRESET", vec![reset]);
    let process = Holder::of(vec![pair.client.into()])?;
    process.kill()?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    Ok(truth)
}

/// A connection whose client offers a small window.
pub(super) fn narrow_pair<'a>(scene: &Scene<'a>) -> Result<Pair<'a>> {
    let (socket, address) = scene.bound()?;
    super::options::receive_little(&socket)?;
    let listener = scene.listen(1)?;
    let (client, connection) = scene.dial_from((socket, address))?;
    let server = scene.lab.server.run(|| sockets::accept(&listener))?;
    Ok(Pair { lab: scene.lab, connection, client, server })
}

/// Waits until the client's buffer is full and nothing more is under way to it.
pub(super) fn full(pair: &Pair<'_>) -> Result<()> {
    pair.lab.sniffer(Place::Server).wait_for("a closed window", &pair.connection, |seen| {
        let told = last(seen, &pair.connection, Side::Client)?;
        let sent = last(seen, &pair.connection, Side::Server)?;
        (told.ack == sent.next_seq() && sent.payload_len > 0 && told.window < 100).then_some(())
    })
}

fn server_killed_then_data(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    // The client's data meets a side that has closed, because its process died.
    let cause = ("application_error", "data_after_close");
    let reset = Reset::by(Sender::Server, Stage::PostFin, cause);
    let truth = pair.truth("the client's socket got EPIPE", vec![reset]);
    Holder::of(vec![pair.server.into()])?.kill()?;
    sockets::await_end(&pair.client)?;
    settle(scene.lab, &pair.connection)?;
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_error(&pair.client, Errno::EPIPE)?;
    Ok(truth)
}

fn killed_with_pending(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let (silent, asking) = (scene.dial()?, scene.dial()?);
    scene.lab.client.run(|| sockets::say(&asking.0, REQUEST))?;
    for (_, connection) in [&silent, &asking] {
        settle(scene.lab, connection)?;
    }
    Holder::of(vec![listener.into()])?.kill()?;
    let cause = ("application_error", "restart_with_pending_connections");
    // The listener went with its process: both are what was done.
    let reset =
        |stage| Reset::by(Sender::Server, stage, cause).or_as_truly(&["process_crash_or_kill"]);
    let mut truth = all_reset(vec![silent], reset(Stage::PostAck))?;
    truth.connections.extend(all_reset(vec![asking], reset(Stage::PostPush))?.connections);
    Ok(truth)
}

fn destroy_server_end(pair: &Pair<'_>) -> Result<()> {
    diag::destroy(&pair.lab.server, pair.connection.server, pair.connection.client)
}

fn admin_kill_with_unread(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_unread(&pair.server)?;
    pair.settle()?;
    destroy_server_end(&pair)?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, KILLED);
    Ok(pair.truth("the client got ECONNRESET", vec![reset]))
}

fn admin_kill_half_closed(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    pair.client.shutdown(std::net::Shutdown::Write)?;
    sockets::await_end(&pair.server)?;
    pair.settle()?;
    destroy_server_end(&pair)?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    let reset = Reset::by(Sender::Server, Stage::PostFin, KILLED);
    Ok(pair.truth("the client got ECONNRESET", vec![reset]))
}

fn admin_kill_by_client(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    diag::destroy(&scene.lab.client, pair.connection.client, pair.connection.server)?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    let reset = Reset::by(Sender::Client, Stage::PostData, KILLED);
    Ok(pair.truth("the server got ECONNRESET", vec![reset]))
}

fn admin_kill_many(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let pairs = (0..3).map(|_| scene.pair_at(&listener)).collect::<Result<Vec<_>>>()?;
    for pair in &pairs {
        pair.exchange()?;
        pair.settle()?;
    }
    pairs.iter().try_for_each(destroy_server_end)?;
    let clients = pairs.into_iter().map(|pair| (pair.client, pair.connection)).collect();
    let mut truth = all_reset(clients, Reset::by(Sender::Server, Stage::PostData, KILLED))?;
    let still = scene.pair_at(&listener)?;
    still.exchange()?;
    truth.connections.push(still.connection.clone());
    still.part()?;
    Ok(truth)
}
