//! What a report is made of: everything that is counted while lines go by, in bounded memory.
//!
//! In: events, in any order. Out: the numbers of the page, and the few events that it shows.

use std::collections::BTreeMap;

use super::{examples::Examples, losses::Losses, rules::Rules, timeline::Timeline};
use crate::{
    digest::{Heavy, Owner, Pair},
    event::{AtFault, Cause, Event, Finding, Origin, RstEvent, SentBy, Severity, Timestamp},
};

/// Keys of a table that are counted at a time; the page shows the heaviest.
const KEYS: usize = 20_000;
/// Findings that are kept.
const FINDINGS: usize = 500;

/// Everything that is counted.
#[derive(Debug)]
pub(super) struct Digest {
    pub(super) resets: u64,
    /// Further resets that the events stand for.
    pub(super) repeats: u64,
    pub(super) span: Option<[Timestamp; 2]>,
    pub(super) severities: BTreeMap<Severity, u64>,
    pub(super) at_fault: BTreeMap<AtFault, u64>,
    pub(super) senders: BTreeMap<(Origin, SentBy), u64>,
    pub(super) causes: BTreeMap<Cause, OfCause>,
    pub(super) timeline: Timeline,
    pub(super) pairs: Heavy<Pair, Mix>,
    pub(super) owners: Heavy<Owner, Mix>,
    pub(super) findings: BTreeMap<String, Finding>,
    /// Findings beyond those that are kept.
    pub(super) more_findings: u64,
    pub(super) examples: Examples,
    pub(super) losses: Losses,
    pub(super) rules: Rules,
}

/// The resets of a cause.
#[derive(Debug, Default)]
pub(super) struct OfCause {
    pub(super) resets: u64,
    pub(super) worst: Option<Severity>,
    /// By how many per cent sure.
    confidences: BTreeMap<u8, u64>,
}

/// Which causes some resets have, and how severe the worst is.
#[derive(Debug, Default)]
pub(super) struct Mix {
    pub(super) worst: Option<Severity>,
    causes: BTreeMap<Cause, u64>,
    /// A process id among them.
    pub(super) pid: Option<u32>,
}

impl Default for Digest {
    fn default() -> Self {
        let (resets, repeats, span, severities, at_fault, senders) = Default::default();
        let (causes, timeline, findings, more_findings, examples, losses, rules) =
            Default::default();
        let (pairs, owners) = (Heavy::new(KEYS), Heavy::new(KEYS));
        Self {
            resets,
            repeats,
            span,
            severities,
            at_fault,
            senders,
            causes,
            timeline,
            pairs,
            owners,
            findings,
            more_findings,
            examples,
            losses,
            rules,
        }
    }
}

impl Digest {
    pub(super) fn take(&mut self, event: Event) {
        self.losses.take(&event);
        self.rules.take(&event);
        match event {
            Event::Rst(event) => self.reset(*event),
            Event::Finding(finding) => self.finding(*finding),
            Event::Stats(_) => {}
        }
    }

    fn reset(&mut self, event: RstEvent) {
        self.resets += 1;
        self.repeats = self.repeats.saturating_add(event.repeats);
        let [first, last] = self.span.unwrap_or([event.time; 2]);
        self.span = Some([first.min(event.time), last.max(event.time)]);
        *self.severities.entry(event.severity).or_default() += 1;
        *self.at_fault.entry(event.at_fault).or_default() += 1;
        *self.senders.entry((event.origin, event.sent_by)).or_default() += 1;
        self.causes.entry(event.cause).or_default().take(&event);
        self.timeline.count(event.time, event.cause);
        self.pairs.count(&Pair::of(&event), 1).take(&event);
        if let Some(owner) = Owner::of(&event) {
            self.owners.count(&owner, 1).take(&event);
        }
        self.examples.take(event);
    }

    /// A finding that is reported again takes the place of what was known.
    fn finding(&mut self, finding: Finding) {
        let is_known = self.findings.contains_key(&finding.id);
        if is_known || self.findings.len() < FINDINGS {
            self.findings.insert(finding.id.clone(), finding);
        } else {
            self.more_findings += 1;
        }
    }

    /// The most severe findings first.
    pub(super) fn findings(&self) -> Vec<&Finding> {
        let mut all: Vec<&Finding> = self.findings.values().collect();
        all.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.time));
        all
    }

    /// The commonest causes first.
    pub(super) fn causes(&self) -> Vec<(Cause, &OfCause)> {
        let mut all: Vec<_> = self.causes.iter().map(|(cause, of)| (*cause, of)).collect();
        all.sort_by_key(|(_, of)| std::cmp::Reverse(of.resets));
        all
    }

    pub(super) fn of_severity(&self, severity: Severity) -> u64 {
        self.severities.get(&severity).copied().unwrap_or_default()
    }
}

impl OfCause {
    fn take(&mut self, event: &RstEvent) {
        self.resets += 1;
        self.worst = self.worst.max(Some(event.severity));
        *self.confidences.entry(event.confidence.percent()).or_default() += 1;
    }

    /// Half of its verdicts are at least so sure, in per cent.
    pub(super) fn median_confidence(&self) -> u8 {
        let mut below = 0;
        let is_half = |(percent, n): (&u8, &u64)| {
            below += n;
            (below * 2 >= self.resets).then_some(*percent)
        };
        self.confidences.iter().find_map(is_half).unwrap_or_default()
    }
}

impl Mix {
    fn take(&mut self, event: &RstEvent) {
        self.worst = self.worst.max(Some(event.severity));
        *self.causes.entry(event.cause).or_default() += 1;
        self.pid = event.process.as_ref().map(|process| process.pid).or(self.pid);
    }

    /// The commonest causes first.
    pub(super) fn causes(&self) -> Vec<(Cause, u64)> {
        let mut all: Vec<_> = self.causes.iter().map(|(cause, n)| (*cause, *n)).collect();
        all.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Confidence, samples::unread_data};

    #[test]
    fn half_of_the_verdicts_are_at_least_as_sure_as_the_median() {
        let Event::Rst(mut event) = unread_data() else { panic!("a reset") };
        let mut of = OfCause::default();
        for percent in [10, 20, 90, 91, 92] {
            event.confidence = Confidence::new(f64::from(percent) / 100.0);
            of.take(&event);
        }
        assert_eq!(of.median_confidence(), 90);
    }

    #[test]
    fn a_finding_that_is_told_again_is_one_finding() {
        let mut digest = Digest::default();
        let Event::Finding(finding) = crate::event::samples::oversized_finding("flood") else {
            panic!("one")
        };
        for n in 0..2_000_u64 {
            digest.finding(Finding { id: format!("f-{}", n % 2), ..Finding::clone(&finding) });
        }
        assert_eq!((digest.findings.len(), digest.more_findings), (2, 0));
        (0..600).for_each(|n| {
            digest.finding(Finding { id: format!("g-{n}"), ..Finding::clone(&finding) })
        });
        assert_eq!((digest.findings.len(), digest.more_findings), (FINDINGS, 102));
    }
}
