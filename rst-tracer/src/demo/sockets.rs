//! TCP sockets with bounded patience, and the unkind ways to end them.
//!
//! In: addresses of the calling thread's namespace. Out: ordinary `std` sockets on which no call
//! blocks for longer than [`PATIENCE`], and waits for the errors that resets cause.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, getsockopt, listen,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::wait::PATIENCE;

/// A socket bound to `ip` whose port the kernel chose, and its address, known before connecting. No address comes
/// twice: what is seen of two connections is told apart by it.
///
/// # Errors
/// If `ip` is not an address of this host.
pub fn bound(ip: IpAddr) -> Result<(OwnedFd, SocketAddr)> {
    static GIVEN: Mutex<BTreeSet<SocketAddr>> = Mutex::new(BTreeSet::new());
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        // A `TcpStream` only to ask its address through std; the descriptor stays ours.
        let socket = TcpStream::from(bound_to(SocketAddr::new(ip, 0))?);
        let address = socket.local_addr().context("asking for the address of a socket")?;
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(address) {
            return Ok((socket.into(), address));
        }
    }
    bail!("of {TRIES} ports at {ip} none is new")
}

/// Connects a bound socket; waits for the handshake.
///
/// # Errors
/// The errno, so that a scenario can expect ECONNREFUSED.
pub fn connect(socket: &OwnedFd, server: SocketAddr) -> Result<(), Errno> {
    nix::sys::socket::connect(socket.as_raw_fd(), &SockaddrStorage::from(server))
}

/// Listens on `address` with room for `backlog` + 1 connections that nobody has accepted.
///
/// # Errors
/// If the address is taken or not of this host.
pub fn listen_on(address: SocketAddr, backlog: i32) -> Result<TcpListener> {
    let socket = bound_to(address)?;
    let backlog = Backlog::new(backlog).context("choosing a backlog")?;
    listen(&socket, backlog).with_context(|| format!("listening on {address}"))?;
    Ok(socket.into())
}

/// A socket bound to `address`, which another socket may have left shortly before.
///
/// # Errors
/// If the address is taken or not of this host.
pub fn bound_to(address: SocketAddr) -> Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
        .context("opening a TCP socket")?;
    setsockopt(&socket, sockopt::ReuseAddr, &true).context("allowing the address to be reused")?;
    bound_patience(&socket)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))
        .with_context(|| format!("binding a socket to {address}"))?;
    Ok(socket)
}

/// Accepts the next connection.
///
/// # Errors
/// If none comes in time.
pub fn accept(listener: &TcpListener) -> Result<TcpStream> {
    // SO_RCVTIMEO of the listener bounds accept(2), too.
    let (stream, _) = listener.accept().context("accepting a connection")?;
    bound_patience(&stream)?;
    Ok(stream)
}

fn bound_patience(socket: &impl AsFd) -> Result<()> {
    let limit = TimeVal::seconds(PATIENCE.as_secs() as i64);
    setsockopt(socket, sockopt::ReceiveTimeout, &limit).context("bounding receives")?;
    setsockopt(socket, sockopt::SendTimeout, &limit).context("bounding sends")
}

/// Sends `message` in one segment.
///
/// # Errors
/// If the connection is broken.
pub fn say(mut stream: &TcpStream, message: &[u8]) -> Result<()> {
    stream.write_all(message).context("sending")
}

/// Receives exactly `message`.
///
/// # Errors
/// If anything else, an end or an error comes.
pub fn hear(mut stream: &TcpStream, message: &[u8]) -> Result<()> {
    let mut heard = vec![0; message.len()];
    stream.read_exact(&mut heard).context("receiving")?;
    if heard != message {
        bail!("heard something else than was said");
    }
    Ok(())
}

/// Waits until there is something to read, without reading it.
///
/// # Errors
/// If the connection ends or nothing comes in time.
pub fn await_unread(stream: &TcpStream) -> Result<()> {
    match stream.peek(&mut [0]).context("waiting for data")? {
        0 => bail!("the connection ended instead of bringing data"),
        _ => Ok(()),
    }
}

/// Waits until the peer has closed its direction.
///
/// # Errors
/// If data or an error comes instead.
pub fn await_end(mut stream: &TcpStream) -> Result<()> {
    match stream.read(&mut [0]).context("waiting for the end of the stream")? {
        0 => Ok(()),
        _ => bail!("data came instead of the end of the stream"),
    }
}

/// Reads and forgets whatever comes until the peer has closed its direction.
///
/// # Errors
/// If the connection breaks.
pub fn drain(mut stream: &TcpStream) -> Result<()> {
    std::io::copy(&mut stream, &mut std::io::sink()).context("waiting for the end")?;
    Ok(())
}

/// Waits until the connection breaks with `expected`; data still in the queue is passed over.
///
/// # Errors
/// If it ends otherwise, or not in time.
pub fn await_error(mut stream: &TcpStream, expected: Errno) -> Result<()> {
    let mut scrap = [0; 512];
    loop {
        match stream.read(&mut scrap) {
            Ok(0) => break await_pending_error(stream, expected),
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(expected as i32) => break Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                bail!("waited in vain for {expected}")
            }
            Err(error) => bail!("expected {expected}, got: {error}"),
        }
    }
}

/// After the peer's FIN a read returns 0 for ever; the error waits in SO_ERROR.
fn await_pending_error(stream: &TcpStream, expected: Errno) -> Result<()> {
    super::wait::until(&format!("{expected} on a half-closed connection"), || {
        match getsockopt(stream, sockopt::SocketError).context("asking for the socket's error")? {
            0 => Ok(false),
            code if code == expected as i32 => Ok(true),
            code => bail!("expected {expected}, got {}", Errno::from_raw(code)),
        }
    })
}

/// How many finished handshakes nobody has accepted yet.
///
/// # Errors
/// If the kernel does not say.
pub fn unaccepted(listener: &TcpListener) -> Result<u32> {
    // On a listener tcpi_unacked is the length of the accept queue (tcp_get_info in net/ipv4/tcp.c).
    // Asked through libc: the structure grows with the kernel, and nix insists on its full length.
    // SAFETY: plain integers, for which zeros are valid.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: `info` has room for `len` bytes, and the kernel writes no more.
    let result = unsafe {
        libc::getsockopt(
            listener.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut len,
        )
    };
    Errno::result(result).context("asking for the accept queue")?;
    Ok(info.tcpi_unacked)
}

/// Closes a socket, listening or connected, on the calling thread: the kernel takes the closing
/// task for the author of a reset that comes of it.
///
/// # Errors
/// Never; so that closing reads like the other endings.
pub fn close(socket: impl Into<OwnedFd>) -> Result<()> {
    let _alone = ours();
    drop(socket.into());
    Ok(())
}

// Between fork and exec a process that another thread starts holds all our sockets: what is closed then stays open
// until its exec, and that process is the one who closes it.
static STARTING: RwLock<()> = RwLock::new(());

/// While it lives, no process that is being started holds our sockets.
fn ours() -> RwLockReadGuard<'static, ()> {
    STARTING.read().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a program at a moment when no thread closes a socket of ours.
///
/// # Errors
/// If the program cannot be started.
pub fn spawn(command: &mut Command) -> std::io::Result<Child> {
    let _nobody_closes = STARTING.write().unwrap_or_else(PoisonError::into_inner);
    command.spawn()
}

/// Closes with SO_LINGER {on, 0 s}: the kernel resets the connection.
///
/// # Errors
/// If the option is refused.
pub fn abort(stream: TcpStream) -> Result<()> {
    let now = libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&stream, sockopt::Linger, &now).context("asking for an abortive close")?;
    close(stream)
}

/// Makes the socket vanish without a word, as if its host had lost power (TCP_REPAIR).
///
/// # Errors
/// Without CAP_NET_ADMIN.
pub fn vanish(stream: TcpStream) -> Result<()> {
    setsockopt(&stream, sockopt::TcpRepair, &1)
        .context("putting a socket into repair mode (needs CAP_NET_ADMIN)")?;
    close(stream)
}

/// Turns on keepalive: after `idle_s` of silence, `count` probes one second apart.
///
/// # Errors
/// If an option is refused.
pub fn keep_alive(stream: &TcpStream, idle_s: u32, count: u32) -> Result<()> {
    setsockopt(stream, sockopt::TcpKeepIdle, &idle_s).context("setting TCP_KEEPIDLE")?;
    setsockopt(stream, sockopt::TcpKeepInterval, &1).context("setting TCP_KEEPINTVL")?;
    setsockopt(stream, sockopt::TcpKeepCount, &count).context("setting TCP_KEEPCNT")?;
    setsockopt(stream, sockopt::KeepAlive, &true).context("turning on keepalive")
}
