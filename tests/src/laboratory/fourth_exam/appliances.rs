//! Boxes on the way that say why they end a connection, and boxes that forget.
//!
//! All are test tools of our own that write into the laboratory's links only.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::errno::Errno;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{Listed, Pair, Scene, answer_of_the_dead, last};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Side, Stage};

use super::super::injected::forged;
use super::super::injected::recipes::noise;
use super::super::injected::watcher::{Heard, Trigger, heard_at_rest, shoot, watched};
use super::super::second_exam::filter::{Cause, broken, only, shout, talk, talked};
use super::super::servers::haproxy::BY_PROXY;
use super::super::third_exam::common::{ms, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "big_ip_irule",
        "A rule of a BIG-IP",
        "A load balancer on the way (after F5 BIG-IP) resets both sides for what the client asked \
         and writes that one of its rules (iRule) rejected it.",
        big_ip_irule,
    ),
    Listed::new(
        "big_ip_nobody_left",
        "A BIG-IP with nobody to pass on to",
        "A load balancer on the way (after F5 BIG-IP) resets the client over its second request \
         and writes that no member of its pool is left; later the server hangs up.",
        big_ip_nobody_left,
    ),
    Listed::new(
        "big_ip_takes_it_for_an_attack",
        "A BIG-IP that sees an attack",
        "A load balancer on the way (after F5 BIG-IP) resets both sides of three calls as soon as \
         they are connected and writes that they are an attack (DOS signature).",
        big_ip_takes_it_for_an_attack,
    ),
    Listed::new(
        "firewall_sweeps_its_table",
        "A firewall that sweeps its table",
        "Two connections are silent for longer and shorter; a firewall on the way that sweeps its \
         table resets both sides of both in the same moment. A third, in use, lives on.",
        firewall_sweeps_its_table,
    )
    .slow(),
    Listed::new(
        "gateway_answers_a_probe",
        "A gateway answers a keepalive probe",
        "A gateway on the way has forgotten a connection after a second of silence; it answers the \
         client's keepalive probe with a reset.",
        gateway_answers_a_probe,
    )
    .slow(),
    Listed::new(
        "application_reset_server",
        "A firewall that knows applications",
        "A firewall appliance on the way lets a request for a remote desktop not pass and resets \
         the server only (reset-server).",
        application_reset_server,
    ),
    Listed::new(
        "provider_out_of_ports",
        "A provider that has no port left for a customer",
        "A translator on the way lets two calls not pass and answers for the server, with the IETF \
         draft's diagnostic payload: resource exceeded. The third call gets through.",
        provider_out_of_ports,
    ),
];

const POLICY: Cause = ("policy_enforcement", "network_firewall_reject");
const DPI: Cause = ("policy_enforcement", "dpi_block");
const IPS: Cause = ("security_measure", "ips_active_response");
const IDLE: Cause = ("traffic_management", "idle_timeout_middlebox");
const FULL: Cause = ("resource_limitation", "middlebox_table_full");

/// F5 BIG-IP with `tm.rstcause.pkt`: the reason in the payload, TTL 255 at the box.
fn big_ip(heard: &Heard, plain: Forgery, reason: &str) -> Forgery {
    let payload = format!("BIG-IP: [0x28f3a41:2213] {reason}").into_bytes();
    Forgery { payload, ttl: 254, ip_id: noise(heard), dont_fragment: true, ..plain }
}

fn to_both(heard: &Heard) -> [Forgery; 2] {
    [heard.to_client(RST | ACK), heard.to_server(RST | ACK)]
}

fn both_broken(pair: &Pair<'_>) -> Result<()> {
    broken(&pair.client)?;
    broken(&pair.server)
}

fn big_ip_irule(scene: &Scene<'_>) -> Result<GroundTruth> {
    const ASKED: &[u8] = b"GET /wp-login.php HTTP/1.1\r\nHost: shop.lab\r\n\r\n";
    let rule =
        |heard: &Heard| to_both(heard).map(|plain| big_ip(heard, plain, "iRule reject")).into();
    let pair = scene.pair()?;
    pair.settle()?;
    watched(scene, &pair.connection, Trigger::Request(b"wp-login"), rule, || {
        shout(&pair, Side::Client, ASKED)
    })?;
    both_broken(&pair)?;
    // The rule was about what the client asked.
    let resets = [Side::Server, Side::Client]
        .map(|side| forged(side, Stage::PostPush, POLICY).or_as_truly(&["dpi_block"]));
    Ok(pair.truth("both got ECONNRESET", resets.into()))
}

fn big_ip_nobody_left(scene: &Scene<'_>) -> Result<GroundTruth> {
    const AGAIN: &[u8] = b"GET /second HTTP/1.1\r\nHost: shop.lab\r\n\r\n";
    let nobody =
        |heard: &Heard| vec![big_ip(heard, heard.to_client(RST | ACK), "No pool member available")];
    let pair = scene.busy_pair()?;
    pair.settle()?;
    watched(scene, &pair.connection, Trigger::Request(b"/second"), nobody, || {
        shout(&pair, Side::Client, AGAIN)
    })?;
    broken(&pair.client)?;
    // That it is the balancer who says so, and that it says it in the server's name, was done.
    let first = forged(Side::Server, Stage::PostData, BY_PROXY).or_as_truly(&["injected_reset"]);
    let done = "the client got ECONNRESET, later the server was reset";
    let truth = pair.truth(done, vec![first.refuted(), answer_of_the_dead()]);
    // It has not read that request.
    sockets::hear(&pair.server, AGAIN)?;
    scene.lab.server.run(|| sockets::close(pair.server))?;
    scene.await_resets(&truth)?;
    Ok(truth)
}

fn big_ip_takes_it_for_an_attack(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let mut connections = Vec::new();
    for _ in 0..3 {
        let pair = scene.pair_at(&listener)?;
        pair.settle()?;
        let heard = heard_at_rest(scene.lab, &pair.connection)?;
        let both = to_both(&heard).map(|plain| big_ip(&heard, plain, "DOS signature"));
        shoot(scene.lab, &pair.connection, &both)?;
        both_broken(&pair)?;
        let resets = [Side::Server, Side::Client]
            .map(|side| forged(side, Stage::PostAck, IPS).or_as_truly(&["injected_reset"]));
        connections.push(with(pair.connection, resets.into()));
    }
    Ok(GroundTruth { connections, done: "both sides of three connections got ECONNRESET" })
}

/// What a box writes in the name of a side because it forgot: both is what was done.
fn forgotten(side: Side) -> Reset {
    forged(side, Stage::PostData, IDLE).or_as_truly(&["injected_reset"])
}

fn firewall_sweeps_its_table(scene: &Scene<'_>) -> Result<GroundTruth> {
    let lines: &[(Side, &[u8])] = &[
        (Side::Client, b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0"),
        (Side::Server, b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0"),
    ];
    let mut pairs = talked(scene, 3, lines)?;
    let start = Instant::now();
    let later = start + ms(2400);
    thread::sleep(ms(500));
    talk(&pairs[1], lines)?;
    while Instant::now() + ms(300) < later {
        thread::sleep(ms(300));
        talk(&pairs[2], lines)?;
    }
    thread::sleep(later.saturating_duration_since(Instant::now()));
    let idle: Vec<Pair<'_>> = pairs.drain(..2).collect();
    for pair in &idle {
        let heard = heard_at_rest(scene.lab, &pair.connection)?;
        let ours = |plain| Forgery { ttl: 255, ip_id: 0, dont_fragment: true, ..plain };
        let both = [heard.to_server(RST), heard.to_client(RST)].map(ours);
        shoot(scene.lab, &pair.connection, &both)?;
    }
    let mut connections = Vec::new();
    for pair in idle {
        both_broken(&pair)?;
        let resets = [Side::Client, Side::Server].map(forgotten);
        connections.push(with(pair.connection, resets.into()));
    }
    for pair in pairs {
        talk(&pair, lines)?;
        connections.push(pair.connection.clone());
        pair.part()?;
    }
    Ok(GroundTruth { connections, done: "both sides of two connections got ECONNRESET" })
}

fn gateway_answers_a_probe(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    let Pair { connection, client, server, .. } = pair;
    let at = scene.lab.sniffer(Place::RouterClientSide);
    let before = at.segments(&connection).len();
    let _forgotten = scene.lose(&[(Port::To(scene.server.port()), Only::Any)])?;
    scene.lab.client.run(|| sockets::keep_alive(&client, 1, 5))?;
    at.wait_for("a keepalive probe", &connection, |seen| (seen.len() > before).then_some(()))?;
    let heard = heard_at_rest(scene.lab, &connection)?;
    let answer = Forgery { ack: 0, ttl: 255, ip_id: 0, ..heard.to_client(RST) };
    shoot(scene.lab, &connection, &[answer])?;
    broken(&client)?;
    // Nobody tells the server.
    sockets::vanish(server)?;
    Ok(only(connection, vec![forgotten(Side::Server)], "the client got ECONNRESET"))
}

fn application_reset_server(scene: &Scene<'_>) -> Result<GroundTruth> {
    const COOKIE: &[u8] =
        b"\x03\0\0\x2b\x26\xe0\0\0\0\0\0Cookie: mstshash=admin\r\n\x01\0\x08\0\x03\0\0\0";
    let pair = scene.pair()?;
    pair.settle()?;
    let which = [(Port::To(scene.server.port()), Only::Payload(b"\x03\0\0\x2b\x26\xe0"))];
    let _swallowed = scene.lose(&which)?;
    shout(&pair, Side::Client, COOKIE)?;
    let at = scene.lab.sniffer(Place::RouterClientSide);
    at.wait_for("the request", &pair.connection, |seen| {
        let newest = last(seen, &pair.connection, Side::Client)?;
        (newest.payload_len > 0).then_some(())
    })?;
    let heard = heard_at_rest(scene.lab, &pair.connection)?;
    let reset = Forgery { ttl: 62, ip_id: 0, dont_fragment: true, ..heard.to_server(RST | ACK) };
    shoot(scene.lab, &pair.connection, &[reset])?;
    broken(&pair.server)?;
    // The server has seen no request. A rule blocked it by what it read, and a reset was forged.
    let blocked = forged(Side::Client, Stage::PostAck, DPI);
    let blocked = blocked.or_as_truly(&["injected_reset", "network_firewall_reject"]);
    let truth = pair.truth("the server got ECONNRESET", vec![blocked]);
    scene.await_resets(&truth)?;
    // The client goes on asking; nobody tells it.
    sockets::vanish(pair.client)?;
    Ok(truth)
}

/// Reason 10 of draft-boucadair-tcpm-rst-diagnostic-payload, in CBOR after its magic cookie.
fn out_of_ports(heard: &Heard) -> Vec<Forgery> {
    const TEXT: &[u8] = b"no port left";
    let head = [0x19, 0x30, 0x39, 0xa2, 1, 10, 3, 0x60 | TEXT.len() as u8];
    let payload = [&head[..], TEXT].concat();
    let plain = heard.to_client(RST | ACK);
    vec![Forgery { payload, seq: 0, ttl: 63, ip_id: noise(heard), dont_fragment: true, ..plain }]
}

fn provider_out_of_ports(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let full = scene.lose(&[(Port::To(scene.server.port()), Only::WithSyn)])?;
    let mut connections = Vec::new();
    for _ in 0..2 {
        let (socket, client) = scene.bound()?;
        let connection = Connection::between(client, scene.server);
        watched(scene, &connection, Trigger::Syn, out_of_ports, || {
            match scene.lab.client.run(|| Ok(sockets::connect(&socket, scene.server)))? {
                Err(Errno::ECONNREFUSED) => Ok(()),
                other => bail!("connect was to fail with ECONNREFUSED, got {other:?}"),
            }
        })?;
        let reset = forged(Side::Server, Stage::PostSyn, FULL).or_as_truly(&["injected_reset"]);
        connections.push(with(connection, vec![reset]));
        thread::sleep(Duration::from_millis(250));
    }
    drop(full);
    let pair = scene.pair_at(&listener)?;
    pair.exchange()?;
    connections.push(pair.connection.clone());
    pair.part()?;
    Ok(GroundTruth { connections, done: "two calls returned ECONNREFUSED" })
}
