//! Servers that somebody else wrote: nginx and sshd.

use std::fs;
use std::net::{Shutdown, SocketAddr};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::scenarios::{ANSWER, REQUEST, Scene, settle};
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::{sockets, wait};

use super::super::super::exits::all_reset;
use super::super::super::options;
use super::super::super::servers::program::{Folder, Program, command};
use super::super::super::servers::{DIED, haproxy, sshd, truth};
use super::AFTER_CLOSE;
use super::clients::{called, dial_front, hear_until};

const END: &[u8] = b"\r\n\r\n";

/// nginx with a master and one worker.
fn nginx(host: &Netns, listen: SocketAddr, listening: &str, rules: &str) -> Result<Program> {
    let folder = Folder::new()?;
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = kinds.map(|kind| format!("{kind}_temp_path {kind}; ")).concat();
    let configuration = format!(
        "daemon off; user root; worker_processes 1; pid pid; error_log stderr info;\n\
         events {{ worker_connections 64; }}\n\
         http {{ access_log off; {temporary}\n\
         server {{ listen {listen} {listening}; location / {{ {rules} }} }} }}\n"
    );
    let path = folder.write("nginx.conf", configuration)?;
    let prefix = folder.path("");
    let mut nginx = command("nginx");
    nginx.arg("-p").arg(prefix).arg("-c").arg(path).args(["-e", "stderr"]);
    folder.start(host, &mut nginx)?.await_listening(host, listen)
}

/// nginx on the client as a proxy in front of the scenario's server.
fn nginx_proxy(scene: &Scene<'_>, listening: &str, rules: &str) -> Result<(Program, SocketAddr)> {
    let front = SocketAddr::from(([127, 0, 0, 1], scene.server.port()));
    let from = scene.ip(Place::Client, scene.family);
    let rules = format!("proxy_pass http://{}; proxy_bind {from}; {rules}", scene.server);
    let nginx = nginx(&scene.lab.client, front, listening, &rules)?;
    Ok((nginx, front))
}

/// The only process that the master has started.
fn worker(nginx: &Program) -> Result<Pid> {
    let master = fs::read_to_string(nginx.folder().path("pid")).context("asking for the master")?;
    let master = master.trim();
    let children = format!("/proc/{master}/task/{master}/children");
    let mut found = None;
    wait::until("nginx to have a worker", || {
        let children = fs::read_to_string(&children).context("looking after nginx")?;
        found = children.split_whitespace().next().and_then(|one| one.parse().ok());
        Ok(found.is_some())
    })?;
    found.map(Pid::from_raw).context("nginx has no worker")
}

fn await_state(process: Pid, wanted: char) -> Result<()> {
    wait::until("a process to halt", || {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The state follows the name, which is in parentheses.
        Ok(stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(wanted)))
    })
}

pub(super) fn nginx_worker_killed(scene: &Scene<'_>) -> Result<GroundTruth> {
    let nginx = nginx(&scene.lab.server, scene.server, "", "return 200 'hello';")?;
    let kept = [scene.dial()?, scene.dial()?];
    for (client, connection) in &kept {
        scene.lab.client.run(|| sockets::say(client, REQUEST))?;
        hear_until(client, b"hello")?;
        settle(scene.lab, connection)?;
    }
    let worker = worker(&nginx)?;
    kill(worker, Signal::SIGSTOP)?;
    await_state(worker, 'T')?;
    for (client, connection) in &kept {
        scene.lab.client.run(|| sockets::say(client, REQUEST))?;
        settle(scene.lab, connection)?;
    }
    kill(worker, Signal::SIGKILL)?;
    // That the worker died is what happened; that requests lay unread is why the kernel reset.
    let reset = Reset::by(Sender::Server, Stage::PostData, DIED);
    let mut truth = all_reset(kept.into(), reset.or_as_truly(&["closed_with_unread_data"]))?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    hear_until(&client, b"hello")?;
    settle(scene.lab, &connection)?;
    client.shutdown(Shutdown::Write)?;
    sockets::await_end(&client)?;
    truth.connections.push(connection);
    Ok(truth)
}

pub(super) fn sshd_login_grace(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _sshd = sshd::start(scene, "LoginGraceTime 3")?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, b"SSH-2.0-dawdler_1.0\r\n"))?;
    sockets::drain(&client)?;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::say(&client, &[0x14; 120]))?;
    sockets::await_error(&client, Errno::EPIPE)?;
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_CLOSE);
    Ok(truth(connection, reset, "the client's socket got EPIPE"))
}

pub(super) fn nginx_upstream_late(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = scene.listen(8)?;
    let (_nginx, front) = nginx_proxy(scene, "", "proxy_read_timeout 700ms;")?;
    let client = dial_front(scene, front)?;
    sockets::say(&client, REQUEST)?;
    let (server, connection) = called(scene, &listener)?;
    hear_until(&server, END)?;
    sockets::hear(&client, b"HTTP/1.1 504 Gateway Time-out")?;
    sockets::await_end(&server)?;
    settle(scene.lab, &connection)?;
    scene.lab.server.run(|| sockets::say(&server, ANSWER))?;
    sockets::await_error(&server, Errno::EPIPE)?;
    // The proxy gave up by closing; that an answer came afterwards is why its kernel reset.
    let reset = Reset::by(Sender::Client, Stage::PostFin, AFTER_CLOSE);
    let reset = reset.or_as_truly(&["proxy_abort"]);
    Ok(truth(connection, reset, "the server's socket got EPIPE"))
}

pub(super) fn nginx_proxy_client_gone(scene: &Scene<'_>) -> Result<GroundTruth> {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n";
    let listener = scene.listen(8)?;
    let rules = "proxy_buffers 2 4k; proxy_buffer_size 4k; proxy_busy_buffers_size 4k; \
                 proxy_max_temp_file_size 0;";
    let (_nginx, front) = nginx_proxy(scene, "sndbuf=4k", rules)?;
    let client = scene.lab.client.run(|| {
        let (socket, _) = sockets::bound(front.ip())?;
        options::receive_little(&socket)?;
        sockets::connect(&socket, front).context("connecting with nginx")?;
        Ok(std::net::TcpStream::from(socket))
    })?;
    sockets::say(&client, REQUEST)?;
    let (server, connection) = called(scene, &listener)?;
    hear_until(&server, END)?;
    let answer = [HEAD, &[b'd'; 55_000]].concat();
    scene.lab.server.run(|| sockets::say(&server, &answer))?;
    sockets::await_unread(&client)?;
    super::super::super::wishes::quiet(scene, &connection)?;
    settle(scene.lab, &connection)?;
    sockets::abort(client)?;
    sockets::await_error(&server, Errno::ECONNRESET)?;
    // The client of the proxy cancelled, the proxy gave the server up; what lay unread is why the
    // kernel reset.
    let reset = Reset::by(Sender::Client, Stage::PostData, haproxy::BY_PROXY);
    let reset = reset.or_as_truly(&["client_cancel", "closed_with_unread_data"]);
    let connections = vec![Connection { resets: vec![reset], ..connection }];
    Ok(GroundTruth { connections, done: "the server got ECONNRESET" })
}
