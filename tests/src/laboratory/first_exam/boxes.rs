//! Appliances on the way that answer what they dislike: intrusion prevention, firewalls that speak
//! for themselves, and load balancers that say why.
//!
//! All are test tools of our own that write into the laboratory's links only.

use std::time::Duration;

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST};
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{Listed, Scene};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Side, Stage};

use super::super::injected::recipes::noise;
use super::super::injected::watcher::{Heard, Recipe, Trigger, heard_at_rest, shoot, watched};
use super::super::injected::{forged, volley};
use super::{Cause, client_believes, expect_refusal, only, server_believes};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "suricata_rejects_syn",
        "Suricata rejects a SYN",
        "An IPS in the path (after Suricata) lets no SYN through to the service and resets the \
         client.",
        |scene| at_the_door(scene, suricata_syn, IPS, &[]),
    ),
    Listed::new(
        "suricata_alerts_on_answer",
        "Suricata dislikes an answer",
        "An IPS on the way (after Suricata) resets the source of an answer, the server; later the \
         client, which was not told, sends.",
        |scene| server_believes(scene, suricata_answer, IPS, 1),
    ),
    Listed::new(
        "snort_alerts_on_answer",
        "Snort dislikes an answer",
        "An IPS on the way (after Snort 3, which has not learnt the TTLs) resets both sides of an \
         answer, twice each.",
        snort_alerts_on_answer,
    ),
    Listed::new(
        "appliance_denies_syn",
        "An appliance denies a connection",
        "A firewall appliance in the path lets no SYN through to the service and answers in the \
         server's name.",
        |scene| {
            // It rejects, and it writes the reset itself in another's name: both were done.
            at_the_door(scene, appliance, NETWORK, &["injected_reset"])
        },
    ),
    Listed::new(
        "big_ip_port_denied",
        "A BIG-IP denies a port",
        "A load balancer in the path (after F5 BIG-IP) lets no SYN through and writes into its \
         reset that the port is denied.",
        |scene| at_the_door(scene, |heard| big_ip(heard, "Port denied"), NETWORK, &[]),
    ),
    Listed::new(
        "big_ip_full_at_syn",
        "A BIG-IP that lets nobody in any more",
        "A load balancer in the path (after F5 BIG-IP) lets no SYN through and writes into its \
         reset that its connection limit is exceeded.",
        |scene| {
            let cause = ("resource_limitation", "middlebox_table_full");
            at_the_door(scene, |heard| big_ip(heard, "connection limit exceeded"), cause, &[])
        },
    ),
    Listed::new(
        "diagnostic_timeout",
        "A middlebox says that the time is up",
        "After 2.5 s of silence a middlebox resets the client, with the IETF draft's diagnostic \
         payload: connection timeout. Later the server, which was not told, sends.",
        diagnostic_timeout,
    )
    .slow(),
    Listed::new(
        "tcpkill_towards_server",
        "tcpkill, five times, towards the server",
        "A tool on the way (after dsniff's tcpkill -5) sees an answer and writes five bare resets \
         in the client's name; later the client sends.",
        |scene| server_believes(scene, tcpkill_five, INJECTED, 5),
    ),
    Listed::new(
        "hping_after_silence",
        "A reset written with hping",
        "After 800 ms of silence somebody on the way resets the client with hping's defaults and \
         any acknowledgment number; later the server sends.",
        |scene| client_believes(scene, Duration::from_millis(800), hping, INJECTED, 1),
    )
    .slow(),
];

const IPS: Cause = ("security_measure", "ips_active_response");
const INJECTED: Cause = ("security_measure", "injected_reset");
const NETWORK: Cause = ("policy_enforcement", "network_firewall_reject");

/// A box lets no SYN through and answers the first.
fn at_the_door(
    scene: &Scene<'_>,
    recipe: Recipe,
    cause: Cause,
    also: &'static [&'static str],
) -> Result<GroundTruth> {
    let _listener = scene.listen(8)?;
    let _shut = scene.lose(&[(Port::To(scene.server.port()), Only::WithSyn)])?;
    let reset = forged(Side::Server, Stage::PostSyn, cause).or_as_truly(also);
    let (socket, client) = scene.bound()?;
    let connection = Connection::between(client, scene.server);
    watched(scene, &connection, Trigger::Syn, recipe, || {
        expect_refusal(scene, &socket, scene.server)
    })?;
    Ok(only(connection, vec![reset], "connect returned ECONNREFUSED"))
}

/// To a SYN: number 0, the SYN acknowledged, the window of the SYN; the kernel fills in the IP ID.
fn suricata_syn(heard: &Heard) -> Vec<Forgery> {
    let plain = heard.to_client(RST | ACK);
    vec![Forgery { window: heard.trigger.window, ttl: 64, ip_id: noise(heard), ..plain }]
}

/// `rejectsrc` for a segment of the server's.
fn suricata_answer(heard: &Heard) -> Vec<Forgery> {
    let (answer, plain) = (&heard.server, heard.to_server(RST | ACK));
    let (seq, ack) = (answer.ack, answer.seq.wrapping_add(answer.payload_len as u32));
    vec![Forgery { seq, ack, window: answer.window, ttl: 64, ip_id: 0, ..plain }]
}

/// `reset_both` for a segment of the server's: two attempts, the second as far on as that segment
/// was long; 255 less the TTL of the other direction.
fn snort_answer(heard: &Heard) -> Vec<Forgery> {
    let attempt = |n: u16| {
        let step = u32::from(n) * heard.server.payload_len as u32;
        let sides = [
            (heard.to_client(RST | ACK), 255 - heard.client.ttl),
            (heard.to_server(RST | ACK), 255 - heard.server.ttl),
        ];
        sides.map(|(plain, ttl)| Forgery {
            seq: plain.seq.wrapping_add(step),
            ttl,
            ip_id: noise(heard).wrapping_mul(5 + n),
            ..plain
        })
    };
    [attempt(0), attempt(1)].concat()
}

fn snort_alerts_on_answer(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    let heard = heard_at_rest(scene.lab, &pair.connection)?;
    shoot(scene.lab, &pair.connection, &snort_answer(&heard))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    let mut resets = volley(Side::Server, Stage::PostData, IPS, 2);
    resets.extend(volley(Side::Client, Stage::PostData, IPS, 2));
    Ok(pair.truth("both got ECONNRESET", resets))
}

fn appliance(heard: &Heard) -> Vec<Forgery> {
    vec![Forgery { window: 0, ttl: 254, ip_id: noise(heard), ..heard.to_client(RST | ACK) }]
}

/// With `tm.rstcause.pkt`.
fn big_ip(heard: &Heard, reason: &str) -> Vec<Forgery> {
    let payload = format!("BIG-IP: [0x2c31fd2:1190] {reason}").into_bytes();
    let plain = heard.to_client(RST | ACK);
    vec![Forgery { payload, ttl: 252, ip_id: noise(heard), dont_fragment: true, ..plain }]
}

/// draft-boucadair-tcpm-rst-diagnostic-payload, reason 14: the magic cookie, then a map in CBOR of
/// reason code (1) and text (3).
fn timed_out(heard: &Heard) -> Vec<Forgery> {
    const TEXT: &[u8] = b"connection timeout";
    let cookie_and_map = [0x19, 0x30, 0x39, 0xa2, 1, 14, 3, 0x60 | TEXT.len() as u8];
    let payload = [&cookie_and_map[..], TEXT].concat();
    vec![Forgery { payload, ttl: 253, ip_id: noise(heard), ..heard.to_client(RST | ACK) }]
}

fn diagnostic_timeout(scene: &Scene<'_>) -> Result<GroundTruth> {
    let cause = ("traffic_management", "idle_timeout_middlebox");
    client_believes(scene, Duration::from_millis(2500), timed_out, cause, 1)
}

/// Each answers the server's segment in the client's name; the i-th is i more windows further on.
fn tcpkill_five(heard: &Heard) -> Vec<Forgery> {
    let (window, plain) = (u32::from(heard.server.window), heard.to_server(RST));
    let one = |n: u32| Forgery {
        seq: heard.server.ack.wrapping_add(n * window),
        ack: 0,
        ttl: 64,
        ip_id: noise(heard).wrapping_mul(3 + n as u16),
        ..plain.clone()
    };
    [0, 1, 3, 6, 10].map(one).into()
}

/// hping3 -R -A: window 512, TTL 64.
fn hping(heard: &Heard) -> Vec<Forgery> {
    let plain = heard.to_client(RST | ACK);
    vec![Forgery { ack: 0x4d3c_2b1a, window: 512, ttl: 64, ip_id: noise(heard), ..plain }]
}
