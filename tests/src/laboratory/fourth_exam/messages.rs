//! A message broker (mosquitto) and a cache (memcached) with clients that they do not want.

use std::net::TcpStream;

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};

use super::super::second_exam::filter::{Cause, broken, only};
use super::super::servers::program::{Folder, Program, command};
use super::super::third_exam::common::{AFTER_CLOSE, UNREAD, target, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "broker_session_taken_over",
        "Two devices of one name",
        "A device of the same name as another connects with mosquitto, which closes the other's \
         connection; the other one pings.",
        broker_session_taken_over,
    )
    .needs(MOSQUITTO),
    Listed::new(
        "broker_hears_http",
        "A browser calls a message broker",
        "A client says to mosquitto what one says to a web server; mosquitto closes after the \
         first byte.",
        broker_hears_http,
    )
    .needs(MOSQUITTO),
    Listed::new(
        "broker_wants_a_password",
        "A device that does not wait to be let in",
        "A device without a password connects with mosquitto and subscribes in the same segment; \
         mosquitto says that it is not authorized and closes, the rest unread.",
        broker_wants_a_password,
    )
    .needs(MOSQUITTO),
    Listed::new(
        "cache_is_full_of_clients",
        "A cache with clients enough",
        "memcached, which may have few clients (-c), tells two more of them that there are too \
         many and closes, their commands unread.",
        cache_is_full_of_clients,
    )
    .needs(MEMCACHED),
    Listed::new(
        "cache_hears_a_log",
        "A log shipped to the wrong port",
        "A client ships 40 kB of a log without a line's end to memcached, which closes when it has \
         read the beginning.",
        cache_hears_a_log,
    )
    .needs(MEMCACHED),
];

const MOSQUITTO: &[&str] = &["mosquitto"];
const MEMCACHED: &[&str] = &["memcached"];
const MISMATCH: Cause = ("application_error", "protocol_mismatch");
/// MQTT 3.1.1: connection accepted, and ping (3.2, 3.12).
const ACCEPTED: &[u8] = b"\x20\x02\0\0";
const PING: &[u8] = b"\xc0\0";

fn mosquitto(scene: &Scene<'_>, rules: &str) -> Result<Program> {
    let (host, [ip, port]) = (&scene.lab.server, target(scene));
    let folder = Folder::new()?;
    let text = format!("user root\nlog_dest stderr\nlistener {port} {ip}\n{rules}\n");
    let path = folder.write("mosquitto.conf", text)?;
    let mut mosquitto = command("mosquitto");
    folder.start(host, mosquitto.arg("-c").arg(path))?.await_listening(host, scene.server)
}

/// The packet with which a device introduces itself (MQTT 3.1.1, 3.1): it stays for a minute.
fn introduction(name: &str) -> Vec<u8> {
    let length = name.len() as u8;
    [&[0x10, 12 + length][..], b"\0\x04MQTT\x04\x02\0\x3c", &[0, length], name.as_bytes()].concat()
}

fn device(scene: &Scene<'_>, name: &str) -> Result<(TcpStream, Connection)> {
    let (device, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&device, &introduction(name)))?;
    sockets::hear(&device, ACCEPTED)?;
    settle(scene.lab, &connection)?;
    Ok((device, connection))
}

fn broker_session_taken_over(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _mosquitto = mosquitto(scene, "allow_anonymous true")?;
    let (first, taken) = device(scene, "sensor-7")?;
    let (second, stood_by) = device(scene, "sensor-7")?;
    sockets::await_end(&first)?;
    settle(scene.lab, &taken)?;
    scene.lab.client.run(|| sockets::say(&first, PING))?;
    sockets::await_error(&first, Errno::EPIPE)?;
    scene.lab.client.run(|| sockets::say(&second, b"\xe0\0"))?;
    sockets::await_end(&second)?;
    settle(scene.lab, &stood_by)?;
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_CLOSE);
    let connections = vec![with(taken, vec![reset]), stood_by];
    Ok(GroundTruth { connections, done: "the first device's socket got EPIPE" })
}

fn broker_hears_http(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _mosquitto = mosquitto(scene, "allow_anonymous true")?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    broken(&client)?;
    // That it was not understood is why; that the rest lay unread is why the kernel reset.
    let reset = Reset::by(Sender::Server, Stage::PostPush, MISMATCH);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    Ok(only(connection, vec![reset], "the client got ECONNRESET"))
}

fn broker_wants_a_password(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _mosquitto = mosquitto(scene, "allow_anonymous false")?;
    let (client, connection) = scene.dial()?;
    let subscribe = b"\x82\x09\0\x01\0\x04lab/\0";
    let both = [&introduction("sensor-8")[..], subscribe].concat();
    scene.lab.client.run(|| sockets::say(&client, &both))?;
    broken(&client)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, UNREAD);
    Ok(only(connection, vec![reset], "the client got ECONNRESET"))
}

fn memcached(scene: &Scene<'_>, settings: &[&str]) -> Result<Program> {
    let (host, [ip, port]) = (&scene.lab.server, target(scene));
    let mut memcached = command("memcached");
    memcached.args(["-u", "root", "-t", "1", "-l", &ip, "-p", &port]).args(settings);
    Folder::new()?.start(host, &mut memcached)?.await_listening(host, scene.server)
}

fn cache_is_full_of_clients(scene: &Scene<'_>) -> Result<GroundTruth> {
    const ASKED: &[u8] = b"get answer\r\n";
    // Of the twenty files that it may open then, so many are left for clients.
    const ROOM: usize = 8;
    let memcached = memcached(scene, &["-c", "20"])?;
    let mut served = Vec::new();
    for _ in 0..ROOM {
        let (client, connection) = scene.dial()?;
        scene.lab.client.run(|| sockets::say(&client, ASKED))?;
        sockets::hear(&client, b"END\r\n")?;
        settle(scene.lab, &connection)?;
        served.push((client, connection));
    }
    // What they ask arrives before it looks.
    memcached.halt()?;
    let late = [scene.dial()?, scene.dial()?];
    for (client, connection) in &late {
        scene.lab.client.run(|| sockets::say(client, ASKED))?;
        settle(scene.lab, connection)?;
    }
    memcached.carry_on()?;
    let mut connections = Vec::new();
    for (client, connection) in late {
        broken(&client)?;
        let reset = Reset::by(Sender::Server, Stage::PostData, UNREAD);
        connections.push(with(connection, vec![reset]));
    }
    connections.extend(served.into_iter().map(|(_, connection)| connection));
    Ok(GroundTruth { connections, done: "two clients got ECONNRESET" })
}

fn cache_hears_a_log(scene: &Scene<'_>) -> Result<GroundTruth> {
    let memcached = memcached(scene, &[])?;
    memcached.halt()?;
    let (client, connection) = scene.dial()?;
    for piece in [&b"{\"version\":\"1.1\",\"host\":\"web\"}\0"[..], &[b'l'; 40_000]] {
        scene.lab.client.run(|| sockets::say(&client, piece))?;
    }
    settle(scene.lab, &connection)?;
    memcached.carry_on()?;
    broken(&client)?;
    // That it was not understood is why; that the rest lay unread is why the kernel reset.
    let reset = Reset::by(Sender::Server, Stage::PostData, MISMATCH);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    Ok(only(connection, vec![reset], "the client got ECONNRESET"))
}
