//! Content filters and censors that end what they read.
//!
//! Those that are no packet filter are test tools of our own that write into the laboratory's
//! links only.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST, SYN};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Hook, Only, Port, Verdict};
use rst_tracer::demo::scenarios::{Listed, Scene, answer_of_the_dead};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Side, Stage};

use super::super::injected::recipes::noise;
use super::super::injected::watcher::{Heard, Trigger, heard_at_rest, shoot, watched};
use super::super::injected::{forged, volley};
use super::filter::{
    AFTER_RESET, Cause, IPTABLES, Rule, broken, by_router, late, only, shout, talk, talked,
};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "smtp_sender_blocked",
        "A filter dislikes a sender of mail",
        "The router's iptables rejects what names a certain sender (string match), in the middle \
         of an SMTP dialogue; later the server, which was not told, times out and says so.",
        smtp_sender_blocked,
    )
    .needs(IPTABLES),
    Listed::new(
        "archive_download_blocked",
        "A filter lets no archive in",
        "The router's iptables rejects segments with the magic number of ZIP files (string match): \
         the server is reset amid its answer. The client gives up and closes.",
        archive_download_blocked,
    )
    .needs(IPTABLES),
    Listed::new(
        "torrent_shaped",
        "A provider ends file sharing",
        "A traffic shaper on the way reads BitTorrent handshakes and, some pieces later, resets \
         both sides of two connections at a time.",
        torrent_shaped,
    ),
    Listed::new(
        "dns_over_tcp_censored",
        "A name asked for over TCP",
        "A censor on the way (after the Great Firewall) reads a name in a DNS query over TCP and \
         resets both sides three times.",
        dns_over_tcp_censored,
    ),
    Listed::new(
        "ssh_banner_censored",
        "A greeting that a censor knows",
        "A censor on the way lets a server greet and reads the client's answer, then resets the \
         client; the server, which was not told, goes on.",
        ssh_banner_censored,
    ),
    Listed::new(
        "two_injectors",
        "Two censors, one behind the other",
        "Two boxes on the way, at different distances, reset the client, the second 120 ms after \
         the first; later the server, which was not told, answers.",
        two_injectors,
    ),
    Listed::new(
        "handshake_cut_towards_server",
        "A handshake taken back",
        "A censor in the path loses the last ACK of a handshake and resets the server in the \
         client's name; the client, which believes in the connection, asks.",
        handshake_cut_towards_server,
    ),
];

const DPI: Cause = ("policy_enforcement", "dpi_block");
const INJECTED: Cause = ("security_measure", "injected_reset");

/// A packet filter that looks into the data: both names are right.
fn by_filter(side: Side) -> Reset {
    by_router(side, Stage::PostData, DPI).or_as_truly(&["network_firewall_reject"]).refuted()
}

fn smtp_sender_blocked(scene: &Scene<'_>) -> Result<GroundTruth> {
    let word = "-m string --algo kmp --string offers@spam.example";
    let matches = format!("--dport {} {word}", scene.server.port());
    let _rule = Rule::reject(scene, &scene.lab.router, "FORWARD", &matches)?;
    let pair = scene.pair()?;
    talk(
        &pair,
        &[
            (Side::Server, b"220 mx.lab ESMTP\r\n"),
            (Side::Client, b"EHLO relay.lab\r\n"),
            (Side::Server, b"250-mx.lab\r\n250 SIZE 10240000\r\n"),
        ],
    )?;
    shout(&pair, Side::Client, b"MAIL FROM:<offers@spam.example>\r\n")?;
    broken(&pair.client)?;
    late(&pair, Side::Server, b"421 4.4.2 mx.lab Error: timeout exceeded\r\n")?;
    let resets = vec![by_filter(Side::Server), answer_of_the_dead()];
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}

fn archive_download_blocked(scene: &Scene<'_>) -> Result<GroundTruth> {
    let magic = "-m string --algo bm --hex-string |504b0304|";
    let matches = format!("--sport {} {magic}", scene.server.port());
    let _rule = Rule::reject(scene, &scene.lab.router, "FORWARD", &matches)?;
    let pair = scene.pair()?;
    talk(
        &pair,
        &[
            (Side::Client, b"GET /tools.zip HTTP/1.1\r\nHost: files.lab\r\n\r\n"),
            (Side::Server, b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n"),
        ],
    )?;
    shout(&pair, Side::Server, &[&b"PK\x03\x04"[..], &[0x5a; 900]].concat())?;
    broken(&pair.server)?;
    // The client knows nothing of that.
    let second = Reset::by(Sender::Server, Stage::PostFin, AFTER_RESET);
    let done = "the server got ECONNRESET, later the client's FIN was reset";
    let truth = pair.truth(done, vec![by_filter(Side::Client), second]);
    scene.lab.client.run(|| sockets::close(pair.client))?;
    Ok(truth)
}

/// It was read and blocked, and the resets were forged: both are what was done.
fn blocked(side: Side, stage: Stage) -> Reset {
    forged(side, stage, DPI).or_as_truly(&["injected_reset"])
}

fn torrent_shaped(scene: &Scene<'_>) -> Result<GroundTruth> {
    const HELLO: &[u8] =
        b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x05 hash of the file -qB4650-peer";
    let piece = [&b"\0\0\x02\x09\x07\0\0\0\x01\0\0\0\0"[..], &[0xd5; 512]].concat();
    let request = b"\0\0\0\x0d\x06\0\0\0\x01\0\0\0\0\0\0\x02\0";
    let lines: &[(Side, &[u8])] = &[
        (Side::Client, HELLO),
        (Side::Server, HELLO),
        (Side::Client, request),
        (Side::Server, &piece),
        (Side::Client, request),
        (Side::Server, &piece),
    ];
    let mut connections = Vec::new();
    for pair in talked(scene, 2, lines)? {
        let heard = heard_at_rest(scene.lab, &pair.connection)?;
        let both = [heard.to_client(RST | ACK), heard.to_server(RST | ACK)];
        let ip_id = noise(&heard);
        let shaper = |plain| Forgery { window: 5840, ttl: 126, ip_id, tos: 0x20, ..plain };
        shoot(scene.lab, &pair.connection, &both.map(shaper))?;
        broken(&pair.client)?;
        broken(&pair.server)?;
        let resets = [Side::Server, Side::Client].map(|side| blocked(side, Stage::PostData));
        connections.push(Connection { resets: resets.into(), ..pair.connection });
    }
    Ok(GroundTruth { connections, done: "both sides of two connections got ECONNRESET" })
}

/// Three resets to each side, at X, X + 1460 and X + 4380.
fn triple_both(heard: &Heard) -> Vec<Forgery> {
    let three = |plain: Forgery| {
        [(0, 0), (1, 1460), (2, 4380)].map(|(n, beyond)| Forgery {
            seq: plain.seq.wrapping_add(beyond),
            window: 790 + 3 * n,
            ttl: 87 + n as u8,
            ip_id: noise(heard).wrapping_add(101 * n),
            ..plain.clone()
        })
    };
    [three(heard.to_client(RST | ACK)), three(heard.to_server(RST | ACK))].concat()
}

fn dns_over_tcp_censored(scene: &Scene<'_>) -> Result<GroundTruth> {
    const QUERY: &[u8] =
        b"\0\x25\x4a\x01\x01\0\0\x01\0\0\0\0\0\0\x03www\x07blocked\x07example\0\0\x01\0\x01";
    let pair = scene.pair()?;
    pair.settle()?;
    watched(scene, &pair.connection, Trigger::Request(b"\x07blocked"), triple_both, || {
        shout(&pair, Side::Client, QUERY)
    })?;
    broken(&pair.client)?;
    broken(&pair.server)?;
    let of = |side| volley(side, Stage::PostPush, INJECTED, 3);
    let resets = [of(Side::Server), of(Side::Client)].concat();
    let resets = resets.into_iter().map(|reset| reset.or_as_truly(&["dpi_block"])).collect();
    Ok(pair.truth("both got ECONNRESET", resets))
}

fn ssh_banner_censored(scene: &Scene<'_>) -> Result<GroundTruth> {
    let censor = |heard: &Heard| {
        let (ack, ip_id) = (0, noise(heard).rotate_left(3));
        vec![Forgery { ack, window: 4096, ttl: 118, ip_id, ..heard.to_client(RST) }]
    };
    let pair = scene.pair()?;
    talk(&pair, &[(Side::Server, b"SSH-2.0-dropbear_2022.83\r\n")])?;
    watched(scene, &pair.connection, Trigger::Request(b"SSH-2.0-Go"), censor, || {
        shout(&pair, Side::Client, b"SSH-2.0-Go\r\n")
    })?;
    broken(&pair.client)?;
    late(&pair, Side::Server, &[&b"\0\0\x01\x04\x06\x14"[..], &[0x3c; 254]].concat())?;
    let first = forged(Side::Server, Stage::PostData, INJECTED).or_as_truly(&["dpi_block"]);
    let resets = vec![first.refuted(), answer_of_the_dead()];
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}

fn two_injectors(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    pair.request()?;
    pair.settle()?;
    let heard = heard_at_rest(scene.lab, &pair.connection)?;
    let (near, far) = (heard.to_client(RST | ACK), heard.to_client(RST));
    let near = Forgery { window: 502, ttl: 62, ip_id: noise(&heard), ..near };
    shoot(scene.lab, &pair.connection, &[near])?;
    broken(&pair.client)?;
    thread::sleep(Duration::from_millis(120));
    let far = Forgery { ack: 0, window: 65_535, ttl: 241, ip_id: 0x9e37, ..far };
    shoot(scene.lab, &pair.connection, &[far])?;
    let forged = volley(Side::Server, Stage::PostPush, INJECTED, 2);
    let mut resets: Vec<Reset> = forged.into_iter().map(Reset::refuted).collect();
    scene.await_resets(&pair.truth("", resets.clone()))?;
    pair.speak_to_the_dead()?;
    resets.push(answer_of_the_dead());
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}

fn handshake_cut_towards_server(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(4)?;
    let bound = scene.bound()?;
    let acks = [(Port::From(bound.1.port()), Only::WithoutSyn)];
    let router = &scene.lab.router;
    let swallowed = scene.rules(router, Hook::Forward, &acks, Verdict::Drop)?;
    let (client, connection) = scene.dial_from(bound)?;
    let at = scene.lab.sniffer(Place::RouterServerSide);
    let syn = at.wait_for("a SYN", &connection, |seen| {
        let mut syns = seen.iter().filter(|one| one.segment.flags & (SYN | ACK) == SYN);
        syns.next().map(|one| one.segment.clone())
    })?;
    let reset = Forgery { ack: 0, ttl: 52, ip_id: 0x5d01, ..Forgery::after(&syn, RST) };
    shoot(scene.lab, &connection, &[reset])?;
    let first = forged(Side::Client, Stage::PostSynack, INJECTED).refuted();
    scene.await_resets(&only(connection.clone(), vec![first], ""))?;
    drop(swallowed);
    scene.lab.client.run(|| sockets::say(&client, b"GET / HTTP/1.0\r\n\r\n"))?;
    broken(&client)?;
    // The client did not see the first one.
    let second = Reset::by(Sender::Server, Stage::PostPush, AFTER_RESET);
    Ok(only(connection, vec![first, second], "the client got ECONNRESET"))
}
