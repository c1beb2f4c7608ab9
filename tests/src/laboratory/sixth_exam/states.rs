//! A network that goes silent: who gives up, and what comes afterwards.

use anyhow::Result;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, settle};
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::fifth_exam::common::tell;
use super::super::second_exam::daemons::clients::hear_until;
use super::super::second_exam::filter::{Cause, broken, only};
use super::super::servers::haproxy::{self, HAPROXY};
use super::super::servers::nginx;
use super::super::servers::program::{Folder, has_socket};
use super::super::third_exam::common::{passed, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "haproxy_keeps_its_clients_alive",
        "HAProxy looks after a client out of reach",
        "HAProxy on the server has answered a client, whose segments are lost from then on; its \
         kernel gives the client up after two keepalive probes (clitcpka).",
        haproxy_keeps_its_clients_alive,
    )
    .needs(HAPROXY)
    .slow(),
    Listed::new(
        "nginx_hangs_up_in_a_blackout",
        "nginx hangs up during a blackout",
        "The network goes silent between two requests; nginx closes the idle connection \
         (keepalive_timeout), and its kernel, which nobody answers, gives up. Then the network is \
         back, and the client asks again.",
        nginx_hangs_up_in_a_blackout,
    )
    .needs(&["nginx"])
    .slow(),
];

const KEEPALIVE: Cause = ("protocol_state", "keepalive_timeout");
const LATE: Cause = ("protocol_state", "late_segment_after_timeout");

fn haproxy_keeps_its_clients_alive(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (host, listen) = (&scene.lab.server, scene.server);
    let section = format!(
        "frontend web\n bind {listen}\n mode http\n option clitcpka\n clitcpka-idle 1s\n \
         clitcpka-intvl 1s\n clitcpka-cnt 2\n timeout http-keep-alive 30s\n \
         http-request return status 200 content-type text/plain string hello\n"
    );
    let _haproxy = haproxy::start(host, Folder::new()?, listen, &section)?;
    let caller = scene.dial()?;
    tell(scene, &caller, REQUEST)?;
    hear_until(&caller.0, b"\r\n\r\nhello")?;
    settle(scene.lab, &caller.1)?;
    let _lost = scene.lose(&[(Port::To(listen.port()), Only::Any)])?;
    broken(&caller.0)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, KEEPALIVE);
    passed(scene, vec![with(caller.1, vec![reset])], "the client got ECONNRESET")
}

fn nginx_hangs_up_in_a_blackout(scene: &Scene<'_>) -> Result<GroundTruth> {
    let host = &scene.lab.server;
    let rules = "keepalive_timeout 1; default_type text/plain; return 200 welcome;";
    let _nginx = nginx::start_with(scene, 64, "", rules)?;
    let caller = scene.dial()?;
    tell(scene, &caller, REQUEST)?;
    hear_until(&caller.0, b"\r\n\r\nwelcome")?;
    settle(scene.lab, &caller.1)?;
    let silence = scene.silence()?;
    wait::until("nginx's host to give up", || Ok(!host.run(|| has_socket(&caller.1))?))?;
    drop(silence);
    scene.lab.client.run(|| sockets::say(&caller.0, REQUEST))?;
    broken(&caller.0)?;
    // Its FIN was lost on the way: nobody but its own host has seen it.
    let reset = Reset::by(Sender::Server, Stage::PostData, LATE);
    Ok(only(caller.1, vec![reset], "the client got ECONNRESET"))
}
