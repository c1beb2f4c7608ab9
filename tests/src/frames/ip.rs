//! IPv4 and IPv6 headers, extension headers, and what else stands between IP and TCP.

use super::{Layer, ether};

/// Where the client's segments come from.
pub const CLIENT: [u8; 4] = [10, 0, 0, 5];
/// Where the server's segments come from.
pub const SERVER: [u8; 4] = [10, 0, 0, 9];
/// The client's IPv6 address.
pub const CLIENT_V6: [u8; 16] = [0xfd, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 5];
/// The server's IPv6 address.
pub const SERVER_V6: [u8; 16] = [0xfd, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 9];

/// IP protocol numbers.
pub mod protocol {
    #![allow(missing_docs, reason = "named as in the IANA registry")]
    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const IPV4: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const IPV6: u8 = 41;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const GRE: u8 = 47;
    pub const ESP: u8 = 50;
    pub const AUTHENTICATION: u8 = 51;
    pub const ICMPV6: u8 = 58;
    pub const DESTINATION: u8 = 60;
    pub const MOBILITY: u8 = 135;
}

/// An IPv4 header to be.
#[derive(Clone, Debug)]
pub struct V4 {
    /// Source.
    pub from: [u8; 4],
    /// Destination.
    pub to: [u8; 4],
    /// Time to live.
    pub ttl: u8,
    /// Type of service.
    pub tos: u8,
    /// Identification.
    pub id: u16,
    /// Flags and fragment offset.
    pub fragment: u16,
    /// Options; a multiple of four bytes.
    pub options: Vec<u8>,
    /// Header length in words, if not what the options make it.
    pub words: Option<u8>,
    /// Total length, if not the true one.
    pub total_len: Option<u16>,
}

impl Default for V4 {
    fn default() -> Self {
        Self {
            from: CLIENT,
            to: SERVER,
            ttl: 64,
            tos: 0,
            id: 7,
            fragment: Self::DONT_FRAGMENT,
            options: Vec::new(),
            words: None,
            total_len: None,
        }
    }
}

impl V4 {
    /// The don't-fragment bit of `fragment`.
    pub const DONT_FRAGMENT: u16 = 0x4000;
    /// The more-fragments bit of `fragment`.
    pub const MORE_FRAGMENTS: u16 = 0x2000;

    /// The same header in the other direction.
    pub fn back(self) -> Self {
        Self { from: self.to, to: self.from, ..self }
    }
}

/// An IPv6 header to be.
#[derive(Clone, Debug)]
pub struct V6 {
    /// Source.
    pub from: [u8; 16],
    /// Destination.
    pub to: [u8; 16],
    /// Hop limit.
    pub ttl: u8,
    /// Traffic class.
    pub tos: u8,
    /// Flow label.
    pub label: u32,
    /// Payload length, if not the true one.
    pub payload_len: Option<u16>,
}

impl Default for V6 {
    fn default() -> Self {
        Self { from: CLIENT_V6, to: SERVER_V6, ttl: 64, tos: 0, label: 0, payload_len: None }
    }
}

impl V6 {
    /// The same header in the other direction.
    pub fn back(self) -> Self {
        Self { from: self.to, to: self.from, ..self }
    }
}

/// Lengths that do not fit their field wrap: what else could a sender write.
fn low_16(len: usize) -> u16 {
    len as u16
}

impl Layer {
    /// Behind an ordinary IPv4 header of the client.
    pub fn v4(self) -> Self {
        self.in_v4(V4::default())
    }

    /// Behind an IPv4 header.
    pub fn in_v4(self, header: V4) -> Self {
        let words = header.words.unwrap_or_else(|| 5 + header.options.len().div_ceil(4) as u8);
        let whole = 20 + header.options.len() + self.bytes.len();
        let mut head = vec![0x40 | words & 0x0f, header.tos];
        head.extend(header.total_len.unwrap_or(low_16(whole)).to_be_bytes());
        head.extend(header.id.to_be_bytes());
        head.extend(header.fragment.to_be_bytes());
        head.extend([header.ttl, self.protocol, 0, 0]);
        head.extend(header.from);
        head.extend(header.to);
        head.extend(&header.options);
        self.behind(&head, super::protocol::IPV4, ether::IPV4)
    }

    /// Behind an ordinary IPv6 header of the client.
    pub fn v6(self) -> Self {
        self.in_v6(V6::default())
    }

    /// Behind an IPv6 header.
    pub fn in_v6(self, header: V6) -> Self {
        let first = 6 << 28 | u32::from(header.tos) << 20 | header.label & 0x000f_ffff;
        let mut head = first.to_be_bytes().to_vec();
        head.extend(header.payload_len.unwrap_or(low_16(self.bytes.len())).to_be_bytes());
        head.extend([self.protocol, header.ttl]);
        head.extend(header.from);
        head.extend(header.to);
        self.behind(&head, super::protocol::IPV6, ether::IPV6)
    }

    /// Behind an extension header of `protocol` that says its length in units of eight bytes and
    /// has `units` of them beyond the first.
    pub fn behind_options(self, protocol: u8, units: u8) -> Self {
        let mut head = vec![0; (usize::from(units) + 1) * 8];
        (head[0], head[1]) = (self.protocol, units);
        // One PadN option over the rest (RFC 8200 4.2), so that the header is a true one.
        (head[2], head[3]) = (1, (head.len() - 4).min(255) as u8);
        self.behind(&head, protocol, 0)
    }

    /// Behind an IPv6 fragment header; `offset` in units of eight bytes.
    pub fn behind_fragment(self, offset: u16, more: bool, id: u32) -> Self {
        let mut head = vec![self.protocol, 0];
        head.extend((offset << 3 | u16::from(more)).to_be_bytes());
        head.extend(id.to_be_bytes());
        self.behind(&head, super::protocol::FRAGMENT, 0)
    }

    /// Behind an authentication header with `words` four-byte words beyond the first two (RFC
    /// 4302 2.2).
    pub fn behind_authentication(self, words: u8) -> Self {
        let mut head = vec![0; (usize::from(words) + 2) * 4];
        (head[0], head[1]) = (self.protocol, words);
        self.behind(&head, super::protocol::AUTHENTICATION, 0)
    }

    /// Quoted by an ICMP destination-unreachable message.
    pub fn quoted_in_icmp(self) -> Self {
        self.behind(&[3, 3, 0, 0, 0, 0, 0, 0], super::protocol::ICMP, 0)
    }

    /// Behind a UDP header to `port`.
    pub fn in_udp(self, port: u16) -> Self {
        let mut head = 50_000_u16.to_be_bytes().to_vec();
        head.extend(port.to_be_bytes());
        head.extend(low_16(self.bytes.len() + 8).to_be_bytes());
        head.extend([0, 0]);
        self.behind(&head, super::protocol::UDP, 0)
    }

    /// Behind a GRE header with the optional fields that `flags` announces.
    pub fn in_gre(self, flags: u16) -> Self {
        let mut head = flags.to_be_bytes().to_vec();
        head.extend(self.ether_type.to_be_bytes());
        for bit in [0x8000, 0x2000, 0x1000] {
            if flags & bit != 0 {
                head.extend([0, 0, 0, 9]);
            }
        }
        self.behind(&head, super::protocol::GRE, 0)
    }
}
