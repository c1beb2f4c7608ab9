//! Which client comes when: the sequences that the feeding program writes into its frames.

use crate::random::Random;

/// How many flows there are, and how they take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crowd {
    pub(crate) flows: u32,
    pub(crate) order: Order,
}

/// How flows take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Any of them, as likely as any other: what a cache likes least.
    Uniform,
    /// Eight frames of one, then any other.
    Trains,
    /// The n-th most frequent comes as often as 1/n says (Zipf's law, exponent 1).
    Zipf,
}

impl Order {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Trains => "trains of 8",
            Self::Zipf => "Zipf 1.0",
        }
    }
}

impl Crowd {
    /// The clients in the order in which they come: `length` of them, a power of two.
    pub(crate) fn sequence(self, length: usize) -> Vec<u32> {
        let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
        match self.order {
            Order::Uniform => (0..length).map(|_| random.below(self.flows)).collect(),
            Order::Trains => {
                let cars = length / 8;
                (0..cars).flat_map(|_| [random.below(self.flows); 8]).collect()
            }
            Order::Zipf => {
                let mut sum = 0.0;
                let shares: Vec<f64> = (1..=self.flows)
                    .map(|rank| {
                        sum += 1.0 / f64::from(rank);
                        sum
                    })
                    .collect();
                let draw = |random: &mut Random| {
                    let at = random.next() as f64 / u64::MAX as f64 * sum;
                    shares.partition_point(|share| *share < at).min(shares.len() - 1) as u32
                };
                (0..length).map(|_| draw(&mut random)).collect()
            }
        }
    }

    /// Every one of them once, in blocks of at most `most`, each padded to a power of two with its last.
    pub(crate) fn everyone(self, most: usize) -> Vec<Vec<u32>> {
        let all: Vec<u32> = (0..self.flows).collect();
        all.chunks(most)
            .map(|block| {
                let mut block = block.to_vec();
                let last = block[block.len() - 1];
                block.resize(block.len().next_power_of_two(), last);
                block
            })
            .collect()
    }
}

/// Clients that never came before, and never come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strangers {
    first: u32,
}

impl Strangers {
    /// Those who open a connection.
    pub(crate) const CALLERS: Self = Self { first: 1 << 23 };
    /// Those of whom nothing is seen but a reset. A crowd is smaller than their first number.
    pub(crate) const RESETTERS: Self = Self { first: 1 << 20 };

    /// The next `count`, behind those of `rounds` that had as many; padded to a power of two.
    pub(crate) fn of_round(self, rounds: usize, count: u32) -> Vec<u32> {
        let begin = self.first + rounds as u32 * count;
        let mut them: Vec<u32> = (begin..begin + count).collect();
        them.resize(them.len().next_power_of_two(), begin);
        them
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_uniform_crowd_touches_nearly_all_its_flows() {
        let sequence = Crowd { flows: 1_000, order: Order::Uniform }.sequence(1 << 16);
        assert_eq!(sequence.iter().collect::<BTreeSet<_>>().len(), 1_000);
    }

    #[test]
    fn trains_have_eight_cars() {
        let sequence = Crowd { flows: 1 << 16, order: Order::Trains }.sequence(1 << 12);
        assert_eq!(sequence.len(), 1 << 12);
        assert!(sequence.chunks(8).all(|train| train.iter().all(|car| *car == train[0])));
    }

    #[test]
    fn zipfs_first_comes_twice_as_often_as_its_second() {
        let sequence = Crowd { flows: 1_000, order: Order::Zipf }.sequence(1 << 18);
        let count = |flow: u32| sequence.iter().filter(|it| **it == flow).count() as f64;
        assert!((count(0) / count(1) - 2.0).abs() < 0.1, "{} {}", count(0), count(1));
    }

    #[test]
    fn strangers_never_come_again() {
        let effort = crate::rounds::Effort::WHOLE;
        let count = effort.frames as usize;
        let mut seen = BTreeSet::<u32>::new();
        for strangers in [Strangers::CALLERS, Strangers::RESETTERS] {
            for round in 0..=effort.rounds {
                seen.extend(&strangers.of_round(round, effort.frames)[..count]);
            }
        }
        assert_eq!(seen.len(), 2 * (effort.rounds + 1) * count);
        assert!(seen.iter().all(|client| (1_000_000..1 << 24).contains(client)));
    }

    #[test]
    fn everyone_comes_once_and_the_last_perhaps_again() {
        let blocks = Crowd { flows: 1_000, order: Order::Uniform }.everyone(512);
        assert_eq!(blocks.iter().map(Vec::len).collect::<Vec<_>>(), [512, 512]);
        assert_eq!(blocks.concat().into_iter().collect::<BTreeSet<_>>().len(), 1_000);
    }
}
