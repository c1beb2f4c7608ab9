//! Where the running kernel keeps what the tracepoint programs read, and what it calls it.
//!
//! In: its BTF, read by the agent. Out: numbers that the programs get as read-only globals, so that
//! one object fits every kernel. Offsets are bytes from the start of the outermost struct.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An offset or number that this kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// Offsets in structs of the kernel. [`ABSENT`] where there is none: what is read there is zero.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Places {
    /// `struct sock_common`, with which sockets of every kind begin: `skc_family`, `u16`.
    pub family: u32,
    /// `skc_state`, `u8`.
    pub state: u32,
    /// `skc_net`, a pointer to `struct net`.
    pub net: u32,
    /// `skc_rcv_saddr`, the own IPv4 address, big endian.
    pub own_v4: u32,
    /// `skc_daddr`, the other's.
    pub peer_v4: u32,
    /// `skc_v6_rcv_saddr`, the own IPv6 address.
    pub own_v6: u32,
    /// `skc_v6_daddr`, the other's.
    pub peer_v6: u32,
    /// `skc_dport`, the other's port, big endian.
    pub peer_port: u32,
    /// `struct inet_sock`: `inet_sport`, the own port, big endian. It outlives `skc_num`, which
    /// is zero when a socket with an automatic port has closed.
    pub own_port: u32,
    /// `struct sock`: `sk_protocol`, `u16`.
    pub protocol: u32,
    /// `sk_uid`, `u32`.
    pub uid: u32,
    /// `sk_socket`, a pointer to `struct socket`.
    pub socket: u32,
    /// From `struct socket` to the number of its inode (`struct socket_alloc`), `unsigned long`.
    pub inode: u32,
    /// `struct sk_buff`: `head`, a pointer.
    pub head: u32,
    /// `network_header`, `u16` from `head`.
    pub network_header: u32,
    /// `transport_header`, likewise.
    pub transport_header: u32,
    /// `dev`, a pointer to `struct net_device`.
    pub device: u32,
    /// `_skb_refdst`, a pointer to `struct dst_entry` with flags in its lowest bit.
    pub route: u32,
    /// `struct dst_entry`: `dev`.
    pub route_device: u32,
    /// `struct net_device`: `nd_net`, a pointer to `struct net`.
    pub device_net: u32,
    /// `struct net`: `ns.inum`, `u32`.
    pub inum: u32,
    /// `struct task_struct`: `flags`, `u32`.
    pub task_flags: u32,
    /// `exit_code`, `int`.
    pub exit_code: u32,
}

/// The drops that are reported: numbers of `enum skb_drop_reason`, [`ABSENT`] where this kernel has
/// no such reason.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Drops {
    /// `NETFILTER_DROP`: of a segment that a reset just answered, or of a reset.
    pub netfilter: u32,
    /// `TCP_LISTEN_OVERFLOW`: of a segment that a reset just answered.
    pub overflow: u32,
    /// Of a reset.
    pub of_resets: [u32; Self::OF_RESETS.len()],
}

impl Places {
    /// As in an object that was not told.
    pub const UNSET: Self = zerocopy::transmute!([0_u32; size_of::<Self>() / 4]);
}

impl Arguments {
    /// As in an object that was not told.
    pub const UNSET: Self = Self { why_sent: 0, receiver: 0 };
}

impl Drops {
    /// As in an object that was not told.
    pub const UNSET: Self =
        Self { netfilter: 0, overflow: 0, of_resets: [0; Self::OF_RESETS.len()] };
    /// Why TCP drops a reset (tcp_validate_incoming, tcp_rcv_synsent_state_process, tcp_v4_rcv). The last one is UDP's,
    /// too.
    pub const OF_RESETS: [&'static str; 6] = [
        "TCP_RESET",
        "TCP_OLD_SEQUENCE",
        "TCP_INVALID_SEQUENCE",
        "TCP_INVALID_ACK_SEQUENCE",
        "TCP_CSUM",
        "NO_SOCKET",
    ];
}

/// Where the arguments lie that not every kernel has: their number, from 0. 0: there is none.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Arguments {
    /// `reason` of `tcp_send_reset` (from Linux 6.10).
    pub why_sent: u32,
    /// `rx_sk` of `kfree_skb` (from Linux 6.11).
    pub receiver: u32,
}
