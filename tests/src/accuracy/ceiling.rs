//! How often anybody could be right who has packets only.
//!
//! In: judgements. Out: what is left to win. Resets of different causes with the same bytes (`reasons`)
//! are put together by what a packet shows of them: who sent it, over which family, and what had been said
//! last. One answer fits such a heap at most as often as its most frequent cause is true, or as often as the
//! engine was right by what it knew beside. All others can be told, in principle.

use std::collections::{BTreeMap, BTreeSet};

use rst_tracer::event::{Cause, RstEvent, SentBy, Speaker};

use super::{judge::Judged, reasons::form};

/// The most that can be right, as shares from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ceiling {
    /// Share of resets that are among twins.
    pub twins: f64,
    /// Class.
    pub class: f64,
    /// Cause.
    pub cause: f64,
}

/// What a packet shows of twins.
type Heap = (&'static str, &'static str, bool, Said);

/// Whose data came last before the reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Nothing,
    ByTheSender,
    ByTheReceiver,
}

impl Said {
    fn before(event: &RstEvent) -> Self {
        let sender = match event.sent_by {
            SentBy::Client => Some(Speaker::Client),
            SentBy::Server => Some(Speaker::Server),
            SentBy::Unknown => None,
        };
        // Probes of a single byte say nothing.
        match event.recent.iter().rfind(|one| one.len > 1) {
            None => Self::Nothing,
            Some(last) if Some(last.from) == sender => Self::ByTheSender,
            Some(_) => Self::ByTheReceiver,
        }
    }
}

impl Ceiling {
    /// Over some judgements, by weight.
    pub fn over<'a>(judged: impl IntoIterator<Item = &'a Judged>) -> Self {
        let mut heaps: BTreeMap<Heap, Vec<&Judged>> = BTreeMap::new();
        let (mut all, mut apart) = (0.0, 0.0);
        for one in judged {
            all += one.weight;
            match (form(one), &one.event) {
                (Some(form), Some(event)) => {
                    let heap = (form, event.sent_by.id(), one.family == "v6", Said::before(event));
                    heaps.entry(heap).or_default().push(one);
                }
                _ => apart += one.weight,
            }
        }
        if all == 0.0 {
            return Self::default();
        }
        let most = |best: fn(&[&Judged]) -> f64| -> f64 {
            (apart + heaps.values().map(|heap| best(heap)).sum::<f64>()) / all
        };
        Self { twins: 1.0 - apart / all, class: most(best_class), cause: most(best_cause) }
    }
}

fn weight<'a>(judged: impl Iterator<Item = &'a &'a Judged>) -> f64 {
    judged.map(|one| one.weight).sum()
}

fn best_cause(heap: &[&Judged]) -> f64 {
    let causes: BTreeSet<&str> = heap.iter().flat_map(|one| accepted(one)).collect();
    let of = |cause: &str| weight(heap.iter().filter(|one| accepted(one).any(|it| it == cause)));
    let right = weight(heap.iter().filter(|one| one.cause_is_right()));
    causes.into_iter().map(of).fold(right, f64::max)
}

fn best_class(heap: &[&Judged]) -> f64 {
    let classes = |one: &Judged| -> BTreeSet<&'static str> {
        let class_of =
            |id: &str| Cause::ALL.iter().find(|it| it.id() == id).map(|it| it.class().id());
        accepted(one).filter_map(class_of).collect()
    };
    let all: BTreeSet<&str> = heap.iter().flat_map(|one| classes(one)).collect();
    let of = |class: &str| weight(heap.iter().filter(|one| classes(one).contains(class)));
    let right = weight(heap.iter().filter(|one| one.class_is_right()));
    all.into_iter().map(of).fold(right, f64::max)
}

/// The causes that are true of it.
fn accepted(one: &Judged) -> impl Iterator<Item = &'static str> + use<> {
    std::iter::once(one.truth.cause).chain(one.truth.also.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::Ceiling;

    #[test]
    fn nothing_judged_has_no_ceiling() {
        assert_eq!(Ceiling::over([]), Ceiling::default());
    }
}
