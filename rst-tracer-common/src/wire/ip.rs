//! What IPv4 and IPv6 have in common once their headers are read.

use super::{Bytes, EtherType, Malformed, NotOurs, Segment, Start, Stop, ipv4, ipv6};

/// An IP protocol number, as in the IANA registry. Not an EtherType: both are small integers, and
/// comparing one with the other has been a bug elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpProtocol(pub u8);

impl IpProtocol {
    /// IPv6 hop-by-hop options (RFC 8200 4.3).
    pub const HOP_BY_HOP: Self = Self(0);
    /// IPv4 in IP (RFC 2003).
    pub const IPV4: Self = Self(4);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP, looked at for tunnels only.
    pub const UDP: Self = Self(17);
    /// IPv6 in IP (RFC 4213).
    pub const IPV6: Self = Self(41);
    /// IPv6 routing header.
    pub const ROUTING: Self = Self(43);
    /// IPv6 fragment header.
    pub const FRAGMENT: Self = Self(44);
    /// GRE (RFC 2784).
    pub const GRE: Self = Self(47);
    /// Encapsulating security payload (RFC 4303).
    pub const ESP: Self = Self(50);
    /// Authentication header (RFC 4302).
    pub const AUTHENTICATION: Self = Self(51);
    /// IPv6 destination options.
    pub const DESTINATION: Self = Self(60);
    /// Ethernet in IP (RFC 3378).
    pub const ETHERIP: Self = Self(97);
    /// L2TP version 3 (RFC 3931).
    pub const L2TP: Self = Self(115);
    /// Mobility header (RFC 6275).
    pub const MOBILITY: Self = Self(135);
    /// MPLS in IP (RFC 4023).
    pub const MPLS: Self = Self(137);
}

/// Where an IP packet's payload lies, and what it is. Who sent it goes into the segment at once.
#[derive(Clone, Copy, Debug)]
pub struct Ip {
    /// What the packet carries, behind all extension headers.
    pub protocol: IpProtocol,
    /// Offset of what it carries.
    pub payload_at: u32,
    /// Length of what it carries in bytes, by the IP header (padding excluded).
    pub payload_len: u32,
}

/// The length in bytes of what begins at `at`, by the header's claim. A frame may be longer than
/// its packet (padding), never shorter. A length of zero on a packet too long to state it is an
/// offloaded super-segment (BIG TCP, captures with segmentation offload).
#[inline(always)]
pub(super) fn packet_len<B: Bytes>(
    bytes: &B,
    at: u32,
    claimed: u32,
    zero_means: Malformed,
) -> Result<u32, Stop> {
    const LARGEST_ORDINARY: u32 = 1500;
    if claimed == 0 {
        let present = bytes.wire_len().saturating_sub(at);
        return if present > LARGEST_ORDINARY { Ok(present) } else { Err(zero_means.into()) };
    }
    if !bytes.reaches(at + claimed) {
        return Err(Malformed::LengthPastFrame.into());
    }
    Ok(claimed)
}

/// Reads the IP header that starts where `start` says.
#[inline(always)]
pub(super) fn header<B: Bytes>(bytes: &B, start: Start, segment: &mut Segment) -> Result<Ip, Stop> {
    segment.ip_at = start.at as u16;
    match start.ether_type {
        EtherType::IPV4 => ipv4::header(bytes, start.at, segment),
        EtherType::IPV6 => ipv6::header(bytes, start.at, segment),
        _ => Err(NotOurs::NotIp.into()),
    }
}
