//! AF_PACKET sockets on one interface: to listen to every frame, or to send any.
//!
//! In: a namespace and the name of an interface in it. Out: a bound socket, or a frame sent.

use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::unistd;

use super::netns::Netns;

/// Sends `frame`, which begins with its Ethernet header, out of `interface` of `netns`.
///
/// # Errors
/// If the interface does not exist or is down, or the frame is longer than its MTU allows.
pub fn inject(netns: &Netns, interface: &str, frame: &[u8]) -> Result<()> {
    // Protocol 0: the socket sends but never receives.
    let socket = netns.run(|| open(interface, 0))?;
    unistd::write(&socket, frame)
        .with_context(|| format!("sending a frame out of {interface} of the {}", netns.name()))?;
    Ok(())
}

/// A packet socket on `interface` of the calling thread's namespace that receives frames of
/// `protocol` (an ETH_P_ number in host byte order; 0 for none).
///
/// # Errors
/// Without CAP_NET_RAW, or if there is no such interface.
pub fn open(interface: &str, protocol: u16) -> Result<OwnedFd> {
    let index = if_nametoindex(interface).with_context(|| format!("looking for {interface}"))?;
    // Opened with protocol 0, so that nothing arrives before it is bound to the interface.
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)
        .context("opening a packet socket (needs CAP_NET_RAW)")?;
    // SAFETY: sockaddr_ll is plain integers, for which all zeroes is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = index as i32;
    // SAFETY: the descriptor is open, the pointer is to a live sockaddr_ll of the given length,
    // and the kernel only reads it.
    let bound = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    Errno::result(bound).with_context(|| format!("binding a packet socket to {interface}"))?;
    Ok(socket)
}
