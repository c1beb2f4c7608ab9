//! Injectors on the way, each with a manner of its own, after those that Weaver, Sommer and Paxson
//! found (NDSS 2009), and a box that reads certificates.
//!
//! All are test tools of our own that write into the laboratory's links only.

use anyhow::Result;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST};
use rst_tracer::demo::scenarios::{Listed, Pair, Scene, answer_of_the_dead};
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Side, Stage};

use super::super::injected::recipes::noise;
use super::super::injected::watcher::{Heard, Recipe, Trigger, heard_at_rest, shoot, watched};
use super::super::injected::{forged, volley};
use super::super::second_exam::filter::{AFTER_RESET, Cause, broken, late, shout, talk};
use super::super::third_exam::common::hello;

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "nobody_is_home",
        "A reset with a sentence in it",
        "A box on the way resets the client over a request, and writes into the reset that nobody \
         is home; later the server answers.",
        nobody_is_home,
    ),
    Listed::new(
        "one_ip_id_for_all",
        "The same IP ID for all resets",
        "A traffic shaper on the way reads a handshake of a file sharer and resets both sides, \
         twice each, always with the same IP ID.",
        one_ip_id_for_all,
    ),
    Listed::new(
        "ip_id_counted_back",
        "An IP ID counted back, in the middle of an upload",
        "A box on the way reads a word in an upload and resets the server, with an IP ID that is \
         26 less than that of what it read; the client goes on uploading.",
        ip_id_counted_back,
    ),
    Listed::new(
        "reset_with_congestion_bits",
        "A reset that speaks of congestion",
        "A box on the way resets the client over a request; the reset has the two bits of explicit \
         congestion notification set. Later the server hangs up.",
        reset_with_congestion_bits,
    ),
    Listed::new(
        "certificate_read",
        "A certificate that a box dislikes",
        "A box on the way reads the name in a server's certificate and resets both sides, with the \
         TTL of who seems to send it.",
        certificate_read,
    ),
    Listed::new(
        "late_verdict_on_mail",
        "A verdict on a mail that is on its way",
        "A box on the way has read the third part of a mail and resets both sides, the client with \
         a number that its next part has overtaken; the server believes it.",
        late_verdict_on_mail,
    ),
];

const INJECTED: Cause = ("security_measure", "injected_reset");

/// The client says `asked`, is reset `count` times and believes it; then the server says `later`.
fn client_told<'a>(
    scene: &Scene<'a>,
    asked: &'static [u8],
    recipe: Recipe,
    later: &[u8],
) -> Result<(Pair<'a>, Vec<Reset>)> {
    let pair = scene.pair()?;
    pair.settle()?;
    watched(scene, &pair.connection, Trigger::Request(asked), recipe, || {
        shout(&pair, Side::Client, asked)
    })?;
    broken(&pair.client)?;
    let resets = vec![forged(Side::Server, Stage::PostPush, INJECTED).refuted()];
    scene.await_resets(&pair.truth("", resets.clone()))?;
    late(&pair, Side::Server, later)?;
    Ok((pair, [resets, vec![answer_of_the_dead()]].concat()))
}

fn nobody_is_home(scene: &Scene<'_>) -> Result<GroundTruth> {
    let sentence = |heard: &Heard| {
        let payload = b"Go Away, We're Not Home".to_vec();
        let plain = heard.to_client(RST | ACK);
        vec![Forgery { payload, window: 512, ttl: 54, ip_id: noise(heard), ..plain }]
    };
    let (pair, resets) =
        client_told(scene, b"GET /home HTTP/1.1\r\n\r\n", sentence, b"HTTP/1.1 404 -\r\n\r\n")?;
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}

fn one_ip_id_for_all(scene: &Scene<'_>) -> Result<GroundTruth> {
    const HANDSHAKE: &[u8] = b"\xe3\x3d\0\0\0\x01\x10lab hash of a file sharer";
    let constant = |heard: &Heard| {
        let both = [heard.to_client(RST | ACK), heard.to_server(RST | ACK)];
        let ours = both.map(|plain| Forgery { ip_id: 16_448, ttl: 126, window: 0, ..plain });
        // Each side again, when the other has had its own.
        [&ours[..], &ours[..]].concat()
    };
    let pair = scene.busy_pair()?;
    pair.settle()?;
    watched(scene, &pair.connection, Trigger::Request(HANDSHAKE), constant, || {
        shout(&pair, Side::Client, HANDSHAKE)
    })?;
    broken(&pair.client)?;
    broken(&pair.server)?;
    let mut resets = volley(Side::Server, Stage::PostData, INJECTED, 2);
    resets.extend(volley(Side::Client, Stage::PostData, INJECTED, 2));
    Ok(pair.truth("both got ECONNRESET", resets))
}

fn ip_id_counted_back(scene: &Scene<'_>) -> Result<GroundTruth> {
    const WORD: &[u8] = b"part 3: the word";
    let back = |heard: &Heard| {
        let ip_id = heard.trigger.ip_id.unwrap_or_default().wrapping_sub(26);
        vec![Forgery { ip_id, ttl: 47, window: 65_535, ..heard.to_server(RST) }]
    };
    let pair = scene.pair()?;
    talk(&pair, &[(Side::Client, b"part 1: nothing"), (Side::Client, b"part 2: nothing")])?;
    watched(scene, &pair.connection, Trigger::Request(WORD), back, || {
        shout(&pair, Side::Client, WORD)
    })?;
    broken(&pair.server)?;
    late(&pair, Side::Client, b"part 4: nothing")?;
    let first = forged(Side::Client, Stage::PostData, INJECTED).refuted();
    // The client saw none of that.
    let second = Reset::by(Sender::Server, Stage::PostData, AFTER_RESET);
    Ok(pair.truth("first the server, then the client got ECONNRESET", vec![first, second]))
}

fn reset_with_congestion_bits(scene: &Scene<'_>) -> Result<GroundTruth> {
    // ECE and CWR (RFC 3168, 6.1).
    const CONGESTION: u8 = 0xc0;
    let bits = |heard: &Heard| {
        let plain = heard.to_client(RST | ACK | CONGESTION);
        vec![Forgery { ip_id: noise(heard), ttl: 115, window: 8760, ..plain }]
    };
    let asked = b"\x04\x01\0\x50\x0a\x02\0\x02proxied\0";
    let (pair, resets) = client_told(scene, asked, bits, b"\0\x5a\0\0\0\0\0\0")?;
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}

fn certificate_read(scene: &Scene<'_>) -> Result<GroundTruth> {
    let certificate =
        [&b"\x16\x03\x03\x04\x00\x0b\x00\x03\xfc\x30\x82"[..], &[0x5c; 1018]].concat();
    let pair = scene.pair()?;
    talk(
        &pair,
        &[
            (Side::Client, &hello(b"mirror.example")),
            (Side::Server, b"\x16\x03\x03\x00\x0a\x02\x00\x00\x06\x03\x03fghi"),
            (Side::Server, &certificate),
        ],
    )?;
    let heard = heard_at_rest(scene.lab, &pair.connection)?;
    let ours = |plain, ttl| Forgery { ttl, ip_id: noise(&heard), window: 0, ..plain };
    let both = [
        ours(heard.to_client(RST | ACK), heard.server.ttl),
        ours(heard.to_server(RST | ACK), heard.client.ttl),
    ];
    shoot(scene.lab, &pair.connection, &both)?;
    broken(&pair.client)?;
    broken(&pair.server)?;
    let resets = [Side::Server, Side::Client]
        .map(|side| forged(side, Stage::PostData, INJECTED).or_as_truly(&["dpi_block"]));
    Ok(pair.truth("both got ECONNRESET", resets.into()))
}

fn late_verdict_on_mail(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    talk(
        &pair,
        &[(Side::Server, b"220 mx.lab ESMTP\r\n"), (Side::Client, b"MAIL FROM:<a@lab>\r\n")],
    )?;
    talk(&pair, &[(Side::Server, b"250 OK\r\n"), (Side::Client, b"RCPT TO:<b@lab>\r\n")])?;
    let heard = heard_at_rest(scene.lab, &pair.connection)?;
    talk(&pair, &[(Side::Server, b"250 OK\r\n"), (Side::Client, b"DATA\r\n")])?;
    let now = heard_at_rest(scene.lab, &pair.connection)?;
    let ours = |plain| Forgery { ttl: 60, ip_id: noise(&heard), dont_fragment: true, ..plain };
    // What it says to the client is from before; what it says to the server is from now.
    let both = [ours(heard.to_client(RST | ACK)), ours(now.to_server(RST | ACK))];
    shoot(scene.lab, &pair.connection, &both)?;
    broken(&pair.server)?;
    let stale = forged(Side::Server, Stage::PostData, INJECTED);
    let stale = stale.with_effect(rst_tracer::demo::truth::Effect::Ignored);
    let exact = forged(Side::Client, Stage::PostData, INJECTED).refuted();
    scene.await_resets(&pair.truth("", vec![stale, exact]))?;
    late(&pair, Side::Client, b"Subject: hello\r\n")?;
    let after = Reset::by(Sender::Server, Stage::Closed, AFTER_RESET);
    let done = "first the server, then the client got ECONNRESET";
    Ok(pair.truth(done, vec![stale, exact, after]))
}
