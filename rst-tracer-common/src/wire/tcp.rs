//! TCP (RFC 9293 section 3.1) with the options that say something about who is speaking.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Bytes, Ip, Malformed, Segment, Seq, Stop};

/// The control bits of a segment, lowest first: FIN SYN RST PSH ACK URG ECE CWR.
#[repr(transparent)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment field is significant.
    pub const ACK: Self = Self(0x10);

    /// Whether all bits of `other` are set.
    #[inline(always)]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Bits of [`Tcp::options`]: which options a segment carried.
pub mod option {
    /// Maximum segment size (RFC 9293 3.7.1).
    pub const MSS: u16 = 1 << 0;
    /// Window scale (RFC 7323 2).
    pub const WINDOW_SCALE: u16 = 1 << 1;
    /// SACK permitted (RFC 2018 2).
    pub const SACK_PERMITTED: u16 = 1 << 2;
    /// SACK blocks (RFC 2018 3).
    pub const SACK: u16 = 1 << 3;
    /// Timestamps (RFC 7323 3).
    pub const TIMESTAMPS: u16 = 1 << 4;
    /// Multipath TCP (RFC 8684).
    pub const MPTCP: u16 = 1 << 5;
    /// TCP MD5 signature (RFC 2385) or authentication option (RFC 5925).
    pub const AUTHENTICATION: u16 = 1 << 6;
    /// TCP Fast Open cookie (RFC 7413).
    pub const FAST_OPEN: u16 = 1 << 7;
    /// Any other kind.
    pub const OTHER: u16 = 1 << 8;
    /// An option whose length does not fit: reading stopped there, as Linux does.
    pub const BROKEN: u16 = 1 << 15;
}

/// MPTCP subtype value of a segment without the option.
pub const NO_MPTCP: u8 = 0xff;
/// Window scale value of a segment without the option.
pub const NO_SCALE: u8 = 0xff;

/// A TCP header, read.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Tcp {
    /// Sequence number.
    pub seq: Seq,
    /// Acknowledgment field, whether or not the ACK bit is set.
    pub ack: Seq,
    /// Payload length in bytes.
    pub payload_len: u32,
    /// Timestamp value (with [`option::TIMESTAMPS`]).
    pub tsval: u32,
    /// Timestamp echo reply.
    pub tsecr: u32,
    /// Highest right edge among the SACK blocks (with [`option::SACK`]).
    pub sack_right: Seq,
    /// Window as it stands in the header, unscaled.
    pub window: u16,
    /// Maximum segment size (with [`option::MSS`]).
    pub mss: u16,
    /// Which options were there: bits of [`option`].
    pub options: u16,
    /// Control bits.
    pub flags: Flags,
    /// Header length in bytes.
    pub header_len: u8,
    /// Window scale shift, or [`NO_SCALE`].
    pub scale: u8,
    /// MPTCP subtype, or [`NO_MPTCP`]; 8 is MP_TCPRST and wins over others in one segment.
    pub mptcp_subtype: u8,
    /// Reason of MP_TCPRST (RFC 8684 3.6).
    pub mptcp_reason: u8,
    /// The four reserved bits beside the data offset, AE included.
    pub reserved: u8,
}

/// Reads the TCP header that `ip` carries.
#[inline(always)]
pub(super) fn header<B: Bytes>(bytes: &B, ip: Ip, segment: &mut Segment) -> Result<(), Stop> {
    let at = ip.payload_at;
    if ip.payload_len < 20 {
        return Err(Malformed::TcpTooShort.into());
    }
    let head = bytes.peek::<20>(at).ok_or(Malformed::Truncated)?;
    // Taken down first and judged then, so that little has to be kept meanwhile.
    let header_len = u32::from(head[12] >> 4) * 4;
    segment.src.port = u32::from(u16::from_be_bytes([head[0], head[1]]));
    segment.dst.port = u32::from(u16::from_be_bytes([head[2], head[3]]));
    segment.payload_at = (at + header_len) as u16;
    let tcp = &mut segment.tcp;
    tcp.seq = Seq(u32::from_be_bytes([head[4], head[5], head[6], head[7]]));
    tcp.ack = Seq(u32::from_be_bytes([head[8], head[9], head[10], head[11]]));
    tcp.payload_len = ip.payload_len.wrapping_sub(header_len);
    tcp.window = u16::from_be_bytes([head[14], head[15]]);
    tcp.flags = Flags(head[13]);
    tcp.reserved = head[12] & 0x0f;
    tcp.header_len = header_len as u8;
    tcp.scale = NO_SCALE;
    tcp.mptcp_subtype = NO_MPTCP;
    if header_len < 20 || header_len > ip.payload_len {
        return Err(Malformed::TcpDataOffset.into());
    }
    Ok(())
}
