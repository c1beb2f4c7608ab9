//! Handshakes and connections of which one side knows something else than the other: guards, copies, silence, power
//! cuts.

use std::net::TcpStream;
use std::thread;

use anyhow::{Result, bail};
use nix::errno::Errno;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST, SYN};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::packet;
use rst_tracer::demo::scenarios::{Listed, Pair, REQUEST, Scene, last, settle};
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Side, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::injected::watcher::shoot;
use super::super::second_exam::daemons::clients::called;
use super::super::second_exam::filter::{Cause, Rule, broken};
use super::super::servers::haproxy::{HAPROXY, start};
use super::super::servers::program::{Folder, command, has_socket};
use super::super::third_exam::common::{begin_call, ms, passed, source, target, with};
use super::common::in_brackets;

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "guard_tests_the_caller",
        "A guard tests the caller",
        "A guard against floods answers a client's first SYN with a SYN-ACK that acknowledges \
         something else; the client's TCP resets it, as only a real one does, and its next SYN is \
         let through.",
        guard_tests_the_caller,
    )
    .slow(),
    Listed::new(
        "segment_from_a_slow_path",
        "A segment from a slow path",
        "The client has asked, heard the answer and closed; 500 ms later a copy of its question \
         arrives by a slower path, of which the server, which listens, knows nothing any more.",
        segment_from_a_slow_path,
    )
    .slow(),
    Listed::new(
        "socat_keeps_alive",
        "socat asks whether anybody is there",
        "The client's answers are lost; socat on the server gives it up after two keepalive probes \
         (keepidle, keepintvl, keepcnt), of which the client hears.",
        socat_keeps_alive,
    )
    .needs(&["socat"])
    .slow(),
    Listed::new(
        "kiosk_without_power",
        "A kiosk loses its power",
        "nc on the client, which calls from a fixed port, is gone from one moment to the next, as in \
         a power cut (its last words do not leave the host), and calls again.",
        kiosk_without_power,
    )
    .needs(&["nc.openbsd", "iptables", "ip6tables"]),
    Listed::new(
        "haproxy_loses_patience_with_a_phone",
        "HAProxy loses patience with a phone",
        "The network goes silent in the middle of a notice that HAProxy passes on; half a second \
         later its kernel ends the connection (tcp-ut). Then the network is back, and the client \
         says something.",
        haproxy_loses_patience_with_a_phone,
    )
    .needs(HAPROXY)
    .slow(),
];

const BAD_ACK: Cause = ("protocol_state", "bad_handshake_ack");
const STRAY: Cause = ("protocol_state", "stray_segment");
const KEEPALIVE: Cause = ("protocol_state", "keepalive_timeout");
const LATE: Cause = ("protocol_state", "late_segment_after_timeout");
const DISCOVERED: Cause = ("protocol_state", "half_open_discovery");

fn guard_tests_the_caller(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    // The guard answers itself.
    let kept = scene.lose(&[(Port::To(scene.server.port()), Only::WithSyn)])?;
    let (socket, connection) = begin_call(scene, 0)?;
    let syn =
        scene.lab.sniffer(Place::RouterClientSide).wait_for("a SYN", &connection, |seen| {
            last(seen, &connection, Side::Client).cloned()
        })?;
    let test = Forgery {
        macs: (syn.macs.1, syn.macs.0),
        src: syn.dst,
        dst: syn.src,
        seq: 0x00c0_ffee,
        ack: syn.seq.wrapping_add(0x1234_5678),
        window: 8192,
        ttl: 64,
        ..Forgery::after(&syn, SYN | ACK)
    };
    shoot(scene.lab, &connection, &[test])?;
    scene.lab.sniffer(Place::Server).wait_for("a reset", &connection, |seen| {
        seen.iter().any(|one| one.segment.has(RST)).then_some(())
    })?;
    drop(kept);
    let server = scene.lab.server.run(|| sockets::accept(&listener))?;
    let client = TcpStream::from(socket);
    client.set_nonblocking(false)?;
    let pair = Pair { lab: scene.lab, connection, client, server };
    pair.exchange()?;
    let reset = Reset::by(Sender::Client, Stage::PostSynack, BAD_ACK);
    let truth = pair.truth("the connection was used and closed with FINs", vec![reset]);
    pair.part()?;
    Ok(truth)
}

fn segment_from_a_slow_path(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let pair = scene.pair_at(&listener)?;
    pair.exchange()?;
    pair.settle()?;
    let connection = pair.connection.clone();
    let asked =
        scene.lab.sniffer(Place::RouterServerSide).wait_for("a question", &connection, |seen| {
            let is_it = |one: &&rst_tracer::demo::sniffer::Sighting| {
                one.segment.src == connection.client && one.segment.payload_len > 0
            };
            seen.iter().find(is_it).map(|one| one.segment.clone())
        })?;
    pair.part()?;
    settle(scene.lab, &connection)?;
    thread::sleep(ms(500));
    let (value, echo) = asked.timestamps.unwrap_or_default();
    let options = [&[1, 1, 8, 10][..], &value.to_be_bytes(), &echo.to_be_bytes()].concat();
    let copy = Forgery {
        seq: asked.seq,
        ack: asked.ack,
        window: asked.window,
        ttl: asked.ttl,
        ip_id: asked.ip_id.unwrap_or_default(),
        dont_fragment: asked.dont_fragment,
        flow_label: asked.flow_label.unwrap_or_default(),
        options,
        payload: REQUEST.to_vec(),
        ..Forgery::after(&asked, asked.flags)
    };
    packet::inject(&scene.lab.router, Place::RouterServerSide.interface(), &copy.to_frame())?;
    let reset = Reset::by(Sender::Server, Stage::Closed, STRAY);
    let done = "the reset reached the client";
    let truth = passed(scene, vec![with(connection, vec![reset])], done)?;
    drop(listener);
    Ok(truth)
}

fn socat_keeps_alive(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (host, listen) = (&scene.lab.server, scene.server);
    let kind = if listen.is_ipv4() { "TCP4-LISTEN" } else { "TCP6-LISTEN" };
    let ip = in_brackets(listen.ip());
    let mut socat = command("socat");
    socat.arg(format!(
        "{kind}:{},bind={ip},reuseaddr,keepalive,keepidle=1,keepintvl=1,keepcnt=2",
        listen.port()
    ));
    let mut socat =
        Folder::new()?.start(host, socat.arg("STDIO"))?.await_listening(host, listen)?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, b"hello\n"))?;
    wait::until("socat to hear", || Ok(socat.said().contains("hello")))?;
    let _lost = scene.lose(&[(Port::To(listen.port()), Only::Any)])?;
    broken(&client)?;
    socat.end_input();
    let reset = Reset::by(Sender::Server, Stage::PostPush, KEEPALIVE);
    passed(scene, vec![with(connection, vec![reset])], "the client got ECONNRESET")
}

fn kiosk_without_power(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (host, listener) = (&scene.lab.client, scene.listen(8)?);
    let (socket, address) = scene.bound()?;
    sockets::close(socket)?;
    let nc = || {
        let mut nc = command("nc.openbsd");
        nc.args(["-n", "-p", &address.port().to_string(), "-s", &source(scene)]);
        Folder::new()?.start(host, nc.args(target(scene)))
    };
    let before = nc()?;
    let (old, connection) = called(scene, &listener)?;
    scene.lab.server.run(|| sockets::say(&old, b"show: advertisement\n"))?;
    wait::until("nc to show it", || Ok(before.said().contains("advertisement")))?;
    // With something unread its kernel would reset the connection, and keeps nothing of it.
    before.halt()?;
    scene.lab.server.run(|| sockets::say(&old, b"show: timetable\n"))?;
    settle(scene.lab, &connection)?;
    let last_words = format!("OUTPUT -p tcp --sport {} -j DROP", address.port());
    let dark = Rule::append(scene, host, "filter", last_words)?;
    before.kill()?;
    let mirrored = Connection::between(connection.server, connection.client);
    wait::until("the connection to be gone", || Ok(!host.run(|| has_socket(&mirrored))?))?;
    drop(dark);
    let mut after = nc()?;
    let (new, again) = called(scene, &listener)?;
    if again.client != connection.client {
        bail!("nc calls from {}, not from {}", again.client, connection.client);
    }
    sockets::await_error(&old, Errno::ECONNRESET)?;
    scene.lab.server.run(|| sockets::say(&new, b"show: timetable\n"))?;
    wait::until("nc to show it", || Ok(after.said().contains("timetable")))?;
    let reset = Reset::by(Sender::Client, Stage::PostData, DISCOVERED);
    let truth = with(connection.clone(), vec![reset]);
    after.end_input();
    new.shutdown(std::net::Shutdown::Write)?;
    settle(scene.lab, &connection)?;
    Ok(GroundTruth { connections: vec![truth], done: "the server got ECONNRESET on the old one" })
}

fn haproxy_loses_patience_with_a_phone(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (host, listen) = (&scene.lab.server, scene.server);
    let behind = host.run(|| sockets::listen_on(([127, 0, 0, 1], 0).into(), 8))?;
    let section = format!(
        "listen proxy\n bind {listen} tcp-ut 500ms\n server behind {}\n",
        behind.local_addr()?
    );
    let _haproxy = start(host, Folder::new()?, listen, &section)?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, b"HELLO phone\n"))?;
    let server = host.run(|| sockets::accept(&behind))?;
    sockets::hear(&server, b"HELLO phone\n")?;
    settle(scene.lab, &connection)?;
    let silence = scene.silence()?;
    sockets::say(&server, b"NOTICE one\n")?;
    wait::until("HAProxy to lose patience", || Ok(!host.run(|| has_socket(&connection))?))?;
    drop(silence);
    scene.lab.client.run(|| sockets::say(&client, b"BEAT one\n"))?;
    broken(&client)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, LATE);
    passed(scene, vec![with(connection, vec![reset])], "the client got ECONNRESET")
}
