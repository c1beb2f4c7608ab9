//! Abortive ends that are nobody's mistake, and data for a side that has closed.

use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use rst_tracer::demo::frame::FIN;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{ANSWER, Listed, Pair, REQUEST, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};

use super::super::exits::all_reset;
use super::super::options;
use super::{Cause, only};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "linger0_at_accept",
        "Accepted and dropped",
        "The server accepts and closes at once with SO_LINGER 0, before anybody said anything.",
        linger0_at_accept,
    ),
    Listed::new(
        "linger0_after_large_answer",
        "Dropped after a large answer",
        "The client has read all of an answer of 50 kB when the server closes with SO_LINGER 0.",
        linger0_after_large_answer,
    ),
    Listed::new(
        "pool_emptied",
        "A pool of connections emptied",
        "After 700 ms of idleness the client closes its pool of four connections with SO_LINGER 0.",
        pool_emptied,
    )
    .slow(),
    Listed::new(
        "cancelled_at_first_bytes",
        "Cancelled after the first bytes",
        "The client reads the first 1000 bytes of an answer of 20 kB and closes.",
        cancelled_at_first_bytes,
    ),
    Listed::new(
        "upload_cancelled",
        "An upload cancelled",
        "The client aborts an upload with SO_LINGER 0; the server has read all that was sent.",
        upload_cancelled,
    ),
    Listed::new(
        "tab_closed",
        "Three answers nobody looks at",
        "The client asks over three connections and closes all three with the answers unread.",
        tab_closed,
    ),
    Listed::new(
        "fin_then_answer_unread",
        "Half-closed, then gone",
        "The client closes its direction after its request; the server answers; the client closes \
         without having read the answer.",
        fin_then_answer_unread,
    ),
    Listed::new(
        "linger0_after_servers_fin",
        "A farewell answered abruptly",
        "The server answers and closes; the client, which has read everything, closes with \
         SO_LINGER 0.",
        linger0_after_servers_fin,
    ),
    Listed::new(
        "linger2_of_client",
        "The client has no patience after its FIN",
        "The client closes with TCP_LINGER2 below zero: its FIN acknowledged, its kernel resets.",
        linger2_of_client,
    ),
    Listed::new(
        "push_for_a_closed_client",
        "News for a client that has closed",
        "The client closes in order; 300 ms later the server, which did not close, sends news.",
        push_for_a_closed_client,
    )
    .slow(),
    Listed::new(
        "keepalive_race",
        "Requests on connections just closed",
        "A server closes two idle connections at its keep-alive limit; 100 ms later the client \
         sends a request on each.",
        keepalive_race,
    ),
];

const LINGER0: Cause = ("normal_abortive_close", "linger0_close");
const CANCELLED: Cause = ("normal_abortive_close", "client_cancel");
const AFTER_FIN: Cause = ("normal_abortive_close", "rst_after_fin");
const AFTER_CLOSE: Cause = ("application_error", "data_after_close");

fn linger0_at_accept(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    pair.settle()?;
    let reset = Reset::by(Sender::Server, Stage::PostAck, LINGER0);
    let truth = pair.truth("the client got ECONNRESET", vec![reset]);
    scene.lab.server.run(|| sockets::abort(pair.server))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    Ok(truth)
}

fn linger0_after_large_answer(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    pair.request()?;
    let large = vec![b'.'; 50_000];
    scene.lab.server.run(|| sockets::say(&pair.server, &large))?;
    sockets::hear(&pair.client, &large)?;
    pair.settle()?;
    let reset = Reset::by(Sender::Server, Stage::PostData, LINGER0);
    let truth = pair.truth("the client got ECONNRESET", vec![reset]);
    scene.lab.server.run(|| sockets::abort(pair.server))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    Ok(truth)
}

fn pool_emptied(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let pairs = (0..4).map(|_| scene.pair_at(&listener)).collect::<Result<Vec<_>>>()?;
    for pair in &pairs {
        pair.exchange()?;
        pair.settle()?;
    }
    thread::sleep(Duration::from_millis(700));
    let mut servers = Vec::new();
    for Pair { connection, client, server, .. } in pairs {
        scene.lab.client.run(|| sockets::abort(client))?;
        servers.push((server, connection));
    }
    let mut truth = all_reset(servers, Reset::by(Sender::Client, Stage::PostData, LINGER0))?;
    truth.done = "all of the server's sockets got ECONNRESET";
    Ok(truth)
}

fn cancelled_at_first_bytes(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    pair.request()?;
    let answer = vec![b'.'; 20_000];
    scene.lab.server.run(|| sockets::say(&pair.server, &answer))?;
    sockets::hear(&pair.client, &answer[..1000])?;
    pair.settle()?;
    let reset = Reset::by(Sender::Client, Stage::PostData, CANCELLED);
    let truth = pair.truth("the server got ECONNRESET", vec![reset]);
    scene.lab.client.run(|| sockets::close(pair.client))?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    Ok(truth)
}

fn upload_cancelled(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    let part = vec![b'u'; 6000];
    for _ in 0..3 {
        scene.lab.client.run(|| sockets::say(&pair.client, &part))?;
        sockets::hear(&pair.server, &part)?;
    }
    pair.settle()?;
    // SO_LINGER 0 is how it cancels.
    let reset = Reset::by(Sender::Client, Stage::PostData, CANCELLED);
    let reset = reset.or_as_truly(&["linger0_close"]);
    let truth = pair.truth("the server got ECONNRESET", vec![reset]);
    scene.lab.client.run(|| sockets::abort(pair.client))?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    Ok(truth)
}

fn tab_closed(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let pairs = (0..3).map(|_| scene.pair_at(&listener)).collect::<Result<Vec<_>>>()?;
    for pair in &pairs {
        pair.request()?;
        scene.lab.server.run(|| sockets::say(&pair.server, &[b'.'; 3000]))?;
        sockets::await_unread(&pair.client)?;
        pair.settle()?;
    }
    let mut servers = Vec::new();
    for Pair { connection, client, server, .. } in pairs {
        scene.lab.client.run(|| sockets::close(client))?;
        servers.push((server, connection));
    }
    let mut truth = all_reset(servers, Reset::by(Sender::Client, Stage::PostData, CANCELLED))?;
    truth.done = "all of the server's sockets got ECONNRESET";
    Ok(truth)
}

fn fin_then_answer_unread(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    pair.request()?;
    pair.client.shutdown(Shutdown::Write).context("closing the client's direction")?;
    sockets::await_end(&pair.server)?;
    scene.lab.server.run(|| sockets::say(&pair.server, ANSWER))?;
    sockets::await_unread(&pair.client)?;
    pair.settle()?;
    // It comes after the client's own FIN; the kernel sends it because the answer lay unread,
    // which is how a client cancels.
    let reset = Reset::by(Sender::Client, Stage::PostFin, AFTER_FIN);
    let reset = reset.or_as_truly(&["client_cancel", "closed_with_unread_data"]);
    let truth = pair.truth("the server's socket got EPIPE", vec![reset]);
    scene.lab.client.run(|| sockets::close(pair.client))?;
    sockets::await_error(&pair.server, Errno::EPIPE)?;
    Ok(truth)
}

fn linger0_after_servers_fin(scene: &Scene<'_>) -> Result<GroundTruth> {
    let Pair { connection, client, server, .. } = scene.busy_pair()?;
    settle(scene.lab, &connection)?;
    scene.lab.server.run(|| sockets::close(server))?;
    sockets::await_end(&client)?;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::abort(client))?;
    // Both are what was done: SO_LINGER 0, and that after the server's FIN.
    let reset = Reset::by(Sender::Client, Stage::PostFin, AFTER_FIN);
    let reset = reset.or_as_truly(&["linger0_close"]);
    Ok(only(connection, vec![reset], "the server's host saw the reset"))
}

fn linger2_of_client(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    options::wait_not_in_fin_wait(&pair.client)?;
    let reset = Reset::by(Sender::Client, Stage::PostFin, AFTER_FIN);
    let truth = pair.truth("the server's socket got EPIPE", vec![reset]);
    scene.lab.client.run(|| sockets::close(pair.client))?;
    sockets::await_error(&pair.server, Errno::EPIPE)?;
    Ok(truth)
}

fn push_for_a_closed_client(scene: &Scene<'_>) -> Result<GroundTruth> {
    let Pair { connection, client, server, .. } = scene.busy_pair()?;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::close(client))?;
    sockets::await_end(&server)?;
    settle(scene.lab, &connection)?;
    thread::sleep(Duration::from_millis(300));
    scene.lab.server.run(|| sockets::say(&server, b"event: news\ndata: there is some\n\n"))?;
    sockets::await_error(&server, Errno::EPIPE)?;
    let reset = Reset::by(Sender::Client, Stage::PostFin, AFTER_CLOSE);
    Ok(only(connection, vec![reset], "the server's socket got EPIPE"))
}

fn keepalive_race(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let Pair { connection, client, server, .. } = {
            let pair = scene.pair_at(&listener)?;
            pair.exchange()?;
            pair
        };
        settle(scene.lab, &connection)?;
        scene.lab.server.run(|| sockets::close(server))?;
        scene.lab.sniffer(Place::Client).wait_for("a FIN", &connection, |seen| {
            seen.iter().any(|one| one.segment.has(FIN)).then_some(())
        })?;
        settle(scene.lab, &connection)?;
        clients.push((client, connection));
    }
    thread::sleep(Duration::from_millis(100));
    let mut connections = Vec::new();
    for (client, connection) in clients {
        // It has not looked whether the server had closed.
        scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
        sockets::await_error(&client, Errno::EPIPE)?;
        let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_CLOSE);
        connections.push(Connection { resets: vec![reset], ..connection });
    }
    Ok(GroundTruth { connections, done: "both of the client's sockets got EPIPE" })
}
