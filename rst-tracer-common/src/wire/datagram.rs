//! UDP that holds no tunnel, told with few instructions: on many hosts most of what passes is QUIC or DNS.
//!
//! In: an Ethernet frame. Out: whether [`locate`](super::locate) would say of it that it is not TCP, because it is such a
//! datagram. What is not plain (tags, options, extension headers, fragments, tunnels, broken lengths) is left to it.

use super::{Bytes, EtherType, IpProtocol, tunnel::may_be_tunnel};

/// Of a UDP header, in bytes.
const HEADER: u32 = 8;
const ETHERNET: u32 = 14;

/// Whether this is an Ethernet frame without tags, with UDP straight behind a plain IP header, to no port of a tunnel.
#[inline(always)]
pub fn is_plain_udp<B: Bytes>(bytes: &B) -> bool {
    let to_port = match bytes.u16(12).map(EtherType) {
        Some(EtherType::IPV4) => in_v4(bytes),
        Some(EtherType::IPV6) => in_v6(bytes),
        _ => None,
    };
    to_port.is_some_and(|port| !may_be_tunnel(port))
}

/// The destination port.
#[inline(always)]
fn in_v4<B: Bytes>(bytes: &B) -> Option<u16> {
    const FRAGMENT: u16 = 0x3fff;
    let head = bytes.fixed::<ETHERNET, 24>()?;
    let fragment = u16::from_be_bytes([head[6], head[7]]);
    let total_len = u32::from(u16::from_be_bytes([head[2], head[3]]));
    let is_plain = head[0] == 0x45 && head[9] == IpProtocol::UDP.0 && fragment & FRAGMENT == 0;
    let fits = total_len >= 20 + HEADER && bytes.reaches(ETHERNET + total_len);
    (is_plain && fits).then_some(u16::from_be_bytes([head[22], head[23]]))
}

#[inline(always)]
fn in_v6<B: Bytes>(bytes: &B) -> Option<u16> {
    let head = bytes.fixed::<ETHERNET, 44>()?;
    let len = u32::from(u16::from_be_bytes([head[4], head[5]]));
    let is_plain = head[0] >> 4 == 6 && head[6] == IpProtocol::UDP.0;
    let fits = len >= HEADER && bytes.reaches(ETHERNET + 40 + len);
    (is_plain && fits).then_some(u16::from_be_bytes([head[42], head[43]]))
}
