//! Packet filters, on a host or on the way, by what they look at: a port, a payload, the state of
//! a connection, or how many there are.

use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::errno::Errno;
use nix::sys::socket::SockProtocol;
use rst_tracer::demo::netlink::{Message, Netlink};
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::nft::{Hook, Only, Port, Verdict};
use rst_tracer::demo::scenarios::{
    ANSWER, Listed, Pair, REQUEST, Scene, answer_of_the_dead, settle,
};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Maker, Reset, Sender, Side, Stage};

use super::options;

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "reject_server_syn_marked",
        "Refused by the server's firewall, marked segments",
        "The client's SYN has a type of service of its own; the server's firewall rejects it.",
        |scene| refused(scene, &scene.lab.server, Hook::Input, HOST, Sender::Server),
    ),
    Listed::new(
        "reject_router_syn_marked",
        "Refused by a firewall on the way, marked segments",
        "The client's SYN has a type of service of its own; the router's firewall rejects it.",
        |scene| refused(scene, &scene.lab.router, Hook::Forward, NETWORK, FOR_SERVER),
    ),
    Listed::new(
        "reject_server_payload",
        "The server's firewall dislikes a request",
        "The server's firewall rejects segments that begin with a certain request; the server \
         itself is not told.",
        |scene| {
            let reset = Reset::by(Sender::Server, Stage::PostData, HOST);
            payload_rejected(scene, &scene.lab.server, Hook::Input, reset)
        },
    ),
    Listed::new(
        "reject_router_payload",
        "A firewall on the way dislikes a request",
        "The router's firewall rejects segments that begin with a certain request; the server is \
         not told.",
        |scene| {
            // It is a packet filter that looks into the data.
            let reset = Reset::by(FOR_SERVER, Stage::PostData, ("policy_enforcement", "dpi_block"));
            let reset = reset.or_as_truly(&["network_firewall_reject"]);
            payload_rejected(scene, &scene.lab.router, Hook::Forward, reset)
        },
    ),
    Listed::new(
        "reject_client_input",
        "Cut off by the client's firewall",
        "The client's own firewall begins to reject what the server sends; later the client's \
         socket, which was not told, sends again.",
        |scene| {
            let reset = Reset::by(Sender::Client, Stage::PostData, HOST);
            answer_rejected(scene, &scene.lab.client, Hook::Input, reset)
        },
    ),
    Listed::new(
        "reject_router_answer",
        "An answer cut off on the way",
        "The router's firewall begins to reject what the server sends; later the client, which \
         was not told, sends again.",
        |scene| {
            let sender = Sender::RouterOnBehalfOf(Side::Client);
            let reset = Reset::by(sender, Stage::PostData, NETWORK);
            answer_rejected(scene, &scene.lab.router, Hook::Forward, reset)
        },
    ),
    Listed::new(
        "conntrack_entry_deleted",
        "A stateful firewall loses a connection",
        "The router tracks connections and rejects what it cannot place; its table is flushed \
         while a connection is in use.",
        conntrack_entry_deleted,
    )
    .slow(),
    Listed::new(
        "conntrack_idle_expiry",
        "A stateful firewall forgets an idle connection",
        "The router tracks connections, forgets them after two seconds of silence and rejects \
         what it cannot place; the client is silent for four seconds, then sends.",
        conntrack_idle_expiry,
    )
    .slow(),
    Listed::new(
        "connection_limit",
        "No room for another connection",
        "The router's firewall lets two connections to the service through and rejects the third.",
        connection_limit,
    ),
];

const HOST: (&str, &str) = ("policy_enforcement", "host_firewall_reject");
const NETWORK: (&str, &str) = ("policy_enforcement", "network_firewall_reject");
const FOR_SERVER: Sender = Sender::RouterOnBehalfOf(Side::Server);

fn refused(
    scene: &Scene<'_>,
    at: &Netns,
    hook: Hook,
    cause: (&'static str, &'static str),
    sender: Sender,
) -> Result<GroundTruth> {
    let _listener = scene.listen(1)?;
    let _rule = scene.reject(at, hook)?;
    let (socket, client) = scene.bound()?;
    options::mark(&socket, scene.family, 0x48)?;
    expect_refusal(scene, &socket)?;
    let reset = Reset::by(sender, Stage::PostSyn, cause).made_by(Maker::Netfilter);
    let connection = Connection::between(client, scene.server);
    let connections = vec![Connection { resets: vec![reset], ..connection }];
    Ok(GroundTruth { connections, done: "connect returned ECONNREFUSED" })
}

fn expect_refusal(scene: &Scene<'_>, socket: &std::os::fd::OwnedFd) -> Result<()> {
    match scene.lab.client.run(|| Ok(sockets::connect(socket, scene.server)))? {
        Err(Errno::ECONNREFUSED) => Ok(()),
        other => bail!("connect was to fail with ECONNREFUSED, got {other:?}"),
    }
}

fn payload_rejected(
    scene: &Scene<'_>,
    at: &Netns,
    hook: Hook,
    reset: Reset,
) -> Result<GroundTruth> {
    const DISLIKED: &[u8] = b"GET /forbidden HTTP/1.1\r\nHost: server.lab\r\n\r\n";
    let port = Port::To(scene.server.port());
    let which = [(port, Only::Payload(b"GET /forbidden"))];
    let _rule = scene.rules(at, hook, &which, Verdict::Reject)?;
    let pair = scene.busy_pair()?;
    pair.settle()?;
    scene.lab.client.run(|| sockets::say(&pair.client, DISLIKED))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    pair.speak_to_the_dead()?;
    let resets = vec![by_filter(reset), answer_of_the_dead()];
    Ok(pair.truth("first the client, then the server got ECONNRESET", resets))
}

/// A filter's reset that the side it speaks for will refute.
fn by_filter(reset: Reset) -> Reset {
    reset.made_by(Maker::Netfilter).refuted()
}

fn answer_rejected(scene: &Scene<'_>, at: &Netns, hook: Hook, reset: Reset) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    let from_server = [(Port::From(scene.server.port()), Only::Any)];
    let rule = scene.rules(at, hook, &from_server, Verdict::Reject)?;
    scene.lab.server.run(|| sockets::say(&pair.server, ANSWER))?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    drop(rule);
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    // The client never saw the first reset, so that to it the connection was in use.
    let stage = if reset.sender == Sender::Client { Stage::Closed } else { Stage::PostData };
    let second = Reset::by(Sender::Server, stage, ("protocol_state", "segment_after_reset"));
    let resets = vec![by_filter(reset), second];
    Ok(pair.truth("first the server, then the client got ECONNRESET", resets))
}

/// A router that tracks connections and rejects what belongs to none that it knows.
pub(super) fn behind_conntrack<T>(
    scene: &Scene<'_>,
    idle_s: &str,
    play: impl FnOnce(Pair<'_>) -> Result<T>,
) -> Result<T> {
    let port = scene.server.port();
    let both = [(Port::To(port), Only::Unplaced), (Port::From(port), Only::Unplaced)];
    // The rule comes first: it makes the namespace track connections, and the settings appear.
    let _rule = scene.rules(&scene.lab.router, Hook::Forward, &both, Verdict::Reject)?;
    let _settings = scene.lab.set_for_now(
        &scene.lab.router,
        &[
            // A connection that is not known from its SYN is none.
            ("net/netfilter/nf_conntrack_tcp_loose", "0"),
            ("net/netfilter/nf_conntrack_tcp_timeout_established", idle_s),
        ],
    )?;
    let pair = scene.busy_pair()?;
    pair.settle()?;
    play(pair)
}

fn conntrack_entry_deleted(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = behind_conntrack(scene, "600", |pair| {
        flush(&scene.lab.router)?;
        scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
        sockets::await_error(&pair.client, Errno::ECONNRESET)?;
        Ok(PairLeft { connection: pair.connection, server: pair.server })
    })?;
    let reset = Reset::by(FOR_SERVER, Stage::PostData, NETWORK);
    forgotten(scene, pair, reset)
}

fn conntrack_idle_expiry(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = behind_conntrack(scene, "2", |pair| {
        thread::sleep(Duration::from_secs(4));
        scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
        sockets::await_error(&pair.client, Errno::ECONNRESET)?;
        Ok(PairLeft { connection: pair.connection, server: pair.server })
    })?;
    let cause = ("traffic_management", "idle_timeout_middlebox");
    // A rule of the firewall rejects, because the firewall forgot.
    let reset = Reset::by(FOR_SERVER, Stage::PostData, cause);
    forgotten(scene, pair, reset.or_as_truly(&["network_firewall_reject"]))
}

/// What is left of a pair whose client has been told that it is over.
struct PairLeft {
    connection: Connection,
    server: std::net::TcpStream,
}

/// The server, which was not told, speaks to a client that is gone.
fn forgotten(scene: &Scene<'_>, left: PairLeft, reset: Reset) -> Result<GroundTruth> {
    scene.lab.server.run(|| sockets::say(&left.server, ANSWER))?;
    sockets::await_error(&left.server, Errno::ECONNRESET)?;
    let resets = vec![by_filter(reset), answer_of_the_dead()];
    let connections = vec![Connection { resets, ..left.connection }];
    let done = "first the client, then the server got ECONNRESET";
    Ok(GroundTruth { connections, done })
}

/// Makes a host forget all connections that it tracks.
pub(super) fn flush(host: &Netns) -> Result<()> {
    // IPCTNL_MSG_CT_DELETE of linux/netfilter/nfnetlink_conntrack.h; without a tuple it is all.
    let delete = (libc::NFNL_SUBSYS_CTNETLINK as u16) << 8 | 2;
    let request = Message::new("forget tracked connections", delete, 0, &[0; 4]);
    host.run(|| Netlink::open(SockProtocol::NetlinkNetFilter)?.ask(request))
}

fn connection_limit(scene: &Scene<'_>) -> Result<GroundTruth> {
    // Connections are counted as long as they are tracked: nobody may flush the table meanwhile.
    let _turn = scene.lab.set_for_now(&scene.lab.router, &[])?;
    let port = Port::To(scene.server.port());
    let beyond = [(port, Only::BeyondCount(2))];
    let rule = scene.rules(&scene.lab.router, Hook::Forward, &beyond, Verdict::Reject)?;
    let listener = scene.listen(8)?;
    let pairs = [scene.pair_at(&listener)?, scene.pair_at(&listener)?];
    let (socket, client) = scene.bound()?;
    expect_refusal(scene, &socket)?;
    drop(rule);
    // The filter rejects because it has no room for another connection.
    let cause = ("resource_limitation", "middlebox_table_full");
    let reset = Reset::by(FOR_SERVER, Stage::PostSyn, cause).made_by(Maker::Netfilter);
    let reset = reset.or_as_truly(&["network_firewall_reject"]);
    let connection = Connection::between(client, scene.server);
    let mut connections = vec![Connection { resets: vec![reset], ..connection }];
    for pair in pairs {
        settle(scene.lab, &pair.connection)?;
        connections.push(pair.connection.clone());
        pair.part()?;
    }
    Ok(GroundTruth { connections, done: "the third connect returned ECONNREFUSED" })
}
