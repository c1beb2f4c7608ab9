//! The frames that are measured: one of each kind, over each family.

use rst_tracer_tests::frames::{Tcp, V4, V6, ether, flags, protocol, tcp};

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Data,
    Ack,
    Syn,
    SynAck,
    Fin,
    Rst,
    Udp,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] =
        [Self::Data, Self::Ack, Self::Syn, Self::SynAck, Self::Fin, Self::Rst, Self::Udp];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Data => "data segment",
            Self::Ack => "pure ACK",
            Self::Syn => "SYN",
            Self::SynAck => "SYN-ACK",
            Self::Fin => "FIN",
            Self::Rst => "RST",
            Self::Udp => "UDP",
        }
    }

    /// Whether the server sends it.
    pub(crate) const fn is_back(self) -> bool {
        matches!(self, Self::SynAck)
    }

    /// The sequence number that it has in the beginning.
    pub(crate) const fn seq(self) -> u32 {
        match self {
            Self::Syn => CLIENT_ISN,
            Self::SynAck => SERVER_ISN,
            _ => CLIENT_ISN + 1,
        }
    }
}

const CLIENT_ISN: u32 = 1_000;
const SERVER_ISN: u32 = 500_000;
/// A full segment over Ethernet with timestamps.
pub(crate) const PAYLOAD: usize = 1448;

/// How a frame travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Road {
    V4,
    V6,
    V4Tagged,
}

impl Road {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
            Self::V4Tagged => "IPv4 in a VLAN",
        }
    }

    /// Where the IP header lies.
    pub(crate) const fn ip(self) -> u32 {
        match self {
            Self::V4 | Self::V6 => 14,
            Self::V4Tagged => 18,
        }
    }
}

/// Payload of [`short`].
pub(crate) const SHORT_PAYLOAD: usize = 10;

/// A data segment without options in an IPv4 frame of 64 bytes.
pub(crate) fn short() -> Vec<u8> {
    let (seq, ack) = (Kind::Data.seq(), SERVER_ISN + 1);
    let payload = vec![b'.'; SHORT_PAYLOAD];
    let flags = flags::ACK | flags::PSH;
    tcp(Tcp { flags, seq, ack, payload, ..Tcp::default() }).in_v4(V4::default()).frame()
}

/// The frame itself.
pub(crate) fn frame(kind: Kind, road: Road) -> Vec<u8> {
    // No-operations, then timestamps (RFC 7323).
    let stamped = [1, 1, 8, 10, 0, 0, 1, 0, 0, 0, 2, 0];
    // Maximum segment size, SACK permitted, timestamps, window scale, as Linux writes them.
    let opening = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 1, 0, 0, 0, 0, 0, 1, 3, 3, 10];
    let (bits, ack, options, payload): (u8, u32, &[u8], usize) = match kind {
        Kind::Data => (flags::ACK | flags::PSH, SERVER_ISN + 1, &stamped, PAYLOAD),
        Kind::Ack => (flags::ACK, SERVER_ISN + 1, &stamped, 0),
        Kind::Syn => (flags::SYN, 0, &opening, 0),
        Kind::SynAck => (flags::SYN | flags::ACK, CLIENT_ISN + 1, &opening, 0),
        Kind::Fin => (flags::FIN | flags::ACK, SERVER_ISN + 1, &stamped, 0),
        Kind::Rst => (flags::RST, 0, &[], 0),
        Kind::Udp => (0, 0, &[], 0),
    };
    let segment = Tcp {
        flags: bits,
        seq: kind.seq(),
        ack,
        options: options.to_vec(),
        payload: vec![b'.'; payload],
        ..Tcp::default()
    };
    let segment = if kind.is_back() { segment.back() } else { segment };
    let mut layer = tcp(segment);
    if kind == Kind::Udp {
        layer.protocol = protocol::UDP;
    }
    let (v4, v6) = if kind.is_back() {
        (V4::default().back(), V6::default().back())
    } else {
        (V4::default(), V6::default())
    };
    match road {
        Road::V4 => layer.in_v4(v4).frame(),
        Road::V6 => layer.in_v6(v6).frame(),
        Road::V4Tagged => layer.in_v4(v4).tagged(ether::VLAN, 10).frame(),
    }
}
