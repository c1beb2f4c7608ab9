//! Services that fail their callers: taken by surprise, killed, switched, without power.

use std::net::SocketAddr;
use std::time::Duration;
use std::{iter, thread};

use anyhow::Result;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use rst_tracer::demo::frame::RST;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, settle};
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::second_exam::daemons::clients::await_fin;
use super::super::second_exam::filter::{Cause, Rule, broken, only, port_after};
use super::super::servers::program::{Folder, Program, command, has_socket, run};
use super::super::servers::the_caller;
use super::super::third_exam::capacity::waiting;
use super::super::third_exam::common::{AFTER_CLOSE, UNREAD, passed, target, with};
use super::common::{in_brackets, perl, tell};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "dropbear_hears_a_browser",
        "An SSH server hears a browser",
        "Dropbear names its version and its ciphers to a client that uploads something in HTTP; it \
         finds no version there and leaves, the rest unread.",
        dropbear_hears_a_browser,
    )
    .needs(DROPBEAR),
    Listed::new(
        "broker_takes_tls_for_a_length",
        "A broker takes a TLS hello for a length",
        "A broker in Perl, which expects a length of four bytes, reads the beginning of what openssl \
         s_client says, finds it too long and closes.",
        broker_takes_tls_for_a_length,
    )
    .needs(&["perl", "openssl"]),
    Listed::new(
        "blue_becomes_green",
        "Blue becomes green",
        "The server's iptables hands the port on to the blue copy of a service; it is switched to the \
         green one, and what was tracked is forgotten. A client of the blue one asks for more.",
        blue_becomes_green,
    )
    .needs(&["iptables", "ip6tables", "conntrack"]),
    Listed::new(
        "queue_without_power",
        "A queue loses its power",
        "beanstalkd is gone from one moment to the next, as in a power cut (its last words do not \
         leave the host), and is started again; a worker that was not told asks for a job.",
        queue_without_power,
    )
    .needs(&["beanstalkd", "iptables", "ip6tables"]),
    Listed::new(
        "collector_interrupted",
        "A collector of logs is interrupted",
        "nc collects what a client logs and is interrupted (SIGINT) with all of it read; the client \
         logs two more lines.",
        collector_interrupted,
    )
    .needs(&["nc.openbsd"]),
    Listed::new(
        "service_reads_nothing",
        "A service that reads nothing",
        "systemd-socket-activate starts a program for each caller (--accept --inetd), which ends \
         without reading what the caller has said; this happens twice.",
        service_reads_nothing,
    )
    .needs(&["systemd-socket-activate", "true"]),
    Listed::new(
        "port_of_an_empty_container",
        "A published port, and nobody in the container",
        "socat on the server takes calls for a program in a container, as docker-proxy does; nothing \
         listens there; socat closes its direction and ends, what the caller has said unread.",
        port_of_an_empty_container,
    )
    .needs(&["socat"]),
];

const DROPBEAR: &[&str] = &["dropbear"];
const STALE: Cause = ("application_error", "half_open_stale_state");
const MISMATCH: Cause = ("application_error", "protocol_mismatch");

fn dropbear_hears_a_browser(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (host, folder) = (&scene.lab.server, Folder::new()?);
    let key = folder.path("key");
    let mut make = command("dropbearkey");
    run(host, make.args(["-t", "ed25519", "-f"]).arg(&key))?;
    let mut dropbear = command("dropbear");
    dropbear.args(["-F", "-E", "-p", &scene.server.to_string(), "-r"]).arg(&key);
    dropbear.arg("-P").arg(folder.path("pid"));
    let dropbear = folder.start(host, &mut dropbear)?.await_listening(host, scene.server)?;
    // All of it arrives before Dropbear looks.
    dropbear.halt()?;
    let caller = scene.dial()?;
    tell(
        scene,
        &caller,
        b"POST /upload HTTP/1.1\r\nHost: web.lab\r\nContent-Length: 3000\r\n\r\n",
    )?;
    tell(scene, &caller, &[b'u'; 3000])?;
    dropbear.carry_on()?;
    broken(&caller.0)?;
    // The kernel resets because something lies unread; that it is no SSH is why.
    let reset = Reset::by(Sender::Server, Stage::PostData, MISMATCH);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    Ok(only(caller.1, vec![reset], "the client got ECONNRESET"))
}

fn broker_takes_tls_for_a_length(scene: &Scene<'_>) -> Result<GroundTruth> {
    const BROKER: &str = "\
$| = 1;
my $server = IO::Socket::IP->new(LocalHost => $ARGV[0], LocalPort => $ARGV[1], Listen => 8,
                                 ReuseAddr => 1, Type => SOCK_STREAM) or die $@;
while (my $client = $server->accept) {
    $client->sysread(my $length, 4);
    $length = unpack('N', $length);
    print \"$length bytes are too many\\n\" if $length > 104857600;
    close $client;
}
";
    let host = &scene.lab.server;
    let broker = perl(host, BROKER, &target(scene))?.await_listening(host, scene.server)?;
    let mut client = command("openssl");
    client.args(["s_client", "-quiet", "-connect", &scene.server.to_string()]);
    client.args(["-bind", &scene.at(rst_tracer::demo::lab::Place::Client, 0).to_string()]);
    let mut client = Folder::new()?.start(&scene.lab.client, &mut client)?;
    wait::until("the broker", || Ok(broker.said().contains("too many")))?;
    client.wait()?;
    // The kernel resets because something lies unread; that it is another protocol is why.
    let reset = Reset::by(Sender::Server, Stage::PostPush, MISMATCH);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    passed(scene, vec![with(the_caller(scene)?, vec![reset])], "the reset reached the client")
}

/// The server's iptables hands what goes to the scenario's port on to another one of the host.
fn handed_on<'a>(scene: &Scene<'a>, to: SocketAddr) -> Result<Rule<'a>> {
    let from = scene.server.port();
    let rule = format!("PREROUTING -p tcp --dport {from} -j DNAT --to-destination {to}");
    Rule::append(scene, &scene.lab.server, "nat", rule)
}

fn blue_becomes_green(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (host, [blue, green]) = (&scene.lab.server, [1, 2].map(|number| port_after(scene, number)));
    let listen = |at| host.run(|| sockets::listen_on(at, 8));
    let (blue_copy, green_copy) = (listen(blue)?, listen(green)?);
    let way = handed_on(scene, blue)?;
    let caller = scene.dial()?;
    let server = host.run(|| sockets::accept(&blue_copy))?;
    tell(scene, &caller, b"SUBSCRIBE prices\n")?;
    sockets::hear(&server, b"SUBSCRIBE prices\n")?;
    host.run(|| sockets::say(&server, b"prices: 12\n"))?;
    sockets::hear(&caller.0, b"prices: 12\n")?;
    settle(scene.lab, &caller.1)?;
    drop(way);
    let _way = handed_on(scene, green)?;
    forget(scene, host)?;
    scene.lab.client.run(|| sockets::say(&caller.0, b"SUBSCRIBE rates\n"))?;
    broken(&caller.0)?;
    // The blue copy still believes in it, and has nobody to talk to.
    sockets::vanish(server)?;
    drop(green_copy);
    let reset = Reset::by(Sender::Server, Stage::PostData, STALE);
    Ok(only(caller.1, vec![reset], "the client got ECONNRESET"))
}

/// The host forgets the connections to the scenario's port that it has tracked.
fn forget(scene: &Scene<'_>, host: &Netns) -> Result<()> {
    let family = if scene.server.is_ipv4() { "ipv4" } else { "ipv6" };
    let port = scene.server.port().to_string();
    let mut conntrack = command("conntrack");
    conntrack.args(["-D", "-f", family, "-p", "tcp", "--orig-port-dst", &port]);
    run(host, &mut conntrack).map(drop)
}

fn beanstalkd(scene: &Scene<'_>) -> Result<Program> {
    let (host, [ip, port]) = (&scene.lab.server, target(scene));
    let mut beanstalkd = command("beanstalkd");
    beanstalkd.args(["-l", &ip, "-p", &port]);
    Folder::new()?.start(host, &mut beanstalkd)?.await_listening(host, scene.server)
}

fn queue_without_power(scene: &Scene<'_>) -> Result<GroundTruth> {
    let host = &scene.lab.server;
    let before = beanstalkd(scene)?;
    let worker = scene.dial()?;
    tell(scene, &worker, b"put 0 0 9 4\r\nwork\r\n")?;
    sockets::hear(&worker.0, b"INSERTED 1\r\n")?;
    // With something unread its kernel would reset the connection, and keeps nothing of it.
    before.halt()?;
    tell(scene, &worker, b"peek-ready\r\n")?;
    let last_words = format!("OUTPUT -p tcp --sport {} -j DROP", scene.server.port());
    let dark = Rule::append(scene, host, "filter", last_words)?;
    before.kill()?;
    wait::until("the connection to be gone", || Ok(!host.run(|| has_socket(&worker.1))?))?;
    drop(dark);
    let _after = beanstalkd(scene)?;
    scene.lab.client.run(|| sockets::say(&worker.0, b"reserve\r\n"))?;
    broken(&worker.0)?;
    let reset = Reset::by(Sender::Server, Stage::PostData, STALE);
    Ok(only(worker.1, vec![reset], "the client got ECONNRESET"))
}

fn collector_interrupted(scene: &Scene<'_>) -> Result<GroundTruth> {
    let host = &scene.lab.server;
    let mut nc = command("nc.openbsd");
    nc.args(["-n", "-l"]).args(target(scene));
    let mut nc = Folder::new()?.start(host, &mut nc)?.await_listening(host, scene.server)?;
    let caller = scene.dial()?;
    tell(scene, &caller, b"<13>line 1\n")?;
    wait::until("nc to read", || Ok(nc.said().contains("line 1")))?;
    nc.signal(Signal::SIGINT)?;
    nc.wait()?;
    await_fin(scene, &caller.1)?;
    scene.lab.client.run(|| sockets::say(&caller.0, b"<13>line 2\n"))?;
    sockets::await_error(&caller.0, Errno::EPIPE)?;
    // It was ended, and its kernel closed in order; what came after that is why there was a reset.
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_CLOSE);
    let reset = reset.or_as_truly(&["process_crash_or_kill"]);
    Ok(only(caller.1, vec![reset], "the client's socket got EPIPE"))
}

fn service_reads_nothing(scene: &Scene<'_>) -> Result<GroundTruth> {
    let host = &scene.lab.server;
    let mut activate = command("systemd-socket-activate");
    activate.args(["--accept", "--inetd", "-l", &scene.server.to_string()]);
    activate.arg(command("true").get_program());
    let activate = Folder::new()?.start(host, &mut activate)?;
    let activate = activate.await_listening(host, scene.server)?;
    let mut connections = Vec::new();
    for _ in 0..2 {
        // The caller has spoken when the program starts.
        activate.halt()?;
        let caller = scene.dial()?;
        tell(scene, &caller, b"STATUS\n")?;
        wait::until("the caller to wait", || Ok(waiting(host, scene.server)? == 1))?;
        activate.carry_on()?;
        broken(&caller.0)?;
        let reset = Reset::by(Sender::Server, Stage::PostPush, UNREAD);
        connections.push(with(caller.1, vec![reset]));
    }
    Ok(GroundTruth { connections, done: "twice the client got ECONNRESET" })
}

fn port_of_an_empty_container(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (host, listen) = (&scene.lab.server, scene.server);
    let kind = if listen.is_ipv4() { "TCP4-LISTEN" } else { "TCP6-LISTEN" };
    let (ip, port) = (in_brackets(listen.ip()), listen.port());
    let mut socat = command("socat");
    socat.arg(format!("{kind}:{port},bind={ip},reuseaddr"));
    socat.arg(format!("TCP4:127.0.0.1:{}", port_after(scene, 1).port()));
    let mut socat = Folder::new()?.start(host, &mut socat)?.await_listening(host, listen)?;
    // The caller has spoken when socat looks.
    socat.halt()?;
    let caller = scene.dial()?;
    tell(scene, &caller, REQUEST)?;
    socat.carry_on()?;
    sockets::await_error(&caller.0, Errno::EPIPE)?;
    socat.wait()?;
    // The relay gives up for who is behind it and says FIN; what lay unread is why its kernel reset.
    let reset = Reset::by(Sender::Server, Stage::PostFin, UNREAD).or_as_truly(&["proxy_abort"]);
    // The client's ACK of the FIN may be late; it finds nobody then, and is answered, too.
    thread::sleep(Duration::from_millis(100));
    let seen = scene.lab.sniffer(Place::Client).segments(&caller.1);
    let by_server = seen.iter().map(|one| &one.segment).filter(|one| one.src == caller.1.server);
    let further = by_server.filter(|one| one.has(RST)).count().saturating_sub(1);
    let echo = Reset::by(Sender::Server, Stage::Closed, ("protocol_state", "segment_after_reset"));
    let resets = iter::once(reset).chain(iter::repeat_n(echo, further)).collect();
    Ok(only(caller.1, resets, "the client's socket got EPIPE"))
}
