//! Ends that are meant: a socket thrown away, a download left, a farewell that waits for no answer.

use std::net::SocketAddr;
use std::thread;

use anyhow::Result;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, Scene, settle};
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::second_exam::daemons::clients::called;
use super::super::second_exam::filter::{Cause, broken, only};
use super::super::servers::haproxy::{HAPROXY, start};
use super::super::servers::program::{Folder, command};
use super::super::servers::{openssl, the_caller};
use super::super::third_exam::common::{
    AFTER_CLOSE, CANCEL, LINGER0, calls, ms, passed, source, target, with,
};
use super::common::{PERL, lighttpd, perl};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "stream_watched_and_left",
        "A stream watched, and left",
        "nc on the client shows what a server says until its user interrupts it (SIGINT), with the \
         last lines unread.",
        stream_watched_and_left,
    )
    .needs(&["nc.openbsd"]),
    Listed::new(
        "controller_polled",
        "A controller that is polled",
        "A program in Perl asks a controller (Modbus) for a register twice, 400 ms apart, over a \
         connection each, which it closes with SO_LINGER 0 as soon as it has its answer.",
        controller_polled,
    )
    .needs(PERL)
    .slow(),
    Listed::new(
        "haproxy_without_linger",
        "HAProxy does not linger",
        "HAProxy on the server answers a request by itself, closes and, told to keep nothing in \
         memory (option nolinger), resets at once.",
        haproxy_without_linger,
    )
    .needs(HAPROXY),
    Listed::new(
        "tls_farewell_over_a_report",
        "A TLS client says goodbye in the middle of a report",
        "A TLS client in Python says goodbye (close_notify) and closes while a report of openssl \
         s_server lies unread.",
        tls_farewell_over_a_report,
    )
    .needs(&["python3", "openssl"])
    .slow(),
    Listed::new(
        "deadline_after_a_goodbye",
        "A deadline after a goodbye",
        "A server in Perl says that it is going down and closes its direction; the client stays, \
         and after 300 ms the server closes the rest with SO_LINGER 0.",
        deadline_after_a_goodbye,
    )
    .needs(PERL)
    .slow(),
    Listed::new(
        "nc_asks_and_leaves",
        "nc asks, and leaves before the answer",
        "nc on the client asks, closes its direction (-N) and leaves after two seconds (-w 2); then \
         the server answers.",
        nc_asks_and_leaves,
    )
    .needs(&["nc.openbsd"])
    .slow(),
    Listed::new(
        "links_checked",
        "A checker of links",
        "A program in Perl asks lighttpd for two pages, over a connection each, reads whether they \
         are there and closes, the rest of each answer unread.",
        links_checked,
    )
    .needs(&["perl", "lighttpd"]),
];

const TLS_THEN_RESET: Cause = ("normal_abortive_close", "tls_close_then_rst");
const AFTER_FIN: Cause = ("normal_abortive_close", "rst_after_fin");

fn stream_watched_and_left(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let mut nc = command("nc.openbsd");
    nc.args(["-n", "-s", &source(scene)]).args(target(scene));
    let mut nc = Folder::new()?.start(&scene.lab.client, &mut nc)?;
    let (server, connection) = called(scene, &listener)?;
    scene.lab.server.run(|| sockets::say(&server, b"EUR 1.0874\n"))?;
    wait::until("nc to show it", || Ok(nc.said().contains("1.0874")))?;
    nc.halt()?;
    for line in [&b"EUR 1.0875\n"[..], b"EUR 1.0873\n"] {
        scene.lab.server.run(|| sockets::say(&server, line))?;
        settle(scene.lab, &connection)?;
    }
    nc.signal(Signal::SIGINT)?;
    nc.carry_on()?;
    broken(&server)?;
    nc.wait()?;
    // Its user left, by which the program was ended; what lay unread is why its kernel reset.
    let reset = Reset::by(Sender::Client, Stage::PostData, CANCEL);
    let reset = reset.or_as_truly(&["process_crash_or_kill", "closed_with_unread_data"]);
    Ok(only(connection, vec![reset], "the server got ECONNRESET"))
}

fn controller_polled(scene: &Scene<'_>) -> Result<GroundTruth> {
    const ASKED: &[u8] = b"\0\x01\0\0\0\x06\x11\x03\0\x6b\0\x01";
    const ANSWERED: &[u8] = b"\0\x01\0\0\0\x05\x11\x03\x02\x02\x2b";
    const CLIENT: &str = "\
my ($server, $port, $source) = @ARGV;
for my $poll (1 .. 2) {
    my $call = IO::Socket::IP->new(PeerHost => $server, PeerPort => $port, LocalHost => $source,
                                   Type => SOCK_STREAM) or die $@;
    $call->syswrite(\"\\0\\1\\0\\0\\0\\6\\x11\\3\\0\\x6b\\0\\1\");
    $call->sysread(my $answer, 260);
    setsockopt($call, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
    <STDIN>;
    close $call;
    select undef, undef, undef, 0.4 if $poll == 1;
}
";
    let listener = scene.listen(8)?;
    let arguments = [&target(scene)[..], &[source(scene)]].concat();
    let mut perl = perl(&scene.lab.client, CLIENT, &arguments)?;
    let mut connections = Vec::new();
    for _ in 0..2 {
        let (server, connection) = called(scene, &listener)?;
        sockets::hear(&server, ASKED)?;
        scene.lab.server.run(|| sockets::say(&server, ANSWERED))?;
        settle(scene.lab, &connection)?;
        perl.tell(b"read\n")?;
        broken(&server)?;
        let reset = Reset::by(Sender::Client, Stage::PostData, LINGER0);
        connections.push(with(connection, vec![reset]));
    }
    perl.wait()?;
    Ok(GroundTruth { connections, done: "twice the server got ECONNRESET" })
}

fn haproxy_without_linger(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (host, listen) = (&scene.lab.server, scene.server);
    let section = format!(
        "frontend web\n bind {listen}\n mode http\n option nolinger\n \
         http-request return status 200 content-type text/plain string moved\n"
    );
    let _haproxy = start(host, Folder::new()?, listen, &section)?;
    let (client, connection) = scene.dial()?;
    let asked = b"GET / HTTP/1.1\r\nHost: web.lab\r\nConnection: close\r\n\r\n";
    scene.lab.client.run(|| sockets::say(&client, asked))?;
    sockets::await_error(&client, Errno::EPIPE)?;
    // FIN and, at once, SO_LINGER 0 is how HAProxy does it; its own administrator wanted it so.
    let reset = Reset::by(Sender::Server, Stage::PostFin, LINGER0);
    let reset = reset.or_as_truly(&["rst_after_fin", "proxy_abort"]);
    Ok(only(connection, vec![reset], "the client's socket got EPIPE"))
}

fn tls_farewell_over_a_report(scene: &Scene<'_>) -> Result<GroundTruth> {
    const CLIENT: &str = "\
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
call = socket.create_connection((sys.argv[1], int(sys.argv[2])), source_address=(sys.argv[3], 0))
call = context.wrap_socket(call)
call.sendall(b'report\\n')
call.recv(3)
print('reading', flush=True)
sys.stdin.readline()
call.setblocking(False)
try:
    call.unwrap()
except (ssl.SSLError, OSError):
    pass
call.close()
";
    let host = &scene.lab.server;
    let folder = openssl::with_certificate(scene)?;
    let mut server = command("openssl");
    server.args(["s_server", "-quiet", "-accept", &scene.server.to_string(), "-cert"]);
    server.arg(folder.path("server.pem"));
    let mut server = folder.start(host, &mut server)?.await_listening(host, scene.server)?;
    let mut python = command("python3");
    python.args(["-c", CLIENT]).args(target(scene)).arg(source(scene));
    let mut python = Folder::new()?.start(&scene.lab.client, &mut python)?;
    wait::until("the report to be asked for", || Ok(server.said().contains("report")))?;
    server.tell(b"page one\n")?;
    wait::until("the client to read", || Ok(python.said().contains("reading")))?;
    let connection = the_caller(scene)?;
    settle(scene.lab, &connection)?;
    let at = scene.lab.sniffer(Place::Client);
    let before = at.segments(&connection).len();
    server.tell(b"page two\n")?;
    at.wait_for("page two", &connection, |seen| {
        let fresh = seen[before..].iter().map(|one| &one.segment);
        fresh
            .into_iter()
            .any(|one| one.src == connection.server && one.payload_len > 0)
            .then_some(())
    })?;
    settle(scene.lab, &connection)?;
    server.halt()?;
    python.tell(b"enough\n")?;
    python.wait()?;
    // TLS was closed first, which is the point; what lay unread is why the kernel reset.
    let reset = Reset::by(Sender::Client, Stage::PostData, TLS_THEN_RESET);
    let reset = reset.or_as_truly(&["client_cancel", "closed_with_unread_data"]);
    passed(scene, vec![with(connection, vec![reset])], "the reset reached the server")
}

fn deadline_after_a_goodbye(scene: &Scene<'_>) -> Result<GroundTruth> {
    const SERVER: &str = "\
my $server = IO::Socket::IP->new(LocalHost => $ARGV[0], LocalPort => $ARGV[1], Listen => 8,
                                 ReuseAddr => 1, Type => SOCK_STREAM) or die $@;
my $client = $server->accept;
$client->sysread(my $login, 100);
$client->syswrite(\"going down\\n\");
shutdown($client, 1);
<STDIN>;
setsockopt($client, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
close $client;
";
    let (host, at): (_, SocketAddr) = (&scene.lab.server, scene.server);
    let mut perl = perl(host, SERVER, &target(scene))?.await_listening(host, at)?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, b"LOGIN lab\n"))?;
    sockets::hear(&client, b"going down\n")?;
    sockets::await_end(&client)?;
    settle(scene.lab, &connection)?;
    thread::sleep(ms(300));
    perl.tell(b"time is up\n")?;
    sockets::await_error(&client, Errno::EPIPE)?;
    perl.wait()?;
    // It had closed its direction; SO_LINGER 0 is how it closed the rest.
    let reset =
        Reset::by(Sender::Server, Stage::PostFin, AFTER_FIN).or_as_truly(&["linger0_close"]);
    Ok(only(connection, vec![reset], "the client's socket got EPIPE"))
}

fn nc_asks_and_leaves(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let mut nc = command("nc.openbsd");
    nc.args(["-n", "-N", "-w", "2", "-s", &source(scene)]).args(target(scene));
    let mut nc = Folder::new()?.start(&scene.lab.client, &mut nc)?;
    nc.tell(b"whois lab\r\n")?;
    nc.end_input();
    let (server, connection) = called(scene, &listener)?;
    sockets::hear(&server, b"whois lab\r\n")?;
    sockets::await_end(&server)?;
    nc.wait()?;
    settle(scene.lab, &connection)?;
    scene.lab.server.run(|| sockets::say(&server, b"lab: a laboratory\r\n"))?;
    sockets::await_error(&server, Errno::EPIPE)?;
    // The client left by closing; that an answer came afterwards is why its kernel reset.
    let reset = Reset::by(Sender::Client, Stage::PostFin, AFTER_CLOSE);
    let reset = reset.or_as_truly(&["client_cancel"]);
    Ok(only(connection, vec![reset], "the server's socket got EPIPE"))
}

fn links_checked(scene: &Scene<'_>) -> Result<GroundTruth> {
    const CHECKER: &str = "\
$| = 1;
my ($server, $port, $source) = @ARGV;
for my $page ('page', 'gone') {
    my $call = IO::Socket::IP->new(PeerHost => $server, PeerPort => $port, LocalHost => $source,
                                   Type => SOCK_STREAM) or die $@;
    $call->syswrite(\"GET /$page HTTP/1.1\\r\\nHost: web.lab\\r\\n\\r\\n\");
    $call->sysread(my $status, 12);
    print \"$page: $status\\n\";
    <STDIN>;
    close $call;
}
";
    let _lighttpd = lighttpd(&scene.lab.server, scene.server, "")?;
    let arguments = [&target(scene)[..], &[source(scene)]].concat();
    let mut checker = perl(&scene.lab.client, CHECKER, &arguments)?;
    let mut connections = Vec::new();
    for (number, found) in ["page: HTTP/1.1 200", "gone: HTTP/1.1 404"].into_iter().enumerate() {
        wait::until("a status", || Ok(checker.said().contains(found)))?;
        let connection = calls(scene, scene.server, number + 1)?.swap_remove(number);
        settle(scene.lab, &connection)?;
        checker.tell(b"next\n")?;
        // It has what it wanted; that the kernel resets is because the rest lies unread.
        let reset = Reset::by(Sender::Client, Stage::PostData, CANCEL);
        let reset = reset.or_as_truly(&["closed_with_unread_data"]);
        connections.push(with(connection, vec![reset]));
    }
    checker.wait()?;
    passed(scene, connections, "two resets reached lighttpd")
}
