//! Boxes on the way that dislike what they read or whom they see, and censors.
//!
//! All are test tools of our own that write into the laboratory's links only.

use std::thread;

use anyhow::{Result, bail};
use nix::errno::Errno;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST};
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{ANSWER, Listed, Scene, answer_of_the_dead};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, Effect, GroundTruth, Reset, Sender, Side, Stage};

use super::super::closing::{spoken_tls, tls};
use super::super::injected::recipes::noise;
use super::super::injected::watcher::{Heard, Trigger, heard_at_rest, shoot, watched};
use super::super::injected::{forged, volley};
use super::super::second_exam::filter::{AFTER_RESET, Cause, broken, late, only, shout, talk};
use super::common::{await_challenge, hello, ms, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "name_read_one_bare",
        "A name in a hello, one bare reset",
        "A censor on the way reads the name of a server in a TLS hello and resets the client once, \
         with the server's TTL; the server, which was not told, answers with its own hello.",
        name_read_one_bare,
    ),
    Listed::new(
        "name_read_stairs_to_server",
        "A name in a hello, stairs of resets to the server",
        "A censor on the way reads a name in a TLS hello and resets the server five times, each \
         1448 further on; the client, which was not told, goes on.",
        name_read_stairs_to_server,
    ),
    Listed::new(
        "syn_answered_from_afar",
        "A SYN answered by somebody else",
        "A censor on the way answers the SYN with one reset that has a sequence number of its own; \
         the server's SYN-ACK comes later.",
        syn_answered_from_afar,
    )
    .slow(),
    Listed::new(
        "download_cut_thrice",
        "A download cut off, said three times",
        "After 200 kB a box on the way resets the client three times, 15 ms apart and all alike; \
         the server goes on with the file.",
        download_cut_thrice,
    ),
    Listed::new(
        "aims_until_it_fits",
        "A box that aims until it hits",
        "A box on the way resets the client three times, with numbers that are too low, too high \
         and right, while the two go on talking.",
        aims_until_it_fits,
    ),
    Listed::new(
        "farewell_forestalled",
        "Reset while it waits for the answer",
        "The client has asked and closed its direction; a box on the way resets it in the server's \
         name, then the server answers.",
        farewell_forestalled,
    ),
    Listed::new(
        "third_record_is_too_much",
        "Cut off at the third record",
        "A box on the way ends two TLS sessions at the third record after the handshake: one reset \
         to each side, with the same IP ID each time and the TTL of who seems to send it.",
        third_record_is_too_much,
    ),
    Listed::new(
        "quiet_call_cut_at_server",
        "A quiet call cut off at the server",
        "The client has connected and says nothing; 600 ms later a box on the way resets the \
         server in its name. Then the client asks.",
        quiet_call_cut_at_server,
    ),
];

const INJECTED: Cause = ("security_measure", "injected_reset");
const NAME: &[u8] = b"forbidden.example";

fn name_read_one_bare(scene: &Scene<'_>) -> Result<GroundTruth> {
    let one = |heard: &Heard| {
        let ttl = heard.server.ttl;
        let flow_label = heard.server.flow_label.unwrap_or_default();
        let plain = heard.to_client(RST);
        vec![Forgery { ack: 0, ttl, ip_id: 0, dont_fragment: true, flow_label, ..plain }]
    };
    let pair = scene.pair()?;
    pair.settle()?;
    watched(scene, &pair.connection, Trigger::Request(NAME), one, || {
        shout(&pair, Side::Client, &hello(NAME))
    })?;
    broken(&pair.client)?;
    late(&pair, Side::Server, b"\x16\x03\x03\x00\x0a\x02\x00\x00\x06\x03\x03efgh")?;
    let first = forged(Side::Server, Stage::PostPush, INJECTED).or_as_truly(&["dpi_block"]);
    let resets = vec![first.refuted(), answer_of_the_dead()];
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}

fn name_read_stairs_to_server(scene: &Scene<'_>) -> Result<GroundTruth> {
    let stairs = |heard: &Heard| {
        let plain = Forgery { window: 16_000, ttl: 49, ..heard.to_server(RST | ACK) };
        let step = |n: u16| Forgery {
            seq: plain.seq.wrapping_add(u32::from(n) * 1448),
            ip_id: noise(heard).wrapping_mul(n + 1),
            ..plain.clone()
        };
        (0..5).map(step).collect()
    };
    let pair = scene.pair()?;
    pair.settle()?;
    watched(scene, &pair.connection, Trigger::Request(NAME), stairs, || {
        shout(&pair, Side::Client, &hello(NAME))
    })?;
    broken(&pair.server)?;
    let forged = volley(Side::Client, Stage::PostPush, INJECTED, 5);
    let blocked = forged.into_iter().map(|one| one.or_as_truly(&["dpi_block"]).refuted());
    let mut resets: Vec<Reset> = blocked.collect();
    scene.await_resets(&pair.truth("", resets.clone()))?;
    late(&pair, Side::Client, b"\x14\x03\x03\x00\x01\x01")?;
    // The client saw none of those.
    resets.push(Reset::by(Sender::Server, Stage::PostData, AFTER_RESET));
    Ok(pair.truth("first the server, then the client got ECONNRESET", resets))
}

fn syn_answered_from_afar(scene: &Scene<'_>) -> Result<GroundTruth> {
    let one = |heard: &Heard| {
        let plain = heard.to_client(RST | ACK);
        let seq = heard.trigger.seq.rotate_left(9) | 1;
        vec![Forgery { seq, window: 0, ttl: 47, ip_id: noise(heard), ..plain }]
    };
    let _listener = scene.listen(8)?;
    let held = scene.lose(&[(Port::From(scene.server.port()), Only::WithSyn)])?;
    let (socket, client) = scene.bound()?;
    let connection = Connection::between(client, scene.server);
    watched(scene, &connection, Trigger::Syn, one, || {
        match scene.lab.client.run(|| Ok(sockets::connect(&socket, scene.server)))? {
            Err(Errno::ECONNREFUSED) => Ok(()),
            other => bail!("connect was to fail with ECONNREFUSED, got {other:?}"),
        }
    })?;
    // The server repeats its SYN-ACK after a second, and now it gets through.
    drop(held);
    let first = forged(Side::Server, Stage::PostSyn, INJECTED).refuted();
    let done = "connect returned ECONNREFUSED; the client reset the server's SYN-ACK";
    let truth = only(connection, vec![first, answer_of_the_dead()], done);
    scene.await_resets(&truth)?;
    Ok(truth)
}

fn download_cut_thrice(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    pair.request()?;
    for part in [[b'a'; 50_000], [b'b'; 50_000], [b'c'; 50_000], [b'd'; 50_000]] {
        talk(&pair, &[(Side::Server, &part)])?;
    }
    let heard = heard_at_rest(scene.lab, &pair.connection)?;
    let bare = Forgery { ack: 0, window: 0, ttl: 63, ip_id: 0x7a11, ..heard.to_client(RST) };
    for _ in 0..3 {
        shoot(scene.lab, &pair.connection, std::slice::from_ref(&bare))?;
        thread::sleep(ms(15));
    }
    broken(&pair.client)?;
    let forged = volley(Side::Server, Stage::PostData, INJECTED, 3);
    let mut resets: Vec<Reset> = forged.into_iter().map(Reset::refuted).collect();
    scene.await_resets(&pair.truth("", resets.clone()))?;
    late(&pair, Side::Server, &[b'e'; 1400])?;
    resets.push(answer_of_the_dead());
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}

fn aims_until_it_fits(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let resets = |count: usize| -> Vec<Reset> {
        // That it was not exact makes it an attempt; what was meant was to inject a reset.
        let missed = |effect| {
            let cause = ("security_measure", "blind_reset_attempt");
            let reset = forged(Side::Server, Stage::PostData, cause).with_effect(effect);
            reset.or_as_truly(&["injected_reset"])
        };
        let mut all = vec![missed(Effect::Ignored), missed(Effect::Challenged)];
        all.push(forged(Side::Server, Stage::Closed, INJECTED));
        all[1].stage = Stage::Closed;
        all.into_iter().take(count).map(Reset::refuted).collect()
    };
    let aim = |beyond: u32| {
        pair.settle()?;
        let heard = heard_at_rest(scene.lab, &pair.connection)?;
        let plain = Forgery { ttl: 62, window: 229, ip_id: noise(&heard), ..heard.to_client(RST) };
        let seq = plain.seq.wrapping_add(beyond);
        shoot(scene.lab, &pair.connection, &[Forgery { seq, ..plain }])
    };
    aim(0_u32.wrapping_sub(ANSWER.len() as u32))?;
    scene.await_resets(&pair.truth("", resets(1)))?;
    pair.exchange()?;
    aim(600)?;
    await_challenge(scene, &pair.connection, 2)?;
    pair.exchange()?;
    aim(0)?;
    broken(&pair.client)?;
    pair.speak_to_the_dead()?;
    let mut all = resets(3);
    all.push(answer_of_the_dead());
    Ok(pair.truth("first the client, then the server got ECONNRESET", all))
}

fn farewell_forestalled(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    pair.request()?;
    pair.client.shutdown(std::net::Shutdown::Write)?;
    sockets::await_end(&pair.server)?;
    pair.settle()?;
    let heard = heard_at_rest(scene.lab, &pair.connection)?;
    let reset = Forgery { ttl: 117, window: 8192, ip_id: 0x0c0c, ..heard.to_client(RST | ACK) };
    shoot(scene.lab, &pair.connection, &[reset])?;
    broken(&pair.client)?;
    shout(&pair, Side::Server, ANSWER)?;
    sockets::await_error(&pair.server, Errno::EPIPE)?;
    let first = forged(Side::Server, Stage::PostFin, INJECTED).refuted();
    let done = "the client got ECONNRESET, then the server EPIPE";
    Ok(pair.truth(done, vec![first, answer_of_the_dead()]))
}

fn third_record_is_too_much(scene: &Scene<'_>) -> Result<GroundTruth> {
    let both = |heard: &Heard| {
        let [there, back] = [heard.to_server(RST | ACK), heard.to_client(RST | ACK)];
        let ours = |plain, ttl| Forgery { ttl, window: 0, ip_id: 0x4040, ..plain };
        vec![ours(back, heard.server.ttl), ours(there, heard.client.ttl)]
    };
    let mut connections = Vec::new();
    for _ in 0..2 {
        let pair = spoken_tls(scene)?;
        talk(&pair, &[(Side::Client, tls::DATA), (Side::Server, tls::DATA)])?;
        watched(scene, &pair.connection, Trigger::Request(b"the third"), both, || {
            shout(&pair, Side::Client, b"\x17\x03\x03\x00\x18the third of these words")
        })?;
        broken(&pair.client)?;
        broken(&pair.server)?;
        let resets = [Side::Server, Side::Client]
            .map(|side| forged(side, Stage::PostData, INJECTED).or_as_truly(&["dpi_block"]));
        connections.push(with(pair.connection, resets.into()));
    }
    Ok(GroundTruth { connections, done: "both sides of two connections got ECONNRESET" })
}

fn quiet_call_cut_at_server(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    pair.settle()?;
    thread::sleep(ms(600));
    let heard = heard_at_rest(scene.lab, &pair.connection)?;
    let reset =
        Forgery { window: 4096, ttl: 33, ip_id: noise(&heard), ..heard.to_server(RST | ACK) };
    shoot(scene.lab, &pair.connection, &[reset])?;
    broken(&pair.server)?;
    late(&pair, Side::Client, b"GET /now HTTP/1.1\r\nHost: server.lab\r\n\r\n")?;
    let first = forged(Side::Client, Stage::PostAck, INJECTED).refuted();
    // The client saw none of that.
    let second = Reset::by(Sender::Server, Stage::PostPush, AFTER_RESET);
    Ok(pair.truth("first the server, then the client got ECONNRESET", vec![first, second]))
}
