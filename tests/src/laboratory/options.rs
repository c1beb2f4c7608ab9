//! The less usual wishes that a program can tell its socket.
//!
//! In: a socket. Out: the same socket, with a kernel option set; or dissolved.

use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use rst_tracer::demo::truth::Family;

/// TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ and TCP_SEND_QUEUE of linux/tcp.h.
const REPAIR_QUEUE: i32 = 20;
const QUEUE_SEQ: i32 = 21;
const SEND_QUEUE: i32 = 2;
/// TCP_FASTOPEN_NO_COOKIE of linux/tcp.h.
const FASTOPEN_NO_COOKIE: i32 = 34;

/// After the close it waits for nothing: the FIN acknowledged, the connection is reset.
///
/// # Errors
/// If the kernel refuses.
pub fn wait_not_in_fin_wait(socket: &impl AsFd) -> Result<()> {
    set(socket, libc::IPPROTO_TCP, libc::TCP_LINGER2, -1).context("setting TCP_LINGER2")
}

/// Gives up when data stays unacknowledged for this long.
///
/// # Errors
/// If the kernel refuses.
pub fn give_up_after(socket: &impl AsFd, patience: Duration) -> Result<()> {
    let ms = patience.as_millis() as i32;
    set(socket, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, ms).context("setting TCP_USER_TIMEOUT")
}

/// Marks what it sends with this type of service or traffic class.
///
/// # Errors
/// If the kernel refuses.
pub fn mark(socket: &impl AsFd, family: Family, tos: u8) -> Result<()> {
    let (level, name) = match family {
        Family::V4 => (libc::IPPROTO_IP, libc::IP_TOS),
        Family::V6 => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
    };
    set(socket, level, name, i32::from(tos)).context("setting the type of service")
}

/// Gives what it sends this TTL or hop limit.
///
/// # Errors
/// If the kernel refuses.
pub fn live_for(socket: &impl AsFd, family: Family, hops: u8) -> Result<()> {
    let (level, name) = match family {
        Family::V4 => (libc::IPPROTO_IP, libc::IP_TTL),
        Family::V6 => (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS),
    };
    set(socket, level, name, i32::from(hops)).context("setting the time to live")
}

/// Announces that it takes segments of so many bytes at most; to be set before the handshake.
///
/// # Errors
/// If the kernel refuses.
pub fn take_short_segments(socket: &impl AsFd, bytes: u16) -> Result<()> {
    set(socket, libc::IPPROTO_TCP, libc::TCP_MAXSEG, bytes.into()).context("setting TCP_MAXSEG")
}

/// Keeps little of what the peer has no room for; a write beyond that would block.
///
/// # Errors
/// If the kernel refuses.
pub fn send_little(socket: &impl AsFd) -> Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, 8192).context("setting SO_SNDBUF")
}

/// Offers a small window; to be set before the handshake.
///
/// # Errors
/// If the kernel refuses.
pub fn receive_little(socket: &impl AsFd) -> Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, 4096).context("setting SO_RCVBUF")
}

/// Opens the next connection with this sequence number (by way of TCP_REPAIR).
///
/// # Errors
/// Without CAP_NET_ADMIN.
pub fn begin_with(socket: &impl AsFd, sequence: u32) -> Result<()> {
    let values = [
        (libc::TCP_REPAIR, 1),
        (REPAIR_QUEUE, SEND_QUEUE),
        (QUEUE_SEQ, sequence as i32),
        (libc::TCP_REPAIR, 0),
    ];
    for (name, value) in values {
        set(socket, libc::IPPROTO_TCP, name, value).context("choosing a sequence number")?;
    }
    Ok(())
}

/// Lets SYNs carry data without a cookie (TCP Fast Open) up to `pending` at a time.
///
/// # Errors
/// If the kernel refuses.
pub fn open_fast(listener: &impl AsFd, pending: i32) -> Result<()> {
    set(listener, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, pending).context("setting TCP_FASTOPEN")
}

/// Sends its SYN only with the first data, and the data in it (TCP Fast Open), without a cookie.
///
/// # Errors
/// If the kernel refuses.
pub fn speak_in_syn(socket: &impl AsFd) -> Result<()> {
    for name in [libc::TCP_FASTOPEN_CONNECT, FASTOPEN_NO_COOKIE] {
        set(socket, libc::IPPROTO_TCP, name, 1).context("asking for TCP Fast Open")?;
    }
    Ok(())
}

/// Dissolves the association by connect(2) to AF_UNSPEC; the socket lives on.
///
/// # Errors
/// If the kernel refuses.
pub fn dissolve(socket: &TcpStream) -> Result<()> {
    // SAFETY: plain integers, for which zeros are valid; AF_UNSPEC is zero.
    let nobody: libc::sockaddr = unsafe { std::mem::zeroed() };
    let length = size_of_val(&nobody) as libc::socklen_t;
    // SAFETY: the descriptor is open and the kernel only reads `length` bytes of the address.
    let result = unsafe { libc::connect(socket.as_raw_fd(), &raw const nobody, length) };
    Errno::result(result).context("dissolving a connection")?;
    Ok(())
}

fn set(socket: &impl AsFd, level: i32, name: i32, value: i32) -> Result<(), Errno> {
    // SAFETY: the descriptor is open; the kernel reads four bytes of a live integer.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    Errno::result(result).map(drop)
}
