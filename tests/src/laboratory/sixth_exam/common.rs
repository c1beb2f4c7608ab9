//! What several files of this folder start: Redis, mosquitto, memcached, Python, SSH sessions.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::scenarios::{Scene, settle};
use rst_tracer::demo::truth::Connection;
use rst_tracer::demo::wait;

use super::super::fifth_exam::common::front;
use super::super::servers::program::{Folder, Program, command};
use super::super::servers::{sshd, the_caller};
use super::super::third_exam::common::{source, target};

pub(super) const REDIS: &[&str] = &["redis-server"];

/// Redis in a host, with these settings beside those that it needs.
pub(super) fn redis(host: &Netns, at: SocketAddr, settings: &[&str]) -> Result<Program> {
    let mut redis = command("redis-server");
    redis.args(["--bind", &at.ip().to_string(), "--port", &at.port().to_string()]);
    redis.args(["--save", "", "--protected-mode", "no"]).args(settings);
    Folder::new()?.start(host, &mut redis)?.await_listening(host, at)
}

/// A replica on the client of a master at the scenario's port.
pub(super) fn replica(scene: &Scene<'_>) -> Result<Program> {
    let [ip, port] = target(scene);
    let settings = ["--replicaof", &format!("{ip} {port}"), "--bind-source-addr", &source(scene)];
    redis(&scene.lab.client, front(scene), &settings)
}

/// mosquitto at the scenario's port.
pub(super) fn mosquitto(scene: &Scene<'_>, rules: &str) -> Result<Program> {
    let (host, [ip, port]) = (&scene.lab.server, target(scene));
    let folder = Folder::new()?;
    let text = format!(
        "user root\nlog_dest stderr\nallow_anonymous true\nlistener {port} {ip}\n{rules}\n"
    );
    let path = folder.write("mosquitto.conf", text)?;
    let mut mosquitto = command("mosquitto");
    folder.start(host, mosquitto.arg("-c").arg(path))?.await_listening(host, scene.server)
}

/// How a device introduces itself to a broker (MQTT 3.1.1, 3.1) that it will speak to once in so many seconds.
pub(super) fn introduction(name: &str, keepalive_s: u8) -> Vec<u8> {
    let length = name.len() as u8;
    let head = [0x10, 12 + length];
    [&head[..], b"\0\x04MQTT\x04\x02\0", &[keepalive_s, 0, length], name.as_bytes()].concat()
}

/// memcached at the scenario's port.
pub(super) fn memcached(scene: &Scene<'_>, settings: &[&str]) -> Result<Program> {
    let (host, [ip, port]) = (&scene.lab.server, target(scene));
    let mut memcached = command("memcached");
    memcached.args(["-u", "root", "-t", "1", "-l", &ip, "-p", &port]).args(settings);
    Folder::new()?.start(host, &mut memcached)?.await_listening(host, scene.server)
}

/// A server in Python at the scenario's port.
pub(super) fn python(scene: &Scene<'_>, folder: Folder, script: &str) -> Result<Program> {
    let host = &scene.lab.server;
    let mut python = command("python3");
    python.args(["-c", script]).args(target(scene));
    folder.start(host, &mut python)?.await_listening(host, scene.server)
}

/// curl on the client, which calls from this address.
pub(super) fn curl(
    scene: &Scene<'_>,
    from: IpAddr,
    options: &[&str],
    url: &str,
) -> Result<Program> {
    let mut curl = command("curl");
    curl.args(["-q", "--silent", "--noproxy", "*", "--globoff", "-o", "/dev/null"]);
    curl.args(["--interface", &from.to_string()]).args(options).arg(url);
    Folder::new()?.start(&scene.lab.client, &mut curl)
}

/// The scenario's address on the client.
pub(super) fn from(scene: &Scene<'_>) -> IpAddr {
    scene.ip(Place::Client, scene.family)
}

/// Waits until a side has said something beyond what it had when asked first.
pub(super) fn await_words(
    scene: &Scene<'_>,
    place: Place,
    connection: &Connection,
    by: SocketAddr,
    more_than: usize,
) -> Result<()> {
    let witness = scene.lab.sniffer(place);
    witness.wait_for("more words", connection, |seen| {
        let words = seen.iter().filter(|one| one.segment.src == by && one.segment.payload_len > 0);
        (words.count() > more_than).then_some(())
    })
}

/// How many segments with data of a side have passed a place.
pub(super) fn words(
    scene: &Scene<'_>,
    place: Place,
    connection: &Connection,
    by: SocketAddr,
) -> usize {
    let seen = scene.lab.sniffer(place).segments(connection);
    seen.iter().filter(|one| one.segment.src == by && one.segment.payload_len > 0).count()
}

/// A session of ssh with sshd, which echoes what is typed and speaks when it is told to.
pub(super) struct Session {
    _sshd: Program,
    pub(super) ssh: Program,
    pub(super) connection: Connection,
    go: PathBuf,
}

impl Session {
    /// Logs in.
    pub(super) fn open(scene: &Scene<'_>) -> Result<Self> {
        let sshd = sshd::start(scene, "")?;
        let [user, up, go] = ["user", "up", "go"].map(|name| sshd.folder().path(name));
        // It speaks when it is told to, and ends with its input.
        let session = format!(
            "touch {}; until test -e {}; do sleep 0.02; done; echo spoken; exec cat",
            up.display(),
            go.display()
        );
        let [ip, port] = target(scene);
        let mut ssh = command("ssh");
        ssh.args(["-F", "none", "-i"]).arg(user).args(["-p", &port, "-b", &source(scene)]);
        for option in ["BatchMode=yes", "StrictHostKeyChecking=no", "IdentityAgent=none"] {
            ssh.args(["-o", option]);
        }
        ssh.args(["-o", "UserKnownHostsFile=/dev/null", &format!("root@{ip}")]).arg(session);
        let ssh = Folder::new()?.start(&scene.lab.client, &mut ssh)?;
        let connection = the_caller(scene)?;
        wait::until("the session to begin", || Ok(up.exists()))
            .with_context(|| format!("ssh said:\n{}\nsshd said:\n{}", ssh.said(), sshd.said()))?;
        settle(scene.lab, &connection)?;
        super::super::wishes::quiet(scene, &connection)?;
        Ok(Self { _sshd: sshd, ssh, connection, go })
    }

    /// Lets the session speak.
    pub(super) fn speak(&self) -> Result<()> {
        std::fs::write(&self.go, "").context("telling the session to speak")
    }
}
