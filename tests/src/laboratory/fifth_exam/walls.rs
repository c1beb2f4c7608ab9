//! Packet filters as administrators write them today: sets, meters, hooks close to the wire.

use std::thread;

use anyhow::Result;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Hook, Only, Port, Verdict};
use rst_tracer::demo::scenarios::{ANSWER, Listed, Pair, Scene, answer_of_the_dead};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Side, Stage};

use super::super::second_exam::filter::{
    Cause, IPTABLES, NETWORK, Rule, broken, by_host, by_router, end, late, port_after, refused,
    shout, talk,
};
use super::super::third_exam::common::{hello, ms, source};
use super::common::{NFT, Ruleset, nft_words};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "banned_after_three_failures",
        "Banned after three failures",
        "A guest fails to log in three times; a script puts its address into a set of the server's \
         nft, whose members are rejected, and the guest calls twice more.",
        banned_after_three_failures,
    )
    .needs(NFT)
    .slow(),
    Listed::new(
        "third_call_in_a_row",
        "Too many calls in a row",
        "The router's nft lets two new connections with the service through at once (limit rate \
         over) and rejects the third.",
        third_call_in_a_row,
    )
    .needs(NFT),
    Listed::new(
        "ssh_where_the_web_should_be",
        "SSH where the web should be",
        "The router's firewall rejects segments that begin like an SSH client on a port for the \
         web; later the server, which was not told, goes on with its part.",
        ssh_where_the_web_should_be,
    ),
    Listed::new(
        "portal_before_the_web",
        "A portal before the web",
        "The router's nft rejects TLS of guests that have not accepted its terms, and lets plain \
         HTTP pass; then the guest is put into the set of those who have.",
        portal_before_the_web,
    )
    .needs(NFT),
    Listed::new(
        "rejected_before_routing",
        "Rejected before it is routed",
        "The server's nft rejects a client's calls before routing (prerouting, priority raw).",
        |scene| rejected_early(scene, "inet", "type filter hook prerouting priority raw;"),
    )
    .needs(NFT),
    Listed::new(
        "rejected_at_the_interface",
        "Rejected at the network interface",
        "The server's nft rejects a client's calls as soon as they come in at the interface (netdev, \
         ingress).",
        |scene| {
            let hook = format!(
                "type filter hook ingress device {} priority 0;",
                Place::Server.interface()
            );
            rejected_early(scene, "netdev", &hook)
        },
    )
    .needs(NFT),
    Listed::new(
        "hash_of_callers",
        "A hash of callers",
        "The server's iptables counts the calls of each address (hashlimit): of four calls within a \
         moment two are served and two rejected.",
        hash_of_callers,
    )
    .needs(IPTABLES),
];

const DPI: Cause = ("policy_enforcement", "dpi_block");

/// A session in which the guest fails to log in; both sides leave in order.
fn failed_login<'a>(scene: &Scene<'a>, listener: &std::net::TcpListener) -> Result<Pair<'a>> {
    let pair = scene.pair_at(listener)?;
    talk(
        &pair,
        &[
            (Side::Server, b"+OK pop ready\r\n"),
            (Side::Client, b"PASS 123456\r\n"),
            (Side::Server, b"-ERR no\r\n"),
        ],
    )?;
    Ok(pair)
}

fn banned_after_three_failures(scene: &Scene<'_>) -> Result<GroundTruth> {
    let [protocol, kind] = nft_words(scene);
    let port = scene.server.port();
    let contents = format!(
        "set banned {{ type {kind}; }}\n\
         chain input {{ type filter hook input priority 0;\n\
         {protocol} saddr @banned tcp dport {port} reject with tcp reset\n}}"
    );
    let rules = Ruleset::put(scene, &scene.lab.server, "inet", &contents)?;
    let listener = scene.listen(8)?;
    let mut served = Vec::new();
    for _ in 0..3 {
        let pair = failed_login(scene, &listener)?;
        served.push(pair.connection.clone());
        pair.part()?;
    }
    rules.add("banned", &source(scene))?;
    let mut connections = Vec::new();
    for _ in 0..2 {
        connections.push(refused(scene, scene.server, by_host(Sender::Server, Stage::PostSyn))?);
        thread::sleep(ms(200));
    }
    connections.extend(served);
    Ok(GroundTruth { connections, done: "two calls returned ECONNREFUSED" })
}

fn third_call_in_a_row(scene: &Scene<'_>) -> Result<GroundTruth> {
    let port = scene.server.port();
    let contents = format!(
        "chain forward {{ type filter hook forward priority 0;\n\
         tcp dport {port} tcp flags & (syn|ack) == syn limit rate over 1/minute burst 2 packets \
         reject with tcp reset\n}}"
    );
    let _rules = Ruleset::put(scene, &scene.lab.router, "inet", &contents)?;
    let listener = scene.listen(8)?;
    let mut served = Vec::new();
    for _ in 0..2 {
        let pair = scene.pair_at(&listener)?;
        pair.exchange()?;
        served.push(pair.connection.clone());
        pair.part()?;
    }
    let reset = by_router(Side::Server, Stage::PostSyn, NETWORK);
    let mut connections = vec![refused(scene, scene.server, reset)?];
    connections.extend(served);
    Ok(GroundTruth { connections, done: "the third call returned ECONNREFUSED" })
}

fn ssh_where_the_web_should_be(scene: &Scene<'_>) -> Result<GroundTruth> {
    let which = [(Port::To(scene.server.port()), Only::Payload(b"SSH-2.0-"))];
    let _rule = scene.rules(&scene.lab.router, Hook::Forward, &which, Verdict::Reject)?;
    let pair = scene.pair()?;
    talk(&pair, &[(Side::Server, b"SSH-2.0-OpenSSH_9.2p1\r\n")])?;
    shout(&pair, Side::Client, b"SSH-2.0-OpenSSH_9.2p1\r\n")?;
    broken(end(&pair, Side::Client))?;
    late(&pair, Side::Server, b"\0\0\x04\x1c\x07\x14 key exchange")?;
    // It is a packet filter that looks into the data.
    let first = by_router(Side::Server, Stage::PostData, DPI);
    let first = first.or_as_truly(&["network_firewall_reject"]).refuted();
    Ok(pair.truth(
        "first the client, then the server got ECONNRESET",
        vec![first, answer_of_the_dead()],
    ))
}

fn portal_before_the_web(scene: &Scene<'_>) -> Result<GroundTruth> {
    const TO_PORTAL: &[u8] = b"HTTP/1.1 302 Found\r\nLocation: http://portal.lab/\r\n\r\n";
    let [protocol, kind] = nft_words(scene);
    let secure = port_after(scene, 1);
    let contents = format!(
        "set guests {{ type {kind}; }}\n\
         chain forward {{ type filter hook forward priority 0;\n\
         tcp dport {} {protocol} saddr != @guests reject with tcp reset\n}}",
        secure.port()
    );
    let rules = Ruleset::put(scene, &scene.lab.router, "inet", &contents)?;
    let (plain, tls) = (scene.listen(8)?, scene.lab.server.run(|| sockets::listen_on(secure, 8))?);
    let mut connections = Vec::new();
    for _ in 0..2 {
        let reset = by_router(Side::Server, Stage::PostSyn, NETWORK);
        connections.push(refused(scene, secure, reset)?);
        thread::sleep(ms(150));
    }
    let portal = scene.pair_at(&plain)?;
    talk(
        &portal,
        &[(Side::Client, b"GET /generate_204 HTTP/1.1\r\n\r\n"), (Side::Server, TO_PORTAL)],
    )?;
    connections.push(portal.connection.clone());
    portal.part()?;
    rules.add("guests", &source(scene))?;
    let (socket, address) = scene.bound()?;
    scene.lab.client.run(|| Ok(sockets::connect(&socket, secure)?))?;
    let server = scene.lab.server.run(|| sockets::accept(&tls))?;
    let connection = rst_tracer::demo::truth::Connection::between(address, secure);
    let pair = Pair { lab: scene.lab, connection, client: socket.into(), server };
    talk(&pair, &[(Side::Client, &hello(b"news.lab")), (Side::Server, ANSWER)])?;
    connections.push(pair.connection.clone());
    pair.part()?;
    Ok(GroundTruth { connections, done: "two calls returned ECONNREFUSED" })
}

/// A table of this kind with a chain at this hook rejects what goes to the service.
fn rejected_early(scene: &Scene<'_>, kind: &str, hook: &str) -> Result<GroundTruth> {
    let _listener = scene.listen(8)?;
    let port = scene.server.port();
    let contents = format!("chain early {{ {hook}\ntcp dport {port} reject with tcp reset\n}}");
    let _rules = Ruleset::put(scene, &scene.lab.server, kind, &contents)?;
    let mut connections = Vec::new();
    for _ in 0..2 {
        connections.push(refused(scene, scene.server, by_host(Sender::Server, Stage::PostSyn))?);
        thread::sleep(ms(150));
    }
    Ok(GroundTruth { connections, done: "two calls returned ECONNREFUSED" })
}

fn hash_of_callers(scene: &Scene<'_>) -> Result<GroundTruth> {
    let port = scene.server.port();
    let matches = format!(
        "--dport {port} --syn -m hashlimit --hashlimit-above 1/minute --hashlimit-burst 2 \
         --hashlimit-mode srcip --hashlimit-name exam{port}"
    );
    let _rule = Rule::reject(scene, &scene.lab.server, "INPUT", &matches)?;
    let listener = scene.listen(8)?;
    let mut served = Vec::new();
    for _ in 0..2 {
        let pair = scene.pair_at(&listener)?;
        pair.exchange()?;
        served.push(pair.connection.clone());
        pair.part()?;
    }
    let mut connections = Vec::new();
    for _ in 0..2 {
        let reset: Reset = by_host(Sender::Server, Stage::PostSyn);
        connections.push(refused(scene, scene.server, reset)?);
    }
    connections.extend(served);
    Ok(GroundTruth { connections, done: "two calls returned ECONNREFUSED" })
}
