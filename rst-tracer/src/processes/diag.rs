//! The TCP sockets of a network namespace, by sock_diag (sock_diag(7)).
//!
//! In: the namespace of the calling thread. Out: every socket: its ends, its state, its inode.

use std::os::fd::AsRawFd;

use anyhow::{Context, Result, bail};
use nix::sys::{
    socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto,
        setsockopt, socket, sockopt,
    },
    time::{TimeVal, TimeValLike},
};
use rst_tracer_common::wire::{Address, Endpoint};

/// A TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) local: Endpoint,
    pub(super) remote: Endpoint,
    pub(super) is_listener: bool,
    /// It takes no IPv4 although it is bound to `::`.
    pub(super) v6_only: bool,
    /// 0: no process holds it.
    pub(super) inode: u64,
}

/// Sizes of `struct nlmsghdr` and `struct inet_diag_msg`.
const HEADER: usize = 16;
const MESSAGE: usize = 72;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// INET_DIAG_SKV6ONLY of linux/inet_diag.h.
const V6_ONLY: u16 = 11;
/// TCP_LISTEN of include/net/tcp_states.h.
const LISTEN: u8 = 10;
/// Sockets that are read at most, of each family.
const MOST: usize = 1 << 17;

/// All TCP sockets of the calling thread's network namespace.
///
/// # Errors
/// When the kernel has no sock_diag or does not answer.
pub(super) fn dump() -> Result<Vec<Socket>> {
    let mut all = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        dump_family(family as u8, &mut all)?;
    }
    Ok(all)
}

fn dump_family(family: u8, all: &mut Vec<Socket>) -> Result<()> {
    let (kind, flags) = (SockType::Raw, SockFlag::SOCK_CLOEXEC);
    let fd = socket(AddressFamily::Netlink, kind, flags, SockProtocol::NetlinkSockDiag)
        .context("opening a sock_diag socket")?;
    setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::seconds(2))
        .context("bounding the wait for sock_diag")?;
    sendto(fd.as_raw_fd(), &request(family), &NetlinkAddr::new(0, 0), MsgFlags::empty())
        .context("asking sock_diag")?;
    let mut buffer = vec![0; 1 << 16];
    let most = all.len() + MOST;
    loop {
        let length = recv(fd.as_raw_fd(), &mut buffer, MsgFlags::empty())
            .context("waiting for sock_diag")?;
        let mut rest = &buffer[..length];
        if rest.is_empty() {
            return Ok(());
        }
        while let Some((kind, body, next)) = message(rest) {
            match i32::from(kind) {
                libc::NLMSG_DONE => return Ok(()),
                libc::NLMSG_ERROR => bail!("the kernel refused to list its TCP sockets"),
                _ if all.len() < most => all.extend(read(body)),
                _ => return Ok(()),
            }
            rest = next;
        }
    }
}

/// `struct inet_diag_req_v2` behind its header: every TCP socket of a family, in whatever state.
fn request(family: u8) -> Vec<u8> {
    const LENGTH: usize = HEADER + 8 + 48;
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    let mut bytes = Vec::with_capacity(LENGTH);
    bytes.extend((LENGTH as u32).to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]); // sequence, port
    bytes.extend([family, libc::IPPROTO_TCP as u8, 0, 0]);
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.resize(LENGTH, 0);
    bytes
}

/// The first message: its type, its body, and what follows it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let body = bytes.get(HEADER..length)?;
    Some((kind, body, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// A `struct inet_diag_msg` and its attributes.
fn read(body: &[u8]) -> Option<Socket> {
    let (fixed, attributes) = body.split_at_checked(MESSAGE)?;
    let family = i32::from(fixed[0]);
    let end = |port: usize, address: usize| {
        let word = |at: usize| {
            let bytes = [fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]];
            u32::from_be_bytes(bytes)
        };
        let address = if family == libc::AF_INET {
            Address::v4(word(address))
        } else {
            Address([word(address), word(address + 4), word(address + 8), word(address + 12)])
        };
        Endpoint { address, port: u16::from_be_bytes([fixed[port], fixed[port + 1]]).into() }
    };
    Some(Socket {
        local: end(4, 8),
        remote: end(6, 24),
        is_listener: fixed[1] == LISTEN,
        v6_only: attribute(attributes, V6_ONLY).is_some_and(|value| value.first() == Some(&1)),
        inode: u32::from_ne_bytes(fixed[68..72].try_into().ok()?).into(),
    })
}

/// The value of an attribute.
fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?);
        let value = bytes.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn own_sockets_are_listed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let all = match dump() {
            Ok(all) => all,
            Err(error) => return eprintln!("skipped: no sock_diag here: {error:#}"),
        };
        let bound = Endpoint::from_socket(listener.local_addr().unwrap());
        assert!(all.iter().any(|socket| socket.is_listener && socket.local == bound));
        let local = Endpoint::from_socket(client.local_addr().unwrap());
        let found = all.iter().find(|socket| socket.local == local).unwrap();
        assert!(found.remote == bound && !found.is_listener && found.inode != 0);
    }

    #[test]
    fn what_is_cut_short_is_not_read() {
        assert!(read(&[0; MESSAGE - 1]).is_none());
        assert!(message(&[200, 0, 0, 0, 0, 0]).is_none());
        assert!(message(&[4, 0, 0, 0, 3, 0, 0, 0]).is_none());
        assert!(attribute(&[0, 0, 11, 0], 11).is_none());
    }
}
