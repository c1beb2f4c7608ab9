//! As little as finds a TCP segment: Ethernet, IPv4 or IPv6 without extensions, TCP.

use crate::Frame;

pub const RST: u8 = 4;

const ETHERNET: usize = 14;

/// Where a segment lies, and its flags.
pub struct Segment {
    /// Of the IP header.
    pub ip: usize,
    pub is_v6: bool,
    /// Of the TCP header, whose first 20 bytes are there.
    pub tcp: usize,
    pub flags: u8,
}

/// The segment in a frame.
#[inline(always)]
pub fn parse(frame: Frame) -> Option<Segment> {
    let Frame { data, end } = frame;
    if data + ETHERNET + 40 > end {
        return None;
    }
    // SAFETY: these bytes were compared with the end.
    let byte = |at: usize| unsafe { *((data + at) as *const u8) };
    // SAFETY: likewise.
    let kind = unsafe { ((data + 12) as *const u16).read_unaligned() };
    if kind == 0x0800_u16.to_be() {
        let length = usize::from(byte(ETHERNET) & 15) * 4;
        if byte(ETHERNET + 9) != 6 || length < 20 {
            return None;
        }
        let tcp = data + ETHERNET + length;
        if tcp + 20 > end {
            return None;
        }
        // SAFETY: compared with the end.
        let flags = unsafe { *((tcp + 13) as *const u8) };
        return Some(Segment { ip: data + ETHERNET, is_v6: false, tcp, flags });
    }
    if kind == 0x86dd_u16.to_be() {
        let tcp = data + ETHERNET + 40;
        if tcp + 20 > end || byte(ETHERNET + 6) != 6 {
            return None;
        }
        // SAFETY: compared with the end.
        let flags = unsafe { *((tcp + 13) as *const u8) };
        return Some(Segment { ip: data + ETHERNET, is_v6: true, tcp, flags });
    }
    None
}
