//! Tunnels, one level deep: IPIP, 6in4, GRE, VXLAN, Geneve.
//!
//! In: the outer IP header. Out: where the inner network header starts, if this is a tunnel.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Bytes, EtherType, Ip, IpProtocol, Malformed, NotOurs, Segment, Start, Stop, link};

/// What a segment was wrapped in.
#[repr(transparent)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Tunnel(pub u8);

impl Tunnel {
    /// Not tunnelled.
    pub const NONE: Self = Self(0);
    /// IPv4 in IP (RFC 2003, RFC 2473).
    pub const IPIP: Self = Self(1);
    /// IPv6 in IP (RFC 4213, RFC 2473).
    pub const SIX_IN_FOUR: Self = Self(2);
    /// Generic routing encapsulation (RFC 2784, RFC 2890).
    pub const GRE: Self = Self(3);
    /// VXLAN (RFC 7348), UDP port 4789 or Linux' old 8472.
    pub const VXLAN: Self = Self(4);
    /// Geneve (RFC 8926), UDP port 6081.
    pub const GENEVE: Self = Self(5);

    /// The name in events, or `None` when not tunnelled.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::IPIP => Some("ipip"),
            Self::SIX_IN_FOUR => Some("6in4"),
            Self::GRE => Some("gre"),
            Self::VXLAN => Some("vxlan"),
            Self::GENEVE => Some("geneve"),
            _ => None,
        }
    }
}

/// UDP ports of tunnels: VXLAN, Linux' old one of VXLAN, Geneve.
const VXLAN: u16 = 4789;
const LINUX_VXLAN: u16 = 8472;
const GENEVE: u16 = 6081;

/// Whether what UDP carries to this port may be a tunnel.
#[inline(always)]
pub(super) const fn is_tunnel(port: u16) -> bool {
    matches!(port, VXLAN | LINUX_VXLAN | GENEVE)
}

/// Finds the inner network header, or says that the packet is neither TCP nor a tunnel.
#[inline(always)]
pub(super) fn inner<B: Bytes>(bytes: &B, ip: Ip, segment: &mut Segment) -> Result<Start, Stop> {
    let at = ip.payload_at;
    match ip.protocol {
        IpProtocol::IPV4 => {
            segment.tunnel = Tunnel::IPIP;
            Ok(Start { at, ether_type: EtherType::IPV4 })
        }
        IpProtocol::IPV6 => {
            segment.tunnel = Tunnel::SIX_IN_FOUR;
            Ok(Start { at, ether_type: EtherType::IPV6 })
        }
        IpProtocol::GRE => gre(bytes, at, segment),
        IpProtocol::UDP => in_udp(bytes, at, segment),
        _ => Err(NotOurs::NotTcp.into()),
    }
}

/// RFC 2784 with the key and sequence fields of RFC 2890.
#[inline(always)]
fn gre<B: Bytes>(bytes: &B, at: u32, segment: &mut Segment) -> Result<Start, Stop> {
    let flags = bytes.u16(at).ok_or(Malformed::Truncated)?;
    let ether_type = EtherType(bytes.u16(at + 2).ok_or(Malformed::Truncated)?);
    let version = flags & 0x7;
    let routing = flags & 0x4000;
    if version != 0 || routing != 0 {
        return Err(NotOurs::NotTcp.into());
    }
    let field = |bit: u16| if flags & bit != 0 { 4 } else { 0 };
    let at = at + 4 + field(0x8000) + field(0x2000) + field(0x1000);
    segment.tunnel = Tunnel::GRE;
    match ether_type {
        EtherType::IPV4 | EtherType::IPV6 => Ok(Start { at, ether_type }),
        EtherType::BRIDGED => link::ethernet(bytes, at, segment),
        _ => Err(NotOurs::NotTcp.into()),
    }
}

#[inline(always)]
fn in_udp<B: Bytes>(bytes: &B, at: u32, segment: &mut Segment) -> Result<Start, Stop> {
    let port = bytes.u16(at + 2).ok_or(Malformed::Truncated)?;
    let at = at + 8;
    match port {
        VXLAN | LINUX_VXLAN => {
            // RFC 7348 section 5: the I flag must be set.
            if bytes.u8(at).ok_or(Malformed::Truncated)? & 0x08 == 0 {
                return Err(NotOurs::NotTcp.into());
            }
            segment.tunnel = Tunnel::VXLAN;
            link::ethernet(bytes, at + 8, segment)
        }
        GENEVE => {
            let version_and_length = bytes.u8(at).ok_or(Malformed::Truncated)?;
            if version_and_length >> 6 != 0 {
                return Err(NotOurs::NotTcp.into());
            }
            let ether_type = EtherType(bytes.u16(at + 2).ok_or(Malformed::Truncated)?);
            if ether_type != EtherType::BRIDGED {
                return Err(NotOurs::NotTcp.into());
            }
            let options = u32::from(version_and_length & 0x3f) * 4;
            segment.tunnel = Tunnel::GENEVE;
            link::ethernet(bytes, at + 8 + options, segment)
        }
        _ => Err(NotOurs::NotTcp.into()),
    }
}
