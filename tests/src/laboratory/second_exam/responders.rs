//! Intrusion prevention systems and other appliances that answer what they dislike, on the way.
//!
//! All are test tools of our own, built after published sources, that write into the laboratory's
//! links only.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{Listed, Pair, Scene, answer_of_the_dead, last};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Side, Stage};

use super::super::injected::recipes::noise;
use super::super::injected::watcher::{Heard, heard_at_rest, shoot};
use super::super::injected::{forged, volley};
use super::filter::{Cause, broken, shout, talk, talked};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "ssh_on_https_port",
        "Only TLS on this port",
        "An appliance in the path lets no SSH pass where TLS should be and resets the client, \
         twice; TLS passes. The servers lose patience and close.",
        ssh_on_https_port,
    ),
    Listed::new(
        "suricata_inline_exploit",
        "Suricata stops an exploit in the path",
        "An IPS in the path (after Suricata) lets a dangerous Redis command not pass and resets \
         its sender; the server, which was not told, closes the idle connection.",
        suricata_inline_exploit,
    ),
    Listed::new(
        "suricata_inline_banner",
        "Suricata dislikes a greeting",
        "An IPS in the path (after Suricata, reject both) lets the greeting of an old FTP server \
         not pass and resets both sides.",
        suricata_inline_banner,
    ),
    Listed::new(
        "snort_inline_strafing",
        "Snort stops a login, four attempts",
        "An IPS in the path (after Snort 3) lets a login not pass and resets the client four \
         times, each further on; the server, which was not told, closes.",
        snort_inline_strafing,
    ),
    Listed::new(
        "ids_ends_sessions",
        "An IDS ends sessions that it has come to dislike",
        "More than a second after the last word an IDS on the way (after Snort 3) resets both \
         sides of two sessions at once.",
        ids_ends_sessions,
    )
    .slow(),
];

const IPS: Cause = ("security_measure", "ips_active_response");

/// What a box in the path knows of the client's newest data, which it has let not pass.
fn swallowed(pair: &Pair<'_>) -> Result<Heard> {
    let at = pair.lab.sniffer(Place::RouterClientSide);
    at.wait_for("data", &pair.connection, |seen| {
        let newest = last(seen, &pair.connection, Side::Client)?;
        (newest.payload_len > 0).then_some(())
    })?;
    heard_at_rest(pair.lab, &pair.connection)
}

fn ssh_on_https_port(scene: &Scene<'_>) -> Result<GroundTruth> {
    const SSH: &[u8] = b"SSH-2.0-PuTTY_Release_0.81\r\n";
    let listener = scene.listen(8)?;
    let which = [(Port::To(scene.server.port()), Only::Payload(b"SSH-2.0"))];
    let _swallowed = scene.lose(&which)?;
    // It was read and blocked, and the resets were forged: both are what was done.
    let blocked = forged(Side::Server, Stage::PostPush, ("policy_enforcement", "dpi_block"));
    let blocked = blocked.or_as_truly(&["injected_reset"]);
    let mut connections = Vec::new();
    for _ in 0..2 {
        let pair = scene.pair_at(&listener)?;
        pair.settle()?;
        shout(&pair, Side::Client, SSH)?;
        let heard = swallowed(&pair)?;
        let plain = heard.to_client(RST | ACK);
        let (ack, ip_id) = (heard.trigger.next_seq(), noise(&heard));
        let reset = Forgery { ack, ip_id, ttl: 64, dont_fragment: true, ..plain };
        shoot(scene.lab, &pair.connection, &[reset])?;
        broken(&pair.client)?;
        let resets = vec![blocked.refuted(), answer_of_the_dead()];
        let connection = Connection { resets, ..pair.connection };
        scene.lab.server.run(|| sockets::close(pair.server))?;
        connections.push(connection);
    }
    let tls = scene.pair_at(&listener)?;
    talk(&tls, &[(Side::Client, b"\x16\x03\x01\0\x05\x01\0\0\x01\x03")])?;
    connections.push(tls.connection.clone());
    tls.part()?;
    Ok(GroundTruth { connections, done: "two clients got ECONNRESET, then their servers closed" })
}

fn suricata_inline_exploit(scene: &Scene<'_>) -> Result<GroundTruth> {
    const EXPLOIT: &[u8] = b"*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$3\r\ndir\r\n$10\r\n/root/.ssh\r\n";
    let pair = scene.pair()?;
    let ping: &[u8] = b"*1\r\n$4\r\nPING\r\n";
    talk(&pair, &[(Side::Client, ping), (Side::Server, b"+PONG\r\n")])?;
    let _lost =
        scene.lose(&[(Port::To(scene.server.port()), Only::Payload(b"*4\r\n$6\r\nCONFIG"))])?;
    shout(&pair, Side::Client, EXPLOIT)?;
    let heard = swallowed(&pair)?;
    // The window is that of what it rejects.
    let (ack, window) = (heard.trigger.next_seq(), heard.trigger.window);
    let plain = heard.to_client(RST | ACK);
    let reset = Forgery { ack, window, ttl: 64, ip_id: noise(&heard), ..plain };
    shoot(scene.lab, &pair.connection, &[reset])?;
    broken(&pair.client)?;
    let first = forged(Side::Server, Stage::PostData, IPS).refuted();
    let done = "the client got ECONNRESET, then the server closed";
    let truth = pair.truth(done, vec![first, answer_of_the_dead()]);
    scene.lab.server.run(|| sockets::close(pair.server))?;
    Ok(truth)
}

fn suricata_inline_banner(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    pair.settle()?;
    let _lost = scene.lose(&[(Port::From(scene.server.port()), Only::Payload(b"220 ProFTPD"))])?;
    shout(&pair, Side::Server, b"220 ProFTPD 1.3.3c Server ready.\r\n")?;
    let at = scene.lab.sniffer(Place::RouterServerSide);
    let banner = at.wait_for("a greeting", &pair.connection, |seen| {
        let newest = last(seen, &pair.connection, Side::Server)?;
        (newest.payload_len > 0).then(|| newest.clone())
    })?;
    let heard = heard_at_rest(scene.lab, &pair.connection)?;
    let (window, ttl) = (banner.window, 64);
    // To where it was going: its own numbers. To where it came from: what would be next.
    let onward = heard.to_client(RST | ACK);
    let onward = Forgery { seq: banner.seq, ack: banner.ack, window, ttl, ip_id: 0, ..onward };
    let back = heard.to_server(RST | ACK);
    let back = Forgery { seq: banner.ack, ack: banner.next_seq(), window, ttl, ip_id: 0, ..back };
    shoot(scene.lab, &pair.connection, &[back, onward])?;
    broken(&pair.server)?;
    broken(&pair.client)?;
    // The client has seen no greeting.
    let resets =
        [forged(Side::Client, Stage::PostPush, IPS), forged(Side::Server, Stage::PostAck, IPS)];
    Ok(pair.truth("both got ECONNRESET", resets.into()))
}

fn snort_inline_strafing(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    talk(
        &pair,
        &[
            (Side::Server, b"\xff\xfd\x18\xff\xfd\x20"),
            (Side::Client, b"\xff\xfc\x18\xff\xfc\x20"),
            (Side::Server, b"router login: "),
        ],
    )?;
    let _lost = scene.lose(&[(Port::To(scene.server.port()), Only::Payload(b"xc3511"))])?;
    shout(&pair, Side::Client, b"xc3511\r\n")?;
    let heard = swallowed(&pair)?;
    let (ack, ttl) = (heard.trigger.next_seq(), heard.server.ttl);
    let plain = Forgery { ack, ttl, ..heard.to_client(RST | ACK) };
    let attempt = |n: u16| Forgery {
        seq: plain.seq.wrapping_add(u32::from(n) * heard.trigger.payload_len as u32),
        ip_id: noise(&heard).wrapping_mul(2 * n + 5),
        ..plain.clone()
    };
    shoot(scene.lab, &pair.connection, &[0, 1, 2, 3].map(attempt))?;
    broken(&pair.client)?;
    let forged = volley(Side::Server, Stage::PostData, IPS, 4);
    let mut resets: Vec<Reset> = forged.into_iter().map(Reset::refuted).collect();
    scene.await_resets(&pair.truth("", resets.clone()))?;
    resets.push(answer_of_the_dead());
    let truth = pair.truth("the client got ECONNRESET, then the server closed", resets);
    scene.lab.server.run(|| sockets::close(pair.server))?;
    Ok(truth)
}

/// `reset_both` by an IDS that has learnt no TTL: 255 less that of the other direction.
fn to_both(heard: &Heard) -> [Forgery; 2] {
    let ip_id = noise(heard);
    [
        Forgery { ttl: 255 - heard.client.ttl, ip_id, ..heard.to_client(RST | ACK) },
        Forgery { ttl: 255 - heard.server.ttl, ip_id: !ip_id, ..heard.to_server(RST | ACK) },
    ]
}

fn ids_ends_sessions(scene: &Scene<'_>) -> Result<GroundTruth> {
    let lines: &[(Side, &[u8])] = &[
        (Side::Client, b"NICK visitor\r\nUSER visitor 0 * :v\r\n"),
        (Side::Server, b":irc.lab 001 visitor :Welcome\r\n"),
        (Side::Client, b"JOIN #control\r\n"),
        (Side::Server, b":visitor JOIN #control\r\n"),
    ];
    let pairs = talked(scene, 2, lines)?;
    thread::sleep(Duration::from_millis(1200));
    for pair in &pairs {
        let heard = heard_at_rest(scene.lab, &pair.connection)?;
        shoot(scene.lab, &pair.connection, &to_both(&heard))?;
    }
    let ended = |pair: Pair<'_>| {
        broken(&pair.client).context("the client")?;
        broken(&pair.server).context("the server")?;
        let resets = [Side::Server, Side::Client].map(|side| forged(side, Stage::PostData, IPS));
        Ok(Connection { resets: resets.into(), ..pair.connection })
    };
    let connections = pairs.into_iter().map(ended).collect::<Result<_>>()?;
    Ok(GroundTruth { connections, done: "both sides of two sessions got ECONNRESET" })
}
