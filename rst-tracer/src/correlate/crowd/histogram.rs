//! How many resets of one sender fell into which moment of the last seconds.
//!
//! In: times, nearly in order. Out: how many lie between two times, to the nearest 10 ms. A fixed
//! number of buckets; what is too old is forgotten.

const BUCKET_NS: u64 = 10_000_000;
const BUCKETS: usize = 256;

/// Counts by time.
pub(super) struct Histogram {
    /// Number of the newest bucket since the beginning of time.
    newest: u64,
    counts: Box<[u16; BUCKETS]>,
    /// Microseconds into the bucket at which a SYN was refused last, plus one; 0: none.
    refused: Box<[u16; BUCKETS]>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { newest: 0, counts: Box::new([0; BUCKETS]), refused: Box::new([0; BUCKETS]) }
    }
}

impl Histogram {
    /// Counts one.
    pub(super) fn count(&mut self, time: u64) {
        if let Some(at) = self.bucket(time) {
            self.counts[at] = self.counts[at].saturating_add(1);
        }
    }

    /// Notes that a SYN was refused.
    pub(super) fn refuse(&mut self, time: u64) {
        if let Some(at) = self.bucket(time) {
            self.refused[at] = self.refused[at].max(offset(time));
        }
    }

    /// Where to note `time`; `None` when that was too long ago.
    fn bucket(&mut self, time: u64) -> Option<usize> {
        let number = time / BUCKET_NS;
        if number > self.newest {
            // All buckets in between are new.
            let stale = (number - self.newest).min(BUCKETS as u64);
            for old in (number + 1 - stale)..=number {
                let at = place(old);
                (self.counts[at], self.refused[at]) = (0, 0);
            }
            self.newest = number;
        }
        self.remembers(number).then(|| place(number))
    }

    fn remembers(&self, number: u64) -> bool {
        number <= self.newest && self.newest - number < BUCKETS as u64
    }

    fn buckets(&self, from: u64, to: u64) -> impl Iterator<Item = u64> {
        let oldest = self.newest.saturating_sub(BUCKETS as u64 - 1);
        (from / BUCKET_NS).max(oldest)..=(to / BUCKET_NS).min(self.newest)
    }

    /// How many lie between two times.
    pub(super) fn between(&self, from: u64, to: u64) -> u32 {
        self.buckets(from, to).map(|number| u32::from(self.counts[place(number)])).sum()
    }

    /// Whether a SYN was refused after `from`, until `to`.
    pub(super) fn refused_after(&self, from: u64, to: u64) -> bool {
        self.buckets(from, to).any(|number| {
            let refused = self.refused[place(number)];
            refused != 0 && (number > from / BUCKET_NS || refused > offset(from))
        })
    }
}

/// Whether a time is counted among those between two others.
pub(super) fn covers(from: u64, to: u64, time: u64) -> bool {
    (from / BUCKET_NS..=to / BUCKET_NS).contains(&(time / BUCKET_NS))
}

fn place(number: u64) -> usize {
    (number % BUCKETS as u64) as usize
}

/// Microseconds into the bucket, plus one.
fn offset(time: u64) -> u16 {
    (time % BUCKET_NS / 1000) as u16 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const NOW: u64 = 1_700_000_000_000_000_000;

    #[test]
    fn what_lies_between_is_counted() {
        let mut seen = Histogram::default();
        for ms in [0, 1, 40, 900] {
            seen.count(NOW + ms * MS);
        }
        assert_eq!(seen.between(NOW, NOW + 50 * MS), 3);
        assert_eq!(seen.between(NOW - 50 * MS, NOW + 1000 * MS), 4);
        assert_eq!(seen.between(NOW + 100 * MS, NOW + 800 * MS), 0);
    }

    #[test]
    fn what_is_long_ago_is_forgotten_and_does_not_come_back() {
        let mut seen = Histogram::default();
        seen.count(NOW);
        seen.count(NOW + 10_000 * MS);
        seen.count(NOW);
        assert_eq!(seen.between(0, u64::MAX), 1);
    }

    #[test]
    fn a_refusal_counts_only_afterwards() {
        let mut seen = Histogram::default();
        seen.refuse(NOW + 2 * MS);
        assert!(seen.refused_after(NOW, NOW + 1000 * MS));
        assert!(seen.refused_after(NOW + MS, NOW + 1000 * MS));
        assert!(!seen.refused_after(NOW + 2 * MS, NOW + 1000 * MS));
        assert!(!seen.refused_after(NOW - 2000 * MS, NOW - 1000 * MS));
    }
}
