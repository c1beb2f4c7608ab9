//! Wire parsing: one parser over a byte source, for XDP, TC, replay and fuzzing alike.
//!
//! In: a frame and its link type. Out, three ways: a TCP segment, something that is not ours (and
//! passes untouched), or something malformed (and counted by kind).

mod address;
mod bytes;
mod datagram;
mod ip;
mod ipv4;
mod ipv6;
mod link;
mod options;
mod segment;
mod seq;
mod stop;
mod tcp;
mod tunnel;

pub use address::{Address, Endpoint};
pub use bytes::{Bytes, Frame, REACH, TAG, begin_copy};
pub use datagram::is_plain_udp;
pub use ip::{Ip, IpProtocol};
pub use link::{EtherType, Start};
pub use segment::Segment;
pub use seq::Seq;
pub use stop::{Malformed, NotOurs, Stop};
pub use tcp::{Flags, NO_MPTCP, NO_SCALE, Tcp, option};
pub use tunnel::Tunnel;

/// A link-layer header type, numbered as in the pcap registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: a 4-byte address family in the byte order of the writing host.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// PPP, with or without address and control bytes.
    pub const PPP: Self = Self(9);
    /// FDDI.
    pub const FDDI: Self = Self(10);
    /// Raw IP, as BSD numbers it.
    pub const RAW_BSD: Self = Self(12);
    /// Raw IP, as OpenBSD numbers it.
    pub const RAW_OPENBSD: Self = Self(14);
    /// Raw IP, version from the first nibble.
    pub const RAW: Self = Self(101);
    /// 802.11 without radiotap.
    pub const IEEE802_11: Self = Self(105);
    /// OpenBSD loopback: a 4-byte address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux cooked capture, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// 802.11 behind a radiotap header.
    pub const IEEE802_11_RADIOTAP: Self = Self(127);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
}

/// Reads one frame into `segment`. `tunnels` allows one level of encapsulation to be looked into.
///
/// The segment is an argument because a kernel program has 512 bytes of stack for everything: it
/// keeps the segment in a map.
///
/// # Errors
/// [`Stop`] says whether the frame is not ours or malformed, and how. `segment` is then of no use.
#[inline(always)]
pub fn locate<B: Bytes>(
    bytes: &B,
    link: LinkType,
    tunnels: bool,
    segment: &mut Segment,
) -> Result<(), Stop> {
    segment.clear();
    segment::read(bytes, link, tunnels, segment)?;
    options::read(&bytes.afresh(), crate::verifier::in_memory(segment));
    Ok(())
}

/// Makes the verifier forget an offset. Every path of a header walk otherwise goes on with another
/// known range, and the verifier explores them all: "BPF program is too large. Processed 1000001
/// insn".
#[inline(always)]
pub(crate) fn forget(offset: u32) -> u32 {
    crate::verifier::forget(u64::from(offset)) as u32 & 0xffff
}
