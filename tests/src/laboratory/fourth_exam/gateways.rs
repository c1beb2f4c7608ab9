//! Packet filters with rules of the less usual kinds, on the way and on the server.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Hook, Only, Port, Verdict};
use rst_tracer::demo::scenarios::{Listed, Pair, Scene, answer_of_the_dead};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, Family, GroundTruth, Reset, Sender, Side, Stage};

use super::super::options;
use super::super::second_exam::filter::{
    IPTABLES, NETWORK, Rule, broken, by_host, by_router, late, shout, talk,
};
use super::super::servers::mptcp::{bound, listen_for_paths};
use super::super::servers::program::{command, run};
use super::super::third_exam::common::with;

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "phones_only",
        "A provider that connects phones only",
        "The router's iptables rejects what was sent with a TTL of 128, as computers behind a \
         phone do (ttl, hl); two such calls are refused, one with a TTL of 64 is served.",
        phones_only,
    )
    .needs(IPTABLES),
    Listed::new(
        "no_short_segments",
        "A server that wants no short segments",
        "The server's iptables rejects SYNs that announce segments of 536 bytes or less (tcpmss).",
        no_short_segments,
    )
    .needs(IPTABLES),
    Listed::new(
        "multipath_unwelcome",
        "No Multipath TCP through this firewall",
        "The router's iptables rejects SYNs with the option of Multipath TCP (tcp-option); the \
         client calls once more with plain TCP and is served.",
        multipath_unwelcome,
    )
    .needs(IPTABLES),
    Listed::new(
        "closing_time",
        "A gateway with closing time",
        "The router's iptables rejects from a certain second on (time), in the middle of a game; \
         later the server, which was not told, says something.",
        closing_time,
    )
    .needs(&["iptables", "ip6tables", "date"])
    .slow(),
    Listed::new(
        "four_words_a_minute",
        "A server that takes four words a minute",
        "The server's iptables lets four segments with PSH a minute through (limit) and rejects \
         the fifth, in the middle of a session; later the server says that it waits.",
        four_words_a_minute,
    )
    .needs(IPTABLES),
    Listed::new(
        "stream_cut_after_half_close",
        "A stream cut off after a half-close",
        "The client has closed its direction and listens to a stream; the router's firewall \
         begins to reject what the server sends.",
        stream_cut_after_half_close,
    ),
];

/// The client calls with a socket that is told something before, and is refused.
fn refused_with(
    scene: &Scene<'_>,
    tell: impl Fn(&std::os::fd::OwnedFd) -> Result<()>,
    reset: Reset,
) -> Result<Connection> {
    let (socket, client) = scene.bound()?;
    tell(&socket)?;
    match scene.lab.client.run(|| Ok(sockets::connect(&socket, scene.server)))? {
        Err(Errno::ECONNREFUSED) => {}
        other => bail!("connect was to fail with ECONNREFUSED, got {other:?}"),
    }
    Ok(with(Connection::between(client, scene.server), vec![reset]))
}

/// The truth, once a pair that no rule minds has talked and parted.
fn beside(
    mut connections: Vec<Connection>,
    pair: Pair<'_>,
    done: &'static str,
) -> Result<GroundTruth> {
    pair.exchange()?;
    connections.push(pair.connection.clone());
    pair.part()?;
    Ok(GroundTruth { connections, done })
}

fn phones_only(scene: &Scene<'_>) -> Result<GroundTruth> {
    // A router has counted one down by then.
    let far = match scene.family {
        Family::V4 => "-m ttl --ttl-gt 64",
        Family::V6 => "-m hl --hl-gt 64",
    };
    let matches = format!("--dport {} {far}", scene.server.port());
    let _rule = Rule::reject(scene, &scene.lab.router, "FORWARD", &matches)?;
    let listener = scene.listen(8)?;
    let reset = by_router(Side::Server, Stage::PostSyn, NETWORK);
    let call = || {
        let computer = |socket: &_| options::live_for(socket, scene.family, 128);
        refused_with(scene, computer, reset)
    };
    let connections = vec![call()?, call()?];
    beside(connections, scene.pair_at(&listener)?, "two calls returned ECONNREFUSED")
}

fn no_short_segments(scene: &Scene<'_>) -> Result<GroundTruth> {
    let matches = format!("--dport {} --syn -m tcpmss --mss 1:536", scene.server.port());
    let _rule = Rule::reject(scene, &scene.lab.server, "INPUT", &matches)?;
    let listener = scene.listen(8)?;
    let short = |socket: &_| options::take_short_segments(socket, 536);
    let reset = by_host(Sender::Server, Stage::PostSyn);
    let connections = vec![refused_with(scene, short, reset)?];
    beside(connections, scene.pair_at(&listener)?, "a call returned ECONNREFUSED")
}

fn multipath_unwelcome(scene: &Scene<'_>) -> Result<GroundTruth> {
    let matches = format!("--dport {} --syn --tcp-option 30", scene.server.port());
    let listener = listen_for_paths(scene)?;
    let _rule = Rule::reject(scene, &scene.lab.router, "FORWARD", &matches)?;
    let (socket, client) = scene.lab.client.run(|| {
        let socket = std::net::TcpStream::from(bound(scene.at(Place::Client, 0))?);
        let address = socket.local_addr().context("asking for the address of a socket")?;
        Ok((std::os::fd::OwnedFd::from(socket), address))
    })?;
    match scene.lab.client.run(|| Ok(sockets::connect(&socket, scene.server)))? {
        Err(Errno::ECONNREFUSED) => {}
        other => bail!("connect was to fail with ECONNREFUSED, got {other:?}"),
    }
    let reset = by_router(Side::Server, Stage::PostSyn, NETWORK);
    let connections = vec![with(Connection::between(client, scene.server), vec![reset])];
    beside(connections, scene.pair_at(&listener)?, "the first call returned ECONNREFUSED")
}

fn closing_time(scene: &Scene<'_>) -> Result<GroundTruth> {
    let since_1970 = || SystemTime::now().duration_since(UNIX_EPOCH).context("it is before 1970");
    let pair = scene.pair()?;
    for _ in 0..2 {
        let words = [(Side::Client, &b"\x05\x2amove 12 7"[..]), (Side::Server, b"\x05\x2bseen")];
        talk(&pair, &words)?;
    }
    let closing = Duration::from_secs(since_1970()?.as_secs() + 2);
    let mut date = command("date");
    date.args(["-u", "-d", &format!("@{}", closing.as_secs()), "+%Y-%m-%dT%H:%M:%S"]);
    let from = run(&scene.lab.client, &mut date)?;
    // Resets get through at all hours.
    let times = format!("! --tcp-flags RST RST -m time --datestart {from}");
    let matches = format!("--dport {} {times}", scene.server.port());
    let _rule = Rule::reject(scene, &scene.lab.router, "FORWARD", &matches)?;
    thread::sleep(closing.saturating_sub(since_1970()?) + Duration::from_millis(100));
    shout(&pair, Side::Client, b"\x05\x2amove 12 8")?;
    broken(&pair.client)?;
    late(&pair, Side::Server, b"\x05\x2cidle")?;
    let first = by_router(Side::Server, Stage::PostData, NETWORK).refuted();
    let done = "first the client, then the server got ECONNRESET";
    Ok(pair.truth(done, vec![first, answer_of_the_dead()]))
}

fn four_words_a_minute(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (host, port) = (&scene.lab.server, scene.server.port());
    let words = format!("-p tcp --dport {port} --tcp-flags PSH PSH");
    let few = format!("INPUT {words} -m limit --limit 1/minute --limit-burst 4 -j ACCEPT");
    let few = Rule::append(scene, host, "filter", few)?;
    let none = Rule::append(
        scene,
        host,
        "filter",
        format!("INPUT {words} -j REJECT --reject-with tcp-reset"),
    )?;
    let pair = scene.pair()?;
    for word in ["HELO lab", "STAT 1", "STAT 2", "STAT 3"] {
        talk(&pair, &[(Side::Client, word.as_bytes()), (Side::Server, b"+OK")])?;
    }
    shout(&pair, Side::Client, b"STAT 4")?;
    broken(&pair.client)?;
    drop((few, none));
    late(&pair, Side::Server, b"-ERR I wait")?;
    let first = by_host(Sender::Server, Stage::PostData).refuted();
    let done = "first the client, then the server got ECONNRESET";
    Ok(pair.truth(done, vec![first, answer_of_the_dead()]))
}

fn stream_cut_after_half_close(scene: &Scene<'_>) -> Result<GroundTruth> {
    const PIECE: &[u8] = b"event: tick\ndata: 41\n\n";
    let pair = scene.pair()?;
    talk(&pair, &[(Side::Client, b"GET /events HTTP/1.0\r\n\r\n")])?;
    pair.client.shutdown(std::net::Shutdown::Write).context("closing the client's direction")?;
    sockets::await_end(&pair.server)?;
    talk(&pair, &[(Side::Server, PIECE), (Side::Server, PIECE)])?;
    let which = [(Port::From(scene.server.port()), Only::Any)];
    let _rule = scene.rules(&scene.lab.router, Hook::Forward, &which, Verdict::Reject)?;
    shout(&pair, Side::Server, PIECE)?;
    sockets::await_error(&pair.server, Errno::EPIPE)?;
    let reset = by_router(Side::Client, Stage::PostFin, NETWORK);
    let truth = pair.truth("the server's socket got EPIPE", vec![reset]);
    // Nobody tells the client, which has said all that it had to say.
    sockets::vanish(pair.client)?;
    Ok(truth)
}
