//! Frames byte by byte, made without the parser that is to read them.
//!
//! In: a segment, and the layers to wrap it in. Out: the bytes of a frame, checksums right.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;

pub const TCP: u8 = 6;
const UDP: u8 = 17;
const GRE: u8 = 47;

/// A TCP segment and the fields of the IP header around it.
#[derive(Clone, Debug)]
pub struct Segment {
    pub src: SocketAddr,
    pub dst: SocketAddr,
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
    pub window: u16,
    pub ttl: u8,
    pub ip_id: u16,
    /// TCP options, a multiple of four bytes.
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
}

impl Segment {
    /// The TCP header and payload.
    pub fn tcp(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.src.port().to_be_bytes());
        bytes.extend(self.dst.port().to_be_bytes());
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.ack.to_be_bytes());
        bytes.extend([(5 + self.options.len() as u8 / 4) << 4, self.flags]);
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(&self.options);
        bytes.extend(&self.payload);
        let pseudo = pseudo_header(self.src.ip(), self.dst.ip(), TCP, bytes.len());
        let sum = checksum(&[pseudo, bytes.clone()].concat());
        bytes[16..18].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// The IP packet.
    pub fn packet(&self) -> Vec<u8> {
        match (self.src.ip(), self.dst.ip()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let header = Ipv4 { src, dst, protocol: TCP, ttl: self.ttl, id: self.ip_id };
                header.around(&self.tcp())
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => ipv6(src, dst, TCP, self.ttl, &self.tcp()),
            _ => panic!("{} and {} are of two families", self.src, self.dst),
        }
    }
}

/// The fields of an IPv4 header that differ between packets here.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4 {
    pub src: Ipv4Addr,
    pub dst: Ipv4Addr,
    pub protocol: u8,
    pub ttl: u8,
    pub id: u16,
}

impl Ipv4 {
    const DONT_FRAGMENT: u16 = 0x4000;

    pub fn around(self, payload: &[u8]) -> Vec<u8> {
        self.with_fragment_field(Self::DONT_FRAGMENT, payload)
    }

    /// `field` is the 16 bits of flags and fragment offset.
    pub fn with_fragment_field(self, field: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x45, 0];
        bytes.extend((20 + payload.len() as u16).to_be_bytes());
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(field.to_be_bytes());
        bytes.extend([self.ttl, self.protocol, 0, 0]);
        bytes.extend(self.src.octets());
        bytes.extend(self.dst.octets());
        let sum = checksum(&bytes);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes.extend(payload);
        bytes
    }
}

pub fn ipv6(src: Ipv6Addr, dst: Ipv6Addr, next: u8, hop_limit: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend((payload.len() as u16).to_be_bytes());
    bytes.extend([next, hop_limit]);
    bytes.extend(src.octets());
    bytes.extend(dst.octets());
    bytes.extend(payload);
    bytes
}

fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: u8, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for ip in [src, dst] {
        match ip {
            IpAddr::V4(ip) => bytes.extend(ip.octets()),
            IpAddr::V6(ip) => bytes.extend(ip.octets()),
        }
    }
    bytes.extend((len as u32).to_be_bytes());
    bytes.extend([0, 0, 0, protocol]);
    bytes
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The EtherType of an IP packet, from its version.
pub fn ether_type(packet: &[u8]) -> u16 {
    if packet[0] >> 4 == 6 { 0x86dd } else { 0x0800 }
}

const TO: [u8; 6] = [0x02, 0, 0, 0, 0, 0x09];
const FROM: [u8; 6] = [0x02, 0, 0, 0, 0, 0x05];

fn behind(header: &[&[u8]], packet: &[u8]) -> Vec<u8> {
    [header.concat(), packet.to_vec()].concat()
}

pub fn ethernet(packet: &[u8]) -> Vec<u8> {
    behind(&[&TO, &FROM, &ether_type(packet).to_be_bytes()], packet)
}

/// One 802.1Q tag, VLAN 10.
pub fn vlan(packet: &[u8]) -> Vec<u8> {
    behind(&[&TO, &FROM, &[0x81, 0, 0, 10], &ether_type(packet).to_be_bytes()], packet)
}

/// 802.1ad: service VLAN 100, priority 3, around customer VLAN 20.
pub fn qinq(packet: &[u8]) -> Vec<u8> {
    let tags = [0x88, 0xa8, 0x60, 100, 0x81, 0, 0, 20];
    behind(&[&TO, &FROM, &tags, &ether_type(packet).to_be_bytes()], packet)
}

/// One MPLS label, 16, at the bottom of the stack.
pub fn mpls(packet: &[u8]) -> Vec<u8> {
    behind(&[&TO, &FROM, &[0x88, 0x47, 0x00, 0x01, 0x01, 64]], packet)
}

/// A PPPoE session frame.
pub fn pppoe(packet: &[u8]) -> Vec<u8> {
    let len = (packet.len() as u16 + 2).to_be_bytes();
    let protocol = if packet[0] >> 4 == 6 { [0, 0x57] } else { [0, 0x21] };
    behind(&[&TO, &FROM, &[0x88, 0x64, 0x11, 0, 0, 1], &len, &protocol], packet)
}

/// Linux cooked capture, as of an Ethernet interface.
pub fn sll(packet: &[u8]) -> Vec<u8> {
    behind(&[&[0, 0, 0, 1, 0, 6], &FROM, &[0, 0], &ether_type(packet).to_be_bytes()], packet)
}

/// Linux cooked capture version 2, interface 3.
pub fn sll2(packet: &[u8]) -> Vec<u8> {
    let tail = [0, 0, 0, 0, 0, 3, 0, 1, 0, 6];
    behind(&[&ether_type(packet).to_be_bytes(), &tail, &FROM, &[0, 0]], packet)
}

/// BSD loopback as a little-endian FreeBSD writes it.
pub fn null(packet: &[u8]) -> Vec<u8> {
    let family: u32 = if packet[0] >> 4 == 6 { 28 } else { 2 };
    behind(&[&family.to_le_bytes()], packet)
}

/// No link header at all.
pub fn raw(packet: &[u8]) -> Vec<u8> {
    packet.to_vec()
}

/// An 802.11 QoS data frame to the access point, with LLC/SNAP.
pub fn wireless(packet: &[u8]) -> Vec<u8> {
    let control = [0x88, 0x01, 0, 0];
    let tail = [0x10, 0, 0, 0, 0xaa, 0xaa, 3, 0, 0, 0];
    behind(&[&control, &TO, &FROM, &TO, &tail, &ether_type(packet).to_be_bytes()], packet)
}

/// An FDDI frame with LLC/SNAP.
pub fn fddi(packet: &[u8]) -> Vec<u8> {
    let llc = [0xaa, 0xaa, 3, 0, 0, 0];
    behind(&[&[0x50], &TO, &FROM, &llc, &ether_type(packet).to_be_bytes()], packet)
}

fn between_tunnel_ends(protocol: u8) -> Ipv4 {
    let (src, dst) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
    Ipv4 { src, dst, protocol, ttl: 64, id: 7 }
}

/// IPv4 or IPv6 directly in IPv4: IPIP or 6in4.
pub fn ip_in_ip(packet: &[u8]) -> Vec<u8> {
    let protocol = if packet[0] >> 4 == 6 { 41 } else { 4 };
    ethernet(&between_tunnel_ends(protocol).around(packet))
}

/// GRE with checksum, key and sequence number present.
pub fn gre(packet: &[u8]) -> Vec<u8> {
    let fields = [0, 0, 0, 0, 0, 0, 0, 42, 0, 0, 0, 1];
    let mut inside = behind(&[&[0xb0, 0], &ether_type(packet).to_be_bytes(), &fields], packet);
    let sum = checksum(&inside);
    inside[4..6].copy_from_slice(&sum.to_be_bytes());
    ethernet(&between_tunnel_ends(GRE).around(&inside))
}

fn in_udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u16 + 8).to_be_bytes();
    // Checksum 0: none, as RFC 7348 section 5 asks for.
    let udp = behind(&[&50_000_u16.to_be_bytes(), &port.to_be_bytes(), &len, &[0, 0]], payload);
    ethernet(&between_tunnel_ends(UDP).around(&udp))
}

/// VXLAN, network 5.
pub fn vxlan(packet: &[u8]) -> Vec<u8> {
    in_udp(4789, &behind(&[&[0x08, 0, 0, 0, 0, 0, 5, 0]], &ethernet(packet)))
}

/// Geneve, network 5, with one option of eight bytes.
pub fn geneve(packet: &[u8]) -> Vec<u8> {
    let header = [0x02, 0, 0x65, 0x58, 0, 0, 5, 0];
    let option = [0x01, 0x02, 0x03, 1, 0, 0, 0, 0];
    in_udp(6081, &behind(&[&header, &option], &ethernet(packet)))
}

/// An ICMP "port unreachable" from the destination that quotes the packet (RFC 792, RFC 4443).
pub fn quoted_in_icmp(segment: &Segment) -> Vec<u8> {
    let quoted = segment.packet();
    match (segment.src.ip(), segment.dst.ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut icmp = behind(&[&[3, 3, 0, 0, 0, 0, 0, 0]], &quoted);
            let sum = checksum(&icmp);
            icmp[2..4].copy_from_slice(&sum.to_be_bytes());
            Ipv4 { src: dst, dst: src, protocol: 1, ttl: 64, id: 9 }.around(&icmp)
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let mut icmp = behind(&[&[1, 4, 0, 0, 0, 0, 0, 0]], &quoted);
            let pseudo = pseudo_header(dst.into(), src.into(), 58, icmp.len());
            let sum = checksum(&[pseudo, icmp.clone()].concat());
            icmp[2..4].copy_from_slice(&sum.to_be_bytes());
            ipv6(dst, src, 58, 64, &icmp)
        }
        _ => panic!("{} and {} are of two families", segment.src, segment.dst),
    }
}
