//! HAProxy as the server: how it rejects callers, and what becomes of those that it has left.

use std::net::{SocketAddr, TcpListener};

use anyhow::Result;
use nix::errno::Errno;
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::scenarios::{Listed, REQUEST, Scene, settle};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::wait;

use super::program::{Folder, Program, command, has_socket};
use super::{truth, upload};

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "haproxy_connection_reject",
        "HAProxy rejects a connection",
        "HAProxy accepts a connection and rejects it at once (tcp-request connection reject).",
        connection_reject,
    )
    .needs(HAPROXY),
    Listed::new(
        "haproxy_content_reject",
        "HAProxy rejects what a client says",
        "HAProxy rejects an upload by its first bytes (tcp-request content reject); the rest lies \
         unread.",
        content_reject,
    )
    .needs(HAPROXY),
    Listed::new(
        "haproxy_silent_drop",
        "HAProxy vanishes without a word",
        "HAProxy forgets a connection without telling the client (http-request silent-drop), which \
         asks again.",
        silent_drop,
    )
    .needs(HAPROXY),
    Listed::new(
        "haproxy_server_timeout_then_data",
        "HAProxy's server is too slow, the client goes on",
        "HAProxy waits in vain for its server and closes (timeout server); then the client asks \
         again.",
        server_timeout_then_data,
    )
    .needs(HAPROXY)
    .slow(),
];

pub(in crate::laboratory) const HAPROXY: &[&str] = &["haproxy"];

/// Starts HAProxy with these sections beside a few settings that it insists on, and waits until it
/// listens.
pub(in crate::laboratory) fn start(
    host: &Netns,
    folder: Folder,
    listen: SocketAddr,
    sections: &str,
) -> Result<Program> {
    let admin = folder.path("admin");
    let admin = admin.display();
    let configuration = format!(
        "global\n stats socket {admin} mode 600 level admin\n tune.bufsize 2048\n\
         defaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n\
         {sections}"
    );
    let path = folder.write("haproxy.cfg", configuration)?;
    let mut haproxy = command("haproxy");
    haproxy.arg("-db").arg("-f").arg(path);
    folder.start(host, &mut haproxy)?.await_listening(host, listen)
}

/// HAProxy at the scenario's port, in front of nobody, or of a server in the same host.
fn proxy(scene: &Scene<'_>, rules: &str) -> Result<Program> {
    let listen = scene.server;
    let section = format!("listen proxy\n bind {listen}\n {rules}\n");
    start(&scene.lab.server, Folder::new()?, listen, &section)
}

pub(in crate::laboratory) const BY_PROXY: (&str, &str) = ("traffic_management", "proxy_abort");

fn connection_reject(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _haproxy = proxy(scene, "tcp-request connection reject")?;
    let (client, connection) = scene.dial()?;
    sockets::await_error(&client, Errno::ECONNRESET)?;
    // SO_LINGER 0 is how HAProxy does it.
    let reset = Reset::by(Sender::Server, Stage::PostAck, BY_PROXY).or_as_truly(&["linger0_close"]);
    Ok(truth(connection, reset, "the client got ECONNRESET"))
}

fn content_reject(scene: &Scene<'_>) -> Result<GroundTruth> {
    let rules = "tcp-request inspect-delay 5s\n tcp-request content reject if { req.len gt 0 }";
    let _haproxy = proxy(scene, rules)?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, &upload(4000)))?;
    sockets::await_error(&client, Errno::EPIPE)?;
    // The proxy rejects; that data lies unread is why its kernel resets after the FIN.
    let reset = Reset::by(Sender::Server, Stage::PostFin, BY_PROXY);
    let reset = reset.or_as_truly(&["closed_with_unread_data"]);
    Ok(truth(connection, reset, "the client's socket got EPIPE"))
}

fn silent_drop(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _haproxy = proxy(scene, "mode http\n http-request silent-drop")?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    settle(scene.lab, &connection)?;
    wait::until("HAProxy to forget the connection", || {
        Ok(!scene.lab.server.run(|| has_socket(&connection))?)
    })?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    sockets::await_error(&client, Errno::ECONNRESET)?;
    let cause = ("application_error", "half_open_stale_state");
    let reset = Reset::by(Sender::Server, Stage::PostData, cause);
    Ok(truth(connection, reset, "the client got ECONNRESET"))
}

/// A server behind the proxy, in the same host, that accepts and says nothing.
fn silent_server(scene: &Scene<'_>) -> Result<(TcpListener, SocketAddr)> {
    let listener = scene.lab.server.run(|| sockets::listen_on(([127, 0, 0, 1], 0).into(), 8))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn server_timeout_then_data(scene: &Scene<'_>) -> Result<GroundTruth> {
    let (_listener, behind) = silent_server(scene)?;
    let _haproxy = proxy(
        scene,
        &format!("timeout client 500ms\n timeout server 500ms\n server behind {behind}"),
    )?;
    let (client, connection) = scene.dial()?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    sockets::await_end(&client)?;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::say(&client, REQUEST))?;
    sockets::await_error(&client, Errno::EPIPE)?;
    let cause = ("application_error", "data_after_close");
    let reset = Reset::by(Sender::Server, Stage::PostFin, cause);
    Ok(truth(connection, reset, "the client's socket got EPIPE"))
}
