//! Two that do not speak the same language, and two whose TLS has ended.

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{ANSWER, Listed, Pair, REQUEST, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Side, Stage};

use super::super::closing::{spoken_tls, tls};
use super::{Cause, only};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "http_to_ssh_server",
        "HTTP spoken to an SSH server",
        "The server names its SSH version; the client asks in HTTP; the server complains and \
         closes without having read everything.",
        |scene| {
            let banner = b"SSH-2.0-OpenSSH_9.2p1\r\n";
            let complaint = b"Invalid SSH identification string.\r\n";
            misunderstood(scene, banner, REQUEST, 16, complaint, Stage::PostData)
        },
    ),
    Listed::new(
        "tls_to_mail_server",
        "TLS spoken to a mail server",
        "The server greets in SMTP; the client says a TLS hello; the server finds a syntax error \
         and closes without having read everything.",
        |scene| {
            let hello = [&b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03"[..], &[0x77; 194]];
            let complaint = b"500 5.5.2 Error: bad syntax\r\n";
            let greeting = b"220 mail.lab ESMTP\r\n";
            misunderstood(scene, greeting, &hello.concat(), 40, complaint, Stage::PostData)
        },
    ),
    Listed::new(
        "http_to_tls_server_silent",
        "HTTP spoken to a silent TLS server",
        "The client asks in plain HTTP; the server reads five bytes, sees that it is not TLS, and \
         closes without a word.",
        |scene| misunderstood(scene, b"", REQUEST, 5, b"", Stage::PostPush),
    ),
    Listed::new(
        "tls_client_notifies_and_aborts",
        "The client closes TLS and aborts",
        "Both exchange TLS records; the client sends its close_notify and closes with SO_LINGER 0 \
         while the server reads on.",
        tls_client_notifies_and_aborts,
    ),
    Listed::new(
        "tls_farewell_and_fin_unread",
        "TLS and TCP closed, the farewell unread",
        "The server sends its close_notify and closes; the client, which has its answer, closes \
         without having read that.",
        tls_farewell_and_fin_unread,
    ),
];

/// The server says `first`, the client `asked`, of which the server reads `read` bytes; it
/// answers and closes.
fn misunderstood(
    scene: &Scene<'_>,
    first: &[u8],
    asked: &[u8],
    read: usize,
    answer: &[u8],
    stage: Stage,
) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    scene.lab.server.run(|| sockets::say(&pair.server, first))?;
    sockets::hear(&pair.client, first)?;
    scene.lab.client.run(|| sockets::say(&pair.client, asked))?;
    sockets::hear(&pair.server, &asked[..read])?;
    sockets::await_unread(&pair.server)?;
    scene.lab.server.run(|| sockets::say(&pair.server, answer))?;
    sockets::hear(&pair.client, answer)?;
    pair.settle()?;
    // That data lay unread is how the kernel came to reset; that it was not understood is why.
    let reset = Reset::by(Sender::Server, stage, ("application_error", "protocol_mismatch"));
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    let truth = pair.truth("the client got ECONNRESET", vec![reset]);
    scene.lab.server.run(|| sockets::close(pair.server))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    Ok(truth)
}

const AFTER_TLS: Cause = ("normal_abortive_close", "tls_close_then_rst");

fn tls_client_notifies_and_aborts(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = spoken_tls(scene)?;
    scene.lab.client.run(|| sockets::say(&pair.client, tls::CLOSE_NOTIFY))?;
    sockets::hear(&pair.server, tls::CLOSE_NOTIFY)?;
    pair.settle()?;
    // SO_LINGER 0 is how the reset was made; that TLS was closed first is the point.
    let reset = Reset::by(Sender::Client, Stage::PostData, AFTER_TLS);
    let reset = reset.or_as_truly(&["linger0_close"]);
    let truth = pair.truth("the server got ECONNRESET", vec![reset]);
    scene.lab.client.run(|| sockets::abort(pair.client))?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    Ok(truth)
}

fn tls_farewell_and_fin_unread(scene: &Scene<'_>) -> Result<GroundTruth> {
    let Pair { connection, client, server, .. } = spoken_tls(scene)?;
    let records = [tls::DATA, ANSWER].concat();
    scene.lab.server.run(|| sockets::say(&server, &records))?;
    sockets::hear(&client, &records)?;
    scene.lab.server.run(|| sockets::say(&server, tls::CLOSE_NOTIFY))?;
    scene.lab.server.run(|| sockets::close(server))?;
    scene.lab.sniffer(Place::Client).wait_for("the FIN", &connection, |seen| {
        let fin = |segment: &rst_tracer::demo::frame::Segment| {
            segment.has(rst_tracer::demo::frame::FIN)
                && segment.src == connection.address(Side::Server)
        };
        seen.iter().any(|one| fin(&one.segment)).then_some(())
    })?;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::close(client))?;
    // The alert lay unread in the client's socket, and the server had said FIN: all of it is so.
    let reset = Reset::by(Sender::Client, Stage::PostFin, AFTER_TLS);
    let reset = reset.or_as_truly(&["rst_after_fin", "closed_with_unread_data"]);
    Ok(only(connection, vec![reset], "the server's host saw the reset"))
}
