//! TCP options (RFC 9293 section 3.1): one walk that finds them, then one look at each.
//!
//! In: a segment whose header was read. Out: its option fields. Like Linux, a broken option ends the
//! walk but does not condemn the segment; options that were not captured (a short snaplen) end it
//! too. The walk may take forty steps, so a step must have few paths for the verifier: it decides
//! by table where an option is remembered, and leaves reading it to the end.

use super::{Bytes, Segment, Seq, Tcp, option};
use crate::{bits, verifier};

/// Where the kinds lead: the number of the bit in [`Tcp::options`].
static NUMBER_OF_KIND: [u8; 256] = {
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

const OTHER: u32 = number(option::OTHER) as u32;
const MPTCP: u32 = number(option::MPTCP) as u32;
/// During the walk the first MP_TCPRST (RFC 8684 section 3.6) has a number of its own: it wins over
/// other MPTCP options in the segment, wherever they stand.
const MP_TCPRST: u32 = OTHER + 1;
/// An option that leaves no trace.
const IGNORED: u32 = MP_TCPRST + 1;

/// What the walk found.
struct Found {
    /// Bits of [`option`].
    options: u64,
    /// Where the last option of each kind begins, from the first option on: six bits each, in the
    /// order of the bits.
    offsets: u64,
}

impl Found {
    /// Takes down an option, without a jump. `third` is its third byte, with bit 8 set if it was
    /// captured.
    #[inline(always)]
    fn note(&mut self, kind: u8, length: u32, third: u32, offset: u32) {
        let number = u32::from(NUMBER_OF_KIND[usize::from(kind)]) & 15;
        let is_valid = (LENGTHS[number as usize] >> (length & 63)) as u32 & 1;
        let number = bits::select(is_valid, number, OTHER);
        let is_mptcp = bits::less(number ^ MPTCP, 1);
        let number = bits::select(is_mptcp, self.number_of_mptcp(third), number);
        let shift = number * 6;
        self.options = verifier::opaque(self.options | 1 << number);
        self.offsets =
            verifier::opaque(self.offsets & !(0x3f << shift) | u64::from(offset) << shift);
    }

    /// The number of an MPTCP option whose third byte is this, with bit 8 set if it was captured.
    #[inline(always)]
    fn number_of_mptcp(&self, third: u32) -> u32 {
        let is_reset = bits::less(third >> 4 ^ 0x18, 1);
        let is_first = (self.options >> MP_TCPRST) as u32 & 1 ^ 1;
        let reset = bits::select(is_first, MP_TCPRST, IGNORED);
        bits::select(is_reset, reset, bits::select(third >> 8, MPTCP, IGNORED))
    }

    /// The offset of the last one of this kind, if there was one. Of MP_TCPRST: the first one.
    #[inline(always)]
    fn last(&self, number: u32) -> Option<u32> {
        if self.options >> number & 1 == 0 {
            return None;
        }
        Some((self.offsets >> (number * 6)) as u32 & 0x3f)
    }
}

/// Reads the options of the segment whose header was read.
#[inline(always)]
pub(super) fn read<B: Bytes>(bytes: &B, segment: &mut Segment) {
    let (start, len) = extent(segment);
    if len == 0 || read_usual(bytes, start, len, &mut segment.tcp) {
        return;
    }
    // From memory, so that the verifier does not walk them once for each of the ways to get here.
    let segment = verifier::in_memory(segment);
    let (start, len) = extent(segment);
    let found = walk(bytes, start, len);
    look(bytes, start, &found, verifier::in_memory(&mut segment.tcp));
}

/// Reads the two arrangements that nearly all segments have, if it is one of them.
#[inline(always)]
fn read_usual<B: Bytes>(bytes: &B, start: u32, len: u32, tcp: &mut Tcp) -> bool {
    // On data: NOP NOP TIMESTAMPS (RFC 7323 appendix A).
    if len == 12
        && let Some([1, 1, 8, 10, a, b, c, d, e, f, g, h]) = bytes.peek::<12>(start)
    {
        tcp.options = option::TIMESTAMPS;
        tcp.tsval = u32::from_be_bytes([a, b, c, d]);
        tcp.tsecr = u32::from_be_bytes([e, f, g, h]);
        return true;
    }
    // On a SYN or SYN-ACK of Linux: MSS SACK_PERMITTED TIMESTAMPS NOP WINDOW_SCALE.
    if len == 20
        && let Some([2, 4, i, j, 4, 2, 8, 10, a, b, c, d, e, f, g, h, 1, 3, 3, scale]) =
            bytes.peek::<20>(start)
    {
        tcp.options =
            option::MSS | option::SACK_PERMITTED | option::TIMESTAMPS | option::WINDOW_SCALE;
        tcp.mss = u16::from_be_bytes([i, j]);
        tcp.tsval = u32::from_be_bytes([a, b, c, d]);
        tcp.tsecr = u32::from_be_bytes([e, f, g, h]);
        tcp.scale = scale;
        return true;
    }
    false
}

/// Where the options begin and how many bytes they take.
#[inline(always)]
fn extent(segment: &Segment) -> (u32, u32) {
    let len = super::forget(u32::from(segment.tcp.header_len)).wrapping_sub(20);
    (super::forget(u32::from(segment.payload_at)).wrapping_sub(len), len)
}

/// Finds every option.
#[inline(always)]
fn walk<B: Bytes>(bytes: &B, start: u32, len: u32) -> Found {
    let mut found = Found { options: verifier::unknown_zero(), offsets: verifier::unknown_zero() };
    let mut offset = 0;
    let mut step = 0;
    while step < 40 {
        step += 1;
        verifier::meet();
        // Compared by number here and below: or the verifier learns something else of `len` and
        // `offset` with each step.
        if bits::less(offset, len) == 0 {
            break;
        }
        let at = start + offset;
        let Some([kind, length]) = bytes.peek::<2>(at) else {
            // The last byte that was captured is padding, or an option without a length.
            if !matches!(bytes.u8(at), None | Some(0 | 1)) {
                found.options |= u64::from(option::BROKEN);
            }
            break;
        };
        if kind == 0 {
            break;
        }
        if kind == 1 {
            offset = super::forget(offset + 1);
            continue;
        }
        let length = u32::from(length);
        if length < 2 || bits::less(len, offset + length) != 0 {
            found.options |= u64::from(option::BROKEN);
            break;
        }
        let third = super::forget(bytes.u8(at + 2).map_or(0, |byte| u32::from(byte) | 0x100));
        verifier::meet();
        found.note(kind, length, third, offset);
        offset = super::forget(offset + length);
    }
    found
}

/// Reads what the options say that have a value. A value that was not captured is as none.
#[inline(always)]
fn look<B: Bytes>(bytes: &B, start: u32, found: &Found, tcp: &mut Tcp) {
    const WITHOUT_VALUE: u16 = option::SACK_PERMITTED
        | option::SACK
        | option::AUTHENTICATION
        | option::FAST_OPEN
        | option::OTHER
        | option::BROKEN;
    tcp.options = found.options as u16 & WITHOUT_VALUE;
    if let Some(offset) = found.last(number(option::MSS).into())
        && let Some(mss) = bytes.u16(start + offset + 2)
    {
        tcp.mss = mss;
        tcp.options |= option::MSS;
    }
    let tcp = &mut *verifier::in_memory(tcp);
    if let Some(offset) = found.last(number(option::WINDOW_SCALE).into())
        && let Some(scale) = bytes.u8(start + offset + 2)
    {
        tcp.scale = scale;
        tcp.options |= option::WINDOW_SCALE;
    }
    let tcp = &mut *verifier::in_memory(tcp);
    if let Some(offset) = found.last(number(option::TIMESTAMPS).into())
        && let Some(tsval) = bytes.u32(start + offset + 2)
        && let Some(tsecr) = bytes.u32(start + offset + 6)
    {
        tcp.tsval = tsval;
        tcp.tsecr = tsecr;
        tcp.options |= option::TIMESTAMPS;
    }
    let tcp = &mut *verifier::in_memory(tcp);
    if let Some(offset) = found.last(MPTCP).or(found.last(MP_TCPRST)) {
        let offset = found.last(MP_TCPRST).unwrap_or(offset);
        read_mptcp(bytes, start + offset, tcp);
    }
    let tcp = &mut *verifier::in_memory(tcp);
    if let Some(offset) = found.last(number(option::SACK).into()) {
        read_sack(bytes, start + offset, tcp);
    }
}

/// The subtype, and the reason of MP_TCPRST.
#[inline(always)]
fn read_mptcp<B: Bytes>(bytes: &B, at: u32, tcp: &mut Tcp) {
    let Some(subtype) = bytes.u8(at + 2).map(|byte| byte >> 4) else { return };
    tcp.options |= option::MPTCP;
    tcp.mptcp_subtype = subtype;
    if subtype == 8 && bytes.u8(at + 1) == Some(4) {
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
        let tcp = &mut *verifier::in_memory(tcp);
        if block == 0 || right.is_after(tcp.sack_right) {
            tcp.sack_right = right;
        }
        block += 1;
    }
}
