//! Callers of services that are not there, not yet or no more: proxies, monitors, scripts, resolvers.

use std::net::TcpStream;
use std::thread;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Only, Port};
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, settle};
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::second_exam::daemons::clients::{called, dial_front, hear_until};
use super::super::second_exam::filter::{port_after, refused};
use super::super::servers::program::{Folder, command};
use super::super::third_exam::common::{
    CLOSED, GAVE_UP, WENT_AWAY, calls, calls_with, ms, passed, source, target, with,
};
use super::common::{LIGHTTPD, PERL, front, in_brackets, lighttpd, perl, tinyproxy};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "proxy_before_a_closed_door",
        "A forward proxy before a closed door",
        "A program on the client asks tinyproxy there, twice, for a page of a server on which \
         nothing listens; the proxy calls, is refused, and says so.",
        proxy_before_a_closed_door,
    )
    .needs(&["tinyproxy"]),
    Listed::new(
        "backend_gone_with_its_pod",
        "A reverse proxy whose backend is gone",
        "lighttpd on the client passes a request on (mod_proxy) to the server, which answers and \
         stops listening; the next request is answered 503.",
        backend_gone_with_its_pod,
    )
    .needs(LIGHTTPD),
    Listed::new(
        "activated_for_one_visit",
        "A socket activated for one visit",
        "systemd-socket-activate hands its listening socket to a program in Perl, which serves one \
         caller and ends; the next two callers are refused.",
        activated_for_one_visit,
    )
    .needs(&["systemd-socket-activate", "perl"])
    .slow(),
    Listed::new(
        "nc_waits_a_second",
        "nc waits a second",
        "The server's SYN-ACKs are lost; nc on the client gives up after a second (-w 1), and the \
         next SYN-ACK gets through.",
        nc_waits_a_second,
    )
    .needs(&["nc.openbsd"])
    .slow(),
    Listed::new(
        "resolver_falls_back_to_tcp",
        "A resolver that falls back to TCP",
        "A name server in Perl answers over UDP that its answer is too long (TC), and has no TCP; \
         the client's resolver asks again over TCP.",
        resolver_falls_back_to_tcp,
    )
    .needs(PERL),
    Listed::new(
        "web_server_is_upgraded",
        "A web server that is upgraded",
        "lighttpd serves a client and is stopped (SIGINT); the client asks twice more, 250 ms apart, \
         in vain; lighttpd is started again and serves it.",
        web_server_is_upgraded,
    )
    .needs(LIGHTTPD)
    .slow(),
    Listed::new(
        "login_while_it_boots",
        "A login while the machine boots",
        "Dropbear's client tries three times, 300 ms apart, to log in to a server that does not \
         listen yet.",
        login_while_it_boots,
    )
    .needs(&["dbclient"])
    .slow(),
    Listed::new(
        "https_asked_for_first",
        "HTTPS is asked for first",
        "curl asks the next port for a page over TLS, where nobody listens, and then, as browsers \
         do, lighttpd for the same page over plain HTTP.",
        https_asked_for_first,
    )
    .needs(&["curl", "lighttpd"]),
];

fn closed() -> Reset {
    Reset::by(Sender::Server, Stage::PostSyn, CLOSED)
}

fn went_away() -> Reset {
    Reset::by(Sender::Server, Stage::PostSyn, WENT_AWAY)
}

fn proxy_before_a_closed_door(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (_tinyproxy, front) = tinyproxy(scene)?;
    let page = format!("GET http://{}/news HTTP/1.0\r\n\r\n", scene.server);
    for _ in 0..2 {
        let client = dial_front(scene, front)?;
        sockets::say(&client, page.as_bytes())?;
        sockets::hear(&client, b"HTTP/1.0 500 ")?;
        sockets::drain(&client)?;
    }
    let connections = calls_with(scene, scene.server, 2, closed())?;
    passed(scene, connections, "the proxy answered 500 twice")
}

fn backend_gone_with_its_pod(scene: &Scene<'_>) -> Result<GroundTruth> {
    const PAGE: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\npod";
    let listener = scene.listen(8)?;
    let front = front(scene);
    let backend = format!(
        "server.modules += ( \"mod_proxy\" )\n\
         proxy.server = ( \"\" => (( \"host\" => \"{}\", \"port\" => {} )) )",
        scene.server.ip(),
        scene.server.port()
    );
    let _lighttpd = lighttpd(&scene.lab.client, front, &backend)?;
    let ask = || {
        let client = dial_front(scene, front)?;
        sockets::say(&client, REQUEST)?;
        anyhow::Ok(client)
    };
    let client = ask()?;
    let (server, served) = called(scene, &listener)?;
    hear_until(&server, b"\r\n\r\n")?;
    scene.lab.server.run(|| sockets::say(&server, PAGE))?;
    hear_until(&client, b"pod")?;
    server.shutdown(std::net::Shutdown::Write)?;
    sockets::await_end(&server)?;
    settle(scene.lab, &served)?;
    sockets::close(server)?;
    sockets::close(listener)?;
    hear_until(&ask()?, b" 503 ")?;
    let ports = calls(scene, scene.server, 2)?;
    ensure!(ports.len() == 2, "{} instead of two calls", ports.len());
    let gone = Connection::between(ports[1].client, scene.server);
    passed(scene, vec![with(gone, vec![went_away()]), served], "lighttpd answered 503")
}

/// Serves one caller of the listening socket that it was given as the third file.
const ONE_VISIT: &str = "\
my $server = IO::Socket::IP->new; $server->fdopen(3, 'r+');
my $client = $server->accept;
<$client>; print $client \"visited\\n\"; close $client; close $server;
";

fn activated_for_one_visit(scene: &Scene<'_>) -> Result<GroundTruth> {
    let host = &scene.lab.server;
    let mut activate = command("systemd-socket-activate");
    activate.args(["-l", &scene.server.to_string()]).arg(command("perl").get_program());
    activate.args(["-MIO::Socket::IP", "-e", ONE_VISIT]);
    let activate = Folder::new()?.start(host, &mut activate)?;
    let mut activate = activate.await_listening(host, scene.server)?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, b"knock knock\n"))?;
    sockets::hear(&client, b"visited\n")?;
    sockets::await_end(&client)?;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::close(client))?;
    activate.wait()?;
    let mut connections = Vec::new();
    for _ in 0..2 {
        connections.push(refused(scene, scene.server, went_away())?);
        thread::sleep(ms(200));
    }
    connections.push(connection);
    Ok(GroundTruth { connections, done: "two calls returned ECONNREFUSED" })
}

fn nc_waits_a_second(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(8)?;
    let lost = scene.lose(&[(Port::From(scene.server.port()), Only::WithSyn)])?;
    let mut nc = command("nc.openbsd");
    nc.args(["-v", "-n", "-w", "1", "-s", &source(scene)]).args(target(scene));
    let mut nc = Folder::new()?.start(&scene.lab.client, &mut nc)?;
    let status = nc.wait()?;
    ensure!(!status.success(), "nc ended with {status}");
    drop(lost);
    let gave_up = Reset::by(Sender::Client, Stage::PostSynack, GAVE_UP);
    let connections = calls_with(scene, scene.server, 1, gave_up)?;
    passed(scene, connections, "the reset reached the server")
}

/// Answers each question over UDP with its number, and that the answer was cut (TC).
const NAME_SERVER: &str = "\
$| = 1;
my $udp = IO::Socket::IP->new(LocalHost => $ARGV[0], LocalPort => $ARGV[1], Proto => 'udp');
print \"ready\\n\";
while ($udp->recv(my $question, 512)) {
    $udp->send(substr($question, 0, 2) . \"\\x86\\x00\" . substr($question, 4));
}
";

/// Asks over UDP and, when the answer was cut, over TCP.
const RESOLVER: &str = "\
my ($server, $port, $source) = @ARGV;
my $question = \"\\x12\\x34\\x01\\x00\\0\\1\\0\\0\\0\\0\\0\\0\\3big\\3lab\\0\\0\\x10\\0\\1\";
my $udp = IO::Socket::IP->new(PeerHost => $server, PeerPort => $port, LocalHost => $source,
                              Proto => 'udp') or die $@;
$udp->send($question);
$udp->recv(my $answer, 512);
die 'not cut' unless ord(substr($answer, 2, 1)) & 2;
my $tcp = IO::Socket::IP->new(PeerHost => $server, PeerPort => $port, LocalHost => $source,
                              Type => SOCK_STREAM);
print defined $tcp ? \"connected\\n\" : \"refused: $!\\n\";
";

fn resolver_falls_back_to_tcp(scene: &Scene<'_>) -> Result<GroundTruth> {
    let server = perl(&scene.lab.server, NAME_SERVER, &target(scene))?;
    wait::until("the name server", || Ok(server.said().contains("ready")))?;
    let arguments = [&target(scene)[..], &[source(scene)]].concat();
    let mut resolver = perl(&scene.lab.client, RESOLVER, &arguments)?;
    resolver.wait()?;
    let said = resolver.said();
    ensure!(said.contains("refused"), "the resolver says: {said}");
    let connections = calls_with(scene, scene.server, 1, closed())?;
    passed(scene, connections, "the resolver was refused")
}

fn web_server_is_upgraded(scene: &Scene<'_>) -> Result<GroundTruth> {
    const ASKED: &[u8] = b"GET /page HTTP/1.0\r\n\r\n";
    let host = &scene.lab.server;
    let visit = || {
        let (client, connection): (TcpStream, Connection) = scene.dial()?;
        scene.lab.client.run(|| sockets::say(&client, ASKED))?;
        sockets::hear(&client, b"HTTP/1.0 200 OK")?;
        sockets::drain(&client)?;
        settle(scene.lab, &connection)?;
        scene.lab.client.run(|| sockets::close(client))?;
        settle(scene.lab, &connection)?;
        anyhow::Ok(connection)
    };
    let mut before = lighttpd(host, scene.server, "")?;
    let mut visits = vec![visit()?];
    before.signal(Signal::SIGINT)?;
    before.wait()?;
    let mut connections = Vec::new();
    for _ in 0..2 {
        connections.push(refused(scene, scene.server, went_away())?);
        thread::sleep(ms(250));
    }
    let _after = lighttpd(host, scene.server, "")?;
    visits.push(visit()?);
    connections.extend(visits);
    Ok(GroundTruth { connections, done: "two calls returned ECONNREFUSED" })
}

fn login_while_it_boots(scene: &Scene<'_>) -> Result<GroundTruth> {
    let [ip, port] = target(scene);
    let from = in_brackets(scene.ip(Place::Client, scene.family));
    for _ in 0..3 {
        let mut dbclient = command("dbclient");
        dbclient.args(["-y", "-y", "-b", &from, "-p", &port, &format!("root@{ip}")]);
        let mut dbclient = Folder::new()?.start(&scene.lab.client, &mut dbclient)?;
        let status = dbclient.wait()?;
        ensure!(!status.success(), "dbclient logged in");
        thread::sleep(ms(300));
    }
    let connections = calls_with(scene, scene.server, 3, closed())?;
    passed(scene, connections, "dbclient was refused three times")
}

fn https_asked_for_first(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _lighttpd = lighttpd(&scene.lab.server, scene.server, "")?;
    let secure = port_after(scene, 1);
    let curl = |page: String| {
        let mut curl = command("curl");
        curl.args(["-q", "--silent", "--noproxy", "*", "--globoff", "--interface"]);
        curl.args([&source(scene), &page]);
        let mut curl = Folder::new()?.start(&scene.lab.client, &mut curl)?;
        anyhow::Ok((curl.wait()?.success(), curl.said()))
    };
    let (served, _) = curl(format!("https://{secure}/page"))?;
    ensure!(!served, "somebody speaks TLS");
    let (_, page) = curl(format!("http://{}/page", scene.server))?;
    ensure!(page == "hello\n", "curl says: {page}");
    let plain = calls(scene, scene.server, 1)?;
    settle(scene.lab, &plain[0])?;
    let connections = [calls_with(scene, secure, 1, closed())?, plain].concat();
    passed(scene, connections, "curl was refused once")
}
