//! Security at work: an open proxy that is used for a scan, hping3 that cuts a session, an IPS that reads a question.

use anyhow::Result;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, answer_of_the_dead, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Family, GroundTruth, Reset, Sender, Side, Stage};

use super::super::fifth_exam::common::tell;
use super::super::fifth_exam::common::tinyproxy;
use super::super::injected::forged;
use super::super::injected::recipes::noise;
use super::super::injected::watcher::{heard_at_rest, shoot};
use super::super::second_exam::daemons::clients::{dial_front, hear_until};
use super::super::second_exam::filter::{Cause, broken, late, port_after};
use super::super::servers::nginx;
use super::super::servers::program::{Folder, command};
use super::super::third_exam::common::{calls, calls_with, passed, with};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "open_proxy_used_for_a_scan",
        "An open proxy used for a scan",
        "A stranger asks tinyproxy on the client for tunnels (CONNECT) to twelve ports of the server, \
         one after the other; at two of them somebody listens, whom the stranger leaves in order.",
        open_proxy_used_for_a_scan,
    )
    .needs(&["tinyproxy"]),
    Listed::new(
        "hping_cuts_a_session",
        "hping3 cuts a session",
        "Somebody on the router, who can read a session, resets its client with hping3 and the right \
         number (-R -M); later the server, which was not told, says something.",
        hping_cuts_a_session,
    )
    .needs(&["hping3"])
    .only_over(&[Family::V4])
    .slow(),
    Listed::new(
        "injection_in_a_query",
        "An SQL injection in a query",
        "An IPS on the way reads an SQL injection in the second request to nginx and, nginx having \
         answered, resets the client only; nginx, which was not told, closes the idle connection.",
        injection_in_a_query,
    )
    .needs(&["nginx"])
    .slow(),
];

const SCANNED: Cause = ("security_measure", "scan_response");
const INJECTED: Cause = ("security_measure", "injected_reset");
const IPS: Cause = ("security_measure", "ips_active_response");

fn open_proxy_used_for_a_scan(scene: &Scene<'_>) -> Result<GroundTruth> {
    const PORTS: u16 = 12;
    const OPEN: [u16; 2] = [3, 9];
    let listen = |number| scene.lab.server.run(|| sockets::listen_on(port_after(scene, number), 4));
    let open = [listen(OPEN[0])?, listen(OPEN[1])?];
    let (_tinyproxy, front) = tinyproxy(scene)?;
    let (mut connections, mut in_order) = (Vec::new(), Vec::new());
    for number in 0..PORTS {
        let at = port_after(scene, number);
        let stranger = dial_front(scene, front)?;
        sockets::say(&stranger, format!("CONNECT {at} HTTP/1.0\r\n\r\n").as_bytes())?;
        if let Some(which) = OPEN.iter().position(|one| *one == number) {
            let server = scene.lab.server.run(|| sockets::accept(&open[which]))?;
            hear_until(&stranger, b"\r\n\r\n")?;
            let connection = calls(scene, at, 1)?.swap_remove(0);
            sockets::close(stranger)?;
            sockets::await_end(&server)?;
            settle(scene.lab, &connection)?;
            scene.lab.server.run(|| sockets::close(server))?;
            settle(scene.lab, &connection)?;
            in_order.push(connection);
        } else {
            sockets::hear(&stranger, b"HTTP/1.0 500 ")?;
            sockets::drain(&stranger)?;
            // Only a scan asks for all of them in a row.
            let reset = Reset::by(Sender::Server, Stage::PostSyn, SCANNED);
            connections.extend(calls_with(scene, at, 1, reset.or_as_truly(&["closed_port"]))?);
        }
    }
    connections.extend(in_order);
    passed(scene, connections, "the proxy answered 500 ten times")
}

fn hping_cuts_a_session(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = scene.busy_pair()?;
    let seen = pair.last_of(Side::Server, Place::RouterClientSide)?;
    let (client, server) = (pair.connection.client, pair.connection.server);
    let mut hping = command("hping3");
    hping.args(["-n", "-q", "-c", "1", "-R", "-I", Place::RouterClientSide.interface()]);
    hping.args(["-a", &server.ip().to_string(), "-s", &server.port().to_string()]);
    hping.args(["-p", &client.port().to_string(), "-M", &seen.next_seq().to_string()]);
    hping.arg(client.ip().to_string());
    let mut hping = Folder::new()?.start(&scene.lab.router, &mut hping)?;
    broken(&pair.client)?;
    hping.wait()?;
    late(&pair, Side::Server, b"HTTP/1.1 408 Request Timeout\r\n\r\n")?;
    let reset = forged(Side::Server, Stage::PostData, INJECTED).refuted();
    let done = "first the client, then the server got ECONNRESET";
    Ok(pair.truth(done, vec![reset, answer_of_the_dead()]))
}

fn injection_in_a_query(scene: &Scene<'_>) -> Result<GroundTruth> {
    const INJECTION: &[u8] =
        b"GET /search?q=1%27%20UNION%20SELECT%20password%20FROM%20users-- HTTP/1.1\r\n\
        Host: shop.lab\r\n\r\n";
    let rules = "keepalive_timeout 3; default_type text/plain; return 200 welcome;";
    let _nginx = nginx::start_with(scene, 64, "", rules)?;
    let caller = scene.dial()?;
    for request in [REQUEST, INJECTION] {
        tell(scene, &caller, request)?;
        hear_until(&caller.0, b"\r\n\r\nwelcome")?;
        settle(scene.lab, &caller.1)?;
    }
    let heard = heard_at_rest(scene.lab, &caller.1)?;
    let ours =
        Forgery { ttl: heard.server.ttl, ip_id: noise(&heard), ..heard.to_client(RST | ACK) };
    shoot(scene.lab, &caller.1, &[ours])?;
    broken(&caller.0)?;
    let reset = forged(Side::Server, Stage::PostData, IPS).or_as_truly(&["injected_reset"]);
    // nginx closes in order, of which the client's host knows nothing any more.
    let connection = with(caller.1, vec![reset.refuted(), answer_of_the_dead()]);
    passed(scene, vec![connection], "the client got ECONNRESET, later its host reset nginx")
}
