//! Link layers: from the first byte of a frame to its network header.
//!
//! In: a frame and its link type. Out: where the network header starts and which EtherType it has.

use super::{Bytes, LinkType, Malformed, NotOurs, Segment, Stop};

/// An EtherType, as in the IEEE registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4.
    pub const IPV4: Self = Self(0x0800);
    /// IPv6.
    pub const IPV6: Self = Self(0x86dd);
    /// IEEE 802.1Q VLAN tag.
    pub const VLAN: Self = Self(0x8100);
    /// IEEE 802.1ad service tag (QinQ).
    pub const QINQ: Self = Self(0x88a8);
    /// The pre-standard QinQ tag that many switches still send.
    pub const QINQ_OLD: Self = Self(0x9100);
    /// PPPoE session stage (RFC 2516).
    pub const PPPOE: Self = Self(0x8864);
    /// MPLS unicast (RFC 3032).
    pub const MPLS: Self = Self(0x8847);
    /// MPLS multicast or upstream-assigned (RFC 5332).
    pub const MPLS_UPSTREAM: Self = Self(0x8848);
    /// Encrypted Ethernet (IEEE 802.1AE).
    pub const MACSEC: Self = Self(0x88e5);
    /// Ethernet in Ethernet (IEEE 802.1ah).
    pub const PBB: Self = Self(0x88e7);
    /// Network service header (RFC 8300).
    pub const NSH: Self = Self(0x894f);
    /// A switch's mirror in GRE, types I and II (draft-foschiano-erspan).
    pub const ERSPAN: Self = Self(0x88be);
    /// The same, type III.
    pub const ERSPAN_III: Self = Self(0x22eb);
    /// Ethernet bridged over GRE (RFC 1701 heritage, used by NVGRE and OVS).
    pub const BRIDGED: Self = Self(0x6558);
}

/// Where the network header starts, and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Offset of the network header.
    pub at: u32,
    /// What it is.
    pub ether_type: EtherType,
}

/// Finds the network header.
#[inline(always)]
pub(super) fn network<B: Bytes>(
    bytes: &B,
    link: LinkType,
    segment: &mut Segment,
) -> Result<Start, Stop> {
    match link {
        LinkType::ETHERNET => ethernet(bytes, 0, segment),
        LinkType::RAW
        | LinkType::RAW_BSD
        | LinkType::RAW_OPENBSD
        | LinkType::IPV4
        | LinkType::IPV6 => raw(bytes, 0, NotOurs::NotIp),
        _ => captured_only(bytes, link, segment),
    }
}

/// Link types that only capture files have; the kernel programs are built for the others.
#[inline(always)]
fn captured_only<B: Bytes>(
    bytes: &B,
    link: LinkType,
    segment: &mut Segment,
) -> Result<Start, Stop> {
    match link {
        LinkType::NULL | LinkType::LOOP => {
            bytes.u32(0).ok_or(Malformed::Truncated)?;
            raw(bytes, 4, NotOurs::NotIp)
        }
        LinkType::LINUX_SLL => {
            segment.mac = bytes.peek::<6>(6).ok_or(Malformed::Truncated)?;
            let ether_type = EtherType(bytes.u16(14).ok_or(Malformed::Truncated)?);
            tagged(bytes, Start { at: 16, ether_type }, segment)
        }
        LinkType::LINUX_SLL2 => {
            let ether_type = EtherType(bytes.u16(0).ok_or(Malformed::Truncated)?);
            segment.mac = bytes.peek::<6>(12).ok_or(Malformed::Truncated)?;
            tagged(bytes, Start { at: 20, ether_type }, segment)
        }
        LinkType::IEEE802_11 => wireless(bytes, 0, segment),
        LinkType::IEEE802_11_RADIOTAP => {
            // The radiotap length is little-endian, whatever the host.
            let [lo, hi] = bytes.peek::<2>(2).ok_or(Malformed::Truncated)?;
            wireless(bytes, u32::from(u16::from_le_bytes([lo, hi])), segment)
        }
        LinkType::FDDI => {
            // ISO 9314-2 section 7.3.3: one byte of frame control, whose format bits say LLC.
            if bytes.u8(0).ok_or(Malformed::Truncated)? & 0x30 != 0x10 {
                return Err(NotOurs::NotIp.into());
            }
            segment.mac = bytes.peek::<6>(7).ok_or(Malformed::Truncated)?;
            snap(bytes, 13)
        }
        LinkType::PPP => {
            // RFC 1662: address and control bytes may be there or compressed away.
            let framed = bytes.u16(0).ok_or(Malformed::Truncated)? == 0xff03;
            ppp(bytes, if framed { 2 } else { 0 })
        }
        _ => Err(NotOurs::LinkType.into()),
    }
}

/// IP without any link header: the version is in the first nibble. What has none of its versions is `otherwise`.
#[inline(always)]
fn raw<B: Bytes>(bytes: &B, at: u32, otherwise: NotOurs) -> Result<Start, Stop> {
    match bytes.u8(at).ok_or(Malformed::Truncated)? >> 4 {
        4 => Ok(Start { at, ether_type: EtherType::IPV4 }),
        6 => Ok(Start { at, ether_type: EtherType::IPV6 }),
        _ => Err(otherwise.into()),
    }
}

/// An Ethernet header at `at`, with up to two VLAN tags.
#[inline(always)]
pub(super) fn ethernet<B: Bytes>(bytes: &B, at: u32, segment: &mut Segment) -> Result<Start, Stop> {
    segment.mac = bytes.peek::<6>(at + 6).ok_or(Malformed::Truncated)?;
    let ether_type = EtherType(bytes.u16(at + 12).ok_or(Malformed::Truncated)?);
    tagged(bytes, Start { at: at + 14, ether_type }, segment)
}

/// Steps over up to two VLAN tags, a PPPoE session header, an MPLS stack or LLC/SNAP.
#[inline(always)]
fn tagged<B: Bytes>(bytes: &B, mut start: Start, segment: &mut Segment) -> Result<Start, Stop> {
    if is_vlan(start.ether_type) {
        // Those of a tunnel's outer frame go together.
        segment.vlan = [step_over_tag(bytes, &mut start)?, 0];
        if is_vlan(start.ether_type) {
            segment.vlan[1] = step_over_tag(bytes, &mut start)?;
            if is_vlan(start.ether_type) {
                return Err(NotOurs::VlanTags.into());
            }
        }
    }
    match start.ether_type {
        EtherType::IPV4 | EtherType::IPV6 => Ok(start),
        EtherType::PPPOE => {
            // RFC 2516 section 4: six bytes, then a PPP protocol number.
            ppp(bytes, start.at + 6)
        }
        EtherType::MPLS => {
            let at = bottom_of_stack(bytes, start.at)?;
            raw(bytes, at, NotOurs::Mpls)
        }
        EtherType(length) if length <= 1500 => snap(bytes, start.at),
        EtherType::MPLS_UPSTREAM => Err(NotOurs::Mpls.into()),
        EtherType::MACSEC => Err(NotOurs::Macsec.into()),
        EtherType::PBB => Err(NotOurs::Pbb.into()),
        EtherType::NSH => Err(NotOurs::Nsh.into()),
        _ => Err(NotOurs::NotIp.into()),
    }
}

#[inline(always)]
fn is_vlan(ether_type: EtherType) -> bool {
    matches!(ether_type, EtherType::VLAN | EtherType::QINQ | EtherType::QINQ_OLD)
}

#[inline(always)]
fn step_over_tag<B: Bytes>(bytes: &B, start: &mut Start) -> Result<u32, Stop> {
    let tci = bytes.u16(start.at).ok_or(Malformed::Truncated)?;
    start.ether_type = EtherType(bytes.u16(start.at + 2).ok_or(Malformed::Truncated)?);
    start.at += 4;
    Ok(u32::from(tci) | 1 << 16)
}

/// RFC 3032: labels of four bytes until the bottom-of-stack bit; at most four are followed.
#[inline(always)]
fn bottom_of_stack<B: Bytes>(bytes: &B, at: u32) -> Result<u32, Stop> {
    let mut label = 0;
    while label < 4 {
        let entry = bytes.u32(at + label * 4).ok_or(Malformed::Truncated)?;
        label += 1;
        if entry & 0x100 != 0 {
            return Ok(at + label * 4);
        }
    }
    Err(NotOurs::Mpls.into())
}

/// A PPP protocol number and what follows it (RFC 1332, RFC 5072).
#[inline(always)]
fn ppp<B: Bytes>(bytes: &B, at: u32) -> Result<Start, Stop> {
    match bytes.u16(at).ok_or(Malformed::Truncated)? {
        0x0021 => Ok(Start { at: at + 2, ether_type: EtherType::IPV4 }),
        0x0057 => Ok(Start { at: at + 2, ether_type: EtherType::IPV6 }),
        _ => Err(NotOurs::NotIp.into()),
    }
}

/// LLC/SNAP with organisation code zero (RFC 1042): an EtherType follows; bare LLC with the IP
/// service access point (RFC 948) too.
#[inline(always)]
fn snap<B: Bytes>(bytes: &B, at: u32) -> Result<Start, Stop> {
    match bytes.peek::<3>(at).ok_or(Malformed::Truncated)? {
        [0xaa, 0xaa, 0x03] => {
            let ether_type = EtherType(bytes.u16(at + 6).ok_or(Malformed::Truncated)?);
            match ether_type {
                EtherType::IPV4 | EtherType::IPV6 => Ok(Start { at: at + 8, ether_type }),
                _ => Err(NotOurs::NotIp.into()),
            }
        }
        [0x06, 0x06, 0x03] => Ok(Start { at: at + 3, ether_type: EtherType::IPV4 }),
        _ => Err(NotOurs::NotIp.into()),
    }
}

/// An unencrypted IEEE 802.11 data frame carrying LLC/SNAP.
#[inline(always)]
fn wireless<B: Bytes>(bytes: &B, at: u32, segment: &mut Segment) -> Result<Start, Stop> {
    let [control, flags] = bytes.peek::<2>(at).ok_or(Malformed::Truncated)?;
    let is_data = control & 0x0c == 0x08;
    let without_body = control & 0x40 != 0;
    let protected = flags & 0x40 != 0;
    if !is_data || without_body || protected {
        return Err(NotOurs::NotIp.into());
    }
    let four_addresses = flags & 0x03 == 0x03;
    let qos = control & 0x80 != 0;
    let has_ht_control = qos && flags & 0x80 != 0;
    let header = 24
        + if four_addresses { 6 } else { 0 }
        + if qos { 2 } else { 0 }
        + if has_ht_control { 4 } else { 0 };
    segment.mac = bytes.peek::<6>(at + 10).ok_or(Malformed::Truncated)?;
    snap(bytes, at + header)
}
