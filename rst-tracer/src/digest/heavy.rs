//! The heaviest keys of a stream in bounded memory, and how wrong their counts may be.
//!
//! A full table forgets its lighter half. A key that comes again begins anew, so a count may be too low, but by no
//! more than [`Heavy::short_by`] (lossy counting: Manku and Motwani, VLDB 2002).

use std::{borrow::Borrow, collections::HashMap, hash::Hash};

/// Counts by key, with a value for each.
#[derive(Debug)]
pub struct Heavy<K, V> {
    most: usize,
    rows: HashMap<K, Row<V>>,
    touches: u64,
    forgotten: u64,
    short_by: u64,
}

/// What is known of a key.
#[derive(Debug)]
pub struct Row<V> {
    /// How often it came.
    pub count: u64,
    /// What else is kept of it.
    pub value: V,
    touched: u64,
}

impl<K: Eq + Hash + Ord, V: Default> Heavy<K, V> {
    /// An empty table for at most this many keys.
    pub fn new(most: usize) -> Self {
        let (rows, touches, forgotten, short_by) = Default::default();
        Self { most: most.max(2), rows, touches, forgotten, short_by }
    }

    /// Counts a key; its value is there to be changed.
    pub fn count<Q>(&mut self, key: &Q, n: u64) -> &mut V
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        if self.rows.len() >= self.most && !self.rows.contains_key(key) {
            self.forget_half();
        }
        self.touches += 1;
        let touched = self.touches;
        let row = Row { count: 0, value: V::default(), touched };
        let row = self.rows.entry(key.to_owned()).or_insert(row);
        row.count += n;
        row.touched = touched;
        &mut row.value
    }

    /// Of two of the same weight the one goes that came longer ago.
    fn forget_half(&mut self) {
        let mut weights: Vec<_> = self.rows.values().map(Row::weight).collect();
        let middle = weights.len() / 2;
        let (_, &mut median, _) = weights.select_nth_unstable(middle);
        let mut heaviest = 0;
        self.rows.retain(|_, row| {
            let stays = row.weight() >= median;
            if !stays {
                heaviest = heaviest.max(row.count);
                self.forgotten += row.count;
            }
            stays
        });
        self.short_by += heaviest;
    }

    /// The heaviest first; equal ones in the order of their keys.
    pub fn sorted_by<W: Ord>(&self, weight: impl Fn(&Row<V>) -> W) -> Vec<(&K, &Row<V>)> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by(|(one_key, one), (other_key, other)| {
            weight(other).cmp(&weight(one)).then_with(|| one_key.cmp(other_key))
        });
        rows
    }

    /// By their counts.
    pub fn sorted(&self) -> Vec<(&K, &Row<V>)> {
        self.sorted_by(|row| row.count)
    }

    /// What is known of a key.
    pub fn row(&self, key: &K) -> Option<&Row<V>> {
        self.rows.get(key)
    }

    /// Keys that are known now.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What was counted for keys that were forgotten.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// By how much a count may be too low, at most.
    pub fn short_by(&self) -> u64 {
        self.short_by
    }
}

impl<V> Row<V> {
    const fn weight(&self) -> (u64, u64) {
        (self.count, self.touched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_grows_beyond_its_bound_and_keeps_the_heavy_ones() {
        let mut heavy = Heavy::<u64, ()>::new(100);
        for n in 0..100_000 {
            heavy.count(&(1_000 + n), 1);
            heavy.count(&(n % 7), 1);
            assert!(heavy.len() <= 100);
        }
        let top: Vec<_> = heavy.sorted().iter().take(7).map(|(key, _)| **key).collect();
        assert_eq!(top, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn no_count_is_too_low_by_more_than_it_says_and_the_sum_is_right() {
        let mut heavy = Heavy::<u64, ()>::new(16);
        let mut truth = HashMap::<u64, u64>::new();
        // Small numbers come more often than large ones.
        for n in 0..20_000_u64 {
            let key = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (40 + n % 24);
            heavy.count(&key, 1);
            *truth.entry(key).or_default() += 1;
        }
        for (key, real) in &truth {
            let told = heavy.row(key).map_or(0, |row| row.count);
            assert!(told <= *real && real - told <= heavy.short_by(), "{key}: {told} of {real}");
        }
        let kept: u64 = heavy.sorted().iter().map(|(_, row)| row.count).sum();
        assert_eq!(kept + heavy.forgotten(), 20_000);
    }
}
