//! Conditions as numbers: 1 where something holds and 0 where it does not, without a jump.
//!
//! A kernel program pays twice for a condition that is kept as a `bool`. The instruction set has no
//! conditional move, so that LLVM writes "0" on one path and "1" on the other; and the verifier,
//! seeing two constants, walks all that follows once for each: "BPF program is too large". A number
//! computed from unknown numbers has one path, and the verifier knows no more of it than its range.

use crate::verifier::opaque;

/// 1 when `a < b`.
#[inline(always)]
pub(crate) fn less(a: u32, b: u32) -> u32 {
    (opaque(opaque(u64::from(a).wrapping_sub(u64::from(b))) >> 63)) as u32
}

/// 1 when `a < b`, for the whole range of 64 bits: the borrow of the subtraction.
#[inline(always)]
pub(crate) fn less_wide(a: u64, b: u64) -> u32 {
    let difference = opaque(a.wrapping_sub(b));
    (opaque((!a & b) | ((!a | b) & difference)) >> 63) as u32
}

/// The greater of two numbers below 2^63.
#[inline(always)]
pub(crate) fn greater_of(a: u64, b: u64) -> u64 {
    let difference = opaque(b.wrapping_sub(a));
    let is_less = opaque(difference >> 63) ^ 1;
    a.wrapping_add(is_less.wrapping_mul(difference))
}

/// `yes` when the bit is 1, `no` when it is 0. By multiplication: of a mask of ones or zeros the
/// verifier (since 6.18) follows both values, which is what this is to prevent.
#[inline(always)]
pub(crate) fn select(bit: u32, yes: u32, no: u32) -> u32 {
    // In 64 bits, whose upper half is cut off once at the end.
    let (yes, no) = (u64::from(yes), u64::from(no));
    no.wrapping_add(opaque(bit.into()).wrapping_mul(yes.wrapping_sub(no))) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparing_without_a_jump_is_comparing() {
        let numbers = [0, 1, 2, 0x7fff_ffff, 0x8000_0000, u32::MAX - 1, u32::MAX];
        for a in numbers {
            for b in numbers {
                assert_eq!(less(a, b), u32::from(a < b), "{a} {b}");
                let [wide_a, wide_b] = [a, b].map(|it| u64::from(it) << 31 | 7);
                assert_eq!(greater_of(wide_a, wide_b), wide_a.max(wide_b));
                for (high_a, high_b) in [(0, 0), (0, 1 << 63), (1 << 63, 0), (u64::MAX << 32, 7)] {
                    let (a, b) = (high_a | u64::from(a), high_b | u64::from(b));
                    assert_eq!(less_wide(a, b), u32::from(a < b), "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn a_bit_chooses() {
        assert_eq!((select(1, 7, u32::MAX), select(0, 7, u32::MAX)), (7, u32::MAX));
    }
}
