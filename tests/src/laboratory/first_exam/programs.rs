//! Programs that end, crash or restart, with more or less of what they were sent still unread.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::scenarios::{Listed, Pair, REQUEST, Scene, settle};
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::child::Holder;
use super::super::exits::{all_reset, full, narrow_pair};
use super::{Cause, refused_at};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "pipelined_request_unread",
        "The second of two requests unread",
        "The client sends two requests at once; the server reads and answers the first and closes.",
        pipelined_request_unread,
    ),
    Listed::new(
        "greeting_unread",
        "Gone before the greeting was read",
        "The server greets whoever connects; the client closes without having read it.",
        greeting_unread,
    ),
    Listed::new(
        "killed_with_mixed_clients",
        "Killed with busy and idle clients",
        "The server's process is killed (SIGKILL): two of its four clients have requests unread, \
         two are idle. A fifth calls afterwards.",
        killed_with_mixed_clients,
    ),
    Listed::new(
        "crash_after_500",
        "An error, then a crash",
        "The server's process reads half of an upload, answers 500 and dies 200 ms later.",
        crash_after_500,
    ),
    Listed::new(
        "client_program_ends",
        "The client program ends",
        "The client's process ends by itself; it has two connections, and a notice of the server \
         lies unread in each.",
        client_program_ends,
    ),
    Listed::new(
        "worker_killed_mid_answer",
        "Killed while it answers",
        "The server's process is killed (SIGKILL) in the middle of an answer for which the client \
         has no room; the client's next request lies unread.",
        worker_killed_mid_answer,
    ),
    Listed::new(
        "reload_with_pending",
        "A reload drops who waits",
        "The service closes its listening socket with three callers waiting, each with a request, \
         and listens again at once.",
        reload_with_pending,
    ),
    Listed::new(
        "ends_with_pending",
        "A service ends with callers waiting",
        "The server's process ends by itself: one client has been served and is idle, two wait to \
         be accepted and have said nothing.",
        ends_with_pending,
    ),
];

const UNREAD: Cause = ("application_error", "closed_with_unread_data");
const DIED: Cause = ("application_error", "process_crash_or_kill");
const PENDING: Cause = ("application_error", "restart_with_pending_connections");

fn pipelined_request_unread(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    let both = [REQUEST, REQUEST].concat();
    scene.lab.client.run(|| sockets::say(&pair.client, &both))?;
    sockets::hear(&pair.server, REQUEST)?;
    pair.answer()?;
    pair.settle()?;
    let reset = Reset::by(Sender::Server, Stage::PostData, UNREAD);
    let truth = pair.truth("the client got ECONNRESET", vec![reset]);
    scene.lab.server.run(|| sockets::close(pair.server))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    Ok(truth)
}

fn greeting_unread(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    scene.lab.server.run(|| sockets::say(&pair.server, b"220 mail.lab ESMTP ready\r\n"))?;
    sockets::await_unread(&pair.client)?;
    pair.settle()?;
    // It closes with data unread, which is how a client drops what it does not want.
    let reset = Reset::by(Sender::Client, Stage::PostPush, UNREAD);
    let reset = reset.or_as_truly(&["client_cancel"]);
    let truth = pair.truth("the server got ECONNRESET", vec![reset]);
    scene.lab.client.run(|| sockets::close(pair.client))?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    Ok(truth)
}

fn killed_with_mixed_clients(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let mut held = Vec::new();
    let (mut busy, mut idle) = (Vec::new(), Vec::new());
    for number in 0..4 {
        let Pair { connection, client, server, .. } = {
            let pair = scene.pair_at(&listener)?;
            pair.exchange()?;
            pair
        };
        if number % 2 == 0 {
            scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
            sockets::await_unread(&server)?;
            busy.push((client, connection.clone()));
        } else {
            idle.push((client, connection.clone()));
        }
        settle(scene.lab, &connection)?;
        held.push(server.into());
    }
    held.push(listener.into());
    Holder::of(held)?.kill()?;
    // That the process died is what happened; that data lay unread is why the kernel reset
    // rather than said FIN.
    let reset = Reset::by(Sender::Server, Stage::PostData, DIED);
    let mut truth = all_reset(busy, reset.or_as_truly(&["closed_with_unread_data"]))?;
    for (client, connection) in idle {
        sockets::await_end(&client)?;
        settle(scene.lab, &connection)?;
        scene.lab.client.run(|| sockets::close(client))?;
        settle(scene.lab, &connection)?;
        truth.connections.push(connection);
    }
    let gone = ("connection_refused", "listener_went_away");
    let late = refused_at(scene, scene.server, Reset::by(Sender::Server, Stage::PostSyn, gone))?;
    truth.connections.push(late);
    Ok(truth)
}

fn crash_after_500(scene: &Scene<'_>) -> Result<GroundTruth> {
    const ANSWER: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 7\r\n\r\noh dear";
    let pair = scene.pair()?;
    let upload = [b'u'; 1200];
    scene.lab.client.run(|| sockets::say(&pair.client, &upload))?;
    sockets::hear(&pair.server, &upload[..600])?;
    scene.lab.server.run(|| sockets::say(&pair.server, ANSWER))?;
    sockets::hear(&pair.client, ANSWER)?;
    pair.settle()?;
    let reset = Reset::by(Sender::Server, Stage::PostData, DIED);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    let truth = pair.truth("the client got the answer, then ECONNRESET", vec![reset]);
    let process = Holder::of(vec![pair.server.into()])?;
    thread::sleep(Duration::from_millis(200));
    process.kill()?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    Ok(truth)
}

fn client_program_ends(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let (mut held, mut servers) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let pair = scene.pair_at(&listener)?;
        pair.exchange()?;
        scene.lab.server.run(|| sockets::say(&pair.server, b"notice: there is news\n"))?;
        sockets::await_unread(&pair.client)?;
        pair.settle()?;
        held.push(pair.client.into());
        servers.push((pair.server, pair.connection));
    }
    // It ended, and so did not want what it had not read.
    let reset = Reset::by(Sender::Client, Stage::PostData, DIED);
    let reset = reset.or_as_truly(&["closed_with_unread_data", "client_cancel"]);
    Holder::of(held)?.end()?;
    let mut truth = all_reset(servers, reset)?;
    truth.done = "both of the server's sockets got ECONNRESET";
    Ok(truth)
}

/// A connection whose server has more to say than the client has room for.
pub(super) fn stuffed<'a>(scene: &Scene<'a>) -> Result<Pair<'a>> {
    let pair = narrow_pair(scene)?;
    pair.request()?;
    scene.lab.server.run(|| sockets::say(&pair.server, &[b'.'; 25_000]))?;
    full(&pair)?;
    Ok(pair)
}

fn worker_killed_mid_answer(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = stuffed(scene)?;
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_unread(&pair.server)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, DIED);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    let truth = pair.truth("the client got ECONNRESET", vec![reset]);
    Holder::of(vec![pair.server.into()])?.kill()?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    Ok(truth)
}

fn reload_with_pending(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let waiting = (0..3).map(|_| scene.dial()).collect::<Result<Vec<_>>>()?;
    for (client, connection) in &waiting {
        scene.lab.client.run(|| sockets::say(client, REQUEST))?;
        settle(scene.lab, connection)?;
    }
    wait::until("three to wait", || Ok(sockets::unaccepted(&listener)? == 3))?;
    scene.lab.server.run(|| sockets::close(listener))?;
    let again = scene.listen(8)?;
    let reset = Reset::by(Sender::Server, Stage::PostPush, PENDING);
    let mut truth = all_reset(waiting, reset)?;
    let pair = scene.pair_at(&again)?;
    pair.exchange()?;
    truth.connections.push(pair.connection.clone());
    pair.part()?;
    Ok(truth)
}

fn ends_with_pending(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let Pair { connection, client, server, .. } = {
        let pair = scene.pair_at(&listener)?;
        pair.exchange()?;
        pair.settle()?;
        pair
    };
    let waiting = vec![scene.dial()?, scene.dial()?];
    wait::until("two to wait", || Ok(sockets::unaccepted(&listener)? == 2))?;
    for (_, connection) in &waiting {
        settle(scene.lab, connection)?;
    }
    Holder::of(vec![listener.into(), server.into()])?.end()?;
    // The listener went with its process: both are what was done.
    let reset = Reset::by(Sender::Server, Stage::PostAck, PENDING);
    let mut truth = all_reset(waiting, reset.or_as_truly(&["process_crash_or_kill"]))?;
    sockets::await_end(&client)?;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::close(client))?;
    settle(scene.lab, &connection)?;
    truth.connections.push(connection);
    Ok(truth)
}
