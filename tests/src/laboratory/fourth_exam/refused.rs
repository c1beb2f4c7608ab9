//! Calls that nobody takes: too early, at the wrong door, in somebody else's name.

use std::net::SocketAddr;
use std::thread;

use anyhow::{Context, Result};
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, SYN};
use rst_tracer::demo::nft::{Hook, Only, Port, Verdict};
use rst_tracer::demo::scenarios::{Listed, Pair, RAW_CLIENT_PORT, Scene};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};

use super::super::injected::stranger::Stranger;
use super::super::second_exam::filter::{Cause, by_host, port_after, refused};
use super::super::third_exam::common::{CLOSED, begin_call, ms, passed, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "herd_after_deployment",
        "A herd of callers, a moment too early",
        "Eight workers of the client call the service at once, before it listens; when it does, \
         one of them calls again and is served.",
        herd_after_deployment,
    ),
    Listed::new(
        "three_mirrors_three_fates",
        "Three mirrors, three fates",
        "The client tries three ports of a service in turn: nobody listens at the first, the \
         server's firewall rejects the second, the third serves it.",
        three_mirrors_three_fates,
    ),
    Listed::new(
        "carpet_of_syn_acks",
        "Answers from everywhere",
        "A stranger writes five SYN-ACKs in the server's name to five ports of the client, from \
         three ports, 25 ms apart; the client, which never called, resets each.",
        carpet_of_syn_acks,
    ),
];

const BACKSCATTER: Cause = ("security_measure", "backscatter");

fn herd_after_deployment(scene: &Scene<'_>) -> Result<GroundTruth> {
    const HERD: usize = 8;
    let calls = (0..HERD).map(|_| begin_call(scene, 0)).collect::<Result<Vec<_>>>()?;
    let reset = Reset::by(Sender::Server, Stage::PostSyn, CLOSED);
    let refused = calls.iter().map(|(_, call)| with(call.clone(), vec![reset])).collect();
    let mut truth = passed(scene, refused, "eight calls were refused, then one was served")?;
    let pair = scene.busy_pair()?;
    truth.connections.push(pair.connection.clone());
    pair.part()?;
    Ok(truth)
}

fn three_mirrors_three_fates(scene: &Scene<'_>) -> Result<GroundTruth> {
    let [nobody, walled, open] = [2, 1, 0].map(|number| port_after(scene, number));
    let listen = |at: SocketAddr| scene.lab.server.run(|| sockets::listen_on(at, 8));
    let (_walled, listener) = (listen(walled)?, listen(open)?);
    let which = [(Port::To(walled.port()), Only::WithSyn)];
    let _wall = scene.rules(&scene.lab.server, Hook::Input, &which, Verdict::Reject)?;
    let closed = Reset::by(Sender::Server, Stage::PostSyn, CLOSED);
    let mut connections = vec![refused(scene, nobody, closed)?];
    connections.push(refused(scene, walled, by_host(Sender::Server, Stage::PostSyn))?);
    let pair: Pair<'_> = scene.pair_at(&listener)?;
    pair.exchange()?;
    connections.push(pair.connection.clone());
    pair.part()?;
    Ok(GroundTruth { connections, done: "two calls returned ECONNREFUSED" })
}

fn carpet_of_syn_acks(scene: &Scene<'_>) -> Result<GroundTruth> {
    let stranger = Stranger::arrive(scene)?;
    let plain = scene.raw_from_client(SYN | ACK).context("looking at the link")?;
    let client = plain.src.ip();
    let mut connections = Vec::new();
    for n in 0..5_u16 {
        let (src, dst) = (port_after(scene, n % 3), RAW_CLIENT_PORT + 200 + 11 * n);
        let dst = SocketAddr::new(client, dst);
        let (seq, ack) = (0x77aa_0000 + u32::from(n) * 0x0011_0101, 0x1300_0000 - u32::from(n));
        let (options, ip_id) = (vec![2, 4, 5, 180], 0);
        let answer = Forgery {
            src,
            dst,
            seq,
            ack,
            options,
            ip_id,
            window: 29_200,
            ttl: 51,
            ..plain.clone()
        };
        stranger.send(&answer)?;
        // An answer to traffic that the client never sent, and to a segment of no connection.
        let reset = Reset::by(Sender::Client, Stage::PostSynack, BACKSCATTER);
        let resets = vec![reset.or_as_truly(&["stray_segment"])];
        connections.push(with(Connection::between(dst, src), resets));
        thread::sleep(ms(25));
    }
    passed(scene, connections, "the server's host saw five resets")
}
