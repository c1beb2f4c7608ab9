//! How many resets of one sender fell into which moment of the last seconds.
//!
//! In: times, nearly in order. Out: how many lie between two times, to the nearest 10 ms. Only moments in which
//! something was are kept, and of these no more than a fixed number; what is too old is forgotten.

const BUCKET_NS: u64 = 10_000_000;
const BUCKETS: u64 = 256;

/// Counts by time.
#[derive(Default)]
pub(super) struct Histogram {
    /// By their numbers, which are all of the last [`BUCKETS`].
    buckets: Vec<Bucket>,
}

/// A moment.
struct Bucket {
    /// Since the beginning of time.
    number: u64,
    count: u16,
    /// Microseconds into the bucket at which a SYN was refused last, plus one; 0: none.
    refused: u16,
}

impl Histogram {
    /// Counts one.
    pub(super) fn count(&mut self, time: u64) {
        if let Some(bucket) = self.bucket(time) {
            bucket.count = bucket.count.saturating_add(1);
        }
    }

    /// Notes that a SYN was refused.
    pub(super) fn refuse(&mut self, time: u64) {
        if let Some(bucket) = self.bucket(time) {
            bucket.refused = bucket.refused.max(offset(time));
        }
    }

    /// Where to note `time`; `None` when that was too long ago.
    fn bucket(&mut self, time: u64) -> Option<&mut Bucket> {
        let number = time / BUCKET_NS;
        let newest = self.buckets.last().map_or(number, |last| last.number.max(number));
        if newest - number >= BUCKETS {
            return None;
        }
        // Nearly always it is the last one, or behind it.
        let later = self.buckets.iter().rev().take_while(|bucket| bucket.number > number).count();
        let mut at = self.buckets.len() - later;
        if at > 0 && self.buckets[at - 1].number == number {
            return self.buckets.get_mut(at - 1);
        }
        let stale = self.buckets.partition_point(|bucket| newest - bucket.number >= BUCKETS);
        self.buckets.drain(..stale);
        at -= stale;
        self.buckets.insert(at, Bucket { number, count: 0, refused: 0 });
        self.buckets.get_mut(at)
    }

    fn buckets(&self, from: u64, to: u64) -> impl Iterator<Item = &Bucket> {
        let (from, to) = (from / BUCKET_NS, to / BUCKET_NS);
        let last = self.buckets.iter().rev().skip_while(move |bucket| bucket.number > to);
        last.take_while(move |bucket| bucket.number >= from)
    }

    /// How many lie between two times.
    pub(super) fn between(&self, from: u64, to: u64) -> u32 {
        self.buckets(from, to).map(|bucket| u32::from(bucket.count)).sum()
    }

    /// Whether a SYN was refused after `from`, until `to`.
    pub(super) fn refused_after(&self, from: u64, to: u64) -> bool {
        self.buckets(from, to).any(|Bucket { number, refused, .. }| {
            *refused != 0 && (*number > from / BUCKET_NS || *refused > offset(from))
        })
    }
}

/// Whether a time is counted among those between two others.
pub(super) fn covers(from: u64, to: u64, time: u64) -> bool {
    (from / BUCKET_NS..=to / BUCKET_NS).contains(&(time / BUCKET_NS))
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
    fn what_comes_late_is_counted_where_it_belongs() {
        let mut seen = Histogram::default();
        for ms in [100, 20, 60, 20] {
            seen.count(NOW + ms * MS);
        }
        let within = |from, to| seen.between(NOW + from * MS, NOW + to * MS);
        assert_eq!([within(0, 30), within(50, 70), within(30, 200)], [2, 1, 2]);
    }

    #[test]
    fn no_more_moments_are_kept_than_are_remembered() {
        let mut seen = Histogram::default();
        for moment in 0..10 * BUCKETS {
            seen.count(NOW + moment * BUCKET_NS);
        }
        assert_eq!(seen.buckets.len() as u64, BUCKETS);
        assert_eq!(u64::from(seen.between(0, u64::MAX)), BUCKETS);
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
