//! IPv6 (RFC 8200): fixed header and up to eight extension headers, authentication included.

use super::{
    Address, Bytes, Ip, IpProtocol, Malformed, NotOurs, REACH, Segment, Stop, ip::packet_len,
};
use crate::verifier;

const EXTENSIONS: u32 = 8;
const HEADER: u32 = 40;

/// Reads the IPv6 header at `at` and steps over its extension headers.
#[inline(always)]
pub(super) fn header<B: Bytes>(bytes: &B, at: u32, segment: &mut Segment) -> Result<Ip, Stop> {
    let first = bytes.u32(at).ok_or(Malformed::Truncated)?;
    if first >> 28 != 6 {
        return Err(Malformed::IpVersion.into());
    }
    let [len_hi, len_lo, next, ttl] = bytes.peek::<4>(at + 4).ok_or(Malformed::Truncated)?;
    segment.src.address = address(bytes, at + 8)?;
    segment.dst.address = address(bytes, at + 24)?;
    // Hosts drop it (RFC 4038 section 4.2), and taken for what it names it would speak for an IPv4 connection.
    if is_mapped(&segment.src.address) || is_mapped(&segment.dst.address) {
        return Err(Malformed::MappedAddress.into());
    }
    segment.ttl = ttl;
    segment.tos = (first >> 20) as u8;
    segment.ip_id = 0;
    segment.flow_label = first & 0x000f_ffff;
    segment.traits = Segment::IPV6;
    let claimed = u32::from(u16::from_be_bytes([len_hi, len_lo]));
    let length = packet_len(bytes, at + HEADER, claimed, Malformed::Ipv6PayloadLength)?;
    step_over_extensions(bytes, IpProtocol(next), at + HEADER, length, segment)
}

#[inline(always)]
fn address<B: Bytes>(bytes: &B, at: u32) -> Result<Address, Stop> {
    let word = |i: u32| bytes.u32(at + i * 4).ok_or(Malformed::Truncated);
    Ok(Address([word(0)?, word(1)?, word(2)?, word(3)?]))
}

/// [`Address::is_v4`] with one jump.
#[inline(always)]
fn is_mapped(address: &Address) -> bool {
    let [a, b, c, _] = address.0;
    verifier::opaque(u64::from(a | b | c ^ 0xffff)) == 0
}

/// RFC 8200 section 4. The fragment header of a first fragment is stepped over like the others.
#[inline(always)]
fn step_over_extensions<B: Bytes>(
    bytes: &B,
    mut protocol: IpProtocol,
    mut at: u32,
    length: u32,
    segment: &mut Segment,
) -> Result<Ip, Stop> {
    let end = at + length;
    let mut step = 0;
    while step <= EXTENSIONS {
        verifier::meet();
        let segment = &mut *verifier::in_memory(segment);
        let in_units_of_eight = match protocol {
            IpProtocol::HOP_BY_HOP
            | IpProtocol::ROUTING
            | IpProtocol::DESTINATION
            | IpProtocol::MOBILITY => true,
            IpProtocol::FRAGMENT | IpProtocol::AUTHENTICATION => false,
            _ => return Ok(Ip { protocol, payload_at: at, payload_len: end - at }),
        };
        let [next, length] = bytes.peek::<2>(at).ok_or(Malformed::Truncated)?;
        let length = if in_units_of_eight {
            (u32::from(length) + 1) * 8
        } else if protocol == IpProtocol::FRAGMENT {
            let offset = bytes.u16(at + 2).ok_or(Malformed::Truncated)?;
            if offset & 0xfff8 != 0 {
                return Err(NotOurs::LaterFragment.into());
            }
            if offset & 1 != 0 {
                segment.traits |= Segment::FIRST_FRAGMENT;
            }
            segment.ip_id = bytes.u16(at + 6).ok_or(Malformed::Truncated)?;
            8
        } else {
            // RFC 4302 section 2.2: units of four, minus two.
            (u32::from(length) + 2) * 4
        };
        protocol = IpProtocol(next);
        at = super::forget(at + length);
        if at > end {
            return Err(Malformed::ExtensionLength.into());
        }
        if at > REACH {
            return Err(NotOurs::ExtensionHeaders.into());
        }
        step += 1;
    }
    Err(NotOurs::ExtensionHeaders.into())
}
