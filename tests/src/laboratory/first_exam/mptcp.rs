//! Multipath TCP: a subflow of nothing, a server without room for one, and a fast close.

use std::io::Error;
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, OwnedFd};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::socket::{Backlog, SockaddrStorage, bind, listen, setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::frame::{ACK, RST, SYN};
use rst_tracer::demo::lab::Place;
use rst_tracer::demo::nft::{Hook, Only, Port, Verdict};
use rst_tracer::demo::packet;
use rst_tracer::demo::scenarios::{Listed, Pair, REQUEST, Scene};
use rst_tracer::demo::sockets;
use rst_tracer::demo::truth::{Connection, GroundTruth, Maker, Reset, Sender, Stage};
use rst_tracer::demo::wait::PATIENCE;
use rst_tracer::exit::{Code, Failure};

use super::only;

pub(super) const LISTED: &[Listed] = &[
    Listed::new(
        "mptcp_join_of_nothing",
        "MPTCP: a subflow of no connection",
        "A program on the client asks to add a subflow to a connection that the server does not \
         have (MP_JOIN with an unknown token).",
        mptcp_join_of_nothing,
    ),
    Listed::new(
        "mptcp_no_room",
        "MPTCP: no room for another",
        "The client calls with MPTCP; a program on the server answers with a reset that says: lack \
         of resources (MP_TCPRST).",
        mptcp_no_room,
    ),
    Listed::new(
        "mptcp_fast_close",
        "MPTCP closed with unread data",
        "Both speak MPTCP; the server closes its socket although the client's second request lies \
         unread in it.",
        mptcp_fast_close,
    ),
];

/// A socket of MPTCP that is bound to `address`.
fn bound_to(address: SocketAddr) -> Result<OwnedFd> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: socket(2) takes three integers; a result that is not negative is a new descriptor.
    let socket = match unsafe { libc::socket(family, kind, libc::IPPROTO_MPTCP) } {
        -1 => {
            let message = format!("this kernel has no MPTCP: {}", Error::last_os_error());
            return Err(Failure::new(Code::UNAVAILABLE, message).into());
        }
        // SAFETY: it is open and nobody else's.
        socket => unsafe { OwnedFd::from_raw_fd(socket) },
    };
    let limit = TimeVal::seconds(PATIENCE.as_secs() as i64);
    setsockopt(&socket, sockopt::ReuseAddr, &true).context("allowing the address to be reused")?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &limit).context("bounding receives")?;
    setsockopt(&socket, sockopt::SendTimeout, &limit).context("bounding sends")?;
    bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &SockaddrStorage::from(address))
        .with_context(|| format!("binding an MPTCP socket to {address}"))?;
    Ok(socket)
}

fn listening(scene: &Scene<'_>) -> Result<std::net::TcpListener> {
    scene.lab.server.run(|| {
        let socket = bound_to(scene.server)?;
        listen(&socket, Backlog::new(4)?).context("listening with MPTCP")?;
        Ok(socket.into())
    })
}

/// A client's socket of MPTCP, and its address.
fn caller(scene: &Scene<'_>) -> Result<(OwnedFd, SocketAddr)> {
    scene.lab.client.run(|| {
        let socket = bound_to(scene.at(Place::Client, 0))?;
        let socket = std::net::TcpStream::from(socket);
        let address = socket.local_addr().context("asking for the address of a socket")?;
        Ok((socket.into(), address))
    })
}

fn mptcp_join_of_nothing(scene: &Scene<'_>) -> Result<GroundTruth> {
    let _listener = listening(scene)?;
    let plain = scene.raw_from_client(SYN)?;
    // MP_JOIN (RFC 8684, 3.2): address 3, a token, a number used once.
    let options = vec![30, 12, 0x10, 3, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4];
    let (seq, window) = (0x4d50_0001, 64_240);
    let join = Forgery { seq, ack: 0, window, ttl: 64, dont_fragment: true, options, ..plain };
    packet::inject(&scene.lab.client, Place::Client.interface(), &join.to_frame())?;
    let connection = Connection::between(join.src, join.dst);
    let reset = Reset::by(Sender::Server, Stage::PostSyn, ("protocol_state", "mptcp_protocol"));
    scene.once_seen(only(connection, vec![reset], "the client's host saw the reset"))
}

fn mptcp_no_room(scene: &Scene<'_>) -> Result<GroundTruth> {
    // The server's kernel hears nothing, so that it does not answer itself.
    let to_server = [(Port::To(scene.server.port()), Only::Any)];
    let _deaf = scene.rules(&scene.lab.server, Hook::Input, &to_server, Verdict::Drop)?;
    let (socket, client) = caller(scene)?;
    let connection = Connection::between(client, scene.server);
    let socket = std::net::TcpStream::from(socket);
    socket.set_nonblocking(true).context("asking not to wait for the handshake")?;
    let socket = OwnedFd::from(socket);
    match scene.lab.client.run(|| Ok(sockets::connect(&socket, scene.server)))? {
        Err(Errno::EINPROGRESS) => {}
        other => anyhow::bail!("connect was to be in progress, got {other:?}"),
    }
    let reset = refused_for_want_of_resources(scene, &connection)?;
    let truth = only(connection, vec![reset], "the client's host saw the reset");
    scene.await_resets(&truth)?;
    Ok(truth)
}

fn mptcp_fast_close(scene: &Scene<'_>) -> Result<GroundTruth> {
    let listener = listening(scene)?;
    let (client, connection) = scene.dial_from(caller(scene)?)?;
    let server = scene.lab.server.run(|| sockets::accept(&listener))?;
    let pair = Pair { lab: scene.lab, connection, client, server };
    pair.exchange()?;
    scene.lab.client.run(|| sockets::say(&pair.client, REQUEST))?;
    sockets::await_unread(&pair.server)?;
    pair.settle()?;
    let cause = ("application_error", "closed_with_unread_data");
    let truth = pair.truth(
        "the client's host saw the reset",
        vec![Reset::by(Sender::Server, Stage::PostData, cause)],
    );
    scene.lab.server.run(|| sockets::close(pair.server))?;
    scene.await_resets(&truth)?;
    Ok(truth)
}

/// The server's host, or so it seems, refuses the SYN of a path: MP_TCPRST (RFC 8684, 3.6), reason 2.
pub(in crate::laboratory) fn refused_for_want_of_resources(
    scene: &Scene<'_>,
    path: &Connection,
) -> Result<Reset> {
    let syn = scene.lab.sniffer(Place::Server).wait_for("a SYN", path, |seen| {
        seen.iter().map(|one| &one.segment).find(|one| one.has(SYN)).cloned()
    })?;
    let answer = Forgery {
        macs: (syn.macs.1, syn.macs.0),
        src: syn.dst,
        dst: syn.src,
        seq: 0,
        ack: syn.next_seq(),
        ttl: 64,
        ip_id: 0,
        dont_fragment: true,
        options: vec![30, 4, 0x80, 2],
        ..Forgery::after(&syn, RST | ACK)
    };
    packet::inject(&scene.lab.server, Place::Server.interface(), &answer.to_frame())?;
    let cause = ("resource_limitation", "mptcp_resource");
    Ok(Reset::by(Sender::Server, Stage::PostSyn, cause).made_by(Maker::Injector))
}
