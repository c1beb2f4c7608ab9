//! What a packet travels in: extension headers would change it from within, so they come with
//! tunnels and links here, around it.

use proptest::prelude::*;
use rst_tracer_tests::frames::{Layer, V4, V6, ether, protocol};

/// What is put around a packet.
#[derive(Clone, Debug)]
pub(crate) struct Wrapping {
    tunnel: Tunnel,
    extensions: Vec<Extension>,
    pub(crate) link: Link,
}

#[derive(Clone, Debug)]
enum Tunnel {
    None,
    InV4 {
        options: usize,
        fragment: u16,
    },
    InV6,
    Gre {
        flags: u16,
        bridged: bool,
    },
    Vxlan(u16),
    Geneve(u8),
    /// Quoted by an ICMP error.
    Quoted,
}

/// An extension header between an outer IPv6 header and a packet in it.
#[derive(Clone, Debug)]
enum Extension {
    Options(u8, u8),
    Fragment(u16, bool),
    Authentication(u8),
}

/// What stands before the IP header.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    Plain,
    Tags(Vec<(u16, u16)>),
    Labels(usize),
    Pppoe,
}

pub(crate) fn wrappings() -> impl Strategy<Value = Wrapping> {
    let extensions = prop_oneof![
        2 => Just(Vec::new()),
        1 => prop::collection::vec(extension(), 1..4),
        1 => prop::collection::vec(extension(), 7..10),
    ];
    (tunnel(), extensions, link()).prop_map(|(tunnel, extensions, link)| Wrapping {
        tunnel,
        extensions,
        link,
    })
}

fn tunnel() -> impl Strategy<Value = Tunnel> {
    let fragment = prop_oneof![6 => Just(0x4000), 1 => Just(0x2000), 1 => any::<u16>()];
    let gre =
        prop_oneof![proptest::sample::select(&[0, 0x2000, 0xb000, 0x4000, 1][..]), any::<u16>()];
    prop_oneof![
        40 => Just(Tunnel::None),
        2 => (0_usize..=10, fragment).prop_map(|(options, fragment)| Tunnel::InV4 {
            options,
            fragment
        }),
        4 => Just(Tunnel::InV6),
        1 => (gre, any::<bool>()).prop_map(|(flags, bridged)| Tunnel::Gre { flags, bridged }),
        1 => proptest::sample::select(&[4789, 8472, 53][..]).prop_map(Tunnel::Vxlan),
        1 => (0_u8..8).prop_map(Tunnel::Geneve),
        1 => Just(Tunnel::Quoted),
    ]
}

fn extension() -> impl Strategy<Value = Extension> {
    const KINDS: [u8; 4] =
        [protocol::HOP_BY_HOP, protocol::ROUTING, protocol::DESTINATION, protocol::MOBILITY];
    prop_oneof![
        4 => (proptest::sample::select(&KINDS[..]), 0_u8..3)
            .prop_map(|(kind, units)| Extension::Options(kind, units)),
        1 => (prop_oneof![4 => Just(0), 1 => 0_u16..8000], any::<bool>())
            .prop_map(|(offset, more)| Extension::Fragment(offset, more)),
        1 => (0_u8..6).prop_map(Extension::Authentication),
    ]
}

fn link() -> impl Strategy<Value = Link> {
    let tag = (proptest::sample::select(&[ether::VLAN, ether::QINQ, 0x9100][..]), any::<u16>());
    prop_oneof![
        12 => Just(Link::Plain),
        3 => prop::collection::vec(tag, 1..4).prop_map(Link::Tags),
        1 => (1_usize..6).prop_map(Link::Labels),
        1 => Just(Link::Pppoe),
    ]
}

impl Wrapping {
    /// Puts the tunnel around a packet.
    pub(crate) fn wrap(&self, packet: Layer) -> Layer {
        match self.tunnel {
            Tunnel::None => packet,
            Tunnel::InV4 { options, fragment } => {
                packet.in_v4(V4 { options: vec![1; options * 4], fragment, ..V4::default() })
            }
            Tunnel::InV6 => self.extend(packet).in_v6(V6 { tos: 3, ..V6::default() }),
            Tunnel::Gre { flags, bridged } => {
                let packet = if bridged { packet.bridged() } else { packet };
                packet.in_gre(flags).v4()
            }
            Tunnel::Vxlan(port) => packet.bridged().in_vxlan(port).v4(),
            Tunnel::Geneve(words) => self.extend(packet.bridged().in_geneve(words)).v6(),
            Tunnel::Quoted => packet.quoted_in_icmp().v4(),
        }
    }

    fn extend(&self, packet: Layer) -> Layer {
        self.extensions.iter().fold(packet, |packet, extension| match *extension {
            Extension::Options(kind, units) => packet.behind_options(kind, units),
            Extension::Fragment(offset, more) => packet.behind_fragment(offset, more, 5),
            Extension::Authentication(words) => packet.behind_authentication(words),
        })
    }
}

impl Link {
    /// A whole Ethernet frame.
    pub(crate) fn frame(&self, packet: Layer) -> Vec<u8> {
        match self {
            Self::Plain => packet,
            Self::Tags(tags) => tags.iter().fold(packet, |p, (kind, tci)| p.tagged(*kind, *tci)),
            Self::Labels(n) => (0..*n).fold(packet, |packet, i| packet.labelled(i == 0)),
            Self::Pppoe => packet.in_pppoe(),
        }
        .frame()
    }
}
