//! Boxes that inspect what is said, and end what they dislike: again and again, and for a while
//! after.

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::scenarios::{Listed, Pair, Scene};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Side, Stage};

use super::forged;
use super::recipes::inspector;
use super::watcher::{Trigger, watched};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "dpi_block_sni",
        "Blocked by server name",
        "A box on the way ends three TLS connections when it reads the server name in their hello; \
         one with another name passes.",
        dpi_block_sni,
    ),
    Listed::new(
        "dpi_block_host",
        "Blocked by HTTP host",
        "A box on the way ends three HTTP connections when it reads the Host of their request; \
         one for another host passes.",
        dpi_block_host,
    ),
    Listed::new(
        "residual_block",
        "Blocked for a while after",
        "A box on the way ends a connection for its HTTP Host, and then the next three to the \
         same server as soon as they are open.",
        residual_block,
    ),
];

/// It was inspected and blocked, and the resets were forged: both are what was done.
fn blocked(stage: Stage) -> Vec<Reset> {
    let cause = ("policy_enforcement", "dpi_block");
    [Side::Server, Side::Client]
        .map(|side| forged(side, stage, cause).or_as_truly(&["injected_reset"]))
        .into()
}

fn dpi_block_sni(scene: &Scene<'_>) -> Result<GroundTruth> {
    let name = "blocked.example";
    several(scene, &hello(name), Trigger::Request(name.as_bytes()), &hello("allowed.example"))
}

fn dpi_block_host(scene: &Scene<'_>) -> Result<GroundTruth> {
    let name = "blocked.example";
    several(scene, &get(name), Trigger::Request(name.as_bytes()), &get("allowed.example"))
}

fn get(host: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

/// A TLS 1.2 hello with a server name, the least there can be (RFC 5246 7.4.1.2, RFC 6066 3).
fn hello(name: &str) -> Vec<u8> {
    let sized = |bytes: Vec<u8>| [&(bytes.len() as u16).to_be_bytes()[..], &bytes].concat();
    let entry = [&[0][..], &sized(name.as_bytes().to_vec())].concat();
    let extension = [&[0, 0][..], &sized(sized(entry))].concat();
    let mut body = vec![3, 3];
    body.extend([0x5a; 32]);
    body.push(0);
    body.extend([0, 2, 0xc0, 0x2f, 1, 0]);
    body.extend(sized(extension));
    let handshake = [&[1, 0][..], &sized(body)].concat();
    [&[22, 3, 1][..], &sized(handshake)].concat()
}

/// Three connections that are blocked for what they say, and one that is not.
fn several(
    scene: &Scene<'_>,
    disliked: &[u8],
    trigger: Trigger,
    liked: &[u8],
) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let mut connections = Vec::new();
    for _ in 0..3 {
        let resets = blocked(Stage::PostPush);
        connections.push(Connection { resets, ..ended(scene, &listener, trigger, disliked)? });
    }
    let pair = scene.pair_at(&listener)?;
    scene.lab.client.run(|| sockets::say(&pair.client, liked))?;
    sockets::hear(&pair.server, liked)?;
    pair.answer()?;
    connections.push(pair.connection.clone());
    pair.part()?;
    Ok(GroundTruth { connections, done: "both sides of three connections got ECONNRESET" })
}

/// A connection that a box ends; the client says `what`, if it comes to that.
fn ended(
    scene: &Scene<'_>,
    listener: &std::net::TcpListener,
    trigger: Trigger,
    what: &[u8],
) -> Result<Connection> {
    let bound = scene.bound()?;
    let connection = Connection::between(bound.1, scene.server);
    watched(scene, &connection, trigger, inspector, || {
        let (client, connection) = scene.dial_from(bound)?;
        let server = scene.lab.server.run(|| sockets::accept(listener))?;
        let pair = Pair { lab: scene.lab, connection, client, server };
        if !what.is_empty() {
            scene.lab.client.run(|| sockets::say(&pair.client, what))?;
        }
        sockets::await_error(&pair.client, Errno::ECONNRESET)?;
        sockets::await_error(&pair.server, Errno::ECONNRESET)
    })?;
    Ok(connection)
}

fn residual_block(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let name = "blocked.example";
    let trigger = Trigger::Request(name.as_bytes());
    let first = ended(scene, &listener, trigger, &get(name))?;
    let mut connections = vec![Connection { resets: blocked(Stage::PostPush), ..first }];
    for _ in 0..3 {
        let next = ended(scene, &listener, Trigger::Handshake, &[])?;
        connections.push(Connection { resets: blocked(Stage::PostAck), ..next });
    }
    Ok(GroundTruth { connections, done: "both sides of all connections got ECONNRESET" })
}
