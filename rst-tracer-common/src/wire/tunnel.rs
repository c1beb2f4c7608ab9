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

/// UDP ports of the tunnels that are looked into: VXLAN, Linux' old one of VXLAN, Geneve.
const VXLAN: u16 = 4789;
const LINUX_VXLAN: u16 = 8472;
const GENEVE: u16 = 6081;
/// And of those that are only counted.
const L2TP: u16 = 1701;
const GTP_U: u16 = 2152;
const TEREDO: u16 = 3544;
const LISP: u16 = 4341;
const ESP_IN_UDP: u16 = 4500;
const VXLAN_GPE: u16 = 4790;
const CAPWAP_DATA: u16 = 5247;
const GUE: u16 = 6080;
const MPLS_IN_UDP: u16 = 6635;

/// Whether what UDP carries to this port may be a tunnel, looked into or not. Most ports are told by the first comparison:
/// those of services that everybody uses are below, those that systems choose are above.
#[inline(always)]
pub(super) const fn may_be_tunnel(port: u16) -> bool {
    matches!(port, L2TP..=LINUX_VXLAN) && (is_followed(port) || is_counted(port))
}

#[inline(always)]
const fn is_followed(port: u16) -> bool {
    matches!(port, VXLAN | LINUX_VXLAN | GENEVE)
}

#[inline(always)]
const fn is_counted(port: u16) -> bool {
    matches!(
        port,
        L2TP | GTP_U | TEREDO | LISP | ESP_IN_UDP | VXLAN_GPE | CAPWAP_DATA | GUE | MPLS_IN_UDP
    )
}

/// What a packet is that is not looked into any further: `followed` if it is of a tunnel that is looked into elsewhere.
#[inline(always)]
pub(super) fn passed_over<B: Bytes>(bytes: &B, ip: Ip, followed: NotOurs) -> NotOurs {
    match ip.protocol {
        IpProtocol::IPV4 | IpProtocol::IPV6 | IpProtocol::GRE => followed,
        IpProtocol::UDP => match bytes.u16(ip.payload_at + 2) {
            Some(port) if is_followed(port) => followed,
            Some(port) => by_port(bytes, port, ip.payload_at + 8),
            None => NotOurs::NotTcp,
        },
        protocol => by_protocol(protocol),
    }
}

/// What IP carries that is neither TCP nor a tunnel that is looked into.
#[inline(always)]
const fn by_protocol(protocol: IpProtocol) -> NotOurs {
    match protocol {
        IpProtocol::ESP | IpProtocol::AUTHENTICATION => NotOurs::Ipsec,
        IpProtocol::ETHERIP => NotOurs::EtherIp,
        IpProtocol::L2TP => NotOurs::L2tp,
        IpProtocol::MPLS => NotOurs::Mpls,
        _ => NotOurs::NotTcp,
    }
}

/// What UDP carries to this port, of which the first bytes are at `at`. Where a protocol has messages of its own beside
/// what it wraps, they are told apart.
#[inline(always)]
fn by_port<B: Bytes>(bytes: &B, port: u16, at: u32) -> NotOurs {
    match port {
        // RFC 2661 section 3.1: the T bit marks control messages.
        L2TP => match bytes.u16(at) {
            Some(head) if head & 0x8000 == 0 => NotOurs::L2tp,
            _ => NotOurs::NotTcp,
        },
        // TS 29.281 section 5.1 and 6.1: version 1, GTP and not GTP', a message that carries a packet.
        GTP_U => match bytes.u16(at) {
            Some(head) if head & 0xf0ff == 0x30ff => NotOurs::GtpU,
            _ => NotOurs::NotTcp,
        },
        // RFC 3948 section 2.2: four zeros before the messages of IKE; a keepalive has one byte.
        ESP_IN_UDP => match bytes.u32(at) {
            Some(marker) if marker != 0 => NotOurs::Ipsec,
            _ => NotOurs::NotTcp,
        },
        TEREDO => NotOurs::Teredo,
        LISP => NotOurs::Lisp,
        VXLAN_GPE => NotOurs::VxlanGpe,
        CAPWAP_DATA => NotOurs::Capwap,
        GUE => NotOurs::Gue,
        MPLS_IN_UDP => NotOurs::Mpls,
        _ => NotOurs::NotTcp,
    }
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
        protocol => Err(by_protocol(protocol).into()),
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
        return Err(NotOurs::Gre.into());
    }
    let field = |bit: u16| if flags & bit != 0 { 4 } else { 0 };
    let at = at + 4 + field(0x8000) + field(0x2000) + field(0x1000);
    segment.tunnel = Tunnel::GRE;
    match ether_type {
        EtherType::IPV4 | EtherType::IPV6 => Ok(Start { at, ether_type }),
        EtherType::BRIDGED => link::ethernet(bytes, at, segment),
        EtherType::ERSPAN | EtherType::ERSPAN_III => Err(NotOurs::Erspan.into()),
        EtherType::MPLS | EtherType::MPLS_UPSTREAM => Err(NotOurs::Mpls.into()),
        _ => Err(NotOurs::Gre.into()),
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
                return Err(NotOurs::Geneve.into());
            }
            let ether_type = EtherType(bytes.u16(at + 2).ok_or(Malformed::Truncated)?);
            if ether_type != EtherType::BRIDGED {
                return Err(NotOurs::Geneve.into());
            }
            let options = u32::from(version_and_length & 0x3f) * 4;
            segment.tunnel = Tunnel::GENEVE;
            link::ethernet(bytes, at + 8 + options, segment)
        }
        _ => Err(by_port(bytes, port, at).into()),
    }
}
