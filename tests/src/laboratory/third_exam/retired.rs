//! A server that is told to end while somebody still waits for it.

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Stage};

use super::super::second_exam::filter::only;
use super::super::servers::program::{Folder, Program, command};
use super::common::AFTER_CLOSE;

pub(super) const LISTED: &[Listed] = &[Listed::new(
    "nginx_worker_retires",
    "nginx reloads, a request waits too long",
    "nginx is told to reload (SIGHUP) while a client waits for what is behind nginx; its old \
         worker waits 700 ms more (worker_shutdown_timeout) and closes; then the client goes on.",
    nginx_worker_retires,
)
.needs(&["nginx"])
.slow()];

/// nginx with a master and a worker in the server's host, in front of somebody there.
pub(in crate::laboratory) fn nginx(scene: &Scene<'_>, behind: &str) -> Result<Program> {
    let (folder, listen) = (Folder::new()?, scene.server);
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = kinds.map(|kind| format!("{kind}_temp_path {kind}; ")).concat();
    let configuration = format!(
        "daemon off; user root; worker_processes 1; pid pid; error_log stderr info;\n\
         worker_shutdown_timeout 700ms;\n\
         events {{ worker_connections 64; }}\n\
         http {{ access_log off; {temporary}\n\
         server {{ listen {listen}; location / {{ proxy_pass http://{behind}; }} }} }}\n"
    );
    let path = folder.write("nginx.conf", configuration)?;
    let prefix = folder.path("");
    let mut nginx = command("nginx");
    nginx.arg("-p").arg(prefix).arg("-c").arg(path).args(["-e", "stderr"]);
    folder.start(&scene.lab.server, &mut nginx)?.await_listening(&scene.lab.server, listen)
}

fn nginx_worker_retires(scene: &Scene<'_>) -> Result<GroundTruth> {
    let host = &scene.lab.server;
    let behind = host.run(|| sockets::listen_on(([127, 0, 0, 1], 0).into(), 8))?;
    let nginx = nginx(scene, &behind.local_addr()?.to_string())?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    let _never_answers = host.run(|| sockets::accept(&behind))?;
    settle(scene.lab, &connection)?;
    let master = std::fs::read_to_string(nginx.folder().path("pid")).context("the master")?;
    kill(Pid::from_raw(master.trim().parse()?), Signal::SIGHUP)?;
    sockets::await_end(&client)?;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    sockets::await_error(&client, Errno::EPIPE)?;
    // The old worker went, by closing; that something came afterwards is why its kernel reset.
    let reset = Reset::by(Sender::Server, Stage::PostFin, AFTER_CLOSE);
    let reset = reset.or_as_truly(&["lb_drain"]);
    Ok(only(connection, vec![reset], "the client's socket got EPIPE"))
}
