//! Cables, addresses and routes between namespaces, over rtnetlink.
//!
//! In: two namespaces and the names of the ends. Out: a veth pair between them, addresses that
//! are usable at once (no duplicate address detection), and routes.

use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::SockProtocol;

use super::netlink::{CREATE, Message, Netlink, Refusal};
use super::netns::Netns;
use super::wait;
use crate::exit::{Code, Failure};

/// An address with the length of its prefix.
pub type Prefixed = (IpAddr, u8);

/// VETH_INFO_PEER of linux/veth.h: a `struct ifinfomsg` and its attributes.
const VETH_INFO_PEER: u16 = 1;
/// The attributes this file sends, from linux/if_link.h, if_addr.h and rtnetlink.h.
const IFLA_IFNAME: u16 = libc::IFLA_IFNAME;
const IFLA_NET_NS_FD: u16 = libc::IFLA_NET_NS_FD;
const IFLA_LINKINFO: u16 = libc::IFLA_LINKINFO;
const IFLA_INFO_KIND: u16 = libc::IFLA_INFO_KIND;
const IFLA_INFO_DATA: u16 = libc::IFLA_INFO_DATA;

/// Lays a cable: a veth pair, one end in each namespace. Neither end ever is anywhere else.
///
/// # Errors
/// [`Code::UNAVAILABLE`] if the kernel has no veth; if a name is taken.
pub fn connect(a: (&Netns, &str), b: (&Netns, &str)) -> Result<()> {
    let far = b.0.fd().as_raw_fd().to_ne_bytes();
    let cable = Message::new("make a veth pair", libc::RTM_NEWLINK, CREATE, &link(0, 0))
        .text(IFLA_IFNAME, a.1)
        .nest(IFLA_LINKINFO, |m| {
            m.attribute(IFLA_INFO_KIND, b"veth").nest(IFLA_INFO_DATA, |m| {
                m.nest(VETH_INFO_PEER, |m| {
                    m.plain(&link(0, 0)).text(IFLA_IFNAME, b.1).attribute(IFLA_NET_NS_FD, &far)
                })
            })
        });
    let laid = a.0.run(|| route_socket()?.ask(cable));
    laid.map_err(|error| match error.downcast_ref::<Refusal>() {
        Some(Refusal { errno: Errno::EOPNOTSUPP, .. }) => {
            Failure::new(Code::UNAVAILABLE, "this kernel has no veth; load it: modprobe veth")
                .into()
        }
        _ => error,
    })
}

/// Gives `interface` its addresses and switches it on.
///
/// # Errors
/// If the interface does not exist or the kernel refuses an address.
pub fn raise(netns: &Netns, interface: &str, addresses: &[Prefixed]) -> Result<()> {
    let raised = netns.run(|| {
        let index = if_nametoindex(interface).context("looking for it")?;
        let mut socket = route_socket()?;
        for &(address, prefix) in addresses {
            socket.ask(add_address(index, address, prefix))?;
        }
        let up = libc::IFF_UP as u32;
        socket.ask(Message::new("raise an interface", libc::RTM_NEWLINK, 0, &link(index, up)))
    });
    raised.with_context(|| format!("setting up {interface} of the {}", netns.name()))
}

/// Sends everything for elsewhere to `gateway`.
///
/// # Errors
/// If no interface reaches the gateway.
pub fn route_by_default(netns: &Netns, gateway: IpAddr) -> Result<()> {
    let (family, bytes) = octets(gateway);
    // struct rtmsg: family, prefix lengths, TOS, main table, static, whole world, unicast.
    let main = libc::RT_TABLE_MAIN;
    let fixed =
        [family, 0, 0, 0, main, libc::RTPROT_STATIC, libc::RT_SCOPE_UNIVERSE, 1, 0, 0, 0, 0];
    let route = Message::new("add a default route", libc::RTM_NEWROUTE, CREATE, &fixed)
        .attribute(libc::RTA_GATEWAY, &bytes);
    netns
        .run(|| route_socket()?.ask(route))
        .with_context(|| format!("routing the {} by way of {gateway}", netns.name()))
}

/// Waits until `interface` carries frames and, with IPv6, its link-local address can be used.
///
/// # Errors
/// If that does not come about in time.
pub fn await_carrier(netns: &Netns, interface: &str, ipv6: bool) -> Result<()> {
    let what = format!("{interface} of the {} to come up", netns.name());
    netns.run(|| wait::until(&what, || Ok(carries(interface)? && (!ipv6 || usable(interface)?))))
}

/// Does the interface have carrier, and a peer at the other end?
fn carries(interface: &str) -> Result<bool> {
    let flags = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING;
    let mut all = getifaddrs().context("listing interfaces")?;
    Ok(all.any(|one| one.interface_name == interface && one.flags.contains(flags)))
}

/// Has the interface a link-local address, and is none of its addresses tentative?
fn usable(interface: &str) -> Result<bool> {
    const TENTATIVE: u32 = 0x40; // IFA_F_TENTATIVE
    let path = "/proc/thread-self/net/if_inet6";
    let table = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    let mut local = false;
    for line in table.lines() {
        // address, interface index, prefix length, scope, flags, interface name
        let columns: Vec<&str> = line.split_whitespace().collect();
        let &[address, _, _, _, flags, name] = columns.as_slice() else { continue };
        if name == interface {
            local |= address.starts_with("fe80");
            if u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & TENTATIVE != 0) {
                return Ok(false);
            }
        }
    }
    Ok(local)
}

fn route_socket() -> Result<Netlink> {
    Netlink::open(SockProtocol::NetlinkRoute)
}

/// `struct ifinfomsg`: family, padding, type, index, flags, which flags to change.
fn link(index: u32, flags: u32) -> [u8; 16] {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..].copy_from_slice(&flags.to_ne_bytes());
    fixed
}

fn add_address(index: u32, address: IpAddr, prefix: u8) -> Message {
    let (family, bytes) = octets(address);
    // struct ifaddrmsg: family, prefix length, flags, scope, index.
    let flags = libc::IFA_F_NODAD as u8;
    let fixed = [&[family, prefix, flags, libc::RT_SCOPE_UNIVERSE][..], &index.to_ne_bytes()];
    Message::new("add an address", libc::RTM_NEWADDR, CREATE, &fixed.concat())
        .attribute(libc::IFA_LOCAL, &bytes)
        .attribute(libc::IFA_ADDRESS, &bytes)
}

fn octets(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(v4) => (libc::AF_INET as u8, v4.octets().to_vec()),
        IpAddr::V6(v6) => (libc::AF_INET6 as u8, Ipv6Addr::octets(&v6).to_vec()),
    }
}
