//! How often each kind of verdict was right: where rules are too sure, and where too modest.
//!
//! In: judgements. Out: lines of text, the most mistaken about itself first. A kind is a point of view, a cause, a
//! confidence and the strongest reason: about what one rule says in one case.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::judge::Judged;

type Kind = (&'static str, &'static str, i32, String);

/// What came of one kind.
#[derive(Default)]
struct Sum<'a> {
    weight: f64,
    right: f64,
    scenarios: BTreeSet<&'a str>,
    missed: BTreeSet<&'a str>,
}

impl Sum<'_> {
    /// By how much weight it differs from what was said.
    fn off(&self, percent: i32) -> f64 {
        (self.right - self.weight * f64::from(percent) / 100.0).abs()
    }
}

/// A line for each kind of verdict: point of view, cause, confidence, reason; weight and share of those that were right;
/// of how many scenarios, and how many of them were missed.
pub fn kinds_of_verdicts<'a>(judged: impl IntoIterator<Item = &'a Judged>) -> String {
    let mut kinds: BTreeMap<Kind, Sum<'_>> = BTreeMap::new();
    for one in judged {
        let Some(event) = &one.event else { continue };
        let reason = event.evidence.first().map_or(String::new(), |reason| reason.id.to_string());
        let percent = (one.confidence() * 100.0).round() as i32;
        let kind = (one.viewpoint.words(), event.cause.id(), percent, reason);
        let sum = kinds.entry(kind).or_default();
        sum.weight += one.weight;
        sum.scenarios.insert(one.id);
        if one.cause_is_right() {
            sum.right += one.weight;
        } else {
            sum.missed.insert(one.id);
        }
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by(|(a, one), (b, other)| other.off(b.2).total_cmp(&one.off(a.2)));
    let mut text = String::new();
    for ((place, cause, percent, reason), sum) in kinds {
        // Writing to a string does not fail.
        _ = writeln!(
            text,
            "{place} | {cause} | {percent} % | {reason} | {:.1} | {:.0} % right | {} scenarios, {} missed",
            sum.weight,
            100.0 * sum.right / sum.weight,
            sum.scenarios.len(),
            sum.missed.len()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::kinds_of_verdicts;

    #[test]
    fn nothing_judged_has_no_kinds() {
        assert_eq!(kinds_of_verdicts([]), "");
    }
}
