//! Link headers, VLAN tags, and the Ethernet that tunnels carry.

use super::Layer;

/// The source hardware address of every frame.
pub const MAC: [u8; 6] = [2, 0, 0, 0, 0, 5];
/// The source hardware address of frames inside tunnels.
pub const INNER_MAC: [u8; 6] = [2, 0, 0, 0, 1, 5];
const TO: [u8; 6] = [2, 0, 0, 0, 0, 9];

/// EtherTypes.
pub mod ether {
    #![allow(missing_docs, reason = "named as in the IEEE registry")]
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const BRIDGED: u16 = 0x6558;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const MPLS: u16 = 0x8847;
    pub const PPPOE: u16 = 0x8864;
    pub const QINQ: u16 = 0x88a8;
}

fn header(from: [u8; 6], ether_type: u16) -> Vec<u8> {
    [&TO[..], &from, &ether_type.to_be_bytes()].concat()
}

impl Layer {
    /// Behind a VLAN tag of type `ether_type`.
    pub fn tagged(self, ether_type: u16, tci: u16) -> Self {
        let tag = [tci.to_be_bytes(), self.ether_type.to_be_bytes()].concat();
        self.behind(&tag, 0, ether_type)
    }

    /// Behind an MPLS label; `is_bottom` of the stack.
    pub fn labelled(self, is_bottom: bool) -> Self {
        let entry = 16_u32 << 12 | u32::from(is_bottom) << 8 | 64;
        self.behind(&entry.to_be_bytes(), 0, ether::MPLS)
    }

    /// Behind a PPPoE session header.
    pub fn in_pppoe(self) -> Self {
        let protocol: u16 = if self.ether_type == ether::IPV6 { 0x57 } else { 0x21 };
        let mut head = vec![0x11, 0, 0, 1];
        head.extend((self.bytes.len() as u16 + 2).to_be_bytes());
        head.extend(protocol.to_be_bytes());
        self.behind(&head, 0, ether::PPPOE)
    }

    /// As an Ethernet frame inside a tunnel.
    pub fn bridged(self) -> Self {
        let head = header(INNER_MAC, self.ether_type);
        self.behind(&head, 0, ether::BRIDGED)
    }

    /// An Ethernet frame in VXLAN to `port`.
    pub fn in_vxlan(self, port: u16) -> Self {
        self.behind(&[8, 0, 0, 0, 0, 0, 42, 0], 0, 0).in_udp(port)
    }

    /// An Ethernet frame in Geneve with `words` four-byte words of options.
    pub fn in_geneve(self, words: u8) -> Self {
        let mut head = vec![words & 0x3f, 0, 0x65, 0x58, 0, 0, 42, 0];
        head.resize(8 + usize::from(words) * 4, 0);
        self.behind(&head, 0, 0).in_udp(6081)
    }

    /// A whole Ethernet frame.
    pub fn frame(self) -> Vec<u8> {
        let head = header(MAC, self.ether_type);
        [head, self.bytes].concat()
    }
}
