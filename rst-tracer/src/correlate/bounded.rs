//! A map that never holds more than it may: the oldest entry that nobody asked for lately makes
//! room.
//!
//! Hashing is seeded, so that strangers cannot choose what collides; the order of eviction does not
//! depend on the seed, so that a replay is the same every time.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

use foldhash::quality::RandomState;

/// A map of bounded size.
pub(crate) struct Bounded<K, V> {
    most: usize,
    entries: HashMap<K, Entry<V>, RandomState>,
    /// Every key once, oldest first.
    order: VecDeque<K>,
}

struct Entry<V> {
    value: V,
    /// Asked for since it was last passed over.
    is_wanted: bool,
}

impl<K: Copy + Eq + Hash, V> Bounded<K, V> {
    /// An empty map for at most this many entries.
    pub(crate) fn new(most: usize) -> Self {
        Self { most: most.max(1), entries: HashMap::default(), order: VecDeque::new() }
    }

    /// What is known under a key.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// What is known under a key, made if there is nothing.
    pub(crate) fn at(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        if !self.entries.contains_key(&key) {
            self.make_room();
            self.order.push_back(key);
        }
        let entry = self
            .entries
            .entry(key)
            .and_modify(|entry| entry.is_wanted = true)
            .or_insert_with(|| Entry { value: make(), is_wanted: false });
        &mut entry.value
    }

    /// Ends when one is gone: who is passed over is passed over once.
    fn make_room(&mut self) {
        while self.order.len() >= self.most {
            let Some(key) = self.order.pop_front() else { return };
            match self.entries.get_mut(&key) {
                Some(entry) if entry.is_wanted => {
                    entry.is_wanted = false;
                    self.order.push_back(key);
                }
                _ => {
                    self.entries.remove(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_nobody_wants_makes_room() {
        let mut map = Bounded::new(3);
        for key in [1, 2, 3] {
            *map.at(key, || 0) += key;
        }
        *map.at(1, || 0) += 10;
        map.at(4, || 4);
        assert_eq!((map.get(&1), map.get(&2), map.get(&4)), (Some(&11), None, Some(&4)));
    }

    #[test]
    fn it_never_grows_beyond_its_bound_even_when_all_are_wanted() {
        let mut map = Bounded::new(8);
        for key in 0..1000 {
            map.at(key, || ());
            map.at(key, || ());
            assert!(map.entries.len() <= 8 && map.order.len() == map.entries.len());
        }
    }
}
