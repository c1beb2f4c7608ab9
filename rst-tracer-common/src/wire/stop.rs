//! Why reading a frame stops before a TCP segment: it is not ours, or it is broken.
//!
//! Each kind is a counter, in the kernel programs and in userspace alike.

/// Why a frame is not ours. The discriminants index counters.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOurs {
    /// Not IPv4 or IPv6.
    NotIp = 0,
    /// IP, but neither TCP nor anything that may hold it.
    NotTcp = 1,
    /// A fragment other than the first: it has no TCP header.
    LaterFragment = 2,
    /// A link type that is not known here.
    LinkType = 3,
    /// A third VLAN tag.
    VlanTags = 4,
    /// More than four MPLS labels, a pseudowire behind them (RFC 4448), or MPLS in GRE or UDP (RFC 4023, RFC 7510).
    Mpls = 5,
    /// More IPv6 extension headers than are stepped over.
    ExtensionHeaders = 6,
    /// A tunnel in a tunnel.
    TunnelInTunnel = 7,
    /// A tunnel that would be looked into if that were not switched off.
    TunnelsOff = 8,
    /// GRE with another payload, of another version (PPTP, RFC 2637), or with routing.
    Gre = 9,
    /// A switch's mirror in GRE, of any type (draft-foschiano-erspan).
    Erspan = 10,
    /// Geneve with another payload than Ethernet, or of another version.
    Geneve = 11,
    /// User data in a mobile network (3GPP TS 29.281).
    GtpU = 12,
    /// L2TP, of version 2 (RFC 2661) or 3 (RFC 3931).
    L2tp = 13,
    /// VXLAN's generic protocol extension (draft-ietf-nvo3-vxlan-gpe).
    VxlanGpe = 14,
    /// Generic UDP encapsulation (draft-ietf-intarea-gue).
    Gue = 15,
    /// Data between an access point and its controller (RFC 5415).
    Capwap = 16,
    /// Teredo (RFC 4380).
    Teredo = 17,
    /// LISP (RFC 9300).
    Lisp = 18,
    /// Ethernet in IP (RFC 3378).
    EtherIp = 19,
    /// IPsec: ESP, in UDP too (RFC 4303, RFC 3948), and AH over IPv4 (RFC 4302).
    Ipsec = 20,
    /// Encrypted Ethernet (IEEE 802.1AE).
    Macsec = 21,
    /// Ethernet in Ethernet (IEEE 802.1ah, provider backbone bridges).
    Pbb = 22,
    /// A network service header (RFC 8300).
    Nsh = 23,
}

impl NotOurs {
    /// How many kinds there are.
    pub const KINDS: usize = 24;
    /// From here on it is what may hold TCP and is not looked into.
    pub const SKIPPED: usize = Self::VlanTags as usize;
    /// Names in counters, by discriminant.
    pub const NAMES: [&str; Self::KINDS] = [
        "not_ip",
        "not_tcp",
        "later_fragment",
        "link_type",
        "vlan_tags",
        "mpls",
        "extension_headers",
        "tunnel_in_tunnel",
        "tunnels_off",
        "gre",
        "erspan",
        "geneve",
        "gtp_u",
        "l2tp",
        "vxlan_gpe",
        "gue",
        "capwap",
        "teredo",
        "lisp",
        "etherip",
        "ipsec",
        "macsec",
        "pbb",
        "nsh",
    ];
}

/// What is wrong with a frame. The discriminants index counters.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The frame ends inside a header.
    Truncated = 0,
    /// The IP version does not match what announced it.
    IpVersion = 1,
    /// IPv4 header length below five words.
    Ipv4HeaderLength = 2,
    /// IPv4 total length shorter than the header.
    Ipv4TotalLength = 3,
    /// IPv6 payload length zero without being a super-segment.
    Ipv6PayloadLength = 4,
    /// An IP length that goes past the frame.
    LengthPastFrame = 5,
    /// An extension header that goes past the packet.
    ExtensionLength = 6,
    /// The IP packet is shorter than a TCP header.
    TcpTooShort = 7,
    /// TCP data offset below five words or past the segment.
    TcpDataOffset = 8,
    /// An address of IPv4 (`::ffff:a.b.c.d`) in an IPv6 header: it belongs in none.
    MappedAddress = 9,
}

impl Malformed {
    /// How many kinds there are.
    pub const KINDS: usize = 10;
    /// Names in counters, by discriminant.
    pub const NAMES: [&str; Self::KINDS] = [
        "truncated",
        "ip_version",
        "ipv4_header_length",
        "ipv4_total_length",
        "ipv6_payload_length",
        "length_past_frame",
        "extension_length",
        "tcp_too_short",
        "tcp_data_offset",
        "mapped_address",
    ];
}

/// Why reading stopped before a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The frame passes untouched.
    NotOurs(NotOurs),
    /// The frame is broken.
    Malformed(Malformed),
}

impl From<NotOurs> for Stop {
    #[inline(always)]
    fn from(reason: NotOurs) -> Self {
        Self::NotOurs(reason)
    }
}

impl From<Malformed> for Stop {
    #[inline(always)]
    fn from(kind: Malformed) -> Self {
        Self::Malformed(kind)
    }
}
