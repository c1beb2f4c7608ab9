//! The clock of a pcapng interface: ticks to nanoseconds since the Unix epoch.
//!
//! In: `if_tsresol` and `if_tsoffset`. Out: times that saturate where 64 bits do not suffice.

/// What one tick of an interface's clock is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tick {
    /// This many nanoseconds.
    Nanoseconds(u64),
    /// This part of a nanosecond.
    PartOfNanosecond(u64),
    /// A second divided by two, this many times.
    HalvedSecond(u8),
    /// Less than 2^-64 ns: no time that fits into the file is a nanosecond.
    Nothing,
}

/// How an interface counts time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    tick: Tick,
    offset_ns: i128,
}

impl Default for Clock {
    /// Microseconds since the epoch: what holds when the interface says nothing.
    fn default() -> Self {
        Self { tick: Tick::Nanoseconds(1_000), offset_ns: 0 }
    }
}

impl Clock {
    /// Sets the resolution as in `if_tsresol`: a power of 2 below a second if the upper bit is
    /// set, a power of 10 otherwise.
    pub(super) fn set_resolution(&mut self, exponent: u8) {
        self.tick = match exponent {
            0x80.. => Tick::HalvedSecond(exponent & 0x7f),
            0..=9 => Tick::Nanoseconds(10_u64.pow(9 - u32::from(exponent))),
            _ => match 10_u64.checked_pow(u32::from(exponent) - 9) {
                Some(parts) => Tick::PartOfNanosecond(parts),
                None => Tick::Nothing,
            },
        };
    }

    /// Sets the seconds that `if_tsoffset` says must be added to each time.
    pub(super) fn set_offset(&mut self, seconds: i64) {
        self.offset_ns = i128::from(seconds) * 1_000_000_000;
    }

    /// The time of a packet in ns since the epoch: 0 if before it, `u64::MAX` if after 2554.
    #[inline]
    pub(super) fn time_ns(&self, ticks: u64) -> u64 {
        let ns = match self.tick {
            Tick::Nanoseconds(ns) => u128::from(ticks) * u128::from(ns),
            Tick::PartOfNanosecond(parts) => u128::from(ticks / parts),
            // 64 bits and 30 bits fit, and a shift by up to 127 is defined.
            Tick::HalvedSecond(times) => (u128::from(ticks) * 1_000_000_000) >> times,
            Tick::Nothing => 0,
        };
        // Below 2^94 and below 2^93: the sum cannot overflow.
        (ns as i128 + self.offset_ns).clamp(0, i128::from(u64::MAX)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;

    fn at(resolution: u8, offset: i64, ticks: u64) -> u64 {
        let mut clock = Clock::default();
        clock.set_resolution(resolution);
        clock.set_offset(offset);
        clock.time_ns(ticks)
    }

    #[test]
    fn powers_of_ten_scale_both_ways() {
        assert_eq!(Clock::default().time_ns(7), 7_000);
        assert_eq!(at(0, 0, 7), 7_000_000_000);
        assert_eq!(at(3, 0, 7), 7_000_000);
        assert_eq!(at(9, 0, 7), 7);
        assert_eq!(at(12, 0, 7_999), 7);
        assert_eq!(at(28, 0, u64::MAX), 1);
        assert_eq!(at(29, 0, u64::MAX), 0);
        assert_eq!(at(127, 0, u64::MAX), 0);
    }

    #[test]
    fn powers_of_two_halve_the_second() {
        assert_eq!(at(0x80, 0, 7), 7_000_000_000);
        assert_eq!(at(0x81, 0, 3), 1_500_000_000);
        assert_eq!(at(0x8a, 0, 5), 4_882_812);
        assert_eq!(at(0xa0, 0, 1 << 32), 1_000_000_000);
        assert_eq!(at(0xff, 0, u64::MAX), 0);
    }

    #[test]
    fn offsets_shift_both_ways() {
        assert_eq!(at(9, 100, 5), 100_000_000_005);
        assert_eq!(at(9, -1, 1_000_000_005), 5);
    }

    #[test]
    fn times_outside_64_bits_saturate() {
        assert_eq!(at(6, 0, u64::MAX), u64::MAX);
        assert_eq!(at(0, i64::MAX, u64::MAX), u64::MAX);
        assert_eq!(at(0x80, i64::MAX, u64::MAX), u64::MAX);
        assert_eq!(at(9, -100, 5), 0);
        assert_eq!(at(9, i64::MIN, 5), 0);
    }
}
