//! Sequence numbers: 32 bits, modular (RFC 9293 section 3.4).

use core::ops::{Add, Sub};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A TCP sequence or acknowledgment number. Compared on the circle, never as an integer.
#[repr(transparent)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Seq(pub u32);

impl Seq {
    /// Whether this number lies after `other`, less than half the circle ahead.
    #[inline(always)]
    pub const fn is_after(self, other: Self) -> bool {
        self.since(other) > 0
    }

    /// How far this number is ahead of `other`; negative when it lies behind.
    #[inline(always)]
    pub const fn since(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }

    /// The later of the two.
    #[inline(always)]
    pub const fn later(self, other: Self) -> Self {
        if other.is_after(self) { other } else { self }
    }
}

impl Add<u32> for Seq {
    type Output = Self;
    #[inline(always)]
    fn add(self, n: u32) -> Self {
        Self(self.0.wrapping_add(n))
    }
}

impl Sub<u32> for Seq {
    type Output = Self;
    #[inline(always)]
    fn sub(self, n: u32) -> Self {
        Self(self.0.wrapping_sub(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_modular() {
        assert!(Seq(5).is_after(Seq(u32::MAX - 5)));
        assert!(!Seq(u32::MAX - 5).is_after(Seq(5)));
        assert!(!Seq(7).is_after(Seq(7)));
        assert_eq!((Seq(u32::MAX) + 2).0, 1);
        assert_eq!(Seq(1).since(Seq(u32::MAX)), 2);
        assert_eq!(Seq(u32::MAX).later(Seq(3)), Seq(3));
    }
}
