//! Resets around the close: after a FIN, without one, or instead of one.

use std::net::Shutdown;

use anyhow::{Context, Result};
use nix::errno::Errno;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{Listed, Pair, REQUEST, Scene};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Family, GroundTruth, Reset, Sender, Stage};

use super::options;

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "linger2_fin_acked",
        "No patience after the FIN",
        "The server closes with TCP_LINGER2 below zero: as soon as its FIN is acknowledged, its \
         kernel resets the connection.",
        linger2_fin_acked,
    ),
    Listed::new(
        "linger2_in_fin_wait2",
        "Reset while waiting for the other FIN",
        "The server shuts down its direction, the client acknowledges; then the server closes \
         with TCP_LINGER2 below zero.",
        linger2_in_fin_wait2,
    ),
    Listed::new(
        "data_after_shutdown_both",
        "Data after a shutdown of both directions",
        "The server shuts down both directions and keeps its socket; the client writes.",
        data_after_shutdown_both,
    ),
    Listed::new(
        "data_with_the_last_ack",
        "Data instead of silence after the close",
        "The server closes; the first thing that reaches it from the client after that is data, \
         which acknowledges the FIN as well.",
        data_with_the_last_ack,
    ),
    Listed::new(
        "disconnect_with_unsent_data",
        "Dissolved with data still to send",
        "The client has closed its direction and reads nothing; the server, whose own FIN waits \
         behind unsent data, dissolves the connection.",
        disconnect_with_unsent_data,
    ),
    Listed::new(
        "dissolved_by_client",
        "Dissolved by the client",
        "The client dissolves a connection in use by connect(AF_UNSPEC).",
        dissolved_by_client,
    ),
    Listed::new(
        "linger0_close_wait",
        "Abortive close after the client's FIN",
        "The client closes its direction; the server closes with SO_LINGER 0.",
        linger0_close_wait,
    ),
    Listed::new(
        "linger0_after_shutdown",
        "FIN, then reset, by the same side",
        "The client closes its direction, which the server acknowledges, then closes with \
         SO_LINGER 0.",
        linger0_after_shutdown,
    ),
    Listed::new(
        "linger0_without_data",
        "Abortive close before any data",
        "The client connects, says nothing and closes with SO_LINGER 0.",
        linger0_without_data,
    ),
    Listed::new(
        "tls_close_notify_then_linger0",
        "TLS closed in order, then reset",
        "Both exchange TLS records; the server sends its close_notify and closes with SO_LINGER 0.",
        tls_close_notify_then_linger0,
    ),
    Listed::new(
        "tls_close_notify_unread",
        "TLS closed in order, the farewell unread",
        "The server sends its close_notify; the client answers with its own and closes without \
         having read the server's.",
        tls_close_notify_unread,
    ),
];

const LINGER0: (&str, &str) = ("normal_abortive_close", "linger0_close");
const AFTER_FIN: (&str, &str) = ("normal_abortive_close", "rst_after_fin");
const AFTER_CLOSE: (&str, &str) = ("application_error", "data_after_close");
const AFTER_TLS: (&str, &str) = ("normal_abortive_close", "tls_close_then_rst");

fn linger2_fin_acked(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    options::wait_not_in_fin_wait(&pair.server)?;
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_FIN);
    let truth = pair.truth("the client's socket got EPIPE", vec![reset]);
    scene.lab.server.run(|| sockets::close(pair.server))?;
    sockets::await_error(&pair.client, Errno::EPIPE)?;
    Ok(truth)
}

fn linger2_in_fin_wait2(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    pair.server.shutdown(Shutdown::Write).context("closing the server's direction")?;
    sockets::await_end(&pair.client)?;
    pair.settle()?;
    options::wait_not_in_fin_wait(&pair.server)?;
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_FIN);
    let truth = pair.truth("the client's socket got EPIPE", vec![reset]);
    scene.lab.server.run(|| sockets::close(pair.server))?;
    sockets::await_error(&pair.client, Errno::EPIPE)?;
    Ok(truth)
}

fn data_after_shutdown_both(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    pair.server.shutdown(Shutdown::Both).context("closing both directions")?;
    sockets::await_end(&pair.client)?;
    pair.settle()?;
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_error(&pair.client, Errno::EPIPE)?;
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_CLOSE);
    Ok(pair.truth("the client's socket got EPIPE", vec![reset]))
}

fn data_with_the_last_ack(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    // Bare acknowledgements of the client, with timestamps, are lost.
    let bare = Only::Length(if scene.family == Family::V4 { 52 } else { 72 });
    let lost = scene.lose(&[(Port::To(scene.server.port()), bare)])?;
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_CLOSE);
    let truth = pair.truth("the client's socket got EPIPE", vec![reset]);
    scene.lab.server.run(|| sockets::close(pair.server))?;
    sockets::await_end(&pair.client)?;
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_error(&pair.client, Errno::EPIPE)?;
    drop(lost);
    Ok(truth)
}

fn disconnect_with_unsent_data(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = super::exits::narrow_pair(scene)?;
    pair.request()?;
    pair.client.shutdown(Shutdown::Write).context("closing the client's direction")?;
    sockets::await_end(&pair.server)?;
    // Far more than the client's window, far less than the server's buffer.
    scene.lab.server.run(|| sockets::say(&pair.server, &[b'.'; 40_000]))?;
    super::exits::full(&pair)?;
    pair.server.shutdown(Shutdown::Write).context("closing the server's direction")?;
    scene.lab.server.run(|| options::dissolve(&pair.server))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_FIN);
    Ok(pair.truth("the client got ECONNRESET", vec![reset]))
}

fn dissolved_by_client(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    scene.lab.client.run(|| options::dissolve(&pair.client))?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    // Linux does the same as for SO_LINGER 0 (tcp_disconnect): a deliberate abort with all read.
    let reset = Reset::by(Sender::Client, Stage::PostData, LINGER0);
    Ok(pair.truth("the server got ECONNRESET", vec![reset]))
}

fn linger0_close_wait(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    pair.client.shutdown(Shutdown::Write).context("closing the client's direction")?;
    sockets::await_end(&pair.server)?;
    pair.settle()?;
    // Both are what was done: SO_LINGER 0, and that after the client's FIN.
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_FIN);
    let reset = reset.or_as_truly(&["linger0_close"]);
    let truth = pair.truth("the client got ECONNRESET", vec![reset]);
    scene.lab.server.run(|| sockets::abort(pair.server))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    Ok(truth)
}

fn linger0_after_shutdown(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    pair.client.shutdown(Shutdown::Write).context("closing the client's direction")?;
    sockets::await_end(&pair.server)?;
    pair.settle()?;
    // Both are what was done: SO_LINGER 0, and that after its own FIN.
    let reset = Reset::by(Sender::Client, Stage::PostFin, AFTER_FIN);
    let reset = reset.or_as_truly(&["linger0_close"]);
    let truth = pair.truth("the server's socket got EPIPE", vec![reset]);
    scene.lab.client.run(|| sockets::abort(pair.client))?;
    sockets::await_error(&pair.server, Errno::EPIPE)?;
    Ok(truth)
}

fn linger0_without_data(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    pair.settle()?;
    let reset = Reset::by(Sender::Client, Stage::PostAck, LINGER0);
    let truth = pair.truth("the server got ECONNRESET", vec![reset]);
    scene.lab.client.run(|| sockets::abort(pair.client))?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    Ok(truth)
}

/// TLS records as they look from outside: a hello each way, application data, and an encrypted
/// alert, which close_notify is (RFC 8446, 5.2 and 6.1).
pub(super) mod tls {
    pub(in crate::laboratory) const CLIENT_HELLO: &[u8] =
        b"\x16\x03\x01\x00\x0a\x01\x00\x00\x06\x03\x03abcd";
    pub(super) const SERVER_HELLO: &[u8] = b"\x16\x03\x03\x00\x0a\x02\x00\x00\x06\x03\x03efgh";
    pub(in crate::laboratory) const DATA: &[u8] =
        b"\x17\x03\x03\x00\x1cwhatever is said between them";
    pub(in crate::laboratory) const CLOSE_NOTIFY: &[u8] =
        b"\x15\x03\x03\x00\x1aencrypted: warning, closing";
}

/// A connection over which TLS was spoken.
pub(super) fn spoken_tls<'a>(scene: &Scene<'a>) -> Result<Pair<'a>> {
    let pair = scene.pair()?;
    let lab = scene.lab;
    for (hello, answer) in [(tls::CLIENT_HELLO, tls::SERVER_HELLO), (tls::DATA, tls::DATA)] {
        lab.client.run(|| sockets::say(&pair.client, hello))?;
        sockets::hear(&pair.server, hello)?;
        lab.server.run(|| sockets::say(&pair.server, answer))?;
        sockets::hear(&pair.client, answer)?;
    }
    Ok(pair)
}

fn tls_close_notify_then_linger0(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = spoken_tls(scene)?;
    scene.lab.server.run(|| sockets::say(&pair.server, tls::CLOSE_NOTIFY))?;
    sockets::hear(&pair.client, tls::CLOSE_NOTIFY)?;
    pair.settle()?;
    // SO_LINGER 0 is how the reset was made; that TLS was closed first is the point.
    let reset = Reset::by(Sender::Server, Stage::PostData, AFTER_TLS);
    let reset = reset.or_as_truly(&["linger0_close"]);
    let truth = pair.truth("the client got ECONNRESET", vec![reset]);
    scene.lab.server.run(|| sockets::abort(pair.server))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    Ok(truth)
}

fn tls_close_notify_unread(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = spoken_tls(scene)?;
    scene.lab.server.run(|| sockets::say(&pair.server, tls::CLOSE_NOTIFY))?;
    sockets::await_unread(&pair.client)?;
    scene.lab.client.run(|| sockets::say(&pair.client, tls::CLOSE_NOTIFY))?;
    sockets::hear(&pair.server, tls::CLOSE_NOTIFY)?;
    pair.settle()?;
    // The alert did lie unread in the client's socket: that is why its kernel sent a reset.
    let reset = Reset::by(Sender::Client, Stage::PostData, AFTER_TLS);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    let truth = pair.truth("the server got ECONNRESET", vec![reset]);
    scene.lab.client.run(|| sockets::close(pair.client))?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    Ok(truth)
}
