//! Packet filters of the server itself and of the client itself.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::errno::Errno;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Hook, Only, Port, Verdict};
use rst_tracer::demo::scenarios::{Listed, Scene, answer_of_the_dead};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Side, Stage};

use super::filter::{
    AFTER_RESET, IPTABLES, Rule, broken, by_host, late, only, refused, shout, talk, talked,
};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "ban_amid_login",
        "Banned in the middle of a login",
        "After two wrong passwords the server's firewall rejects the client's address: the third \
         try and two new calls. When the ban is over, the server hangs up.",
        ban_amid_login,
    ),
    Listed::new(
        "too_many_logins",
        "Too many logins a minute",
        "The server's iptables lets three calls of one address a minute through (recent), and \
         rejects the fourth and the fifth.",
        too_many_logins,
    )
    .needs(IPTABLES),
    Listed::new(
        "closed_to_new_calls",
        "Closed to new calls only",
        "The server's iptables begins to reject SYNs; two new calls are refused while a database \
         session goes on and ends in order.",
        closed_to_new_calls,
    )
    .needs(IPTABLES)
    .slow(),
    Listed::new(
        "host_forgets_idle_mailbox",
        "The server's own firewall forgets an idle session",
        "The server tracks connections, forgets them after a second of silence and rejects what \
         it cannot place; a mail client is silent for two, then asks. Later the server hangs up.",
        host_forgets_idle_mailbox,
    )
    .slow(),
    Listed::new(
        "subscriber_firewalled",
        "A subscriber shuts itself off",
        "A client subscribes; then its own firewall rejects what is published. The rule is taken \
         back, and the client, whose socket knows nothing, closes.",
        subscriber_firewalled,
    ),
    Listed::new(
        "unwanted_syn_ack",
        "The client's firewall lets nobody answer",
        "The client's own firewall rejects the server's SYN-ACK; the caller, which is not told, \
         gives up.",
        unwanted_syn_ack,
    ),
    Listed::new(
        "injection_filter",
        "The server's iptables dislikes a query",
        "The server's iptables rejects segments with a certain phrase (string match); the server \
         process is not told and closes the idle connection.",
        injection_filter,
    )
    .needs(IPTABLES),
];

const SERVERS_SSH: &[u8] = b"SSH-2.0-OpenSSH_9.6\r\n";
const CLIENTS_SSH: &[u8] = b"SSH-2.0-libssh_0.9.6\r\n";
const DENIED: &[u8] = b"\0\0\0\x0c\x0a\x33password\0";

fn ban_amid_login(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let pair = scene.pair_at(&listener)?;
    talk(&pair, &[(Side::Server, SERVERS_SSH), (Side::Client, CLIENTS_SSH)])?;
    for _ in 0..2 {
        talk(&pair, &[(Side::Client, b"\0\0\0\x1c\x0a\x32root password"), (Side::Server, DENIED)])?;
    }
    let unwanted = Only::Source(scene.ip(Place::Client, scene.family));
    let which = [(Port::To(scene.server.port()), unwanted)];
    let ban = scene.rules(&scene.lab.server, Hook::Input, &which, Verdict::Reject)?;
    shout(&pair, Side::Client, b"\0\0\0\x1c\x0a\x32root toor")?;
    broken(&pair.client)?;
    let again = || refused(scene, scene.server, by_host(Sender::Server, Stage::PostSyn));
    let calls = [again()?, again()?];
    drop(ban);
    late(&pair, Side::Server, b"\0\0\0\x14\x06\x01Too many failures")?;
    let resets = vec![by_host(Sender::Server, Stage::PostData).refuted(), answer_of_the_dead()];
    let mut truth = pair.truth("first the client, then the server got ECONNRESET", resets);
    truth.connections.extend(calls);
    Ok(truth)
}

fn too_many_logins(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (host, port) = (&scene.lab.server, scene.server.port());
    let known = format!("--dport {port} --syn -m recent --name calls{port}");
    let often = format!("{known} --update --seconds 60 --hitcount 3");
    let _limit = Rule::reject(scene, host, "INPUT", &often)?;
    let _count = Rule::append(scene, host, "filter", format!("INPUT -p tcp {known} --set"))?;
    let lines: &[(Side, &[u8])] =
        &[(Side::Server, SERVERS_SSH), (Side::Client, CLIENTS_SSH), (Side::Server, DENIED)];
    let again = || refused(scene, scene.server, by_host(Sender::Server, Stage::PostSyn));
    let mut served = Vec::new();
    for pair in talked(scene, 3, lines)? {
        served.push(pair.connection.clone());
        pair.part()?;
    }
    let mut connections = vec![again()?, again()?];
    connections.extend(served);
    Ok(GroundTruth { connections, done: "two calls returned ECONNREFUSED" })
}

fn closed_to_new_calls(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let session = scene.pair_at(&listener)?;
    let query: &[(Side, &[u8])] = &[
        (Side::Client, b"Q\0\0\0\x0dSELECT 1\0"),
        (Side::Server, b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I"),
    ];
    talk(&session, &[(Side::Client, b"\0\0\0\x13\0\x03\0\0user\0app\0\0")])?;
    talk(&session, &[(Side::Server, b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")])?;
    let syns = format!("--dport {} --syn", scene.server.port());
    let rule = Rule::reject(scene, &scene.lab.server, "INPUT", &syns)?;
    let mut connections = Vec::new();
    for _ in 0..2 {
        let reset = by_host(Sender::Server, Stage::PostSyn);
        connections.push(refused(scene, scene.server, reset)?);
        thread::sleep(Duration::from_millis(400));
        talk(&session, query)?;
    }
    drop(rule);
    connections.push(session.connection.clone());
    session.part()?;
    Ok(GroundTruth { connections, done: "two calls returned ECONNREFUSED" })
}

fn host_forgets_idle_mailbox(scene: &Scene<'_>) -> Result<GroundTruth> {
    let host = &scene.lab.server;
    let unplaced = [(Port::To(scene.server.port()), Only::Unplaced)];
    // The rule comes first: it makes the namespace track connections, and the settings appear.
    let rule = scene.rules(host, Hook::Input, &unplaced, Verdict::Reject)?;
    let settings = scene.lab.set_for_now(
        host,
        &[
            ("net/netfilter/nf_conntrack_tcp_loose", "0"),
            ("net/netfilter/nf_conntrack_tcp_timeout_established", "1"),
        ],
    )?;
    let pair = scene.pair()?;
    talk(&pair, &[(Side::Server, b"* OK IMAP4rev1 ready\r\n"), (Side::Client, b"a1 NOOP\r\n")])?;
    talk(&pair, &[(Side::Server, b"a1 OK NOOP completed\r\n")])?;
    thread::sleep(Duration::from_secs(2));
    shout(&pair, Side::Client, b"a2 CHECK\r\n")?;
    broken(&pair.client)?;
    drop(rule);
    drop(settings);
    late(&pair, Side::Server, b"* BYE autologout\r\n")?;
    // It is the host's firewall that rejects, and it does because the session was idle.
    let reset = by_host(Sender::Server, Stage::PostData);
    let reset = reset.or_as_truly(&["idle_timeout_middlebox"]).refuted();
    let done = "first the client, then the server got ECONNRESET";
    Ok(pair.truth(done, vec![reset, answer_of_the_dead()]))
}

fn subscriber_firewalled(scene: &Scene<'_>) -> Result<GroundTruth> {
    const PUBLISHED: &[u8] = b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n";
    let pair = scene.pair()?;
    talk(
        &pair,
        &[
            (Side::Client, b"*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n"),
            (Side::Server, b"*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"),
            (Side::Server, PUBLISHED),
        ],
    )?;
    let from_server = [(Port::From(scene.server.port()), Only::Any)];
    let rule = scene.rules(&scene.lab.client, Hook::Input, &from_server, Verdict::Reject)?;
    shout(&pair, Side::Server, PUBLISHED)?;
    broken(&pair.server)?;
    drop(rule);
    let second = Reset::by(Sender::Server, Stage::Closed, AFTER_RESET);
    let resets = vec![by_host(Sender::Client, Stage::PostData).refuted(), second];
    let truth = pair.truth("the server got ECONNRESET, later the client's FIN was reset", resets);
    scene.lab.client.run(|| sockets::close(pair.client))?;
    Ok(truth)
}

fn unwanted_syn_ack(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(4)?;
    let answers = [(Port::From(scene.server.port()), Only::WithSyn)];
    let rule = scene.rules(&scene.lab.client, Hook::Input, &answers, Verdict::Reject)?;
    let (socket, client) = scene.bound()?;
    let socket = TcpStream::from(socket);
    socket.set_nonblocking(true)?;
    let socket = socket.into();
    match scene.lab.client.run(|| Ok(sockets::connect(&socket, scene.server)))? {
        Err(Errno::EINPROGRESS) => {}
        other => bail!("connect was to be under way, got {other:?}"),
    }
    let resets = vec![by_host(Sender::Client, Stage::PostSynack)];
    let connection = Connection::between(client, scene.server);
    let truth = only(connection, resets, "the server's host saw the reset");
    scene.await_resets(&truth)?;
    // Before the SYN is repeated.
    scene.lab.client.run(|| sockets::close(socket))?;
    drop(rule);
    Ok(truth)
}

fn injection_filter(scene: &Scene<'_>) -> Result<GroundTruth> {
    let phrase = "-m string --algo bm --string UNION+SELECT";
    let matches = format!("--dport {} {phrase}", scene.server.port());
    let _rule = Rule::reject(scene, &scene.lab.server, "INPUT", &matches)?;
    let pair = scene.busy_pair()?;
    pair.settle()?;
    shout(&pair, Side::Client, b"GET /item?id=1+UNION+SELECT+password HTTP/1.1\r\n\r\n")?;
    broken(&pair.client)?;
    // The host's packet filter looks into the data.
    let reset = by_host(Sender::Server, Stage::PostData).or_as_truly(&["dpi_block"]).refuted();
    let done = "the client got ECONNRESET, later the server's FIN was reset";
    let truth = pair.truth(done, vec![reset, answer_of_the_dead()]);
    scene.lab.server.run(|| sockets::close(pair.server))?;
    Ok(truth)
}
