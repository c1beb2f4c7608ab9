//! Looking ahead: the cache lines that the next frames of a capture will need are fetched while others are seen.
//!
//! In: a frame. Out: the identity of its flow where headers are the usual ones. Nothing rests on it: a frame whose
//! flow is not foreseen only waits for memory.

use rst_tracer_common::{
    flow::{Identity, Keys},
    wire::{Address, Bytes, Endpoint, Frame, LinkType},
};

/// Bytes that are fetched at once.
const LINE: usize = 64;

/// The identity of a segment right behind a plain link header.
#[inline]
pub(super) fn identity(frame: &Frame<'_>, link: LinkType, keys: &Keys) -> Option<Identity> {
    const TCP: u8 = 6;
    let at = match link {
        LinkType::ETHERNET => 14,
        LinkType::LINUX_SLL => 16,
        LinkType::LINUX_SLL2 => 20,
        LinkType::NULL | LinkType::LOOP => 4,
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => 0,
        _ => return None,
    };
    let first = frame.u8(at)?;
    let end = |address, port| Endpoint { address, port: u32::from(port) };
    let ends = |addresses: [Address; 2], ports_at| {
        let ports = frame.u32(ports_at)?;
        Some((end(addresses[0], (ports >> 16) as u16), end(addresses[1], ports as u16)))
    };
    let (src, dst) = match first >> 4 {
        4 if frame.u8(at + 9)? == TCP => {
            let addresses = [Address::v4(frame.u32(at + 12)?), Address::v4(frame.u32(at + 16)?)];
            ends(addresses, at + u32::from(first & 0xf) * 4)?
        }
        6 if frame.u8(at + 6)? == TCP => {
            let words = |at: u32| {
                let word = |i: u32| frame.u32(at + i * 4);
                Some(Address([word(0)?, word(1)?, word(2)?, word(3)?]))
            };
            ends([words(at + 8)?, words(at + 24)?], at + 40)?
        }
        _ => return None,
    };
    Some(Identity::of(&src, &dst, keys))
}

/// Asks for the cache lines of a value.
#[inline]
pub(super) fn fetch<T>(value: &T) {
    let start = std::ptr::from_ref(value).cast::<i8>();
    for at in (0..size_of::<T>()).step_by(LINE) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a hint to the processor, which reads nothing that the program could see.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(at));
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = start.wrapping_add(at);
    }
}

#[cfg(test)]
mod tests {
    use rst_tracer_common::wire::{Segment, locate};

    use super::*;

    /// A SYN-ACK from 10.0.0.1:80 to 10.0.0.2:50000.
    const SEGMENT: [u8; 40] = [
        0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 80, 0xc3, 0x50, 0,
        0, 0, 1, 0, 0, 0, 2, 0x50, 0x12, 2, 0, 0, 0, 0, 0,
    ];

    #[test]
    fn what_is_foreseen_is_what_comes() {
        let keys = Keys([1, 2, 3, 4, 5, 6]);
        let ethernet = [&[0_u8; 12][..], &[8, 0], &SEGMENT].concat();
        let cooked = [&[0_u8; 14][..], &[8, 0], &SEGMENT].concat();
        let packets = [
            (LinkType::ETHERNET, &ethernet[..]),
            (LinkType::LINUX_SLL, &cooked[..]),
            (LinkType::RAW, &SEGMENT[..]),
        ];
        for (link, data) in packets {
            let frame = Frame::whole(data);
            let mut segment = Segment::default();
            locate(&frame, link, true, &mut segment).expect("a segment");
            let comes = Identity::of(&segment.src, &segment.dst, &keys);
            assert_eq!(identity(&frame, link, &keys), Some(comes), "{link:?}");
            for len in 0..data.len() {
                // Whatever is cut off.
                let _ = identity(&Frame::whole(&data[..len]), link, &keys);
            }
        }
    }
}
