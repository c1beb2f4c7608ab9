//! A file server (vsftpd) with its two connections, and a super-server (xinetd) with its limits.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::thread;

use anyhow::{Context, Result};
use nix::errno::Errno;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::scenarios::{Listed, Scene, last, settle};
use rst_tracer::demo::truth::{Connection, Family, GroundTruth, Reset, Sender, Side, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::options;
use super::super::second_exam::daemons::clients::hear_until;
use super::super::second_exam::filter::{broken, only, port_after, refused};
use super::super::servers::program::{Folder, Program, command};
use super::super::third_exam::capacity::waiting;
use super::super::third_exam::common::{
    AFTER_CLOSE, CANCEL, UNREAD, WENT_AWAY, ms, passed, target, with,
};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "files_idle_session",
        "A file server lets an idle guest go",
        "vsftpd says goodbye to a guest that has said nothing for a second (idle_session_timeout) \
         and closes; the guest wants to quit.",
        files_idle_session,
    )
    .needs(VSFTPD)
    .slow(),
    Listed::new(
        "files_door_closed_again",
        "A file server's second door, closed again",
        "vsftpd opens a port for a file (EPSV) and waits a second for somebody to call it; the \
         client calls when it has given up.",
        files_door_closed_again,
    )
    .needs(VSFTPD)
    .slow(),
    Listed::new(
        "files_download_abandoned",
        "A download abandoned, the session kept",
        "A client downloads a file from vsftpd over a connection of its own (EPSV) and, its buffer \
         full, closes it; then it quits over the other connection.",
        files_download_abandoned,
    )
    .needs(VSFTPD),
    Listed::new(
        "super_server_knows_its_guests",
        "A super-server that knows its guests",
        "xinetd takes a caller from an address that is not on its list (only_from) and closes, what \
         the caller has said unread.",
        super_server_knows_its_guests,
    )
    .needs(XINETD),
    Listed::new(
        "super_server_takes_a_rest",
        "A super-server that takes a rest",
        "xinetd may take two calls a second (cps) and stops listening for three seconds at the \
         third; two more callers are refused, and a later one is served.",
        super_server_takes_a_rest,
    )
    .needs(XINETD)
    .slow(),
];

const VSFTPD: &[&str] = &["vsftpd"];
const XINETD: &[&str] = &["xinetd"];

/// Where vsftpd listens for the second connection.
fn second_door(scene: &Scene<'_>) -> SocketAddr {
    port_after(scene, 5)
}

/// vsftpd, which lets guests be idle for so many seconds.
fn vsftpd(scene: &Scene<'_>, idle_s: u32) -> Result<Program> {
    let (host, [ip, port]) = (&scene.lab.server, target(scene));
    let folder = Folder::new()?;
    // Guests are somebody else, and see what lies in a folder that is not theirs.
    for name in ["", "files", "empty"] {
        let path = folder.path(name);
        fs::create_dir_all(&path).context("making a folder")?;
        fs::set_permissions(&path, Permissions::from_mode(0o755)).context("opening a folder")?;
    }
    folder.write("files/film", vec![b'f'; 3 << 20])?;
    let at = folder.path("");
    let (at, door) = (at.display(), second_door(scene).port());
    let listen = match scene.family {
        Family::V4 => format!("listen=YES\nlisten_ipv6=NO\nlisten_address={ip}"),
        Family::V6 => format!("listen=NO\nlisten_ipv6=YES\nlisten_address6={ip}"),
    };
    let text = format!(
        "{listen}\nlisten_port={port}\nbackground=NO\nanonymous_enable=YES\nlocal_enable=NO\n\
         nopriv_user=nobody\nanon_root={at}files\nsecure_chroot_dir={at}empty\n\
         seccomp_sandbox=NO\nisolate=NO\nisolate_network=NO\nidle_session_timeout={idle_s}\n\
         accept_timeout=1\npasv_min_port={door}\npasv_max_port={door}\nanon_world_readable_only=NO\n"
    );
    let path = folder.write("vsftpd.conf", text)?;
    let mut vsftpd = command("vsftpd");
    folder.start(host, vsftpd.arg(path))?.await_listening(host, scene.server)
}

/// Says a line to the file server, unless it is empty, and hears the answer that begins with `code`.
fn order(scene: &Scene<'_>, client: &TcpStream, line: &str, code: &[u8]) -> Result<()> {
    if !line.is_empty() {
        scene.lab.client.run(|| sockets::say(client, format!("{line}\r\n").as_bytes()))?;
    }
    sockets::hear(client, code)?;
    hear_until(client, b"\r\n")
}

/// A guest who has logged in.
fn guest(scene: &Scene<'_>) -> Result<(TcpStream, Connection)> {
    let (client, connection) = scene.dial()?;
    order(scene, &client, "", b"220 ")?;
    order(scene, &client, "USER anonymous", b"331 ")?;
    order(scene, &client, "PASS guest@lab", b"230 ")?;
    Ok((client, connection))
}

fn files_idle_session(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _vsftpd = vsftpd(scene, 1)?;
    let (client, connection) = guest(scene)?;
    order(scene, &client, "", b"421 ")?;
    sockets::await_end(&client)?;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::say(&client, b"QUIT\r\n"))?;
    sockets::await_error(&client, Errno::EPIPE)?;
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_CLOSE);
    Ok(only(connection, vec![reset], "the client's socket got EPIPE"))
}

fn files_door_closed_again(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _vsftpd = vsftpd(scene, 60)?;
    let (client, connection) = guest(scene)?;
    order(scene, &client, "EPSV", b"229 ")?;
    order(scene, &client, "RETR film", b"425 ")?;
    // It says so first, and then it closes.
    let (host, door) = (&scene.lab.server, second_door(scene));
    wait::until("the door to close", || Ok(waiting(host, door).is_err()))?;
    // Somebody listened there, but nobody can know it who was not told.
    let away = Reset::by(Sender::Server, Stage::PostSyn, WENT_AWAY).or_as_truly(&["closed_port"]);
    let first = refused(scene, door, away)?;
    quit(scene, client, &connection)?;
    let connections = vec![first, connection];
    Ok(GroundTruth { connections, done: "the second connect returned ECONNREFUSED" })
}

fn quit(scene: &Scene<'_>, client: TcpStream, connection: &Connection) -> Result<()> {
    order(scene, &client, "QUIT", b"221 ")?;
    sockets::await_end(&client)?;
    settle(scene.lab, connection)?;
    scene.lab.client.run(|| sockets::close(client))?;
    settle(scene.lab, connection)
}

fn files_download_abandoned(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _vsftpd = vsftpd(scene, 60)?;
    let (client, session) = guest(scene)?;
    order(scene, &client, "EPSV", b"229 ")?;
    let (socket, address) = scene.bound()?;
    options::receive_little(&socket)?;
    scene.lab.client.run(|| Ok(sockets::connect(&socket, second_door(scene))?))?;
    let download = Connection::between(address, second_door(scene));
    order(scene, &client, "RETR film", b"150 ")?;
    scene.lab.sniffer(Place::Server).wait_for("a closed window", &download, |seen| {
        let told = last(seen, &download, Side::Client)?;
        let sent = last(seen, &download, Side::Server)?;
        (told.ack == sent.next_seq() && sent.payload_len > 0 && told.window < 100).then_some(())
    })?;
    scene.lab.client.run(|| sockets::close(socket))?;
    order(scene, &client, "", b"426 ")?;
    quit(scene, client, &session)?;
    // It cancels; that the kernel resets is because the rest lies unread.
    let reset = Reset::by(Sender::Client, Stage::PostData, CANCEL);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    passed(scene, vec![with(download, vec![reset]), session], "the server said that it failed")
}

/// xinetd in front of a program that says what it hears.
fn xinetd(scene: &Scene<'_>, rules: &str) -> Result<Program> {
    let (host, [ip, port]) = (&scene.lab.server, target(scene));
    let folder = Folder::new()?;
    let flags = match scene.family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    };
    let text = format!(
        "service lab\n{{\n type = UNLISTED\n socket_type = stream\n protocol = tcp\n flags = {flags}\n \
         wait = no\n user = root\n bind = {ip}\n port = {port}\n server = {}\n {rules}\n}}\n",
        command("cat").get_program().to_string_lossy()
    );
    let path = folder.write("xinetd.conf", text)?;
    let mut xinetd = command("xinetd");
    xinetd.args(["-dontfork", "-f"]).arg(path).args(["-pidfile", "pid"]);
    folder.start(host, &mut xinetd)?.await_listening(host, scene.server)
}

fn super_server_knows_its_guests(scene: &Scene<'_>) -> Result<GroundTruth> {
    let xinetd = xinetd(scene, "only_from = 192.0.2.7 2001:db8::7")?;
    // What the caller says arrives before it looks.
    xinetd.halt()?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, b"echo\n"))?;
    settle(scene.lab, &connection)?;
    xinetd.carry_on()?;
    broken(&client)?;
    let reset = Reset::by(Sender::Server, Stage::PostPush, UNREAD);
    Ok(only(connection, vec![reset], "the client got ECONNRESET"))
}

fn super_server_takes_a_rest(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _xinetd = xinetd(scene, "cps = 2 3")?;
    // All three at once, whatever the machine's pace: the third is one too many in a second.
    let calls = [scene.dial()?, scene.dial()?, scene.dial()?];
    let echo = |(client, connection): (TcpStream, Connection)| {
        scene.lab.client.run(|| sockets::say(&client, b"echo\n"))?;
        sockets::hear(&client, b"echo\n")?;
        client.shutdown(std::net::Shutdown::Write)?;
        sockets::await_end(&client)?;
        settle(scene.lab, &connection)?;
        anyhow::Ok(connection)
    };
    let [first, second, (third, too_many)] = calls;
    sockets::await_end(&third)?;
    let host = &scene.lab.server;
    wait::until("xinetd to rest", || Ok(waiting(host, scene.server).is_err()))?;
    let mut connections = Vec::new();
    for _ in 0..2 {
        let away = Reset::by(Sender::Server, Stage::PostSyn, WENT_AWAY);
        connections.push(refused(scene, scene.server, away)?);
        thread::sleep(ms(300));
    }
    settle(scene.lab, &too_many)?;
    drop(third);
    let served = vec![echo(first)?, echo(second)?, too_many];
    wait::until("xinetd to be back", || Ok(waiting(host, scene.server).is_ok()))?;
    connections.push(echo(scene.dial()?)?);
    connections.extend(served);
    Ok(GroundTruth { connections, done: "two calls returned ECONNREFUSED" })
}
