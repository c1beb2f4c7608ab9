//! Destroying a socket from outside, as `ss -K` does.
//!
//! In: the endpoints of a connection, seen from the socket to destroy. Out: the kernel aborts it
//! and sends a RST (`tcp_abort`, linux 4.5 with CONFIG_INET_DIAG_DESTROY).

use std::net::{IpAddr, SocketAddr};

use anyhow::Result;
use nix::errno::Errno;
use nix::sys::socket::SockProtocol;

use super::netlink::{Message, Netlink, Refusal};
use super::netns::Netns;
use crate::exit::{Code, Failure};

/// SOCK_DESTROY of linux/sock_diag.h.
const SOCK_DESTROY: u16 = 21;

/// Destroys the socket bound to `local` and connected to `remote` in `netns`.
///
/// # Errors
/// If there is no such socket, or [`Code::UNAVAILABLE`] where the kernel cannot do it.
pub fn destroy(netns: &Netns, local: SocketAddr, remote: SocketAddr) -> Result<()> {
    let request = request(local, remote);
    let answer = netns.run(|| Netlink::open(SockProtocol::NetlinkSockDiag)?.ask(request));
    answer.map_err(|error| match error.downcast_ref::<Refusal>() {
        Some(Refusal { errno: Errno::EOPNOTSUPP | Errno::EPROTONOSUPPORT, .. }) => Failure::new(
            Code::UNAVAILABLE,
            "this kernel cannot destroy sockets (CONFIG_INET_DIAG_DESTROY is off)",
        )
        .into(),
        _ => error,
    })
}

/// `struct inet_diag_req_v2`; ports and addresses in network byte order.
fn request(local: SocketAddr, remote: SocketAddr) -> Message {
    let family = if local.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let mut fixed = vec![family as u8, libc::IPPROTO_TCP as u8, 0, 0];
    fixed.extend(u32::MAX.to_ne_bytes()); // in whatever state
    fixed.extend(local.port().to_be_bytes());
    fixed.extend(remote.port().to_be_bytes());
    fixed.extend(sixteen(local.ip()));
    fixed.extend(sixteen(remote.ip()));
    fixed.extend(0u32.to_ne_bytes()); // on whatever interface
    fixed.extend([0xff; 8]); // INET_DIAG_NOCOOKIE
    Message::new("destroy a socket", SOCK_DESTROY, 0, &fixed)
}

fn sixteen(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V6(v6) => v6.octets(),
        IpAddr::V4(v4) => {
            let mut wide = [0; 16];
            wide[..4].copy_from_slice(&v4.octets());
            wide
        }
    }
}
