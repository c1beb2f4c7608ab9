//! iptables as the firewall, on the server or on the way, and a router that translates addresses.

use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::errno::Errno;
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::scenarios::{ANSWER, Listed, Scene, answer_of_the_dead, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, Family, GroundTruth, Maker, Reset, Sender, Side, Stage};
use rst_tracer::exit::{Code, Failure};

use super::program::{command, run};
use super::truth;

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "iptables_input_reject",
        "iptables on the server rejects",
        "The server's iptables rejects what goes to the port (INPUT, --reject-with tcp-reset).",
        |scene| {
            let reset = Reset::by(Sender::Server, Stage::PostSyn, HOST);
            refused(scene, &scene.lab.server, "INPUT", "", reset)
        },
    )
    .needs(IPTABLES),
    Listed::new(
        "iptables_forward_reject",
        "iptables on the way rejects",
        "The router's iptables rejects what goes to the port (FORWARD, --reject-with tcp-reset).",
        |scene| {
            let reset = Reset::by(FOR_SERVER, Stage::PostSyn, NETWORK);
            refused(scene, &scene.lab.router, "FORWARD", "", reset)
        },
    )
    .needs(IPTABLES),
    Listed::new(
        "iptables_string_reject",
        "iptables on the way dislikes a word",
        "The router's iptables rejects segments with a certain word (string match); the server is \
         not told.",
        word_rejected,
    )
    .needs(IPTABLES),
    Listed::new(
        "iptables_connlimit_reject",
        "iptables on the server allows one connection at a time",
        "The server's iptables rejects the second connection of a client (connlimit).",
        second_rejected,
    )
    .needs(IPTABLES),
    Listed::new(
        "iptables_masquerade_expired",
        "A router forgets whose port it translated",
        "The router gives the client an address of its own (MASQUERADE) and forgets the connection \
         after a second of silence; then the server speaks to the router.",
        masquerade_expired,
    )
    .needs(IPTABLES)
    .only_over(&[Family::V4])
    .slow(),
];

const IPTABLES: &[&str] = &["iptables", "ip6tables"];
const HOST: (&str, &str) = ("policy_enforcement", "host_firewall_reject");
const NETWORK: (&str, &str) = ("policy_enforcement", "network_firewall_reject");
const FOR_SERVER: Sender = Sender::RouterOnBehalfOf(Side::Server);

/// A rule of iptables, in force until the value is dropped.
struct Rule<'a> {
    host: &'a Netns,
    family: Family,
    rule: String,
}

impl<'a> Rule<'a> {
    /// Appends a rule; it begins with the name of its chain.
    fn append(scene: &Scene<'_>, host: &'a Netns, table: &str, rule: &str) -> Result<Self> {
        let (chain, rest) = rule.split_once(' ').unwrap_or((rule, ""));
        let port = scene.server.port();
        let rule = format!("{chain} -p tcp --dport {port} {rest}");
        let new = Self { host, family: scene.family, rule: format!("{table} {rule}") };
        new.tell("-A").map_err(|error| {
            Failure::new(Code::UNAVAILABLE, format!("no rule of iptables like that: {error:#}"))
        })?;
        Ok(new)
    }

    fn tell(&self, verb: &str) -> Result<String> {
        let mut iptables = command(match self.family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        });
        let (table, rule) = self.rule.split_once(' ').unwrap_or(("filter", &self.rule));
        run(self.host, iptables.args(["-w", "-t", table, verb]).args(rule.split_whitespace()))
    }
}

impl Drop for Rule<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.tell("-D") {
            eprintln!("a rule of iptables stays: {error:#}");
        }
    }
}

/// Rejects at a chain, with a reset, what `matches` describes.
fn reject<'a>(scene: &Scene<'_>, host: &'a Netns, chain: &str, matches: &str) -> Result<Rule<'a>> {
    let rule = format!("{chain} {matches} -j REJECT --reject-with tcp-reset");
    Rule::append(scene, host, "filter", &rule)
}

fn refused(
    scene: &Scene<'_>,
    host: &Netns,
    chain: &str,
    matches: &str,
    reset: Reset,
) -> Result<GroundTruth> {
    let _listener = scene.listen(1)?;
    let _rule = reject(scene, host, chain, matches)?;
    Ok(truth(rejected(scene)?, reset.made_by(Maker::Netfilter), "connect returned ECONNREFUSED"))
}

/// A connection that the firewall refuses.
fn rejected(scene: &Scene<'_>) -> Result<Connection> {
    let (socket, client) = scene.bound()?;
    match scene.lab.client.run(|| Ok(sockets::connect(&socket, scene.server)))? {
        Err(Errno::ECONNREFUSED) => Ok(Connection::between(client, scene.server)),
        other => bail!("connect was to fail with ECONNREFUSED, got {other:?}"),
    }
}

fn word_rejected(scene: &Scene<'_>) -> Result<GroundTruth> {
    let matches = "-m string --algo bm --string forbidden";
    let _rule = reject(scene, &scene.lab.router, "FORWARD", matches)?;
    let pair = scene.busy_pair()?;
    pair.settle()?;
    scene.lab.client.run(|| sockets::say(&pair.client, b"GET /forbidden HTTP/1.1\r\n\r\n"))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    pair.speak_to_the_dead()?;
    // It is a packet filter that looks into the data.
    let reset = Reset::by(FOR_SERVER, Stage::PostData, ("policy_enforcement", "dpi_block"));
    let reset = reset.or_as_truly(&["network_firewall_reject"]);
    let resets = vec![reset.made_by(Maker::Netfilter).refuted(), answer_of_the_dead()];
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}

fn second_rejected(scene: &Scene<'_>) -> Result<GroundTruth> {
    let one = "--syn -m connlimit --connlimit-above 1";
    let rule = reject(scene, &scene.lab.server, "INPUT", one)?;
    let listener = scene.listen(8)?;
    let first = scene.pair_at(&listener)?;
    let second = rejected(scene)?;
    drop(rule);
    let reset = Reset::by(Sender::Server, Stage::PostSyn, HOST).made_by(Maker::Netfilter);
    let mut truth = truth(second, reset, "the second connect returned ECONNREFUSED");
    settle(scene.lab, &first.connection)?;
    truth.connections.push(first.connection.clone());
    first.part()?;
    Ok(truth)
}

fn masquerade_expired(scene: &Scene<'_>) -> Result<GroundTruth> {
    let router = &scene.lab.router;
    // The rule comes first: it makes the namespace track connections, and the setting appears.
    let _rule = Rule::append(scene, router, "nat", "POSTROUTING -j MASQUERADE")?;
    let short = [("net/netfilter/nf_conntrack_tcp_timeout_established", "1")];
    let _setting = scene.lab.set_for_now(router, &short)?;
    let pair = scene.pair()?;
    pair.exchange()?;
    // To the server, the router is the client.
    let translated = Connection::between(pair.server.peer_addr()?, scene.server);
    thread::sleep(Duration::from_millis(2500));
    scene.lab.server.run(|| sockets::say(&pair.server, ANSWER))?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    // What the router forgot, its TCP never knew.
    let cause = ("traffic_management", "idle_timeout_middlebox");
    let reset = Reset::by(Sender::RouterOnBehalfOf(Side::Client), Stage::PostData, cause);
    let reset = reset.or_as_truly(&["half_open_stale_state"]);
    let mut truth = truth(translated, reset, "the server got ECONNRESET");
    truth.connections.push(pair.connection.clone());
    // A FIN would be translated anew, and answered with another reset.
    scene.lab.client.run(|| sockets::vanish(pair.client))?;
    Ok(truth)
}
