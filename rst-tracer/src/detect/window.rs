//! What happened lately, each thing once.

use std::collections::VecDeque;

/// Things and when each was last seen, of at most `MOST` that are no older than a window.
pub(super) struct Window<T, const MOST: usize> {
    lately: VecDeque<(u64, T)>,
}

impl<T, const MOST: usize> Default for Window<T, MOST> {
    fn default() -> Self {
        Self { lately: VecDeque::new() }
    }
}

impl<T: PartialEq, const MOST: usize> Window<T, MOST> {
    /// Takes something in; forgets what is older than `width`, and the same thing of before.
    pub(super) fn see(&mut self, now: u64, width: u64, what: T) {
        self.lately.retain(|(then, other)| now.saturating_sub(*then) <= width && *other != what);
        if self.lately.len() >= MOST {
            self.lately.pop_front();
        }
        self.lately.push_back((now, what));
    }

    /// What is in it, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.lately.iter().map(|(_, what)| what)
    }

    /// When the oldest thing in it was seen.
    pub(super) fn began(&self) -> u64 {
        self.lately.iter().map(|(then, _)| *then).min().unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.lately.len()
    }

    pub(super) fn clear(&mut self) {
        self.lately.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_counts_once_and_not_for_ever() {
        let mut window = Window::<u8, 3>::default();
        for (now, what) in [(1, b'a'), (2, b'b'), (3, b'a')] {
            window.see(now, 10, what);
        }
        assert_eq!((window.len(), window.began()), (2, 2));
        window.see(12, 10, b'c');
        window.see(13, 10, b'd');
        assert_eq!(window.iter().collect::<Vec<_>>(), [b"a", b"c", b"d"].map(|b| &b[0]));
        window.see(40, 10, b'e');
        assert_eq!(window.len(), 1);
    }
}
