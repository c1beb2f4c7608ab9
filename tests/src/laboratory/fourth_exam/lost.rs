//! Sides that are out of reach or have lost their memory, and paths that nobody has room for.

use std::net::SocketAddr;
use std::thread;

use anyhow::{Context, Result};
use nix::errno::Errno;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Hook, Only, Port, Verdict};
use rst_tracer::demo::scenarios::{ANSWER, Listed, Pair, Scene, settle};
use rst_tracer::demo::truth::{
    Connection, Effect, Family, GroundTruth, Reset, Sender, Side, Stage,
};
use rst_tracer::demo::{sockets, wait};

use super::super::first_exam::mptcp::refused_for_want_of_resources;
use super::super::options;
use super::super::second_exam::filter::{Cause, IPTABLES, Rule, broken, only, talk};
use super::super::servers::mptcp::{Paths, bound, connected_at, listen_for_paths};
use super::super::third_exam::common::{LINGER0, ms, passed, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "keepalive_is_told",
        "Keepalive that is told why",
        "The router's iptables begins to reject what the client sends with an ICMP message \
         (administratively prohibited); the client's keepalive gives up.",
        keepalive_is_told,
    )
    .needs(IPTABLES)
    .slow(),
    Listed::new(
        "three_mounts_after_a_crash",
        "Three mounts after one crash",
        "The client, which calls from three fixed ports, loses all of its state without a word and \
         calls again from all three within milliseconds.",
        three_mounts_after_a_crash,
    ),
    Listed::new(
        "subscribers_of_a_crashed_broker",
        "Subscribers of a broker that crashed",
        "The server loses four subscriptions without a word and listens; 900 ms later each of the \
         clients pings it, one after the other, and comes back.",
        subscribers_of_a_crashed_broker,
    )
    .slow(),
    Listed::new(
        "heartbeat_after_the_night",
        "A heartbeat after the night",
        "The network goes silent in the middle of a notice of the server's, whose TCP_USER_TIMEOUT \
         ends its side; then the network is back, and the client sends a heartbeat.",
        heartbeat_after_the_night,
    )
    .slow(),
    Listed::new(
        "asked_after_it_gave_up",
        "Asked after it gave up",
        "The network goes silent in the middle of an upload, and the client's TCP_USER_TIMEOUT ends \
         its side; then the network is back, and the server's keepalive asks after the client.",
        asked_after_it_gave_up,
    )
    .slow(),
    Listed::new(
        "second_path_without_room",
        "No room for a second path",
        "The client opens a second path for a connection of Multipath TCP; the server's side \
         answers it with a reset that says: lack of resources. The first path lives on.",
        second_path_without_room,
    )
    // As with other second paths: one list for both families.
    .alone()
    .needs(&["ip"]),
    Listed::new(
        "fast_open_and_short",
        "Opened fast, and cut short",
        "The client's SYN carries its request (TCP Fast Open); the server answers and, answered \
         itself, aborts with SO_LINGER 0.",
        fast_open_and_short,
    ),
];

const KEEPALIVE: Cause = ("protocol_state", "keepalive_timeout");
const DISCOVERED: Cause = ("protocol_state", "half_open_discovery");
const LATE: Cause = ("protocol_state", "late_segment_after_timeout");
const LOST: Cause = ("application_error", "half_open_stale_state");

fn keepalive_is_told(scene: &Scene<'_>) -> Result<GroundTruth> {
    let message = match scene.family {
        Family::V4 => "icmp-admin-prohibited",
        Family::V6 => "icmp6-adm-prohibited",
    };
    let pair = scene.busy_pair()?;
    pair.settle()?;
    let port = scene.server.port();
    let rule = format!("FORWARD -p tcp --dport {port} -j REJECT --reject-with {message}");
    let _wall = Rule::append(scene, &scene.lab.router, "filter", rule)?;
    scene.lab.client.run(|| sockets::keep_alive(&pair.client, 1, 2))?;
    // The reset is prohibited, too.
    let reset = Reset::by(Sender::Client, Stage::PostData, KEEPALIVE).with_effect(Effect::Lost);
    let truth = pair.truth("the client's reset reached the router", vec![reset]);
    scene.await_resets(&truth)?;
    sockets::vanish(pair.server)?;
    Ok(truth)
}

fn three_mounts_after_a_crash(scene: &Scene<'_>) -> Result<GroundTruth> {
    let lines: &[(Side, &[u8])] =
        &[(Side::Client, b"\x80\0\0\x20 lookup"), (Side::Server, b"\x80\0\0\x14 handle")];
    let listener = scene.listen(8)?;
    let (mut before, mut clients) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let pair = scene.pair_at(&listener)?;
        talk(&pair, lines)?;
        let Pair { connection, client, server, .. } = pair;
        before.push(server);
        clients.push((client, connection.client));
    }
    let addresses: Vec<SocketAddr> = clients.iter().map(|(_, address)| *address).collect();
    clients.into_iter().try_for_each(|(client, _)| sockets::vanish(client))?;
    let mut connections = Vec::new();
    for address in addresses {
        let socket = scene.lab.client.run(|| sockets::bound_to(address))?;
        // The kernel sends its SYN again as soon as it has sent the reset.
        let (client, connection) = scene.dial_from((socket, address))?;
        let server = scene.lab.server.run(|| sockets::accept(&listener))?;
        let pair = Pair { lab: scene.lab, connection, client, server };
        pair.exchange()?;
        let reset = Reset::by(Sender::Client, Stage::PostData, DISCOVERED);
        connections.push(with(pair.connection.clone(), vec![reset]));
        pair.part()?;
    }
    before.iter().try_for_each(broken)?;
    Ok(GroundTruth { connections, done: "three times the server got ECONNRESET" })
}

fn subscribers_of_a_crashed_broker(scene: &Scene<'_>) -> Result<GroundTruth> {
    const PING: &[u8] = b"\xc0\0";
    let lines: &[(Side, &[u8])] =
        &[(Side::Client, b"\x82\x09\0\x01\0\x04lab/\0"), (Side::Server, b"\x90\x03\0\x01\0")];
    let listener = scene.listen(8)?;
    let mut lost = Vec::new();
    for _ in 0..4 {
        let pair = scene.pair_at(&listener)?;
        talk(&pair, lines)?;
        sockets::vanish(pair.server)?;
        lost.push((pair.connection, pair.client));
    }
    thread::sleep(ms(900));
    let (mut connections, mut back) = (Vec::new(), Vec::new());
    for (connection, client) in lost {
        scene.lab.client.run(|| sockets::say(&client, PING))?;
        broken(&client)?;
        let reset = Reset::by(Sender::Server, Stage::PostData, LOST);
        connections.push(with(connection, vec![reset]));
        let pair = scene.pair_at(&listener)?;
        talk(&pair, lines)?;
        back.push(pair.connection.clone());
        pair.part()?;
    }
    connections.extend(back);
    Ok(GroundTruth { connections, done: "each client got ECONNRESET and came back" })
}

fn heartbeat_after_the_night(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    talk(&pair, &[(Side::Client, b"HELLO phone\n"), (Side::Server, b"HELLO\n")])?;
    options::give_up_after(&pair.server, ms(600))?;
    let night = scene.silence()?;
    scene.lab.server.run(|| sockets::say(&pair.server, b"NOTICE 1\n"))?;
    sockets::await_error(&pair.server, Errno::ETIMEDOUT)?;
    drop(night);
    thread::sleep(ms(200));
    let reset = Reset::by(Sender::Server, Stage::PostData, LATE);
    scene.lab.client.run(|| sockets::say(&pair.client, b"BEAT 1\n"))?;
    broken(&pair.client)?;
    Ok(pair.truth("the server got ETIMEDOUT, then the client ECONNRESET", vec![reset]))
}

fn asked_after_it_gave_up(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    talk(&pair, &[(Side::Client, b"STOR photo\r\n"), (Side::Server, b"150 go on\r\n")])?;
    options::give_up_after(&pair.client, ms(500))?;
    let silence = scene.silence()?;
    scene.lab.client.run(|| sockets::say(&pair.client, &[0xff; 1200]))?;
    sockets::await_error(&pair.client, Errno::ETIMEDOUT)?;
    drop(silence);
    scene.lab.server.run(|| sockets::keep_alive(&pair.server, 1, 4))?;
    broken(&pair.server)?;
    let reset = Reset::by(Sender::Client, Stage::PostData, LATE);
    Ok(pair.truth("the client got ETIMEDOUT, then the server ECONNRESET", vec![reset]))
}

fn second_path_without_room(scene: &Scene<'_>) -> Result<GroundTruth> {
    // Before the settings, which need a kernel that has it.
    drop(scene.lab.client.run(|| bound(scene.at(Place::Client, 0)))?);
    let second = Place::Client.ip(scene.family);
    // The server's kernel does not hear of the second path, so that it does not answer itself.
    let from_second = [(Port::To(scene.server.port()), Only::Source(second))];
    let _deaf = scene.rules(&scene.lab.server, Hook::Input, &from_second, Verdict::Drop)?;
    let listener = listen_for_paths(scene)?;
    let pair = connected_at(scene, &listener)?;
    pair.exchange(scene)?;
    let endpoint = format!("endpoint add {second} dev eth0 id 11 subflow");
    let _path = Paths::set(&scene.lab.client, &endpoint, "endpoint delete id 11")?;
    let witness = scene.lab.sniffer(Place::Server);
    let joining = || witness.callers(scene.server).into_iter().find(|one| one.ip() == second);
    wait::until("a second path", || Ok(joining().is_some()))?;
    let joined = Connection::between(joining().context("no second path")?, scene.server);
    let reset = refused_for_want_of_resources(scene, &joined)?;
    let mut truth = only(joined, vec![reset], "the reset reached the client");
    scene.await_resets(&truth)?;
    pair.exchange(scene)?;
    settle(scene.lab, &pair.connection)?;
    truth.connections.push(pair.connection.clone());
    Ok(truth)
}

fn fast_open_and_short(scene: &Scene<'_>) -> Result<GroundTruth> {
    const ASKED: &[u8] = b"GET /fast HTTP/1.1\r\nHost: server.lab\r\n\r\n";
    // TFO_SERVER_ENABLE | TFO_SERVER_COOKIE_NOT_REQD of net/tcp.h.
    let _fast = scene.lab.set_for_now(&scene.lab.server, &[("net/ipv4/tcp_fastopen", "514")])?;
    let listener = scene.listen(8)?;
    options::open_fast(&listener, 8)?;
    let (socket, address) = scene.bound()?;
    options::speak_in_syn(&socket)?;
    let (client, connection) = scene.dial_from((socket, address))?;
    scene.lab.client.run(|| sockets::say(&client, ASKED))?;
    let server = scene.lab.server.run(|| sockets::accept(&listener))?;
    sockets::hear(&server, ASKED)?;
    scene.lab.server.run(|| sockets::say(&server, ANSWER))?;
    sockets::hear(&client, ANSWER)?;
    settle(scene.lab, &connection)?;
    scene.lab.server.run(|| sockets::abort(server))?;
    broken(&client)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, LINGER0);
    passed(scene, vec![with(connection, vec![reset])], "the client got ECONNRESET")
}
