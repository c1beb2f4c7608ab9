//! The network interfaces of this namespace: what they are, which ones to trace, when they change.
//!
//! In come rtnetlink messages and ethtool answers, out go [`Link`]s. Nothing here attaches.

use anyhow::Context;
use serde::Serialize;

mod features;
mod inventory;
pub(crate) mod netlink;
mod offload;
mod select;
mod watch;

pub(crate) use features::can_run_native_xdp;
pub use inventory::{find, inventory};
pub use offload::Offloads;
pub use select::{Choice, Chosen, Selection, select};
pub use watch::{Change, Watch, watch};

/// One network interface as the kernel described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Interface index; never reused while the interface lives, unlike the name.
    pub index: u32,
    /// Name at the time of reading; udev may rename.
    pub name: String,
    /// `IFLA_INFO_KIND`: `veth`, `bridge`, `tun`, …; `None` for hardware and for loopback.
    pub kind: Option<String>,
    /// What a frame begins with.
    pub layer: Layer,
    /// `IFF_LOOPBACK`.
    pub loopback: bool,
    /// `IFF_UP`: administratively up, with or without carrier.
    pub up: bool,
    /// Largest layer-3 packet in bytes.
    pub mtu: u32,
    /// Index of the bridge, bond, team or VRF this is a port of.
    pub master: Option<u32>,
    /// Index of the interface this one sits on, if that is in the same namespace (VLAN, macvlan).
    pub parent: Option<u32>,
    /// The XDP program on it, whoever put it there.
    pub xdp: Option<XdpOccupant>,
    /// Driver name as ethtool gives it.
    pub driver: Option<String>,
    /// Offloads that change what a tracer sees.
    pub offloads: Offloads,
}

impl Link {
    /// Whether this is hardware (or a paravirtual NIC such as virtio): the kernel names no kind.
    pub fn is_physical(&self) -> bool {
        self.kind.is_none() && !self.loopback
    }

    /// The kind in words: `veth`, `loopback`, `physical`, …
    pub fn kind_name(&self) -> &str {
        match &self.kind {
            Some(kind) => kind,
            None if self.loopback => "loopback",
            None => "physical",
        }
    }
}

/// What a frame on a link begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A 14-byte Ethernet header. Loopback has one too.
    Ethernet,
    /// The IP header itself: tun, wireguard, ipip, gre, ppp.
    Ip,
    /// Something else, by its `ARPHRD_*` number.
    Unsupported(u16),
}

impl Layer {
    /// From `ifi_type`, an `ARPHRD_*` number (`include/uapi/linux/if_arp.h`).
    pub fn from_arphrd(arphrd: u16) -> Self {
        match arphrd {
            libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Self::Ethernet,
            libc::ARPHRD_NONE
            | libc::ARPHRD_PPP
            | ARPHRD_RAWIP
            | libc::ARPHRD_TUNNEL
            | libc::ARPHRD_TUNNEL6
            | libc::ARPHRD_SIT
            | libc::ARPHRD_IPGRE
            | ARPHRD_IP6GRE => Self::Ip,
            other => Self::Unsupported(other),
        }
    }
}

/// Not in the libc crate, nor is the next. <https://github.com/torvalds/linux/blob/v6.18/include/uapi/linux/if_arp.h>
const ARPHRD_IP6GRE: u16 = 823;
const ARPHRD_RAWIP: u16 = 519;

/// Where an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum XdpPlace {
    /// In the driver.
    Native,
    /// In the stack, after the socket buffer was made.
    Generic,
    /// On the card.
    Hardware,
    /// In more than one of these.
    Several,
}

/// An XDP program found on an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct XdpOccupant {
    /// Where it runs.
    pub place: XdpPlace,
    /// Its BPF program id, as `bpftool prog show id` takes it; 0 if there are several.
    pub program_id: u32,
}

impl std::fmt::Display for XdpOccupant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.program_id {
            0 => f.write_str("several XDP programs"),
            id => write!(f, "XDP program {id}"),
        }
    }
}

/// The addresses of this network namespace.
///
/// # Errors
/// When the kernel does not list them.
pub fn own_addresses() -> anyhow::Result<std::collections::HashSet<std::net::IpAddr>> {
    let all = nix::ifaddrs::getifaddrs().context("listing this host's addresses")?;
    let ip = |one: nix::ifaddrs::InterfaceAddress| {
        let address = one.address?;
        let v4 = address.as_sockaddr_in().map(|v4| v4.ip().into());
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| v6.ip().into()))
    };
    Ok(all.filter_map(ip).collect())
}
