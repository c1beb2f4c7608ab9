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
mod tcp;
mod tunnel;

pub use address::{Address, Endpoint};
pub use bytes::{Bytes, Frame, REACH, TAG, begin_copy};
pub use datagram::is_plain_udp;
pub use ip::{Ip, IpProtocol};
pub use link::{EtherType, Start};
pub use segment::Segment;
pub use seq::Seq;
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

/// Why a frame is not ours. The discriminants index counters.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOurs {
    /// Not IPv4 or IPv6.
    NotIp = 0,
    /// IP, but neither TCP nor a tunnel that may hold it.
    NotTcp = 1,
    /// A fragment other than the first: it has no TCP header.
    LaterFragment = 2,
    /// More tags, labels, extension headers or tunnels than are followed.
    TooDeep = 3,
    /// A link type that is not known here.
    LinkType = 4,
}

impl NotOurs {
    /// How many kinds there are.
    pub const KINDS: usize = 5;
    /// Names in counters, by discriminant.
    pub const NAMES: [&str; Self::KINDS] =
        ["not_ip", "not_tcp", "later_fragment", "too_deep", "link_type"];
}

/// What is wrong with a frame. The discriminants index counters.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The frame ends inside a header.
    Truncated = 0,
    /// The IP version does not match what announced it.
    IpVersion = 1,
    /// IPv4 header length below five words.
    Ipv4HeaderLength = 2,
    /// IPv4 total length shorter than the header.
    Ipv4TotalLength = 3,
    /// IPv6 payload length zero without being a super-segment.
    Ipv6PayloadLength = 4,
    /// An IP length that goes past the frame.
    LengthPastFrame = 5,
    /// An extension header that goes past the packet.
    ExtensionLength = 6,
    /// The IP packet is shorter than a TCP header.
    TcpTooShort = 7,
    /// TCP data offset below five words or past the segment.
    TcpDataOffset = 8,
}

impl Malformed {
    /// How many kinds there are.
    pub const KINDS: usize = 9;
    /// Names in counters, by discriminant.
    pub const NAMES: [&str; Self::KINDS] = [
        "truncated",
        "ip_version",
        "ipv4_header_length",
        "ipv4_total_length",
        "ipv6_payload_length",
        "length_past_frame",
        "extension_length",
        "tcp_too_short",
        "tcp_data_offset",
    ];
}

/// Why reading stopped before a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The frame passes untouched.
    NotOurs(NotOurs),
    /// The frame is broken.
    Malformed(Malformed),
}

impl From<NotOurs> for Stop {
    #[inline(always)]
    fn from(reason: NotOurs) -> Self {
        Self::NotOurs(reason)
    }
}

impl From<Malformed> for Stop {
    #[inline(always)]
    fn from(kind: Malformed) -> Self {
        Self::Malformed(kind)
    }
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
