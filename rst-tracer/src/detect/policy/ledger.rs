//! What each rule matched, how it judged, and when last.

use std::{collections::VecDeque, time::Duration};

use super::{Expectation, Rule, denied};
use crate::event::{Policy, PolicyVerdict, RstEvent, RuleStats, Text, Timestamp};

/// Events come a little out of order. Further back begins another capture, in nanoseconds.
const ANOTHER_TIME: u64 = 60_000_000_000;

/// Rules and their counts.
#[derive(Debug, Default)]
pub struct Ledger(Vec<Page>);

/// A rule, what it counted, and when it matched lately.
#[derive(Debug)]
struct Page {
    rule: Rule,
    counts: RuleStats,
    /// No more than a limit needs, in nanoseconds since the epoch.
    lately: VecDeque<u64>,
}

impl Ledger {
    /// An empty one for these rules, of which the first that matches decides.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self(rules.into_iter().map(Page::new).collect())
    }

    /// Goes on with these rules; whether they are others. Those that are as they were keep their counts.
    pub fn replace(&mut self, rules: Vec<Rule>) -> bool {
        if self.0.iter().map(|page| &page.rule).eq(&rules) {
            return false;
        }
        let mut before = std::mem::take(&mut self.0);
        let page = |rule: Rule| match before.iter().position(|page| page.rule == rule) {
            Some(at) => before.swap_remove(at),
            None => Page::new(rule),
        };
        self.0 = rules.into_iter().map(page).collect();
        true
    }

    /// What the first rule that matches says of this event; `None` where none does.
    pub fn judge(&mut self, event: &RstEvent) -> Option<Policy> {
        let page = self.0.iter_mut().find(|page| page.rule.matches.holds(event))?;
        Some(page.judge(event))
    }

    /// The counts of every rule, in the order of the file.
    pub fn account(&self) -> Vec<RuleStats> {
        self.0.iter().map(|page| page.counts.clone()).collect()
    }
}

impl Page {
    fn new(rule: Rule) -> Self {
        let counts = RuleStats::new(rule.name.clone().into(), rule.expects.kind());
        Self { rule, counts, lately: VecDeque::new() }
    }

    fn judge(&mut self, event: &RstEvent) -> Policy {
        let (verdict, text) = match self.rule.expects {
            Expectation::Denied => denied::acted(event),
            Expectation::Harmless => (PolicyVerdict::Expected, None),
            Expectation::Never => {
                (PolicyVerdict::Violated, Some("no reset is expected here".into()))
            }
            Expectation::AtMost { resets, within } => self.count(event.time, resets, within),
        };
        let counts = &mut self.counts;
        counts.count(verdict, event.time);
        Policy { rule: counts.rule.clone(), expect: counts.expect, verdict, text }
    }

    /// Whether with this one there are more than so many.
    fn count(
        &mut self,
        time: Timestamp,
        most: usize,
        within: Duration,
    ) -> (PolicyVerdict, Option<Text>) {
        let (Timestamp(now), lately) = (time, &mut self.lately);
        if lately.back().is_some_and(|last| now.saturating_add(ANOTHER_TIME) < *last) {
            lately.clear();
        }
        let width = u64::try_from(within.as_nanos()).unwrap_or(u64::MAX);
        lately.retain(|then| now.saturating_sub(*then) < width);
        lately.push_back(now);
        if lately.len() <= most {
            return (PolicyVerdict::Expected, None);
        }
        lately.pop_front();
        let text = format!("more than {most} within {within:?}");
        (PolicyVerdict::Violated, Some(text.into()))
    }
}
