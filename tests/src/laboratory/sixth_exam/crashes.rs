//! Programs that end, are ended or leave before they should: crashes, restarts, outages, late answers.

use std::thread;

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, Scene, settle};
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::fifth_exam::common::{NODE, dies_over_a_request, tell};
use super::super::second_exam::daemons::clients::{await_fin, called, hear_until};
use super::super::second_exam::filter::{Cause, Rule, broken, only};
use super::super::servers::DIED;
use super::super::servers::program::{Folder, command, has_socket, run};
use super::super::third_exam::common::{AFTER_CLOSE, calls, ms, passed, source, target, with};
use super::common::{REDIS, introduction, memcached, mosquitto, redis, words};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "redis_segfaults",
        "Redis crashes",
        "Redis runs into a bug (DEBUG SEGFAULT) over what one client says; it and another client \
         have pipelined more.",
        redis_segfaults,
    )
    .needs(REDIS)
    .slow(),
    Listed::new(
        "node_runs_out_of_memory",
        "Node.js runs out of memory",
        "A server in JavaScript builds a report that does not fit into its heap \
         (--max-old-space-size) and is aborted; meanwhile who asked for it and another client have \
         asked for more.",
        node_runs_out_of_memory,
    )
    .needs(NODE)
    .slow(),
    Listed::new(
        "dropbear_replaced_with_callers_waiting",
        "Dropbear replaced with callers waiting",
        "Dropbear hangs (SIGSTOP) while two callers with ssh name their versions and wait; it is \
         killed (SIGKILL) and started again, and a third one is greeted.",
        dropbear_replaced_with_callers_waiting,
    )
    .needs(&["dropbear", "dropbearkey", "ssh"]),
    Listed::new(
        "cache_stays_down_after_an_outage",
        "A cache stays down after an outage",
        "memcached is gone from one moment to the next, as in a power cut (its last words do not \
         leave the host), and nobody starts it again; of its two clients one asks for something and \
         one hangs up.",
        cache_stays_down_after_an_outage,
    )
    .needs(&["memcached", "iptables", "ip6tables"]),
    Listed::new(
        "device_overslept",
        "A device has overslept",
        "A device has promised mosquitto to say something every second (keepalive) and sleeps for \
         longer; mosquitto closes, and the device, awake again, publishes.",
        device_overslept,
    )
    .needs(&["mosquitto"])
    .slow(),
    Listed::new(
        "caller_comes_again_before_the_answer",
        "A caller that comes again before the answer",
        "A program in JavaScript waits a second for an answer, gives up (AbortSignal.timeout) and asks \
         anew, twice; the server answers each question when nobody is there any more.",
        caller_comes_again_before_the_answer,
    )
    .needs(NODE)
    .slow(),
];

const PENDING: Cause = ("application_error", "restart_with_pending_connections");
const STALE: Cause = ("application_error", "half_open_stale_state");

fn redis_segfaults(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mut redis = redis(&scene.lab.server, scene.server, &["--enable-debug-command", "yes"])?;
    redis.halt()?;
    let (first, second) = (scene.dial()?, scene.dial()?);
    // It reads 16 KiB at a time.
    let more = b"INCR visits\r\n".repeat(3_000);
    tell(scene, &first, &[&b"DEBUG SEGFAULT\r\n"[..], &more].concat())?;
    tell(scene, &second, &more)?;
    redis.carry_on()?;
    let mut connections = Vec::new();
    for (client, connection) in [first, second] {
        broken(&client)?;
        // It crashed; that something lay unread is why its kernel reset.
        let reset = Reset::by(Sender::Server, Stage::PostData, DIED);
        connections.push(with(connection, vec![reset.or_as_truly(&["closed_with_unread_data"])]));
    }
    redis.wait()?;
    Ok(GroundTruth { connections, done: "both clients got ECONNRESET" })
}

fn node_runs_out_of_memory(scene: &Scene<'_>) -> Result<GroundTruth> {
    const SERVER: &str = "\
const http = require('http'), fs = require('fs'), [host, port] = process.argv.slice(1);
http.createServer((asked, answer) => {
    if (asked.url === '/report') {
        console.log('building');
        fs.readSync(0, Buffer.alloc(8));
        for (const rows = []; ; ) rows.push({ row: rows.length, text: 'row ' + rows.length });
    }
    answer.end('hello');
}).listen(+port, host);
";
    let host = &scene.lab.server;
    let mut node = command("node");
    node.args(["--max-old-space-size=24", "-e", SERVER]).args(target(scene));
    let node = Folder::new()?.start(host, &mut node)?.await_listening(host, scene.server)?;
    let report = b"GET /report HTTP/1.1\r\nHost: a.lab\r\n\r\n";
    dies_over_a_request(scene, node, report, "building")
}

fn dropbear_replaced_with_callers_waiting(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (host, keys) = (&scene.lab.server, Folder::new()?);
    let key = keys.path("key");
    let mut make = command("dropbearkey");
    run(host, make.args(["-t", "ed25519", "-f"]).arg(&key))?;
    let start = || {
        let folder = Folder::new()?;
        let mut dropbear = command("dropbear");
        dropbear.args(["-F", "-E", "-p", &scene.server.to_string(), "-r"]).arg(&key);
        dropbear.arg("-P").arg(folder.path("pid"));
        folder.start(host, &mut dropbear)?.await_listening(host, scene.server)
    };
    let before = start()?;
    before.halt()?;
    let [ip, port] = target(scene);
    let mut callers = Vec::new();
    for number in 0..2 {
        let mut ssh = command("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=/dev/null"]);
        ssh.args(["-b", &source(scene), "-p", &port, "-l", "ops", &ip, "true"]);
        let program = Folder::new()?.start(&scene.lab.client, &mut ssh)?;
        let call = calls(scene, scene.server, number + 1)?.swap_remove(number);
        super::super::wishes::quiet(scene, &call)?;
        settle(scene.lab, &call)?;
        callers.push((program, call));
    }
    before.kill()?;
    let mut connections = Vec::new();
    for (mut program, call) in callers {
        program.wait()?;
        let stage = match words(scene, Place::Client, &call, call.client) {
            0 => Stage::PostAck,
            1 => Stage::PostPush,
            _ => Stage::PostData,
        };
        // The listener went with its process: both are what was done.
        let reset = Reset::by(Sender::Server, stage, PENDING);
        connections.push(with(call, vec![reset.or_as_truly(&["process_crash_or_kill"])]));
    }
    let after = start()?;
    let (client, greeted) = scene.dial()?;
    hear_until(&client, b"\r\n")?;
    settle(scene.lab, &greeted)?;
    after.halt()?;
    connections.push(greeted);
    let truth = passed(scene, connections, "both callers ended")?;
    // Neither end of the third one says anything more.
    sockets::vanish(client)?;
    Ok(truth)
}

fn cache_stays_down_after_an_outage(scene: &Scene<'_>) -> Result<GroundTruth> {
    let host = &scene.lab.server;
    let memcached = memcached(scene, &[])?;
    let (asks, leaves) = (scene.dial()?, scene.dial()?);
    for caller in [&asks, &leaves] {
        tell(scene, caller, b"get session\r\n")?;
        sockets::hear(&caller.0, b"END\r\n")?;
        settle(scene.lab, &caller.1)?;
    }
    let last_words = format!("OUTPUT -p tcp --sport {} -j DROP", scene.server.port());
    let dark = Rule::append(scene, host, "filter", last_words)?;
    memcached.kill()?;
    wait::until("the connections to be gone", || {
        Ok(!host.run(|| Ok(has_socket(&asks.1)? || has_socket(&leaves.1)?))?)
    })?;
    drop(dark);
    scene.lab.client.run(|| sockets::say(&asks.0, b"get session\r\n"))?;
    broken(&asks.0)?;
    scene.lab.client.run(|| sockets::close(leaves.0))?;
    let connections =
        [(asks.1, Stage::PostData), (leaves.1, Stage::PostFin)].map(|(connection, stage)| {
            // That nobody listens there any more makes no difference: it is what the host forgot.
            with(connection, vec![Reset::by(Sender::Server, stage, STALE)])
        });
    passed(scene, connections.into(), "one client got ECONNRESET, the other's host a reset")
}

fn device_overslept(scene: &Scene<'_>) -> Result<GroundTruth> {
    // A topic (lab) and what there is to say of it (41), at most once (MQTT 3.1.1, 3.3).
    const PUBLISH: &[u8] = b"\x30\x07\0\x03lab41";
    let _mosquitto = mosquitto(scene, "")?;
    let device = scene.dial()?;
    tell(scene, &device, &introduction("meter-3", 1))?;
    sockets::hear(&device.0, b"\x20\x02\0\0")?;
    tell(scene, &device, PUBLISH)?;
    await_fin(scene, &device.1)?;
    scene.lab.client.run(|| sockets::say(&device.0, PUBLISH))?;
    sockets::await_error(&device.0, Errno::EPIPE)?;
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_CLOSE);
    Ok(only(device.1, vec![reset], "the device's socket got EPIPE"))
}

fn caller_comes_again_before_the_answer(scene: &Scene<'_>) -> Result<GroundTruth> {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nprice";
    const CALLER: &str = "\
const http = require('http'), [host, port, from] = process.argv.slice(1);
const ask = left => {
    const signal = AbortSignal.timeout(1000);
    const options = { host, port, localAddress: from, path: '/price', signal, agent: false };
    http.get(options).on('error', () => { if (left) ask(left - 1); });
};
ask(1);
";
    let listener = scene.listen(8)?;
    let mut node = command("node");
    node.args(["-e", CALLER]).args(target(scene)).arg(source(scene));
    let mut node = Folder::new()?.start(&scene.lab.client, &mut node)?;
    let mut connections = Vec::new();
    let mut asked: Vec<(std::net::TcpStream, Connection)> = Vec::new();
    for _ in 0..2 {
        let (server, connection) = called(scene, &listener)?;
        hear_until(&server, b"\r\n\r\n")?;
        sockets::await_end(&server)?;
        settle(scene.lab, &connection)?;
        asked.push((server, connection));
    }
    node.wait()?;
    for (server, connection) in asked {
        scene.lab.server.run(|| sockets::say(&server, ANSWER))?;
        sockets::await_error(&server, Errno::EPIPE)?;
        // The caller gave up by closing; that an answer came afterwards is why its kernel reset.
        let reset = Reset::by(Sender::Client, Stage::PostFin, AFTER_CLOSE);
        connections.push(with(connection, vec![reset.or_as_truly(&["client_cancel"])]));
        thread::sleep(ms(50));
    }
    Ok(GroundTruth { connections, done: "twice the server's socket got EPIPE" })
}
