//! TCP options (RFC 9293 section 3.1): one walk that finds them, then one look at each.
//!
//! In: a segment whose header was read. Out: its option fields. Like Linux, a broken option ends the
//! walk but does not condemn the segment; options that were not captured (a short snaplen) end it
//! too. The walk may take forty steps, so a step must have few paths for the verifier: it decides
//! by table where an option is remembered, and leaves reading it to the end.

use super::{Bytes, Segment, Seq, Tcp, option};
use crate::{bits, words};

/// Where the kinds lead: the number of the bit in [`Tcp::options`].
static BIT_OF_KIND: [u8; 256] = {
    let mut bits = [number(option::OTHER); 256];
    bits[2] = number(option::MSS);
    bits[3] = number(option::WINDOW_SCALE);
    bits[4] = number(option::SACK_PERMITTED);
    bits[5] = number(option::SACK);
    bits[8] = number(option::TIMESTAMPS);
    bits[19] = number(option::AUTHENTICATION);
    bits[29] = number(option::AUTHENTICATION);
    bits[30] = number(option::MPTCP);
    bits[34] = number(option::FAST_OPEN);
    bits
};

/// The lengths each of them may have, by bit number. An option of another length counts as
/// [`option::OTHER`].
static LENGTHS: [u64; 16] = {
    let mut lengths = [u64::MAX; 16];
    lengths[number(option::MSS) as usize] = 1 << 4;
    lengths[number(option::WINDOW_SCALE) as usize] = 1 << 3;
    lengths[number(option::SACK_PERMITTED) as usize] = 1 << 2;
    lengths[number(option::SACK) as usize] = 1 << 10 | 1 << 18 | 1 << 26 | 1 << 34;
    lengths[number(option::TIMESTAMPS) as usize] = 1 << 10;
    lengths[number(option::MPTCP) as usize] = u64::MAX << 3;
    lengths
};

const fn number(option: u16) -> u8 {
    option.trailing_zeros() as u8
}

/// What the walk found.
struct Found {
    /// Bits of [`option`].
    options: u64,
    /// Where the last option of each kind begins, from the first option on: six bits each, in the
    /// order of the bits.
    offsets: u64,
}

impl Found {
    /// Takes down an option, without a jump.
    #[inline(always)]
    fn note(&mut self, bit: u32, offset: u32) {
        let shift = bit * 6;
        self.options = bits::opaque(self.options | 1 << bit);
        self.offsets =
            bits::opaque(self.offsets & !(0x3f << shift) | u64::from(offset) << shift);
    }

    /// The offset of the last one of this kind, if there was one.
    #[inline(always)]
    fn last(&self, option: u16) -> Option<u32> {
        if self.options & u64::from(option) == 0 {
            return None;
        }
        Some((self.offsets >> (u32::from(number(option)) * 6)) as u32 & 0x3f)
    }
}

/// Reads the options of the segment whose header was read.
#[inline(always)]
pub(super) fn read<B: Bytes>(bytes: &B, segment: &mut Segment) {
    let (start, len) = extent(segment);
    if len == 0 {
        return;
    }
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
    // From memory, so that the verifier does not walk them once for each of the ways to get here.
    let segment = words::in_memory(segment);
    let (start, len) = extent(segment);
    let found = walk(bytes, start, len, &mut segment.tcp);
    look(bytes, start, &found, words::in_memory(&mut segment.tcp));
}

/// Where the options begin and how many bytes they take.
#[inline(always)]
fn extent(segment: &Segment) -> (u32, u32) {
    let len = u32::from(segment.tcp.header_len).wrapping_sub(20);
    (super::forget(u32::from(segment.payload_at)).wrapping_sub(len), len)
}

/// Finds every option.
#[inline(always)]
fn walk<B: Bytes>(bytes: &B, start: u32, len: u32, tcp: &mut Tcp) -> Found {
    let mut found = Found { options: words::unknown_zero(), offsets: words::unknown_zero() };
    let mut offset = 0;
    let mut step = 0;
    while step < 40 {
        step += 1;
        if offset >= len {
            break;
        }
        let at = start + offset;
        let Some(kind) = bytes.u8(at) else { break };
        if kind == 0 {
            break;
        }
        if kind == 1 {
            offset = super::forget(offset + 1);
            continue;
        }
        let length = u32::from(bytes.u8(at + 1).unwrap_or(0));
        if length < 2 || offset + length > len {
            found.options |= u64::from(option::BROKEN);
            break;
        }
        let mut bit = u32::from(BIT_OF_KIND[usize::from(kind)]) & 15;
        let valid = (LENGTHS[bit as usize] >> (length & 63)) as u32 & 1;
        let other = u32::from(number(option::OTHER));
        bit = bits::select(valid, bit, other);
        found.note(bit, offset);
        if bit == u32::from(number(option::MPTCP)) {
            read_mptcp(bytes, at, length, words::in_memory(tcp));
        }
        offset = super::forget(offset + length);
    }
    found
}

/// Reads what the options say that have a value.
#[inline(always)]
fn look<B: Bytes>(bytes: &B, start: u32, found: &Found, tcp: &mut Tcp) {
    const READ_HERE: u16 = option::MSS | option::WINDOW_SCALE | option::TIMESTAMPS | option::MPTCP;
    tcp.options |= found.options as u16 & !READ_HERE;
    if let Some(offset) = found.last(option::MSS)
        && let Some(mss) = bytes.u16(start + offset + 2)
    {
        tcp.mss = mss;
        tcp.options |= option::MSS;
    }
    let tcp = &mut *words::in_memory(tcp);
    if let Some(offset) = found.last(option::WINDOW_SCALE)
        && let Some(scale) = bytes.u8(start + offset + 2)
    {
        tcp.scale = scale;
        tcp.options |= option::WINDOW_SCALE;
    }
    let tcp = &mut *words::in_memory(tcp);
    if let Some(offset) = found.last(option::TIMESTAMPS)
        && let Some(tsval) = bytes.u32(start + offset + 2)
        && let Some(tsecr) = bytes.u32(start + offset + 6)
    {
        tcp.tsval = tsval;
        tcp.tsecr = tsecr;
        tcp.options |= option::TIMESTAMPS;
    }
    let tcp = &mut *words::in_memory(tcp);
    if let Some(offset) = found.last(option::SACK) {
        read_sack(bytes, start + offset, tcp);
    }
}

/// The subtype, and the reason of MP_TCPRST (RFC 8684 section 3.6).
#[inline(always)]
fn read_mptcp<B: Bytes>(bytes: &B, at: u32, length: u32, tcp: &mut Tcp) {
    const MP_TCPRST: u8 = 8;
    let Some(subtype) = bytes.u8(at + 2).map(|b| b >> 4) else { return };
    if tcp.mptcp_subtype == MP_TCPRST {
        return;
    }
    tcp.options |= option::MPTCP;
    tcp.mptcp_subtype = subtype;
    if subtype == MP_TCPRST && length == 4 {
        tcp.mptcp_reason = bytes.u8(at + 3).unwrap_or(0);
    }
}

/// The highest right edge of up to four blocks.
#[inline(always)]
fn read_sack<B: Bytes>(bytes: &B, at: u32, tcp: &mut Tcp) {
    let Some(length) = bytes.u8(at + 1) else { return };
    let mut block = 0;
    while block < 4 && block < u32::from(length >> 3) {
        let Some(right) = bytes.u32(at + 2 + block * 8 + 4).map(Seq) else { return };
        let tcp = &mut *words::in_memory(tcp);
        if block == 0 || right.is_after(tcp.sack_right) {
            tcp.sack_right = right;
        }
        block += 1;
    }
}
