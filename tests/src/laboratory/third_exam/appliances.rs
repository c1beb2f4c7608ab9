//! Appliances on the way, filters and intrusion prevention systems, that end what they dislike.
//!
//! All are test tools of our own that write into the laboratory's links only.

use anyhow::Result;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, PSH, RST};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, answer_of_the_dead};
use rst_tracer::demo::truth::{Effect, GroundTruth, Reset, Sender, Side, Stage};

use super::super::injected::recipes::noise;
use super::super::injected::watcher::{Heard, Trigger, heard_at_rest, shoot, watched};
use super::super::injected::{forged, volley};
use super::super::second_exam::filter::{AFTER_RESET, Cause, broken, late, shout, talk};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "block_page",
        "A page that says that there is none",
        "A filter in the path holds a request back, resets the server, and gives the client a page \
         of its own and a reset after it.",
        block_page,
    ),
    Listed::new(
        "mail_gateway_says_why",
        "A mail gateway that says why",
        "A gateway on the way dislikes a mail and resets the client; the reset carries a line that \
         names the policy. The server waits for the rest in vain and says so.",
        mail_gateway_says_why,
    ),
    Listed::new(
        "snort_upload_dest",
        "Snort resets who is uploaded to",
        "An IPS on the way (after Snort 3, reset dest, two attempts) resets the server over an \
         upload; the client goes on.",
        snort_upload_dest,
    ),
    Listed::new(
        "suricata_imap_login",
        "Suricata dislikes a login",
        "An IPS on the way (after Suricata, rejectboth) resets both over an IMAP login; the number \
         for the server is out of date, and it answers.",
        suricata_imap_login,
    ),
];

const DPI: Cause = ("policy_enforcement", "dpi_block");
const IPS: Cause = ("security_measure", "ips_active_response");

fn block_page(scene: &Scene<'_>) -> Result<GroundTruth> {
    const PAGE: &[u8] = b"HTTP/1.1 403 Forbidden\r\nServer: webfilter\r\nContent-Length: 9\r\n\r\n\
        category.";
    let pair = scene.pair()?;
    pair.settle()?;
    let _held = scene.lose(&[(Port::To(scene.server.port()), Only::Any)])?;
    shout(&pair, Side::Client, REQUEST)?;
    scene.lab.sniffer(Place::RouterClientSide).wait_for("a request", &pair.connection, |seen| {
        seen.iter().any(|one| one.segment.payload_len > 0).then_some(())
    })?;
    let heard = heard_at_rest(scene.lab, &pair.connection)?;
    let asked = heard.trigger.next_seq();
    let ours = |plain: Forgery| Forgery { ttl: 61, window: 501, dont_fragment: true, ..plain };
    let page = heard.to_client(PSH | ACK);
    let page = ours(Forgery { ack: asked, payload: PAGE.to_vec(), ip_id: 0x4100, ..page });
    let after = heard.to_client(RST | ACK);
    let seq = after.seq.wrapping_add(PAGE.len() as u32);
    let after = ours(Forgery { seq, ack: asked, ip_id: 0x4101, ..after });
    let to_server = ours(Forgery { ip_id: 0x4200, ..heard.to_server(RST | ACK) });
    shoot(scene.lab, &pair.connection, &[to_server, page, after])?;
    broken(&pair.server)?;
    broken(&pair.client)?;
    let blocked = |side, stage| forged(side, stage, DPI).or_as_truly(&["injected_reset"]);
    // The server has heard nothing yet.
    let resets =
        vec![blocked(Side::Client, Stage::PostAck), blocked(Side::Server, Stage::PostData)];
    Ok(pair.truth("both got ECONNRESET", resets))
}

fn mail_gateway_says_why(scene: &Scene<'_>) -> Result<GroundTruth> {
    let gateway = |heard: &Heard| {
        let payload = b"554 5.7.1 rejected by gateway, policy 12\r\n".to_vec();
        let plain = heard.to_client(RST | ACK);
        vec![Forgery { payload, ttl: 254, ip_id: noise(heard), dont_fragment: true, ..plain }]
    };
    let pair = scene.pair()?;
    talk(
        &pair,
        &[
            (Side::Server, b"220 mx.lab ESMTP\r\n"),
            (Side::Client, b"EHLO desk.lab\r\n"),
            (Side::Server, b"250 mx.lab\r\n"),
            (Side::Client, b"DATA\r\n"),
            (Side::Server, b"354 go ahead\r\n"),
        ],
    )?;
    watched(scene, &pair.connection, Trigger::Request(b"invoice.exe"), gateway, || {
        shout(&pair, Side::Client, b"Subject: your bill\r\n\r\nsee invoice.exe\r\n")
    })?;
    broken(&pair.client)?;
    late(&pair, Side::Server, b"421 4.4.2 timeout\r\n")?;
    let first = forged(Side::Server, Stage::PostData, DPI);
    let first = first.or_as_truly(&["injected_reset", "network_firewall_reject"]).refuted();
    let resets = vec![first, answer_of_the_dead()];
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}

fn snort_upload_dest(scene: &Scene<'_>) -> Result<GroundTruth> {
    let snort = |heard: &Heard| {
        let step = heard.trigger.payload_len as u32;
        let (ttl, tos) = (heard.client.ttl, heard.trigger.tos);
        let plain = Forgery { ttl, tos, ..heard.to_server(RST | ACK) };
        let attempt = |n: u16| Forgery {
            seq: plain.seq.wrapping_add(u32::from(n) * step),
            ip_id: noise(heard).wrapping_mul(2 * n + 3),
            ..plain.clone()
        };
        vec![attempt(0), attempt(1)]
    };
    let pair = scene.pair()?;
    talk(
        &pair,
        &[
            (Side::Client, b"STOR report.doc\r\n"),
            (Side::Server, b"150 Ok to send data\r\n"),
            (Side::Client, &[0x55; 1200]),
        ],
    )?;
    watched(scene, &pair.connection, Trigger::Request(b"MZ\x90\0"), snort, || {
        shout(&pair, Side::Client, &[&b"MZ\x90\0"[..], &[0; 700]].concat())
    })?;
    broken(&pair.server)?;
    let forged = volley(Side::Client, Stage::PostData, IPS, 2);
    let mut resets: Vec<Reset> = forged.into_iter().map(Reset::refuted).collect();
    scene.await_resets(&pair.truth("", resets.clone()))?;
    late(&pair, Side::Client, &[0x55; 1200])?;
    // The client saw none of those.
    resets.push(Reset::by(Sender::Server, Stage::PostData, AFTER_RESET));
    Ok(pair.truth("first the server, then the client got ECONNRESET", resets))
}

fn suricata_imap_login(scene: &Scene<'_>) -> Result<GroundTruth> {
    let suricata = |heard: &Heard| {
        let (by, window) = (&heard.trigger, heard.trigger.window);
        let [there, back] = [heard.to_server(RST | ACK), heard.to_client(RST | ACK)];
        let ours = |plain| Forgery { window, ttl: 64, ip_id: 0, ..plain };
        let there = ours(Forgery { seq: by.seq, ack: by.ack, ..there });
        vec![there, ours(Forgery { seq: by.ack, ack: by.next_seq(), ..back })]
    };
    let pair = scene.pair()?;
    talk(&pair, &[(Side::Server, b"* OK IMAP4rev1 ready\r\n")])?;
    watched(scene, &pair.connection, Trigger::Request(b"LOGIN root"), suricata, || {
        shout(&pair, Side::Client, b"a1 LOGIN root 123456\r\n")
    })?;
    broken(&pair.client)?;
    let to_server = forged(Side::Client, Stage::PostData, IPS).with_effect(Effect::Ignored);
    let to_client = forged(Side::Server, Stage::PostData, IPS).refuted();
    late(&pair, Side::Server, b"a1 NO LOGIN failed\r\n")?;
    let resets = vec![to_client, to_server, answer_of_the_dead()];
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}
