//! A TCP segment with everything around it that later evidence needs.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Bytes, Endpoint, LinkType, NotOurs, Stop, Tcp, Tunnel, forget, ip, link, tcp, tunnel};
use crate::{verifier, words};

/// One TCP segment as it stood on the wire. Byte order is the host's; offsets count from the first
/// byte of the frame.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Segment {
    /// Who it claims to come from.
    pub src: Endpoint,
    /// Who it is for.
    pub dst: Endpoint,
    /// The TCP header.
    pub tcp: Tcp,
    /// IPv6 flow label; 0 on IPv4.
    pub flow_label: u32,
    /// VLAN tags, outer first: tag control information, bit 16 set when the tag is present.
    pub vlan: [u32; 2],
    /// Offset of the IP header that carries the segment (the inner one of a tunnel).
    pub ip_at: u16,
    /// Offset of the TCP payload.
    pub payload_at: u16,
    /// IPv4 identification.
    pub ip_id: u16,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Type of service or traffic class, ECN included.
    pub tos: u8,
    /// What it was wrapped in.
    pub tunnel: Tunnel,
    /// Bits [`Segment::DONT_FRAGMENT`], [`Segment::FIRST_FRAGMENT`], [`Segment::IPV6`].
    pub traits: u8,
    /// Source hardware address; zeros where the link has none.
    pub mac: [u8; 6],
}

impl Segment {
    /// The IPv4 don't-fragment bit was set.
    pub const DONT_FRAGMENT: u8 = 1;
    /// More fragments follow: the payload length is that of the first one.
    pub const FIRST_FRAGMENT: u8 = 2;
    /// Carried by IPv6.
    pub const IPV6: u8 = 4;

    /// Makes it fresh, in place.
    #[inline(always)]
    pub(super) fn clear(&mut self) {
        words::clear(self);
    }

    /// The sequence number behind this segment: payload, and one each for SYN and FIN.
    #[inline(always)]
    pub fn seq_end(&self) -> super::Seq {
        let flags = self.tcp.flags.0;
        let syn_and_fin = u32::from(flags & 1) + u32::from(flags >> 1 & 1);
        self.tcp.seq + self.tcp.payload_len + syn_and_fin
    }
}

/// Reads a frame into `segment`, which must be fresh (all zeros).
#[inline(always)]
pub(super) fn read<B: Bytes>(
    bytes: &B,
    link_type: LinkType,
    tunnels: bool,
    segment: &mut Segment,
) -> Result<(), Stop> {
    let mut start = link::network(bytes, link_type, segment)?;
    let mut level = 0;
    while level < 2 {
        // Lines behind each layer, for the verifier: what follows does not depend on how the
        // header before it was reached.
        start.at = forget(start.at);
        let mut ip = ip::header(&bytes.afresh(), start, verifier::in_memory(segment))?;
        ip.payload_at = forget(ip.payload_at);
        let segment = &mut *verifier::in_memory(segment);
        let bytes = &bytes.afresh();
        if ip.protocol == ip::IpProtocol::TCP {
            return tcp::header(bytes, ip, segment);
        }
        if level == 1 {
            return Err(tunnel::passed_over(bytes, ip, NotOurs::TunnelInTunnel).into());
        }
        if !tunnels {
            return Err(tunnel::passed_over(bytes, ip, NotOurs::TunnelsOff).into());
        }
        start = tunnel::inner(bytes, ip, segment)?;
        level += 1;
    }
    Err(NotOurs::TunnelInTunnel.into())
}
