//! TCP (RFC 9293 section 3.1) with the options that say something about who is speaking.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Bytes, Ip, Malformed, Segment, Seq, Stop};
use crate::words;

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
    let header_len = u32::from(head[12] >> 4) * 4;
    if header_len < 20 || header_len > ip.payload_len {
        return Err(Malformed::TcpDataOffset.into());
    }
    segment.src.port = u32::from(u16::from_be_bytes([head[0], head[1]]));
    segment.dst.port = u32::from(u16::from_be_bytes([head[2], head[3]]));
    segment.payload_at = (at + header_len) as u16;
    let tcp = &mut segment.tcp;
    tcp.seq = Seq(u32::from_be_bytes([head[4], head[5], head[6], head[7]]));
    tcp.ack = Seq(u32::from_be_bytes([head[8], head[9], head[10], head[11]]));
    tcp.payload_len = ip.payload_len - header_len;
    tcp.window = u16::from_be_bytes([head[14], head[15]]);
    tcp.flags = Flags(head[13]);
    tcp.reserved = head[12] & 0x0f;
    tcp.header_len = header_len as u8;
    tcp.scale = NO_SCALE;
    tcp.mptcp_subtype = NO_MPTCP;
    Ok(())
}

/// Walks the options. Like Linux, a broken option ends the walk but does not condemn the segment;
/// options that were not captured (a short snaplen) end it too.
#[inline(always)]
pub(super) fn read_options<B: Bytes>(bytes: &B, segment: &mut Segment) {
    let len = u32::from(segment.tcp.header_len) - 20;
    let start = super::forget(u32::from(segment.payload_at)) - len;
    let tcp = &mut segment.tcp;
    // The usual case on a data segment: NOP NOP TIMESTAMP and nothing else (RFC 7323 appendix A).
    if len == 12 && bytes.u32(start) == Some(0x0101_080a) {
        if let (Some(tsval), Some(tsecr)) = (bytes.u32(start + 4), bytes.u32(start + 8)) {
            tcp.options = option::TIMESTAMPS;
            tcp.tsval = tsval;
            tcp.tsecr = tsecr;
            return;
        }
    }
    let (mut sack_at, mut sack_blocks) = (0, 0);
    let mut offset = 0;
    let mut step = 0;
    while step < 40 {
        step += 1;
        let tcp = &mut *words::in_memory(tcp);
        if offset >= len {
            break;
        }
        let at = start + offset;
        let Some(kind) = bytes.u8(at) else { break };
        if kind == 0 {
            break;
        }
        let mut length = 1;
        if kind != 1 {
            let Some(l) = bytes.u8(at + 1) else {
                tcp.options |= option::BROKEN;
                break;
            };
            length = u32::from(l);
            if length < 2 || offset + length > len {
                tcp.options |= option::BROKEN;
                break;
            }
            if kind == 5 {
                (sack_at, sack_blocks) = (super::forget(at + 2), length / 8);
            }
            read_option(bytes, at, kind, length, tcp);
        }
        offset = super::forget(offset + length);
    }
    let tcp = &mut *words::in_memory(tcp);
    if tcp.options & option::SACK != 0 {
        read_sack(bytes, sack_at, sack_blocks, tcp);
    }
}

#[inline(always)]
fn read_option<B: Bytes>(bytes: &B, at: u32, kind: u8, length: u32, tcp: &mut Tcp) {
    match (kind, length) {
        (2, 4) => {
            if let Some(mss) = bytes.u16(at + 2) {
                tcp.mss = mss;
                tcp.options |= option::MSS;
            }
        }
        (3, 3) => {
            if let Some(scale) = bytes.u8(at + 2) {
                tcp.scale = scale;
                tcp.options |= option::WINDOW_SCALE;
            }
        }
        (4, 2) => tcp.options |= option::SACK_PERMITTED,
        (5, 10 | 18 | 26 | 34) => tcp.options |= option::SACK,
        (8, 10) => {
            if let (Some(tsval), Some(tsecr)) = (bytes.u32(at + 2), bytes.u32(at + 6)) {
                tcp.tsval = tsval;
                tcp.tsecr = tsecr;
                tcp.options |= option::TIMESTAMPS;
            }
        }
        (30, 3..) => {
            const MP_TCPRST: u8 = 8;
            if let Some(subtype) = bytes.u8(at + 2).map(|b| b >> 4)
                && tcp.mptcp_subtype != MP_TCPRST
            {
                tcp.options |= option::MPTCP;
                tcp.mptcp_subtype = subtype;
                if subtype == MP_TCPRST && length == 4 {
                    tcp.mptcp_reason = bytes.u8(at + 3).unwrap_or(0);
                }
            }
        }
        (19 | 29, _) => tcp.options |= option::AUTHENTICATION,
        (34, _) => tcp.options |= option::FAST_OPEN,
        _ => tcp.options |= option::OTHER,
    }
}

/// The highest right edge of up to four blocks.
#[inline(always)]
fn read_sack<B: Bytes>(bytes: &B, at: u32, blocks: u32, tcp: &mut Tcp) {
    let mut block = 0;
    while block < 4 {
        let Some(right) = bytes.u32(at + block * 8 + 4).map(Seq) else { return };
        let tcp = &mut *words::in_memory(tcp);
        if block == 0 || right.is_after(tcp.sack_right) {
            tcp.sack_right = right;
        }
        block += 1;
        if block >= blocks {
            return;
        }
    }
}
