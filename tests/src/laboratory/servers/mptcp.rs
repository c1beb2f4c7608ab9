//! Multipath TCP, which resets with reasons of its own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::socket::{Backlog, SockaddrStorage, bind, listen, setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::scenarios::{ANSWER, Listed, REQUEST, Scene, settle};
use rst_tracer::demo::truth::{Connection, GroundTruth, Reset, Sender, Stage};
use rst_tracer::demo::{sockets, wait};
use rst_tracer::exit::{Code, Failure};

use super::program::{command, run};
use super::truth;
use crate::laboratory::wishes::quiet;

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "mptcp_fastclose",
        "Multipath TCP aborted by the client",
        "The client aborts a connection of Multipath TCP (SO_LINGER 0), which says MP_FASTCLOSE.",
        fast_close,
    ),
    Listed::new(
        "mptcp_join_prohibited",
        "Multipath TCP wants no second path",
        "The client opens a second path for a connection; the server allows none.",
        join_prohibited,
    )
    // What Multipath TCP may announce is a matter of the host, one list for both families.
    .alone()
    .needs(&["ip"]),
];

/// A socket of Multipath TCP, bound to an address, on which no call blocks for ever.
pub(in crate::laboratory) fn bound(address: SocketAddr) -> Result<OwnedFd> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: socket(2) takes no pointers.
    let socket = unsafe { libc::socket(family, kind, libc::IPPROTO_MPTCP) };
    let socket = Errno::result(socket).map_err(|errno| {
        Failure::new(Code::UNAVAILABLE, format!("this kernel has no Multipath TCP: {errno}"))
    })?;
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    setsockopt(&socket, sockopt::ReuseAddr, &true).context("allowing the address to be reused")?;
    let limit = TimeVal::seconds(wait::PATIENCE.as_secs() as i64);
    setsockopt(&socket, sockopt::ReceiveTimeout, &limit).context("bounding receives")?;
    setsockopt(&socket, sockopt::SendTimeout, &limit).context("bounding sends")?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))
        .with_context(|| format!("binding a socket to {address}"))?;
    Ok(socket)
}

/// Both ends of a connection of Multipath TCP, and its first path.
pub(in crate::laboratory) struct Multipath {
    pub(in crate::laboratory) connection: Connection,
    pub(in crate::laboratory) client: TcpStream,
    pub(in crate::laboratory) server: TcpStream,
}

fn connected(scene: &Scene<'_>) -> Result<Multipath> {
    connected_at(scene, &listen_for_paths(scene)?)
}

/// A listener that speaks Multipath TCP; as long as it is there, paths can be added.
pub(in crate::laboratory) fn listen_for_paths(scene: &Scene<'_>) -> Result<TcpListener> {
    scene.lab.server.run(|| {
        let socket = bound(scene.server)?;
        listen(&socket, Backlog::new(8)?).context("listening")?;
        Ok(TcpListener::from(socket))
    })
}

pub(in crate::laboratory) fn connected_at(
    scene: &Scene<'_>,
    listener: &TcpListener,
) -> Result<Multipath> {
    let client = scene.lab.client.run(|| {
        let socket = bound(scene.at(Place::Client, 0))?;
        sockets::connect(&socket, scene.server).context("connecting")?;
        Ok(TcpStream::from(socket))
    })?;
    let connection = Connection::between(client.local_addr()?, scene.server);
    let server = scene.lab.server.run(|| sockets::accept(listener))?;
    Ok(Multipath { connection, client, server })
}

impl Multipath {
    pub(in crate::laboratory) fn exchange(&self, scene: &Scene<'_>) -> Result<()> {
        scene.lab.client.run(|| sockets::say(&self.client, REQUEST))?;
        sockets::hear(&self.server, REQUEST)?;
        scene.lab.server.run(|| sockets::say(&self.server, ANSWER))?;
        sockets::hear(&self.client, ANSWER)
    }
}

fn fast_close(scene: &Scene<'_>) -> Result<GroundTruth> {
    let pair = connected(scene)?;
    pair.exchange(scene)?;
    let Multipath { connection, client, server } = pair;
    settle(scene.lab, &connection)?;
    scene.lab.client.run(|| sockets::abort(client))?;
    sockets::await_error(&server, Errno::ECONNRESET)?;
    let cause = ("normal_abortive_close", "linger0_close");
    let reset = Reset::by(Sender::Client, Stage::PostData, cause);
    Ok(truth(connection, reset, "the server got ECONNRESET"))
}

/// Settings of a host's Multipath TCP, until the value is dropped.
pub(in crate::laboratory) struct Paths<'a> {
    host: &'a Netns,
    undo: Vec<String>,
}

impl<'a> Paths<'a> {
    pub(in crate::laboratory) fn set(host: &'a Netns, order: &str, undo: &str) -> Result<Self> {
        ip(host, order)?;
        Ok(Self { host, undo: undo.split_whitespace().map(str::to_owned).collect() })
    }
}

impl Drop for Paths<'_> {
    fn drop(&mut self) {
        if let Err(error) = ip(self.host, &self.undo.join(" ")) {
            eprintln!("a setting of Multipath TCP stays: {error:#}");
        }
    }
}

fn ip(host: &Netns, order: &str) -> Result<String> {
    run(host, command("ip").arg("mptcp").args(order.split_whitespace()))
}

fn join_prohibited(scene: &Scene<'_>) -> Result<GroundTruth> {
    // Before the settings, which need a kernel that has it.
    drop(scene.lab.client.run(|| bound(scene.at(Place::Client, 0)))?);
    let second = Place::Client.ip(scene.family);
    let _none = Paths::set(&scene.lab.server, "limits set subflows 0", "limits set subflows 2")?;
    let endpoint = format!("endpoint add {second} dev eth0 id 7 subflow");
    let _path = Paths::set(&scene.lab.client, &endpoint, "endpoint delete id 7")?;
    let pair = connected(scene)?;
    pair.exchange(scene)?;
    let witness = scene.lab.sniffer(Place::Client);
    let callers = || witness.callers(scene.server).into_iter();
    wait::until("a second path", || Ok(callers().any(|one| one.ip() == second)))?;
    let joining = callers().find(|one| one.ip() == second).context("no second path")?;
    let joining = Connection::between(joining, scene.server);
    quiet(scene, &joining)?;
    let reset = Reset::by(Sender::Server, Stage::PostSyn, ("protocol_state", "mptcp_protocol"));
    let mut truth = truth(joining, reset, "the reset reached the client");
    scene.await_resets(&truth)?;
    settle(scene.lab, &pair.connection)?;
    truth.connections.push(pair.connection.clone());
    Ok(truth)
}
