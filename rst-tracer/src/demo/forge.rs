//! Segments that no TCP stack made: every field of the header is the author's choice.
//!
//! In: a [`Forgery`]. Out: a complete Ethernet frame with valid checksums, ready for
//! [`super::packet::inject`].

use std::net::{IpAddr, SocketAddr};

use super::frame::Segment;

/// A segment to be written as a frame.
#[derive(Clone, Debug)]
pub struct Forgery {
    /// Source and destination MAC address.
    pub macs: ([u8; 6], [u8; 6]),
    /// Whom it claims to come from.
    pub src: SocketAddr,
    /// Whom it is for; must be of the same family as `src`.
    pub dst: SocketAddr,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number, written whether or not the ACK flag is set.
    pub ack: u32,
    /// TCP flags byte.
    pub flags: u8,
    /// Window, unscaled.
    pub window: u16,
    /// TTL or hop limit.
    pub ttl: u8,
    /// IPv4 identification (unused on IPv6).
    pub ip_id: u16,
    /// IPv4 "don't fragment" (unused on IPv6).
    pub dont_fragment: bool,
    /// IPv4 TOS or IPv6 traffic class.
    pub tos: u8,
    /// IPv6 flow label (unused on IPv4).
    pub flow_label: u32,
    /// TCP options, a multiple of four bytes of at most forty.
    pub options: Vec<u8>,
    /// What follows the TCP header.
    pub payload: Vec<u8>,
}

impl Forgery {
    /// What the sender of `seen` might send next on the same link, with `flags`: the right
    /// addresses, sequence and acknowledgment, but window 0, and TTL and IP ID of an injector.
    pub fn after(seen: &Segment, flags: u8) -> Self {
        Self {
            macs: seen.macs,
            src: seen.src,
            dst: seen.dst,
            seq: seen.next_seq(),
            ack: seen.ack,
            flags,
            window: 0,
            ttl: 58,
            ip_id: 1,
            dont_fragment: false,
            tos: 0,
            flow_label: 0,
            options: Vec::new(),
            payload: Vec::new(),
        }
    }

    /// The frame. If the families of `src` and `dst` differ, it is one that nobody will accept.
    pub fn to_frame(&self) -> Vec<u8> {
        let mut frame = [self.macs.1, self.macs.0].concat();
        let mut tcp = self.tcp();
        let length = (tcp.len() as u16).to_be_bytes();
        match (self.src.ip(), self.dst.ip()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                set_checksum(&mut tcp, 16, &[&src.octets(), &dst.octets(), &[0, 6], &length]);
                frame.extend([0x08, 0x00]);
                frame.extend(self.ipv4(src.octets(), dst.octets(), tcp.len()));
            }
            (src, dst) => {
                let (src, dst) = (sixteen(src), sixteen(dst));
                set_checksum(&mut tcp, 16, &[&src, &dst, &length, &[0, 6]]);
                let first = 6 << 28 | u32::from(self.tos) << 20 | self.flow_label & 0x000f_ffff;
                frame.extend([0x86, 0xdd]);
                frame.extend(first.to_be_bytes());
                frame.extend(length);
                frame.extend([6, self.ttl]);
                frame.extend(src);
                frame.extend(dst);
            }
        }
        frame.extend(tcp);
        frame
    }

    fn ipv4(&self, src: [u8; 4], dst: [u8; 4], length: usize) -> [u8; 20] {
        let mut header = [0; 20];
        header[..2].copy_from_slice(&[0x45, self.tos]);
        header[2..4].copy_from_slice(&(20 + length as u16).to_be_bytes());
        header[4..6].copy_from_slice(&self.ip_id.to_be_bytes());
        header[6] = if self.dont_fragment { 0x40 } else { 0 };
        header[8..10].copy_from_slice(&[self.ttl, 6]);
        header[12..16].copy_from_slice(&src);
        header[16..20].copy_from_slice(&dst);
        set_checksum(&mut header, 10, &[]);
        header
    }

    fn tcp(&self) -> Vec<u8> {
        let mut header = vec![0; 20];
        header[..2].copy_from_slice(&self.src.port().to_be_bytes());
        header[2..4].copy_from_slice(&self.dst.port().to_be_bytes());
        header[4..8].copy_from_slice(&self.seq.to_be_bytes());
        header[8..12].copy_from_slice(&self.ack.to_be_bytes());
        let words = 5 + self.options.len() as u8 / 4;
        header[12..14].copy_from_slice(&[words << 4, self.flags]);
        header[14..16].copy_from_slice(&self.window.to_be_bytes());
        header.extend(&self.options);
        header.extend(&self.payload);
        header
    }
}

fn sixteen(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The internet checksum (RFC 1071) over `header`, with what follows it, and the even-length
/// parts of a pseudo header.
fn set_checksum(header: &mut [u8], at: usize, pseudo: &[&[u8]]) {
    let words = |bytes: &[u8]| -> u32 {
        let word =
            |pair: &[u8]| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or_default()]);
        bytes.chunks(2).map(|pair| u32::from(word(pair))).sum()
    };
    let mut sum = words(header) + pseudo.iter().map(|part| words(part)).sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    header[at..at + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::frame::{ACK, RST};

    fn forgery(src: &str, dst: &str) -> Forgery {
        Forgery {
            macs: ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]),
            src: src.parse().expect("a literal"),
            dst: dst.parse().expect("a literal"),
            seq: 0xfffe_fdfc,
            ack: 7,
            flags: RST | ACK,
            window: 512,
            ttl: 61,
            ip_id: 54321,
            dont_fragment: true,
            tos: 0x10,
            flow_label: 0x1234,
            options: vec![1, 1, 8, 10, 0, 0, 0, 5, 0, 0, 0, 6],
            payload: b"bye".to_vec(),
        }
    }

    #[test]
    fn a_forged_frame_reads_back_as_written() {
        for (src, dst) in [("10.2.0.2:80", "10.1.0.2:4000"), ("[fd00::2]:80", "[fd00::1]:4000")] {
            let forged = forgery(src, dst);
            let read = Segment::parse(&forged.to_frame()).expect("a TCP segment");
            assert_eq!((read.src, read.dst, read.macs), (forged.src, forged.dst, forged.macs));
            assert_eq!((read.seq, read.ack, read.flags), (forged.seq, forged.ack, forged.flags));
            assert_eq!((read.window, read.ttl, read.payload_len), (512, 61, 3));
            assert_eq!((read.tos, read.dont_fragment), (0x10, true));
            assert_eq!((read.timestamps, &read.payload_start[..]), (Some((5, 6)), &b"bye"[..]));
            assert_eq!(read.flow_label, forged.src.is_ipv6().then_some(0x1234));
            assert_eq!(read.ip_id, forged.src.is_ipv4().then_some(54321));
        }
    }

    #[test]
    fn no_prefix_of_a_frame_is_taken_for_a_segment() {
        let frame = forgery("10.2.0.2:80", "10.1.0.2:4000").to_frame();
        for length in 0..frame.len() {
            assert_eq!(Segment::parse(&frame[..length]), None, "{length} bytes");
        }
    }
}
