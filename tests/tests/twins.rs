//! Different causes, the same bytes: the proofs behind "undecidable from the wire" in docs/limits.md.
//!
//! Each group of scenarios does different things to equal connections. What a host on the way sees is
//! compared segment by segment, with all that differs from one connection to the next taken away:
//! addresses, ports, initial numbers, clocks, time. Equal views mean that no engine that has only the
//! packets can tell the causes apart. Needs root.

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    sys::socket::{SockaddrStorage, connect},
};
use rst_tracer::demo::{
    diag,
    forge::Forgery,
    lab::{Lab, Place},
    nft::Hook,
    packet,
    scenarios::{ANSWER, Listed, Pair, REQUEST, Scenario, Scene, number, settle},
    sockets,
    truth::{Connection, Family, GroundTruth, Reset, Sender, Side, Stage},
};
use rst_tracer_tests::{laboratory::child::Holder, skip::skipped};
use std::os::fd::AsRawFd;

/// Those whose resets look alike at the router's side towards the client.
const GROUPS: &[(&str, &[Listed])] = &[
    (
        "a server that has answered everything",
        &[
            Listed::new("linger0", "SO_LINGER 0", "", |s| idle(s, Side::Server, linger0)),
            Listed::new("disconnect", "connect(AF_UNSPEC)", "", |s| {
                idle(s, Side::Server, disconnect)
            }),
            Listed::new("destroy", "ss -K", "", |s| idle(s, Side::Server, destroy)),
        ],
    ),
    (
        "a client that has its answer",
        &[
            Listed::new("linger0_c", "SO_LINGER 0", "", |s| idle(s, Side::Client, linger0)),
            Listed::new("destroy_c", "ss -K", "", |s| idle(s, Side::Client, destroy)),
        ],
    ),
    (
        "a server with an unread request",
        &[
            Listed::new("unread", "close(2)", "", |s| unread(s, Side::Server, close)),
            Listed::new("killed", "SIGKILL", "", |s| unread(s, Side::Server, kill)),
            Listed::new("unread_linger0", "SO_LINGER 0", "", |s| unread(s, Side::Server, linger0)),
            Listed::new("unread_destroy", "ss -K", "", |s| unread(s, Side::Server, destroy)),
        ],
    ),
    (
        "a client with an unread answer",
        &[
            Listed::new("unread_c", "close(2)", "", |s| unread(s, Side::Client, close)),
            Listed::new("killed_c", "SIGKILL", "", |s| unread(s, Side::Client, kill)),
            Listed::new("unread_linger0_c", "SO_LINGER 0", "", |s| {
                unread(s, Side::Client, linger0)
            }),
            Listed::new("unread_destroy_c", "ss -K", "", |s| unread(s, Side::Client, destroy)),
        ],
    ),
    (
        "a server on whose connection nothing was said",
        &[
            Listed::new("accepted", "SO_LINGER 0", "", |s| wordless(s, linger0)),
            Listed::new("accepted_destroy", "ss -K", "", |s| wordless(s, destroy)),
            Listed::new("pending", "the listener closes before it accepts", "", pending),
        ],
    ),
    (
        "a segment on an open connection that is answered as if there were none, over IPv4",
        &[
            Listed::new("lost", "its host restarted", "", vanished).only_over(&[Family::V4]),
            Listed::new("walled", "its packet filter rejects", "", walled).only_over(&[Family::V4]),
        ],
    ),
    (
        "a server that does not know the connection",
        &[
            Listed::new("vanished", "its host restarted", "", vanished),
            Listed::new("deceived", "it believed a forged reset", "", deceived),
        ],
    ),
    (
        "a SYN that is refused over IPv4",
        &[
            Listed::new("nobody", "closed port", "", nobody).only_over(&[Family::V4]),
            Listed::new("filtered", "packet filter", "", filtered).only_over(&[Family::V4]),
        ],
    ),
];

/// Not alike: the kernel's TCP labels its answers in IPv6, its packet filter does not.
const APART: &[Listed] = &[
    Listed::new("nobody6", "closed port", "", nobody).only_over(&[Family::V6]),
    Listed::new("filtered6", "packet filter", "", filtered).only_over(&[Family::V6]),
];

/// A socket that is ended, and its addresses: own and other.
type End = fn(&Scene<'_>, Side, std::net::TcpStream, &Connection) -> Result<()>;

fn linger0(_: &Scene<'_>, _: Side, stream: std::net::TcpStream, _: &Connection) -> Result<()> {
    sockets::abort(stream)
}

fn disconnect(_: &Scene<'_>, _: Side, stream: std::net::TcpStream, _: &Connection) -> Result<()> {
    let nowhere = libc::sockaddr { sa_family: libc::AF_UNSPEC as u16, sa_data: [0; 14] };
    let size = size_of_val(&nowhere) as libc::socklen_t;
    // SAFETY: the address is as long as said.
    let done = unsafe { libc::connect(stream.as_raw_fd(), &raw const nowhere, size) };
    Errno::result(done).context("disconnecting")?;
    Ok(())
}

fn close(_: &Scene<'_>, _: Side, stream: std::net::TcpStream, _: &Connection) -> Result<()> {
    sockets::close(stream)
}

fn kill(_: &Scene<'_>, _: Side, stream: std::net::TcpStream, _: &Connection) -> Result<()> {
    Holder::of(vec![stream.into()])?.kill()
}

fn destroy(
    scene: &Scene<'_>,
    side: Side,
    stream: std::net::TcpStream,
    connection: &Connection,
) -> Result<()> {
    let (own, other) = match side {
        Side::Client => (connection.client, connection.server),
        Side::Server => (connection.server, connection.client),
    };
    diag::destroy(scene.lab.host(side), own, other)?;
    drop(stream);
    Ok(())
}

/// After request and answer one side ends the connection.
fn idle(scene: &Scene<'_>, side: Side, end: End) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    let truth = truth_of(&pair, side, Stage::PostData);
    let Pair { client, server, connection, .. } = pair;
    let (ended, other) = if side == Side::Client { (client, server) } else { (server, client) };
    scene.lab.host(side).run(|| end(scene, side, ended, &connection))?;
    sockets::await_error(&other, Errno::ECONNRESET)?;
    Ok(truth)
}

/// A side ends the connection with what the other said unread in it: a request, or the answer to its own.
fn unread(scene: &Scene<'_>, side: Side, end: End) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    match side {
        Side::Server => {
            scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
            sockets::await_unread(&pair.server)?;
        }
        Side::Client => {
            pair.request()?;
            scene.lab.server.run(|| sockets::say(&pair.server, ANSWER))?;
            sockets::await_unread(&pair.client)?;
        }
    }
    pair.settle()?;
    let truth = truth_of(&pair, side, Stage::PostPush);
    let Pair { client, server, connection, .. } = pair;
    let (ended, other) = if side == Side::Client { (client, server) } else { (server, client) };
    scene.lab.host(side).run(|| end(scene, side, ended, &connection))?;
    sockets::await_error(&other, Errno::ECONNRESET)?;
    Ok(truth)
}

/// The server ends a connection right after it has accepted it.
fn wordless(scene: &Scene<'_>, end: End) -> Result<GroundTruth> {
    let pair = scene.pair()?;
    pair.settle()?;
    let truth = truth_of(&pair, Side::Server, Stage::PostAck);
    let Pair { client, server, connection, .. } = pair;
    scene.lab.server.run(|| end(scene, Side::Server, server, &connection))?;
    sockets::await_error(&client, Errno::ECONNRESET)?;
    Ok(truth)
}

/// The listener closes with the connection in its queue.
fn pending(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let (client, mut connection) = scene.dial()?;
    settle(scene.lab, &connection)?;
    scene.lab.server.run(|| sockets::close(listener))?;
    sockets::await_error(&client, Errno::ECONNRESET)?;
    connection.resets = vec![Reset::by(Sender::Server, Stage::PostAck, NO_MATTER)];
    Ok(GroundTruth { connections: vec![connection], done: "the client got ECONNRESET" })
}

/// The server's host begins to reject what the client says; the server itself has nothing more to say.
fn walled(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    let truth = truth_of(&pair, Side::Server, Stage::PostData);
    let _rule = scene.reject(&scene.lab.server, Hook::Input)?;
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    scene.lab.server.run(|| sockets::vanish(pair.server))?;
    Ok(truth)
}

fn vanished(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    let truth = truth_of(&pair, Side::Server, Stage::PostData);
    scene.lab.server.run(|| sockets::vanish(pair.server))?;
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    Ok(truth)
}

/// The reset in the client's name does not pass where one looks.
fn deceived(scene: &Scene<'_>) -> Result<GroundTruth> {
    const RST_ACK: u8 = 0x14;
    let pair = scene.busy_pair()?;
    pair.settle()?;
    let truth = truth_of(&pair, Side::Server, Stage::PostData);
    let seen = pair.last_of(Side::Client, Place::RouterServerSide)?;
    let interface = Place::RouterServerSide.interface();
    packet::inject(&scene.lab.router, interface, &Forgery::after(&seen, RST_ACK).to_frame())?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_error(&pair.client, Errno::ECONNRESET)?;
    Ok(truth)
}

fn nobody(scene: &Scene<'_>) -> Result<GroundTruth> {
    refused(scene)
}

fn filtered(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listens = scene.listen(8)?;
    let _rule = scene.reject(&scene.lab.server, Hook::Input)?;
    refused(scene)
}

fn refused(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (socket, address) = scene.bound()?;
    let to = SockaddrStorage::from(scene.server);
    let answer = scene.lab.client.run(|| Ok(connect(socket.as_raw_fd(), &to)))?;
    anyhow::ensure!(answer == Err(Errno::ECONNREFUSED), "{answer:?}");
    let mut connection = Connection::between(address, scene.server);
    connection.resets = vec![Reset::by(Sender::Server, Stage::PostSyn, NO_MATTER)];
    Ok(GroundTruth { connections: vec![connection], done: "the client got ECONNREFUSED" })
}

/// What it is is not the matter here.
const NO_MATTER: (&str, &str) = ("unknown", "unknown");

fn truth_of(pair: &Pair<'_>, side: Side, stage: Stage) -> GroundTruth {
    let sender = match side {
        Side::Client => Sender::Client,
        Side::Server => Sender::Server,
    };
    pair.truth("ECONNRESET", vec![Reset::by(sender, stage, NO_MATTER)])
}

/// A segment without what differs from one connection to the next.
#[derive(Debug, PartialEq)]
struct Bare {
    by_client: bool,
    flags: u8,
    seq: u32,
    ack: u32,
    window: u16,
    ttl: u8,
    tos: u8,
    dont_fragment: bool,
    has_ip_id: bool,
    has_flow_label: bool,
    has_timestamps: bool,
    payload: Vec<u8>,
}

/// What passed at the router's side towards the client.
fn view(lab: &Lab, connection: &Connection) -> Vec<Bare> {
    let seen = lab.sniffer(Place::RouterClientSide).segments(connection);
    let first = |by_client: bool| {
        let mine = |one: &&rst_tracer::demo::sniffer::Sighting| {
            (one.segment.src == connection.client) == by_client
        };
        seen.iter().find(mine).map_or(0, |one| one.segment.seq)
    };
    let isn = [first(false), first(true)];
    let bare = |one: &rst_tracer::demo::sniffer::Sighting| {
        let segment = &one.segment;
        let by_client = segment.src == connection.client;
        let relative = |number: u32, from: usize| match number {
            0 => 0,
            number => number.wrapping_sub(isn[from]),
        };
        Bare {
            by_client,
            flags: segment.flags,
            seq: relative(segment.seq, usize::from(by_client)),
            ack: relative(segment.ack, usize::from(!by_client)),
            window: segment.window,
            ttl: segment.ttl,
            tos: segment.tos,
            dont_fragment: segment.dont_fragment,
            has_ip_id: segment.ip_id.is_some_and(|id| id != 0),
            has_flow_label: segment.flow_label.is_some_and(|label| label != 0),
            has_timestamps: segment.timestamps.is_some(),
            payload: segment.payload_start.clone(),
        }
    };
    seen.iter().map(bare).collect()
}

/// Each scenario's name and view.
fn views(lab: &Lab, scenarios: &[Scenario]) -> Vec<(String, Vec<Bare>)> {
    let play = |scenario: &Scenario| {
        let truth = scenario.run(lab).expect("the scenario plays");
        (format!("{} {}", scenario.id, scenario.family), view(lab, &truth.connections[0]))
    };
    scenarios.iter().map(play).collect()
}

#[test]
fn different_causes_leave_the_same_bytes() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("the proofs of what is undecidable need root for namespaces");
    }
    let lab = Lab::with_room(64).expect("the laboratory");
    for (number_of_group, (what, group)) in (0..).zip(GROUPS) {
        for family in [Family::V4, Family::V6] {
            let all = number(&[group], 6000 + number_of_group * 64, 1);
            let of_family: Vec<_> = all.into_iter().filter(|one| one.family == family).collect();
            let views = views(&lab, &of_family);
            assert!(family == Family::V6 || views.len() > 1, "{what}: nothing to compare");
            for pair in views.windows(2) {
                let ((one, a), (other, b)) = (&pair[0], &pair[1]);
                assert!(a.iter().any(|segment| segment.flags & 4 != 0), "{one}: no reset");
                assert_eq!(a, b, "{what}: {one} and {other} can be told apart");
            }
        }
    }
    let views = views(&lab, &number(&[APART], 6800, 1));
    assert_ne!(views[0].1, views[1].1, "over IPv6 the flow label tells them apart");
}
