//! Small programs that come with every system: ncat, socat, curl, wget.

use std::net::SocketAddr;
use std::thread;

use anyhow::Result;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{ANSWER, Listed, REQUEST, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, Family, GroundTruth, Reset, Sender, Stage};

use super::super::second_exam::daemons::clients::{await_fin, called, hear_until};
use super::super::second_exam::filter::{broken, only};
use super::super::servers::program::{Folder, Program, command};
use super::super::wishes::quiet;
use super::common::{
    AFTER_CLOSE, CANCEL, GAVE_UP, UNREAD, calls_with, ms, passed, source, target, with,
};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "ncat_does_not_listen",
        "ncat only sends",
        "ncat sends a file to whoever connects and reads nothing (--send-only); the client has \
         asked for something.",
        ncat_does_not_listen,
    )
    .needs(&["ncat"]),
    Listed::new(
        "ncat_second_caller",
        "ncat wants no second caller",
        "ncat hangs (SIGSTOP) while two clients connect, one after the other, the second with a \
         request; then it takes the first and stops listening.",
        ncat_second_caller,
    )
    .needs(&["ncat"]),
    Listed::new(
        "socat_linger_zero",
        "socat does not linger",
        "socat on the client says something, hears the answer, closes its direction and, a \
         moment later, all, told to do so with SO_LINGER 0 (linger=0).",
        socat_linger_zero,
    )
    .needs(&["socat"]),
    Listed::new(
        "socat_inactive",
        "socat relays no silence",
        "socat relays to a program behind it and ends after two seconds without a word (-T 2); then \
         the client goes on.",
        socat_inactive,
    )
    .needs(&["socat"])
    .slow(),
    Listed::new(
        "curl_disk_full",
        "curl finds the disk full",
        "curl cannot write what it downloads (to /dev/full) and ends; the rest lies unread.",
        curl_disk_full,
    )
    .needs(&["curl"]),
    Listed::new(
        "wget_interrupted",
        "wget ended in a download",
        "wget, which reads slowly, is ended in a download (SIGTERM; who is started in the background may ignore \
         SIGINT).",
        wget_interrupted,
    )
    .needs(&["wget"])
    .slow(),
    Listed::new(
        "curl_prefers_the_other",
        "curl's happy eyeballs",
        "curl knows addresses of both families; over the first one the SYN-ACK is late, so it calls \
         the other, too (--happy-eyeballs-timeout-ms), and hangs up on the first.",
        curl_prefers_the_other,
    )
    .needs(&["curl"])
    .slow(),
];

/// ncat in the server's host, which takes one caller.
fn ncat(scene: &Scene<'_>, script: &str) -> Result<Program> {
    let host = &scene.lab.server;
    let mut shell = command("bash");
    shell.args(["-c", script]).args(target(scene));
    Folder::new()?.start(host, &mut shell)?.await_listening(host, scene.server)
}

fn ncat_does_not_listen(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mut ncat = ncat(scene, "head -n 1 | ncat -n -l --send-only $0 $1")?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    settle(scene.lab, &connection)?;
    ncat.tell(b"the whole file\n")?;
    broken(&client)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, UNREAD);
    Ok(only(connection, vec![reset], "the client got ECONNRESET"))
}

fn ncat_second_caller(scene: &Scene<'_>) -> Result<GroundTruth> {
    let mut ncat = ncat(scene, "exec ncat -n -l $0 $1")?;
    ncat.halt()?;
    let (first, served) = scene.dial()?;
    settle(scene.lab, &served)?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    settle(scene.lab, &connection)?;
    ncat.carry_on()?;
    broken(&client)?;
    first.shutdown(std::net::Shutdown::Write)?;
    settle(scene.lab, &served)?;
    ncat.end_input();
    sockets::drain(&first)?;
    ncat.wait()?;
    let cause = ("application_error", "restart_with_pending_connections");
    let reset = Reset::by(Sender::Server, Stage::PostPush, cause);
    let connections = vec![with(connection, vec![reset]), served];
    Ok(GroundTruth { connections, done: "the second caller got ECONNRESET" })
}

/// socat, and the name of its kind of address.
fn socat(
    scene: &Scene<'_>,
    host: &Netns,
    options: &[&str],
    [one, other]: [String; 2],
) -> Result<Program> {
    let family = match scene.family {
        Family::V4 => "4",
        Family::V6 => "6",
    };
    let mut socat = command("socat");
    socat
        .args(options)
        .args([one, other].map(|address| address.replace("TCP?", &format!("TCP{family}"))));
    Folder::new()?.start(host, &mut socat)
}

/// An IPv6 address in the way of socat.
fn bracketed(ip: &str) -> String {
    if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() }
}

fn socat_linger_zero(scene: &Scene<'_>) -> Result<GroundTruth> {
    const WORDS: &[u8] = b"stats\n";
    let listener = scene.listen(8)?;
    let from = bracketed(&source(scene));
    let peer = format!("TCP?:{},bind={from},linger=0", scene.server);
    let options = ["-t", "0.3"];
    let mut socat = socat(scene, &scene.lab.client, &options, ["-".to_owned(), peer])?;
    let (server, connection) = called(scene, &listener)?;
    socat.tell(WORDS)?;
    sockets::hear(&server, WORDS)?;
    scene.lab.server.run(|| sockets::say(&server, b"up 12 days\n"))?;
    settle(scene.lab, &connection)?;
    // It must have read that, or the reset had another reason.
    rst_tracer::demo::wait::until("socat to hear", || Ok(socat.said().contains("days")))?;
    socat.end_input();
    sockets::await_error(&server, Errno::EPIPE)?;
    // It closes its direction first: both are what was done.
    let cause = ("normal_abortive_close", "rst_after_fin");
    let reset = Reset::by(Sender::Client, Stage::PostFin, cause).or_as_truly(&["linger0_close"]);
    Ok(only(connection, vec![reset], "the server's socket got EPIPE"))
}

fn socat_inactive(scene: &Scene<'_>) -> Result<GroundTruth> {
    let host = &scene.lab.server;
    let behind = host.run(|| sockets::listen_on(([127, 0, 0, 1], 0).into(), 8))?;
    let [ip, port] = target(scene);
    let front = format!("TCP?-LISTEN:{port},bind={}", bracketed(&ip));
    let back = format!("TCP4:{}", behind.local_addr()?);
    let relay = socat(scene, host, &["-T", "2"], [front, back])?;
    let relay = relay.await_listening(host, scene.server)?;
    let (client, connection) = scene.dial()?;
    let worker = host.run(|| sockets::accept(&behind))?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    sockets::hear(&worker, REQUEST)?;
    sockets::say(&worker, ANSWER)?;
    sockets::hear(&client, ANSWER)?;
    settle(scene.lab, &connection)?;
    sockets::await_end(&client)?;
    await_fin(scene, &connection)?;
    thread::sleep(ms(200));
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    sockets::await_error(&client, Errno::EPIPE)?;
    drop(relay);
    // The relay gave up by closing; that something came afterwards is why its kernel reset.
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_CLOSE);
    let reset = reset.or_as_truly(&["proxy_abort"]);
    Ok(only(connection, vec![reset], "the client's socket got EPIPE"))
}

fn curl_disk_full(scene: &Scene<'_>) -> Result<GroundTruth> {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 700000\r\n\r\n";
    let listener = scene.listen(8)?;
    let mut curl = command("curl");
    curl.args(["-q", "--silent", "--noproxy", "*", "--globoff", "--interface", &source(scene)]);
    curl.args(["--limit-rate", "4k", "-o", "/dev/full", &format!("http://{}/iso", scene.server)]);
    let mut curl = Folder::new()?.start(&scene.lab.client, &mut curl)?;
    let (server, connection) = called(scene, &listener)?;
    hear_until(&server, b"\r\n\r\n")?;
    // All of it arrives before curl looks.
    curl.halt()?;
    scene.lab.server.run(|| sockets::say(&server, &[HEAD, &[b'i'; 50_000]].concat()))?;
    settle(scene.lab, &connection)?;
    curl.carry_on()?;
    broken(&server)?;
    curl.wait()?;
    // It cancels; that the kernel resets is because the rest lies unread.
    let reset = Reset::by(Sender::Client, Stage::PostData, CANCEL);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    Ok(only(connection, vec![reset], "the server got ECONNRESET"))
}

fn wget_interrupted(scene: &Scene<'_>) -> Result<GroundTruth> {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 700000\r\n\r\n";
    let listener = scene.listen(8)?;
    let mut wget = command("wget");
    wget.args(["--no-config", "--no-proxy", "--tries=1", "--limit-rate=1k", "-O", "/dev/null"]);
    wget.arg(format!("--bind-address={}", source(scene)));
    wget.arg(format!("http://{}/iso", scene.server));
    let mut wget = Folder::new()?.start(&scene.lab.client, &mut wget)?;
    let (server, connection) = called(scene, &listener)?;
    hear_until(&server, b"\r\n\r\n")?;
    scene.lab.server.run(|| sockets::say(&server, &[HEAD, &[b'i'; 45_000]].concat()))?;
    quiet(scene, &connection)?;
    settle(scene.lab, &connection)?;
    wget.signal(Signal::SIGTERM)?;
    wget.wait()?;
    // Somebody cancelled by ending the process; that the rest lay unread is why its kernel reset.
    let reset = Reset::by(Sender::Client, Stage::PostData, CANCEL);
    let reset = reset.or_as_truly(&["closed_with_unread_data", "process_crash_or_kill"]);
    passed(scene, vec![with(connection, vec![reset])], "the reset reached the server")
}

fn curl_prefers_the_other(scene: &Scene<'_>) -> Result<GroundTruth> {
    let other = match scene.family {
        Family::V4 => Family::V6,
        Family::V6 => Family::V4,
    };
    scene.lab.require(other)?;
    let _late = scene.listen(8)?;
    let [ip, port] = target(scene);
    let there = SocketAddr::new(scene.ip(Place::Server, other), scene.server.port());
    let prompt = scene.lab.server.run(|| sockets::listen_on(there, 8))?;
    let held = scene.lose(&[(Port::From(scene.server.port()), Only::WithSyn)])?;
    let addresses = [bracketed(&ip), bracketed(&there.ip().to_string())].join(",");
    let mut curl = command("curl");
    curl.args(["-q", "--silent", "--noproxy", "*", "--happy-eyeballs-timeout-ms", "150"]);
    curl.args(["--resolve", &format!("server.lab:{port}:{addresses}"), "-o", "/dev/null"]);
    curl.arg(format!("http://server.lab:{port}/"));
    let mut curl = Folder::new()?.start(&scene.lab.client, &mut curl)?;
    let server = scene.lab.server.run(|| sockets::accept(&prompt))?;
    let served = Connection::between(server.peer_addr()?, there);
    hear_until(&server, b"\r\n\r\n")?;
    scene.lab.server.run(|| sockets::say(&server, ANSWER))?;
    sockets::await_end(&server)?;
    curl.wait()?;
    settle(scene.lab, &served)?;
    scene.lab.server.run(|| sockets::close(server))?;
    drop(held);
    let reset = Reset::by(Sender::Client, Stage::PostSynack, GAVE_UP);
    let mut connections = calls_with(scene, scene.server, 1, reset)?;
    connections.push(served);
    passed(scene, connections, "the reset reached the server")
}
