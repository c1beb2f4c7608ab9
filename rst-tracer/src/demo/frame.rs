//! The laboratory's own reading of a frame: Ethernet, IPv4 or IPv6, TCP, and nothing else.
//!
//! Deliberately not the tracer's parser: what checks a tracer must not share its mistakes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// FIN, as in the flags byte of the TCP header (RFC 9293, 3.1).
pub const FIN: u8 = 0x01;
/// SYN.
pub const SYN: u8 = 0x02;
/// RST.
pub const RST: u8 = 0x04;
/// PSH.
pub const PSH: u8 = 0x08;
/// ACK.
pub const ACK: u8 = 0x10;

/// Length of an Ethernet header without VLAN tags.
pub(super) const ETHERNET: usize = 14;

/// One TCP segment as it stood on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Source and destination MAC address of the frame.
    pub macs: ([u8; 6], [u8; 6]),
    /// Sender as the header claims it.
    pub src: SocketAddr,
    /// Receiver.
    pub dst: SocketAddr,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number, also when the ACK flag is not set.
    pub ack: u32,
    /// Flags byte.
    pub flags: u8,
    /// Window as sent, unscaled.
    pub window: u16,
    /// TTL or hop limit.
    pub ttl: u8,
    /// IPv4 TOS or IPv6 traffic class.
    pub tos: u8,
    /// IPv4 "don't fragment"; always true of IPv6.
    pub dont_fragment: bool,
    /// IPv4 identification; IPv6 has none.
    pub ip_id: Option<u16>,
    /// IPv6 flow label; IPv4 has none.
    pub flow_label: Option<u32>,
    /// TSval and TSecr of the timestamps option (RFC 7323).
    pub timestamps: Option<(u32, u32)>,
    /// Bytes of payload.
    pub payload_len: usize,
    /// The first of them.
    pub payload_start: Vec<u8>,
}

/// How many bytes of payload a [`Segment`] keeps.
const PAYLOAD_START: usize = 96;

impl Segment {
    /// Reads a frame; `None` if it is not an unfragmented, untagged TCP segment.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let macs = (frame.get(6..12)?.try_into().ok()?, frame.get(..6)?.try_into().ok()?);
        let packet = frame.get(ETHERNET..)?;
        match be16(frame, 12)? {
            0x0800 => Self::in_ipv4(macs, packet),
            0x86dd => Self::in_ipv6(macs, packet),
            _ => None,
        }
    }

    fn in_ipv4(macs: ([u8; 6], [u8; 6]), packet: &[u8]) -> Option<Self> {
        let header = usize::from(packet.first()? & 0x0f) * 4;
        let fragmented = be16(packet, 6)? & 0x3fff != 0;
        if fragmented || *packet.get(9)? != 6 {
            return None;
        }
        let src = IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(12..16)?).ok()?));
        let dst = IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(16..20)?).ok()?));
        let tcp = packet.get(header..usize::from(be16(packet, 2)?))?;
        let mut segment = Self::in_tcp(macs, src, dst, tcp)?;
        segment.ttl = *packet.get(8)?;
        segment.tos = *packet.get(1)?;
        segment.dont_fragment = packet.get(6)? & 0x40 != 0;
        segment.ip_id = be16(packet, 4);
        Some(segment)
    }

    fn in_ipv6(macs: ([u8; 6], [u8; 6]), packet: &[u8]) -> Option<Self> {
        if *packet.get(6)? != 6 {
            return None;
        }
        let src = IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(8..24)?).ok()?));
        let dst = IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(24..40)?).ok()?));
        let tcp = packet.get(40..40 + usize::from(be16(packet, 4)?))?;
        let mut segment = Self::in_tcp(macs, src, dst, tcp)?;
        segment.ttl = *packet.get(7)?;
        segment.tos = (be16(packet, 0)? >> 4) as u8;
        segment.dont_fragment = true;
        segment.flow_label = Some(be32(packet, 0)? & 0x000f_ffff);
        Some(segment)
    }

    fn in_tcp(macs: ([u8; 6], [u8; 6]), src: IpAddr, dst: IpAddr, tcp: &[u8]) -> Option<Self> {
        let header = usize::from(tcp.get(12)? >> 4) * 4;
        let payload = tcp.get(header..)?;
        Some(Self {
            macs,
            src: SocketAddr::new(src, be16(tcp, 0)?),
            dst: SocketAddr::new(dst, be16(tcp, 2)?),
            seq: be32(tcp, 4)?,
            ack: be32(tcp, 8)?,
            flags: *tcp.get(13)?,
            window: be16(tcp, 14)?,
            ttl: 0,
            tos: 0,
            dont_fragment: false,
            ip_id: None,
            flow_label: None,
            timestamps: timestamps(tcp.get(20..header)?),
            payload_len: payload.len(),
            payload_start: payload[..payload.len().min(PAYLOAD_START)].to_vec(),
        })
    }

    /// All of `flags` are set.
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// The sequence number after this segment: SYN and FIN count one each (RFC 9293, 3.4).
    pub fn next_seq(&self) -> u32 {
        let controls = u32::from(self.has(SYN)) + u32::from(self.has(FIN));
        self.seq.wrapping_add(self.payload_len as u32).wrapping_add(controls)
    }
}

/// The values of the timestamps option, kind 8.
fn timestamps(mut options: &[u8]) -> Option<(u32, u32)> {
    loop {
        options = match options {
            [0, ..] | [] => return None,
            [1, rest @ ..] => rest,
            [8, 10, values @ ..] => return Some((be32(values, 0)?, be32(values, 4)?)),
            [_, length, ..] => options.get(usize::from(*length).max(2)..)?,
            [_] => return None,
        };
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
