//! Strangers that guess, that know a number, or that speak in the client's name; and scans.

use std::net::SocketAddr;
use std::thread;

use anyhow::{Result, ensure};
use nix::errno::Errno;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST, SYN};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, Pair, RAW_CLIENT_PORT, Scene};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{
    Connection, Effect, Family, GroundTruth, Maker, Reset, Sender, Side, Stage,
};

use super::super::injected::stranger::Stranger;
use super::super::second_exam::filter::{AFTER_RESET, Cause, late, port_after, talk};
use super::super::servers::program::{command, run};
use super::common::{await_challenge, calls_with, ms, passed, source, target, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "guesses_from_below",
        "Guesses that come nearer",
        "A stranger writes eleven bare resets in the server's name, 20 ms apart, whose numbers come \
         nearer from below; the last is inside the window. The session goes on.",
        guesses_from_below,
    ),
    Listed::new(
        "guesses_between_words",
        "A guess after each word",
        "After each of five exchanges a stranger writes a reset in the client's name, far off, with \
         a high TTL and a window; the session goes on.",
        guesses_between_words,
    ),
    Listed::new(
        "leaked_number",
        "A stranger that knows the number",
        "A stranger has learnt where the client stands and resets the server with the first try; \
         the client, which was not told, asks again.",
        leaked_number,
    ),
    Listed::new(
        "six_calls_in_your_name",
        "Six calls in somebody else's name",
        "A stranger writes six SYNs in the client's name to an open port, 30 ms apart; the client \
         resets each SYN-ACK.",
        six_calls_in_your_name,
    ),
    Listed::new(
        "bash_tries_doors",
        "A scan in bash",
        "A script of bash on the client connects to thirteen ports on which nothing listens, in no \
         order (/dev/tcp).",
        bash_tries_doors,
    )
    .needs(&["bash"]),
    Listed::new(
        "nmap_from_https_port",
        "nmap calls from port 443",
        "nmap sends SYNs of its own from port 443, 150 ms apart, to two open and four closed ports \
         (-sS -g 443).",
        nmap_from_https_port,
    )
    .needs(&["nmap"])
    .slow(),
];

const BLIND: Cause = ("security_measure", "blind_reset_attempt");

/// A stranger's reset in the name of `side`.
fn guess(side: Side, effect: Effect) -> Reset {
    Reset::by(Sender::StrangerOnBehalfOf(side), Stage::PostData, BLIND)
        .made_by(Maker::Injector)
        .with_effect(effect)
        .refuted()
}

/// After any reset, effective or not, the wire shows a closed connection.
fn later_ones_closed(mut resets: Vec<Reset>) -> Vec<Reset> {
    resets.iter_mut().skip(1).for_each(|reset| reset.stage = Stage::Closed);
    resets
}

fn survived(scene: &Scene<'_>, pair: Pair<'_>, resets: Vec<Reset>) -> Result<GroundTruth> {
    let done = "the session was used once more and closed with FINs";
    let truth = pair.truth(done, later_ones_closed(resets));
    scene.await_resets(&truth)?;
    pair.exchange()?;
    pair.part()?;
    Ok(truth)
}

fn guesses_from_below(scene: &Scene<'_>) -> Result<GroundTruth> {
    const MISSES: u32 = 10;
    let pair = scene.pair()?;
    talk(&pair, &[(Side::Server, b"+OK hello\r\n"), (Side::Client, b"SUBSCRIBE prices\r\n")])?;
    let stranger = Stranger::arrive(scene)?;
    let seen = pair.last_of(Side::Server, Place::RouterClientSide)?;
    let exact =
        Forgery { ack: 0, window: 0, ttl: 128, ip_id: 0x2222, ..Forgery::after(&seen, RST) };
    for n in 0..MISSES {
        let seq = exact.seq.wrapping_sub((MISSES - n) * 0x0400_0000);
        stranger.send(&Forgery { seq, ip_id: exact.ip_id + n as u16, ..exact.clone() })?;
        thread::sleep(ms(20));
    }
    stranger.send(&Forgery { seq: exact.seq.wrapping_add(4000), ..exact })?;
    await_challenge(scene, &pair.connection, MISSES as usize + 1)?;
    let mut resets = vec![guess(Side::Server, Effect::Ignored); MISSES as usize];
    resets.push(guess(Side::Server, Effect::Challenged));
    survived(scene, pair, resets)
}

fn guesses_between_words(scene: &Scene<'_>) -> Result<GroundTruth> {
    const GUESSES: u32 = 5;
    let pair = scene.busy_pair()?;
    let stranger = Stranger::arrive(scene)?;
    for n in 1..=GUESSES {
        pair.exchange()?;
        let seen = pair.last_of(Side::Client, Place::RouterServerSide)?;
        let off = Forgery::after(&seen, RST | ACK);
        let seq = off.seq.wrapping_add(0x3000_0000 + n * 0x0123_4567);
        let ack = off.ack.rotate_left(n);
        let ip_id = (n * 7919) as u16;
        stranger.send(&Forgery { seq, ack, window: 1024, ttl: 249, ip_id, ..off })?;
        let sent = vec![guess(Side::Client, Effect::Ignored); n as usize];
        scene.await_resets(&pair.truth("", sent))?;
        thread::sleep(ms(40));
    }
    survived(scene, pair, vec![guess(Side::Client, Effect::Ignored); GUESSES as usize])
}

fn leaked_number(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let stranger = Stranger::arrive(scene)?;
    let seen = pair.last_of(Side::Client, Place::RouterServerSide)?;
    let exact = Forgery::after(&seen, RST);
    stranger.send(&Forgery { ack: 0, window: 0, ttl: 44, ip_id: 0x0e0e, ..exact })?;
    sockets::await_error(&pair.server, Errno::ECONNRESET)?;
    late(&pair, Side::Client, b"GET /again HTTP/1.1\r\nHost: server.lab\r\n\r\n")?;
    // It was no guess: it was injected by somebody who is not on the path.
    let cause = ("security_measure", "injected_reset");
    let first = Reset { class: cause.0, cause: cause.1, ..guess(Side::Client, Effect::Accepted) };
    let first = first.or_as_truly(&["blind_reset_attempt"]);
    let second = Reset::by(Sender::Server, Stage::PostData, AFTER_RESET);
    Ok(pair.truth("first the server, then the client got ECONNRESET", vec![first, second]))
}

fn six_calls_in_your_name(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(16)?;
    let stranger = Stranger::arrive(scene)?;
    let plain = scene.raw_from_client(SYN)?;
    let mut connections = Vec::new();
    for n in 0..6_u16 {
        let src = SocketAddr::new(plain.src.ip(), RAW_CLIENT_PORT + 100 + 37 * n);
        let (seq, ip_id) = (0x6b00_0000 + u32::from(n) * 0x0101_0101, 0x1000 + 3 * n);
        let options = vec![2, 4, 5, 180];
        let syn =
            Forgery { src, seq, ack: 0, ip_id, options, window: 512, ttl: 64, ..plain.clone() };
        stranger.send(&syn)?;
        let cause = ("security_measure", "backscatter");
        let reset = Reset::by(Sender::Client, Stage::PostSynack, cause);
        connections.push(with(Connection::between(syn.src, syn.dst), vec![reset]));
        thread::sleep(ms(30));
    }
    passed(scene, connections, "the server saw six resets")
}

fn scan_answer() -> Reset {
    // Each answer is that of a closed port; that there are many in a row makes it a scan.
    let cause = ("security_measure", "scan_response");
    Reset::by(Sender::Server, Stage::PostSyn, cause).or_as_truly(&["closed_port"])
}

fn bash_tries_doors(scene: &Scene<'_>) -> Result<GroundTruth> {
    const SCRIPT: &str = "for port in ${@:1}; do (exec 3<> /dev/tcp/$0/$port); done; exit 0";
    let doors: Vec<SocketAddr> = (1..14).map(|n| port_after(scene, n * 5 % 14 + 1)).collect();
    let [ip, _] = target(scene);
    let mut bash = command("bash");
    bash.args(["-c", SCRIPT, &ip]).args(doors.iter().map(|door| door.port().to_string()));
    run(&scene.lab.client, &mut bash)?;
    let mut connections = Vec::new();
    for door in doors {
        connections.extend(calls_with(scene, door, 1, scan_answer())?);
    }
    Ok(GroundTruth { connections, done: "each connect returned ECONNREFUSED" })
}

fn nmap_from_https_port(scene: &Scene<'_>) -> Result<GroundTruth> {
    let ports: Vec<SocketAddr> = (0..6).map(|number| port_after(scene, number)).collect();
    let listen = |at: SocketAddr| scene.lab.server.run(|| sockets::listen_on(at, 8));
    let _open = [listen(ports[1])?, listen(ports[4])?];
    let mut nmap = command("nmap");
    if scene.family == Family::V6 {
        nmap.arg("-6");
    }
    nmap.args(["-n", "-Pn", "-sS", "-g", "443", "--scan-delay", "150ms", "--max-retries", "0"]);
    nmap.args(["--host-timeout", "8s", "-e", Place::Client.interface(), "-S", &source(scene)]);
    nmap.arg(format!("-p{}-{}", ports[0].port(), ports[5].port()));
    run(&scene.lab.client, nmap.arg(scene.server.ip().to_string()))?;
    // The scanner's TCP knows nothing of the SYN.
    let probe = ("security_measure", "scanner_probe");
    let probe = Reset::by(Sender::Client, Stage::PostSynack, probe);
    let mut connections = Vec::new();
    for (number, &at) in ports.iter().enumerate() {
        let reset = if [1, 4].contains(&number) { probe } else { scan_answer() };
        let found = calls_with(scene, at, 1, reset)?;
        ensure!(found[0].client.port() == 443, "nmap called from {}", found[0].client);
        connections.extend(found);
    }
    passed(scene, connections, "nmap had all its answers")
}
