//! Packet filters and inspectors: who locks himself out, who comes from abroad, what guests may not speak.

use anyhow::Result;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, answer_of_the_dead, settle};
use rst_tracer::demo::truth::{GroundTruth, Sender, Side, Stage};

use super::super::fifth_exam::common::{Ruleset, in_brackets, lighttpd, nft_words};
use super::super::injected::forged;
use super::super::injected::recipes::noise;
use super::super::injected::watcher::{Heard, Trigger, watched};
use super::super::second_exam::filter::{
    Cause, NETWORK, Rule, broken, by_host, by_router, shout, talk,
};
use super::super::third_exam::common::{calls, calls_with, passed, with};
use super::common::{Session, curl, from};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "locked_out_by_his_own_rule",
        "Locked out by his own rule",
        "An administrator adds a rule to the server's iptables that rejects ssh, his own session \
         included; what he types next is rejected. The rule is taken back, and the session, which \
         knows nothing of it, says something.",
        locked_out_by_his_own_rule,
    )
    .needs(&["sshd", "ssh-keygen", "unshare", "ssh", "iptables", "ip6tables"])
    .slow(),
    Listed::new(
        "abroad_is_kept_out",
        "Abroad is kept out",
        "The router's nft rejects who calls from a set of networks; curl calls from one of them, \
         and again after a second (--retry); from elsewhere it is served.",
        abroad_is_kept_out,
    )
    .needs(&["nft", "curl", "lighttpd"])
    .slow(),
    Listed::new(
        "websocket_not_for_guests",
        "No WebSocket for guests",
        "A filter on the way reads that a guest wants to change over to WebSocket and resets both \
         sides, twice; a plain request over a third connection passes.",
        websocket_not_for_guests,
    ),
];

const DPI: Cause = ("policy_enforcement", "dpi_block");

fn locked_out_by_his_own_rule(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mut session = Session::open(scene)?;
    let matches = format!("--dport {}", scene.server.port());
    let rule = Rule::reject(scene, &scene.lab.server, "INPUT", &matches)?;
    session.ssh.tell(b"iptables -L -n\n")?;
    session.ssh.wait()?;
    drop(rule);
    session.speak()?;
    // A rule of the server's own rejected; the session's words show that its TCP did not.
    let first = by_host(Sender::Server, Stage::PostData).refuted();
    let connection = with(session.connection.clone(), vec![first, answer_of_the_dead()]);
    passed(scene, vec![connection], "ssh ended, and the session was reset, too")
}

fn abroad_is_kept_out(scene: &Scene<'_>) -> Result<GroundTruth> {
    let [protocol, kind] = nft_words(scene);
    let (abroad, at_home) = (from(scene), Place::Client.ip(scene.family));
    let others = match scene.family {
        rst_tracer::demo::truth::Family::V4 => "192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24",
        rst_tracer::demo::truth::Family::V6 => "2001:db8:1::/48, 2001:db8:7::/48",
    };
    let contents = format!(
        "set abroad {{ type {kind}; flags interval; elements = {{ {others}, {abroad} }} }}\n\
         chain forward {{ type filter hook forward priority 0;\n\
         tcp dport {} {protocol} saddr @abroad reject with tcp reset\n}}",
        scene.server.port()
    );
    let _rules = Ruleset::put(scene, &scene.lab.router, "inet", &contents)?;
    let _lighttpd = lighttpd(&scene.lab.server, scene.server, "")?;
    let url = format!("http://{}:{}/page", in_brackets(scene.server.ip()), scene.server.port());
    let again = ["--retry", "1", "--retry-connrefused"];
    curl(scene, abroad, &again, &url)?.wait()?;
    let reset = by_router(Side::Server, Stage::PostSyn, NETWORK);
    let mut connections = calls_with(scene, scene.server, 2, reset)?;
    curl(scene, at_home, &[], &url)?.wait()?;
    let served = calls(scene, scene.server, 3)?.swap_remove(2);
    settle(scene.lab, &served)?;
    connections.push(served);
    passed(scene, connections, "curl was refused twice and served once")
}

fn websocket_not_for_guests(scene: &Scene<'_>) -> Result<GroundTruth> {
    const UPGRADE: &[u8] = b"GET /live HTTP/1.1\r\nUpgrade: websocket\r\nHost: chat.lab\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let both = |heard: &Heard| {
        let server = Forgery { ttl: 61, ip_id: noise(heard), ..heard.to_client(RST | ACK) };
        let ip_id = noise(heard).wrapping_add(1);
        vec![server, Forgery { ttl: 61, ip_id, ..heard.to_server(RST | ACK) }]
    };
    let listener = scene.listen(8)?;
    let mut connections = Vec::new();
    for _ in 0..2 {
        let pair = scene.pair_at(&listener)?;
        pair.settle()?;
        watched(scene, &pair.connection, Trigger::Request(b"websocket"), both, || {
            shout(&pair, Side::Client, UPGRADE)
        })?;
        broken(&pair.client)?;
        broken(&pair.server)?;
        let blocked = |side| forged(side, Stage::PostPush, DPI).or_as_truly(&["injected_reset"]);
        connections.push(with(pair.connection, vec![blocked(Side::Server), blocked(Side::Client)]));
    }
    let pair = scene.pair_at(&listener)?;
    talk(&pair, &[(Side::Client, REQUEST), (Side::Server, b"HTTP/1.1 204 No Content\r\n\r\n")])?;
    connections.push(pair.connection.clone());
    pair.part()?;
    Ok(GroundTruth { connections, done: "both sides of two connections got ECONNRESET" })
}
