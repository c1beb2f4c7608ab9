//! Programs that call a server: impatient, picky, mistaken, curious.

use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use rst_tracer::demo::frame::{FIN, Segment};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{ANSWER, REQUEST, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, Family, GroundTruth, Reset, Sender, Stage};

use super::super::super::servers::program::{Folder, Program, command, run};
use super::super::super::servers::{haproxy, truth};
use super::{AFTER_CLOSE, CLOSED, Cause, MISMATCH};

const PROBE: Cause = ("security_measure", "scanner_probe");

/// The scenario's address on the client, in words.
fn source(scene: &Scene<'_>) -> String {
    scene.ip(Place::Client, scene.family).to_string()
}

/// The next connection to the scenario's server.
pub(in crate::laboratory) fn called(
    scene: &Scene<'_>,
    listener: &TcpListener,
) -> Result<(TcpStream, Connection)> {
    let server = scene.lab.server.run(|| sockets::accept(listener))?;
    let connection = Connection::between(server.peer_addr()?, listener.local_addr()?);
    Ok((server, connection))
}

/// Waits until a FIN of the server has reached the client and is acknowledged.
pub(in crate::laboratory) fn await_fin(scene: &Scene<'_>, connection: &Connection) -> Result<()> {
    scene.lab.sniffer(Place::Client).wait_for("the server's FIN", connection, |seen| {
        let is_it = |one: &Segment| one.src == connection.server && one.has(FIN);
        seen.iter().any(|one| is_it(&one.segment)).then_some(())
    })?;
    settle(scene.lab, connection)
}

/// Reads until `end` has come, and no further.
pub(in crate::laboratory) fn hear_until(mut stream: &TcpStream, end: &[u8]) -> Result<()> {
    let (mut heard, mut byte) = (Vec::new(), [0]);
    while !heard.ends_with(end) {
        stream.read_exact(&mut byte).with_context(|| format!("after {}", heard.escape_ascii()))?;
        heard.extend(byte);
    }
    Ok(())
}

pub(super) fn wget_read_timeout(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let mut wget = command("wget");
    wget.args(["--no-config", "--no-proxy", "--tries=1", "--read-timeout=1", "-O", "/dev/null"]);
    wget.arg(format!("--bind-address={}", source(scene)));
    wget.arg(format!("http://{}/report", scene.server));
    let mut wget = Folder::new()?.start(&scene.lab.client, &mut wget)?;
    let (server, connection) = called(scene, &listener)?;
    hear_until(&server, b"\r\n\r\n")?;
    wget.wait()?;
    sockets::await_end(&server)?;
    settle(scene.lab, &connection)?;
    scene.lab.server.run(|| sockets::say(&server, ANSWER))?;
    sockets::await_error(&server, Errno::EPIPE)?;
    // The client cancelled by closing; that an answer came afterwards is why its kernel reset.
    let reset = Reset::by(Sender::Client, Stage::PostFin, AFTER_CLOSE);
    let reset = reset.or_as_truly(&["client_cancel"]);
    Ok(truth(connection, reset, "the server's socket got EPIPE"))
}

pub(super) fn curl_max_filesize(scene: &Scene<'_>) -> Result<GroundTruth> {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n";
    let listener = scene.listen(8)?;
    let mut curl = command("curl");
    // It reads as much at a time as it may in a second.
    curl.args(["-q", "--silent", "--limit-rate", "2k", "--max-filesize", "100000"]);
    curl.args(["--noproxy", "*", "--globoff", "--interface", &source(scene), "-o", "/dev/null"]);
    curl.arg(format!("http://{}/image", scene.server));
    let mut curl = Folder::new()?.start(&scene.lab.client, &mut curl)?;
    let (server, connection) = called(scene, &listener)?;
    hear_until(&server, b"\r\n\r\n")?;
    // All of it arrives before curl looks.
    curl.halt()?;
    let answer = [HEAD, &[b'i'; 30_000]].concat();
    scene.lab.server.run(|| sockets::say(&server, &answer))?;
    settle(scene.lab, &connection)?;
    curl.carry_on()?;
    sockets::await_error(&server, Errno::ECONNRESET)?;
    curl.wait()?;
    // It cancels; that the kernel resets is because the rest lies unread.
    let reset = Reset::by(Sender::Client, Stage::PostData, CANCEL);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    Ok(truth(connection, reset, "the server got ECONNRESET"))
}

const CANCEL: Cause = ("normal_abortive_close", "client_cancel");

/// PostgreSQL's error message (protocol 3.0).
fn no_entry() -> Vec<u8> {
    let fields = b"SFATAL\0VFATAL\0C28000\0Mno entry for this host in pg_hba.conf\0\0";
    let length = (fields.len() as u32 + 4).to_be_bytes();
    [&b"E"[..], &length, fields].concat()
}

pub(super) fn psql_first_host_down(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let mut nobody = scene.server;
    nobody.set_port(scene.server.port() + 1);
    let ip = scene.server.ip();
    let (first, second) = (nobody.port(), scene.server.port());
    let mut psql = command("psql");
    psql.args(["--no-psqlrc", "--no-password", "--command", "select 1"]);
    psql.arg(format!(
        "host={ip},{ip} port={first},{second} user=app dbname=app sslmode=disable \
         gssencmode=disable connect_timeout=8"
    ));
    let mut psql = Folder::new()?.start(&scene.lab.client, &mut psql)?;
    let (server, stood_by) = called(scene, &listener)?;
    // The length of the startup message comes first.
    let mut length = [0; 4];
    (&server).read_exact(&mut length)?;
    let mut startup = vec![0; u32::from_be_bytes(length) as usize - 4];
    (&server).read_exact(&mut startup)?;
    scene.lab.server.run(|| sockets::say(&server, &no_entry()))?;
    sockets::drain(&server)?;
    psql.wait()?;
    settle(scene.lab, &stood_by)?;
    scene.lab.server.run(|| sockets::close(server))?;
    settle(scene.lab, &stood_by)?;
    let refused = all_refused(scene, nobody)?;
    ensure!(refused.len() == 1, "psql called the first host {} times", refused.len());
    let connections = refused.into_iter().chain([stood_by]).collect();
    Ok(GroundTruth { connections, done: "psql had been refused twice, in two ways" })
}

/// All connections to an address at which nobody listens.
fn all_refused(scene: &Scene<'_>, nobody: SocketAddr) -> Result<Vec<Connection>> {
    let callers = scene.lab.sniffer(Place::Client).callers(nobody);
    ensure!(!callers.is_empty(), "nobody called {nobody}");
    let refused = |client| Connection {
        resets: vec![Reset::by(Sender::Server, Stage::PostSyn, CLOSED)],
        ..Connection::between(client, nobody)
    };
    Ok(callers.into_iter().map(refused).collect())
}

pub(super) fn ssh_to_tls_server(scene: &Scene<'_>) -> Result<GroundTruth> {
    // Fatal, protocol_version (RFC 8446, 6.2).
    const ALERT: &[u8] = b"\x15\x03\x03\x00\x02\x02\x46";
    let listener = scene.listen(8)?;
    let (ip, port) = (scene.server.ip().to_string(), scene.server.port().to_string());
    let mut ssh = command("ssh");
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=/dev/null"]);
    ssh.args(["-b", &source(scene), "-p", &port, "-l", "root", &ip, "true"]);
    let mut ssh = Folder::new()?.start(&scene.lab.client, &mut ssh)?;
    let (server, connection) = called(scene, &listener)?;
    sockets::hear(&server, b"SSH-2")?;
    sockets::await_unread(&server)?;
    // It would hang up as well, as soon as it reads the alert.
    ssh.halt()?;
    scene.lab.server.run(|| sockets::say(&server, ALERT))?;
    settle(scene.lab, &connection)?;
    scene.lab.server.run(|| sockets::close(server))?;
    // That the rest lay unread is how the kernel came to reset; that it was not TLS is why.
    let reset = Reset::by(Sender::Server, Stage::PostData, MISMATCH);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    let truth = truth(connection, reset, "ssh ended");
    scene.await_resets(&truth)?;
    ssh.carry_on()?;
    ssh.wait()?;
    Ok(truth)
}

/// nmap asks one port whether the host is up.
fn ping(scene: &Scene<'_>, how: &str) -> Result<SocketAddr> {
    let before = scene.lab.sniffer(Place::Server).callers(scene.server);
    let mut nmap = command("nmap");
    if scene.family == Family::V6 {
        nmap.arg("-6");
    }
    nmap.args(["-n", "-sn", "-T4", "--max-retries", "0", "--host-timeout", "8s"]);
    nmap.arg(format!("{how}{}", scene.server.port()));
    nmap.args(["-e", Place::Client.interface(), "-S", &source(scene)]);
    run(&scene.lab.client, nmap.arg(scene.server.ip().to_string()))?;
    let callers = scene.lab.sniffer(Place::Server).callers(scene.server);
    let mut new = callers.into_iter().filter(|one| !before.contains(one));
    new.next().context("nmap did not ask")
}

pub(super) fn nmap_ping(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = scene.listen(8)?;
    // The scanner's TCP knows nothing of the SYN.
    let probe = Reset::by(Sender::Client, Stage::PostSynack, PROBE);
    let answer = Reset::by(Sender::Server, Stage::NoFlow, ("security_measure", "scan_response"));
    let answer = answer.or_as_truly(&["stray_segment"]);
    let mut connections = Vec::new();
    for (how, reset) in [("-PS", probe), ("-PA", answer)] {
        let connection = Connection::between(ping(scene, how)?, scene.server);
        connections.push(Connection { resets: vec![reset], ..connection });
    }
    Ok(GroundTruth { connections, done: "nmap had both answers" })
}

/// HAProxy in the client's host; its own clients are there, too, where nobody on the way sees them.
pub(in crate::laboratory) fn balancer(
    scene: &Scene<'_>,
    rules: &str,
) -> Result<(Program, SocketAddr)> {
    let front = SocketAddr::from(([127, 0, 0, 1], scene.server.port()));
    let section = format!("listen proxy\n bind {front}\n {rules}\n");
    let haproxy = haproxy::start(&scene.lab.client, Folder::new()?, front, &section)?;
    Ok((haproxy, front))
}

/// A client of such a program.
pub(in crate::laboratory) fn dial_front(scene: &Scene<'_>, front: SocketAddr) -> Result<TcpStream> {
    scene.lab.client.run(|| {
        let ip: IpAddr = [127, 0, 0, 1].into();
        let (socket, _) = sockets::bound(ip)?;
        sockets::connect(&socket, front).context("connecting with a proxy")?;
        Ok(socket.into())
    })
}

/// A client of such a program, and the connection of the program's over which a request and its answer have gone.
pub(in crate::laboratory) fn served(
    scene: &Scene<'_>,
    front: SocketAddr,
    listener: &TcpListener,
) -> Result<(TcpStream, TcpStream, Connection)> {
    let client = dial_front(scene, front)?;
    let (server, connection) = called(scene, listener)?;
    sockets::say(&client, REQUEST)?;
    sockets::hear(&server, REQUEST)?;
    scene.lab.server.run(|| sockets::say(&server, ANSWER))?;
    sockets::hear(&client, ANSWER)?;
    settle(scene.lab, &connection)?;
    Ok((client, server, connection))
}

pub(super) fn haproxy_redispatch(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let mut nobody = scene.server;
    nobody.set_port(scene.server.port() + 1);
    let (up, from) = (scene.server, scene.at(Place::Client, 0));
    let (_haproxy, front) = balancer(
        scene,
        &format!(
            "balance roundrobin\n retries 2\n option redispatch 1\n \
             server one {nobody} source {from}\n server two {up} source {from}"
        ),
    )?;
    let client = dial_front(scene, front)?;
    let (server, stood_by) = called(scene, &listener)?;
    sockets::say(&client, REQUEST)?;
    sockets::hear(&server, REQUEST)?;
    scene.lab.server.run(|| sockets::say(&server, ANSWER))?;
    sockets::hear(&client, ANSWER)?;
    client.shutdown(std::net::Shutdown::Write)?;
    sockets::await_end(&server)?;
    settle(scene.lab, &stood_by)?;
    scene.lab.server.run(|| sockets::close(server))?;
    sockets::await_end(&client)?;
    let connections = all_refused(scene, nobody)?.into_iter().chain([stood_by]).collect();
    Ok(GroundTruth { connections, done: "the second server was used and left" })
}
