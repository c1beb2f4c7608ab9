//! IPv4 (RFC 791): header with options; the first fragment is read, later ones are not ours.

use super::{Address, Bytes, Ip, IpProtocol, Malformed, NotOurs, Segment, Stop, ip::packet_len};

const MORE_FRAGMENTS: u16 = 0x2000;
const DONT_FRAGMENT: u16 = 0x4000;
const OFFSET: u16 = 0x1fff;

/// Reads the IPv4 header at `at`.
#[inline(always)]
pub(super) fn header<B: Bytes>(bytes: &B, at: u32, segment: &mut Segment) -> Result<Ip, Stop> {
    let head = bytes.peek::<20>(at).ok_or(Malformed::Truncated)?;
    // Taken down first and judged then, so that little has to be kept meanwhile.
    let source = u32::from_be_bytes([head[12], head[13], head[14], head[15]]);
    let destination = u32::from_be_bytes([head[16], head[17], head[18], head[19]]);
    let fragment = u16::from_be_bytes([head[6], head[7]]);
    segment.src.address = Address::v4(source);
    segment.dst.address = Address::v4(destination);
    segment.ttl = head[8];
    segment.tos = head[1];
    segment.ip_id = u16::from_be_bytes([head[4], head[5]]);
    segment.flow_label = 0;
    let bit = |mask: u16, trait_bit: u8| if fragment & mask != 0 { trait_bit } else { 0 };
    segment.traits =
        bit(DONT_FRAGMENT, Segment::DONT_FRAGMENT) | bit(MORE_FRAGMENTS, Segment::FIRST_FRAGMENT);
    if head[0] >> 4 != 4 {
        return Err(Malformed::IpVersion.into());
    }
    let header_len = u32::from(head[0] & 0x0f) * 4;
    if header_len < 20 {
        return Err(Malformed::Ipv4HeaderLength.into());
    }
    let claimed = u32::from(u16::from_be_bytes([head[2], head[3]]));
    let total_len = packet_len(bytes, at, claimed, Malformed::Ipv4TotalLength)?;
    if total_len < header_len {
        return Err(Malformed::Ipv4TotalLength.into());
    }
    if fragment & OFFSET != 0 {
        return Err(NotOurs::LaterFragment.into());
    }
    Ok(Ip {
        protocol: IpProtocol(head[9]),
        payload_at: at + header_len,
        payload_len: total_len - header_len,
    })
}
