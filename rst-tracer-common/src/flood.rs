//! Floods of resets: how many are handed over one by one, and who is behind those that are not.
//!
//! In: the time, and a reset's source. Out: yes or no; the addresses that sent most. Everything is bounded and
//! per CPU. Pure: the kernel programs and the tests run the same code.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::wire::{Address, Endpoint};

/// How much may be handed over at once after a time of quiet, in nanoseconds of the steady rate.
pub const BURST_NS: u64 = 2_000_000_000;

/// A token bucket, kept as the time at which it would be full again (the generic cell rate algorithm, ITU-T
/// I.371 annex A).
#[repr(transparent)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Budget(pub u64);

impl Budget {
    /// Whether one more may pass at `now_ns`, of which each costs `cost_ns`; 0: any number may.
    #[inline(always)]
    pub const fn lets_pass(&mut self, now_ns: u64, cost_ns: u64) -> bool {
        let full_at = if self.0 < now_ns { now_ns } else { self.0 };
        if full_at - now_ns > BURST_NS {
            return false;
        }
        self.0 = full_at + cost_ns;
        true
    }
}

/// How many addresses a CPU follows.
pub const SOURCES: usize = 256;

/// A source that may be the one that sends most of what falls into its slot: the majority vote of Boyer and
/// Moore, a slot at a time. Whoever sends more than half of what its slot sees is in it.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Source {
    /// Who.
    pub address: Address,
    /// By how many it leads over all others of the slot.
    pub lead: u32,
    /// Resets since it came into the slot: at most as many as it sent.
    pub count: u32,
}

/// What one CPU knows of the sources of resets that were only counted.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Sources {
    /// By a hash of address and port: who sends from many ports is in many slots.
    pub slots: [Source; SOURCES],
}

impl Source {
    /// The slot for an endpoint with this keyed hash.
    #[inline(always)]
    pub const fn slot_of(hash: u64) -> usize {
        hash as usize & (SOURCES - 1)
    }

    /// Counts a reset.
    #[inline(always)]
    pub fn note(&mut self, src: &Endpoint) {
        let known = &self.address.0;
        let new = &src.address.0;
        let is_same =
            known[0] == new[0] && known[1] == new[1] && known[2] == new[2] && known[3] == new[3];
        if is_same {
            self.lead = self.lead.saturating_add(1);
            self.count = self.count.saturating_add(1);
        } else if self.lead == 0 {
            self.address.0[0] = new[0];
            self.address.0[1] = new[1];
            self.address.0[2] = new[2];
            self.address.0[3] = new[3];
            self.lead = 1;
            self.count = 1;
        } else {
            self.lead -= 1;
        }
    }
}

const _: () = {
    assert!(size_of::<Source>() == 24);
    assert!(SOURCES.is_power_of_two());
};

#[cfg(test)]
mod tests {
    use super::*;

    fn end(ip: u32) -> Endpoint {
        Endpoint { address: Address::v4(ip), port: 80 }
    }

    #[test]
    fn a_budget_lets_the_burst_pass_and_then_the_rate() {
        let mut budget = Budget::default();
        let start = 1 << 40;
        let cost = 1_000_000; // A thousand a second.
        let at_once = (0..10_000).filter(|_| budget.lets_pass(start, cost)).count();
        assert_eq!(at_once, 2_001);
        // One every tenth of a millisecond for ten seconds.
        let later = (1..100_000).filter(|i| budget.lets_pass(start + i * 100_000, cost)).count();
        assert_eq!(later, 9_999);
    }

    #[test]
    fn without_a_cost_everything_passes() {
        let mut budget = Budget::default();
        assert!((0..100_000).all(|_| budget.lets_pass(1 << 40, 0)));
    }

    #[test]
    fn quiet_does_not_add_up_to_more_than_a_burst() {
        let mut budget = Budget::default();
        assert!(budget.lets_pass(0, 1_000_000));
        let much_later = 3_600_000_000_000;
        let passed = (0..10_000).filter(|_| budget.lets_pass(much_later, 1_000_000)).count();
        assert_eq!(passed, 2_001);
    }

    #[test]
    fn who_sends_more_than_half_is_found_and_never_overcounted() {
        let mut slot = Source::default();
        for i in 0..1_000_u32 {
            slot.note(&end(7));
            if i % 3 > 0 {
                slot.note(&end(1_000 + i));
            }
        }
        assert_eq!(slot.address, Address::v4(7));
        assert!(slot.count <= 1_000 && slot.count > 300, "{slot:?}");
    }
}
