//! Proxies, monitors, firewalls that forget, administrators: whoever directs traffic and ends it.

use std::net::SocketAddr;
use std::thread;

use anyhow::Result;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{ANSWER, Listed, REQUEST, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Side, Stage};

use super::super::injected::forged;
use super::super::injected::watcher::{heard_at_rest, shoot};
use super::super::second_exam::daemons::clients::{
    balancer, called, dial_front, hear_until, served,
};
use super::super::second_exam::filter::{
    AFTER_RESET, Cause, broken, by_router, late, only, shout, talk, talked,
};
use super::super::servers::haproxy::{BY_PROXY, HAPROXY, start};
use super::super::servers::iproute::kill;
use super::super::servers::program::{Folder, command, run};
use super::super::third_exam::common::{AFTER_CLOSE, ms, passed, source, target, with};
use super::common::{LIGHTTPD, PERL, Ruleset, lighttpd, perl};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "no_flow_without_a_syn",
        "No flow without a SYN",
        "The router forgets a connection after a second of silence and its nft rejects what is new \
         and no SYN; after two seconds the server speaks first, then the client.",
        no_flow_without_a_syn,
    )
    .needs(&["nft", "conntrack"])
    .slow(),
    Listed::new(
        "delivery_controller_cleans_up",
        "A delivery controller cleans up",
        "A load balancer on the way (after Citrix's) resets both sides of a connection that was \
         silent for 1.5 s, with a number of its own in the window that says why.",
        delivery_controller_cleans_up,
    )
    .slow(),
    Listed::new(
        "lighttpd_gives_its_backend_up",
        "lighttpd gives its backend up",
        "lighttpd on the client waits a second for what is behind it (read-timeout), answers 504 \
         and closes; then the server answers.",
        lighttpd_gives_its_backend_up,
    )
    .needs(LIGHTTPD)
    .slow(),
    Listed::new(
        "mail_check_hangs_up",
        "A check of a mail server hangs up",
        "A monitor in Perl reads the greeting of a mail server every 400 ms, says QUIT and closes \
         at once; the server says goodbye to nobody, three times.",
        mail_check_hangs_up,
    )
    .needs(PERL)
    .slow(),
    Listed::new(
        "haproxy_stops_hard",
        "HAProxy stops for a new one",
        "HAProxy on the client is told to stop softly (SIGUSR1), and stops hard 400 ms later \
         (hard-stop-after): two sessions with the server end.",
        haproxy_stops_hard,
    )
    .needs(HAPROXY)
    .slow(),
    Listed::new(
        "haproxy_counts_calls",
        "HAProxy counts the calls of a client",
        "HAProxy on the server takes two connections of an address within a minute (stick-table, \
         conn_rate) and rejects the third and the fourth.",
        haproxy_counts_calls,
    )
    .needs(HAPROXY),
    Listed::new(
        "sessions_of_one_tenant",
        "The sessions of one tenant",
        "The server's administrator kills the sessions of two ports of a client (ss -K by state \
         and ports) amid an upload and after an answer; a third one goes on.",
        sessions_of_one_tenant,
    )
    .needs(&["ss"]),
];

const IDLE: Cause = ("traffic_management", "idle_timeout_middlebox");
const CHECK: Cause = ("traffic_management", "lb_health_check");
const DRAIN: Cause = ("traffic_management", "lb_drain");
const KILLED: Cause = ("traffic_management", "admin_kill");

fn no_flow_without_a_syn(scene: &Scene<'_>) -> Result<GroundTruth> {
    let router = &scene.lab.router;
    let port = scene.server.port();
    let contents = format!(
        "chain forward {{ type filter hook forward priority 0;\n\
         tcp dport {port} tcp flags & (fin|syn|rst|ack) != syn ct state new reject with tcp reset\n\
         tcp sport {port} tcp flags & (fin|syn|rst|ack) != syn ct state new reject with tcp reset\n}}"
    );
    // Nobody may change meanwhile how the router tracks connections.
    let _turn = scene.lab.set_for_now(router, &[])?;
    let rules = Ruleset::put(scene, router, "inet", &contents)?;
    let pair = scene.busy_pair()?;
    pair.settle()?;
    let family = if scene.server.is_ipv4() { "ipv4" } else { "ipv6" };
    let mut conntrack = command("conntrack");
    conntrack.args(["-U", "-f", family, "-p", "tcp", "--orig-port-dst", &port.to_string()]);
    run(router, conntrack.args(["--timeout", "1"]))?;
    thread::sleep(ms(2300));
    late(&pair, Side::Server, b"event: price\r\n\r\n")?;
    drop(rules);
    late(&pair, Side::Client, REQUEST)?;
    // A rule of the firewall rejects, because the firewall forgot.
    let first = by_router(Side::Client, Stage::PostData, IDLE);
    let first = first.or_as_truly(&["network_firewall_reject"]).refuted();
    // The client never saw that.
    let second = Reset::by(Sender::Server, Stage::PostData, AFTER_RESET);
    Ok(pair.truth("first the server, then the client got ECONNRESET", vec![first, second]))
}

fn delivery_controller_cleans_up(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    pair.settle()?;
    thread::sleep(ms(1500));
    let heard = heard_at_rest(scene.lab, &pair.connection)?;
    let both = [heard.to_client(RST | ACK), heard.to_server(RST | ACK)];
    let ours = |plain| Forgery { window: 9811, ttl: 255, ip_id: 0x3c4d, ..plain };
    shoot(scene.lab, &pair.connection, &both.map(ours))?;
    broken(&pair.client)?;
    broken(&pair.server)?;
    // That it was idle is why; that a box wrote it in the name of each is how.
    let resets = [Side::Server, Side::Client]
        .map(|side| forged(side, Stage::PostData, IDLE).or_as_truly(&["injected_reset"]));
    Ok(pair.truth("both got ECONNRESET", resets.into()))
}

fn lighttpd_gives_its_backend_up(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let front = SocketAddr::from(([127, 0, 0, 1], scene.server.port()));
    let [ip, port] = target(scene);
    let backend = format!(
        "server.modules += ( \"mod_proxy\" )\n\
         proxy.server = ( \"\" => (( \"host\" => \"{ip}\", \"port\" => {port}, \
         \"read-timeout\" => 1 )) )"
    );
    let _lighttpd = lighttpd(&scene.lab.client, front, &backend)?;
    let client = dial_front(scene, front)?;
    sockets::say(&client, REQUEST)?;
    let (server, connection) = called(scene, &listener)?;
    hear_until(&server, b"\r\n\r\n")?;
    hear_until(&client, b" 504 ")?;
    sockets::await_end(&server)?;
    settle(scene.lab, &connection)?;
    scene.lab.server.run(|| sockets::say(&server, ANSWER))?;
    sockets::await_error(&server, Errno::EPIPE)?;
    // The proxy gave up by closing; that an answer came afterwards is why its kernel reset.
    let reset = Reset::by(Sender::Client, Stage::PostFin, AFTER_CLOSE);
    let reset = reset.or_as_truly(&["proxy_abort"]);
    Ok(only(connection, vec![reset], "the server's socket got EPIPE"))
}

fn mail_check_hangs_up(scene: &Scene<'_>) -> Result<GroundTruth> {
    const MONITOR: &str = "\
my ($server, $port, $source) = @ARGV;
for (1 .. 3) {
    my $call = IO::Socket::IP->new(PeerHost => $server, PeerPort => $port, LocalHost => $source,
                                   Type => SOCK_STREAM) or die $@;
    $call->sysread(my $greeting, 200);
    $call->syswrite(\"QUIT\\r\\n\");
    close $call;
    <STDIN>;
    select undef, undef, undef, 0.4;
}
";
    let listener = scene.listen(8)?;
    let arguments = [&target(scene)[..], &[source(scene)]].concat();
    let mut monitor = perl(&scene.lab.client, MONITOR, &arguments)?;
    let mut connections = Vec::new();
    for _ in 0..3 {
        let (server, connection) = called(scene, &listener)?;
        scene.lab.server.run(|| sockets::say(&server, b"220 mx.lab ESMTP\r\n"))?;
        sockets::hear(&server, b"QUIT\r\n")?;
        sockets::await_end(&server)?;
        settle(scene.lab, &connection)?;
        scene.lab.server.run(|| sockets::say(&server, b"221 bye\r\n"))?;
        sockets::await_error(&server, Errno::EPIPE)?;
        // It only looked whether the server is well; what it did not wait for is why its kernel reset.
        let reset = Reset::by(Sender::Client, Stage::PostFin, CHECK);
        connections.push(with(connection, vec![reset.or_as_truly(&["data_after_close"])]));
        monitor.tell(b"next\n")?;
    }
    monitor.wait()?;
    Ok(GroundTruth { connections, done: "three times the server's socket got EPIPE" })
}

fn haproxy_stops_hard(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let line = format!("server one {} source {}", scene.server, scene.at(Place::Client, 0));
    let rules = format!("{line}\nglobal\n hard-stop-after 400ms");
    let (mut haproxy, front) = balancer(scene, &rules)?;
    let sessions = [served(scene, front, &listener)?, served(scene, front, &listener)?];
    haproxy.signal(Signal::SIGUSR1)?;
    let mut connections = Vec::new();
    for (_client, server, connection) in sessions {
        sockets::await_error(&server, Errno::EPIPE)?;
        // FIN and, at once, SO_LINGER 0 is how HAProxy does it.
        let reset = Reset::by(Sender::Client, Stage::PostFin, DRAIN);
        let reset = reset.or_as_truly(&["proxy_abort", "linger0_close", "rst_after_fin"]);
        connections.push(with(connection, vec![reset]));
    }
    haproxy.wait()?;
    Ok(GroundTruth { connections, done: "twice the server's socket got EPIPE" })
}

fn haproxy_counts_calls(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (host, listen) = (&scene.lab.server, scene.server);
    let section = format!(
        "frontend web\n bind {listen}\n mode http\n stick-table type ipv6 size 100 expire 1m store \
         conn_rate(1m)\n tcp-request connection track-sc0 src\n tcp-request connection reject if \
         {{ sc_conn_rate(0) gt 2 }}\n http-request return status 200 content-type text/plain \
         string welcome\n"
    );
    let _haproxy = start(host, Folder::new()?, listen, &section)?;
    let mut served = Vec::new();
    for _ in 0..2 {
        let (client, connection) = scene.dial()?;
        let asked = b"GET / HTTP/1.1\r\nHost: web.lab\r\nConnection: close\r\n\r\n";
        scene.lab.client.run(|| sockets::say(&client, asked))?;
        sockets::drain(&client)?;
        settle(scene.lab, &connection)?;
        scene.lab.client.run(|| sockets::close(client))?;
        settle(scene.lab, &connection)?;
        served.push(connection);
    }
    let mut connections = Vec::new();
    for _ in 0..2 {
        let (client, connection) = scene.dial()?;
        broken(&client)?;
        // SO_LINGER 0 is how HAProxy does it.
        let reset = Reset::by(Sender::Server, Stage::PostAck, BY_PROXY);
        connections.push(with(connection, vec![reset.or_as_truly(&["linger0_close"])]));
    }
    connections.extend(served);
    Ok(GroundTruth { connections, done: "two clients got ECONNRESET" })
}

fn sessions_of_one_tenant(scene: &Scene<'_>) -> Result<GroundTruth> {
    let lines: &[(Side, &[u8])] =
        &[(Side::Client, b"tenant 7\n"), (Side::Server, b"welcome, tenant 7\n")];
    let mut pairs = talked(scene, 3, lines)?;
    let other = pairs.remove(0);
    shout(&pairs[0], Side::Client, &[b'7'; 900])?;
    pairs[0].settle()?;
    let mut connections = Vec::new();
    for pair in pairs {
        let (here, there) = (pair.connection.server.port(), pair.connection.client.port());
        let filter = format!("( sport = :{here} and dport = :{there} )");
        kill(&scene.lab.server, &["state", "established", &filter], 1)?;
        broken(&pair.client)?;
        let reset = Reset::by(Sender::Server, Stage::PostData, KILLED);
        connections.push(with(pair.connection, vec![reset]));
    }
    talk(&other, lines)?;
    connections.push(other.connection.clone());
    other.part()?;
    passed(scene, connections, "two clients got ECONNRESET")
}
