//! State lost in a reboot, and patience lost in a silence.

use std::net::{Shutdown, TcpListener};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{ANSWER, Listed, Pair, REQUEST, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, Effect, GroundTruth, Reset, Sender, Stage};

use super::super::options;
use super::{Cause, only};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "reboot_service_is_back",
        "Half-open, and the service is back",
        "The server loses two connections without a word and is back after two seconds, listening; \
         one client sends a request, the other's keepalive asks.",
        reboot_service_is_back,
    )
    .slow(),
    Listed::new(
        "client_lost_then_fin",
        "A farewell to a client that lost its state",
        "The client loses the connection without a word; 1.7 s later the server closes.",
        client_lost_then_fin,
    )
    .slow(),
    Listed::new(
        "reboot_during_upload",
        "Rebooted during an upload",
        "The server loses the connection in the middle of an upload and is not to be reached for \
         1.6 s; a retransmission is what it hears first.",
        reboot_during_upload,
    )
    .slow(),
    Listed::new(
        "reboot_reconnect_unused",
        "A rebooted client calls again, nothing said before",
        "The client loses a connection over which nothing was said, and calls again from the same \
         port 1.8 s later; the server still believes in the old one.",
        reboot_reconnect_unused,
    )
    .slow(),
    Listed::new(
        "reconnect_to_forgotten_close",
        "Called again where nobody closed",
        "The client closes its direction, the server never does; the client loses its state and \
         calls again from the same port.",
        reconnect_to_forgotten_close,
    ),
    Listed::new(
        "keepalive_unheard_answers",
        "The client's keepalive hears no answers",
        "What the server sends is lost on the way; the client's keepalive gives up after three \
         probes and resets a server that hears it.",
        keepalive_unheard_answers,
    )
    .slow(),
    Listed::new(
        "keepalive_half_closed",
        "Keepalive on a half-closed connection",
        "The client has closed its direction when the network goes silent; the server's keepalive \
         gives up.",
        keepalive_half_closed,
    )
    .slow(),
    Listed::new(
        "server_timed_out_first",
        "Both sent into a silence, one gave up",
        "The network goes silent while both send; the server's TCP_USER_TIMEOUT ends its side \
         without a word; then the client's retransmission gets through.",
        server_timed_out_first,
    )
    .slow(),
    Listed::new(
        "late_fin_after_user_timeout",
        "A late farewell after a user timeout",
        "The network goes silent and the client's TCP_USER_TIMEOUT ends its connection without a \
         word; then the network is back and the server closes.",
        late_fin_after_user_timeout,
    )
    .slow(),
];

const LOST: Cause = ("application_error", "half_open_stale_state");
const LATE: Cause = ("protocol_state", "late_segment_after_timeout");
const DISCOVERED: Cause = ("protocol_state", "half_open_discovery");
const KEEPALIVE: Cause = ("protocol_state", "keepalive_timeout");

fn reboot_service_is_back(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let Pair { connection, client, server, .. } = {
            let pair = scene.pair_at(&listener)?;
            pair.exchange()?;
            pair.settle()?;
            pair
        };
        scene.lab.server.run(|| sockets::vanish(server))?;
        let reset = Reset::by(Sender::Server, Stage::PostData, LOST);
        clients.push((client, Connection { resets: vec![reset], ..connection }));
    }
    sockets::close(listener)?;
    thread::sleep(Duration::from_secs(2));
    let _again = scene.listen(8)?;
    sockets::keep_alive(&clients[0].0, 1, 2)?;
    scene.lab.client.run(|| sockets::say(&clients[1].0, REQUEST))?;
    let mut connections = Vec::new();
    for (client, connection) in clients {
        sockets::await_error(&client, Errno::ECONNRESET)?;
        connections.push(connection);
    }
    Ok(GroundTruth { connections, done: "both clients got ECONNRESET" })
}

fn client_lost_then_fin(scene: &Scene<'_>) -> Result<GroundTruth> {
    let Pair { connection, client, server, .. } = scene.busy_pair()?;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::vanish(client))?;
    thread::sleep(Duration::from_millis(1700));
    scene.lab.server.run(|| sockets::close(server))?;
    let reset = Reset::by(Sender::Client, Stage::PostFin, LOST);
    Ok(only(connection, vec![reset], "the server's orphan was reset"))
}

fn reboot_during_upload(scene: &Scene<'_>) -> Result<GroundTruth> {
    let Pair { connection, client, server, .. } = scene.busy_pair()?;
    let part = [b'u'; 1000];
    scene.lab.client.run(|| sockets::say(&client, &part))?;
    sockets::hear(&server, &part)?;
    settle(scene.lab, &connection)?;
    let away = scene.silence()?;
    scene.lab.server.run(|| sockets::vanish(server))?;
    scene.lab.client.run(|| sockets::say(&client, &part))?;
    thread::sleep(Duration::from_millis(1600));
    drop(away);
    sockets::await_error(&client, Errno::ECONNRESET)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, LOST);
    Ok(only(connection, vec![reset], "the client got ECONNRESET"))
}

fn reboot_reconnect_unused(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let pair = scene.pair_at(&listener)?;
    pair.settle()?;
    scene.lab.client.run(|| sockets::vanish(pair.client))?;
    thread::sleep(Duration::from_millis(1800));
    call_again(scene, &listener, &pair.connection)?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    let reset = Reset::by(Sender::Client, Stage::PostAck, DISCOVERED);
    let done = "the server got ECONNRESET, and the client a new connection";
    Ok(only(pair.connection, vec![reset], done))
}

/// The client calls from the same port as before, and is served. Its kernel sends the SYN again
/// as soon as it has reset what the server knew.
fn call_again(scene: &Scene<'_>, listener: &TcpListener, before: &Connection) -> Result<()> {
    let socket = scene.lab.client.run(|| sockets::bound_to(before.client))?;
    let (client, connection) = scene.dial_from((socket, before.client))?;
    let server = scene.lab.server.run(|| sockets::accept(listener))?;
    let again = Pair { lab: scene.lab, connection, client, server };
    again.exchange()?;
    again.part()
}

fn reconnect_to_forgotten_close(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let pair = scene.pair_at(&listener)?;
    pair.exchange()?;
    pair.client.shutdown(Shutdown::Write)?;
    sockets::await_end(&pair.server)?;
    pair.settle()?;
    scene.lab.client.run(|| sockets::vanish(pair.client))?;
    call_again(scene, &listener, &pair.connection)?;
    sockets::await_error(&pair.server, Errno::EPIPE)?;
    let reset = Reset::by(Sender::Client, Stage::PostFin, DISCOVERED);
    let done = "the server's old socket got EPIPE, and the client a new connection";
    Ok(only(pair.connection, vec![reset], done))
}

fn keepalive_unheard_answers(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    let _unheard = scene.lose(&[(Port::From(scene.server.port()), Only::Any)])?;
    sockets::keep_alive(&pair.client, 1, 3)?;
    sockets::await_error(&pair.client, Errno::ETIMEDOUT)?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    let reset = Reset::by(Sender::Client, Stage::PostData, KEEPALIVE);
    Ok(pair.truth("the client got ETIMEDOUT, the server ECONNRESET", vec![reset]))
}

fn keepalive_half_closed(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.client.shutdown(Shutdown::Write)?;
    sockets::await_end(&pair.server)?;
    pair.settle()?;
    let silence = scene.silence()?;
    sockets::keep_alive(&pair.server, 1, 2)?;
    // A read returns at once, because the client has closed.
    let reset = Reset::by(Sender::Server, Stage::PostFin, KEEPALIVE);
    let reset = reset.with_effect(Effect::Lost);
    let truth = pair.truth("the server's socket got an error", vec![reset]);
    // The reset must meet the rule, so the rule stays until the router has seen it.
    scene.await_resets(&truth)?;
    drop(silence);
    // The client knows nothing of all this.
    sockets::vanish(pair.client)?;
    Ok(truth)
}

fn server_timed_out_first(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    options::give_up_after(&pair.server, Duration::from_millis(1200))?;
    let silence = scene.silence()?;
    scene.lab.server.run(|| sockets::say(&pair.server, ANSWER))?;
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_error(&pair.server, Errno::ETIMEDOUT)?;
    drop(silence);
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, LATE);
    Ok(pair.truth("the server got ETIMEDOUT, later the client ECONNRESET", vec![reset]))
}

fn late_fin_after_user_timeout(scene: &Scene<'_>) -> Result<GroundTruth> {
    let Pair { connection, client, server, .. } = scene.busy_pair()?;
    settle(scene.lab, &connection)?;
    options::give_up_after(&client, Duration::from_millis(1500))?;
    let silence = scene.silence()?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    sockets::await_error(&client, Errno::ETIMEDOUT)?;
    drop(silence);
    scene.lab.server.run(|| sockets::close(server))?;
    let reset = Reset::by(Sender::Client, Stage::PostFin, LATE);
    Ok(only(
        connection,
        vec![reset],
        "the client got ETIMEDOUT, later the server's orphan was reset",
    ))
}
