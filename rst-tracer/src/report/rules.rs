//! What the rules of a policy matched, from the events that name one, and which never did, from the counters.

use std::collections::BTreeMap;

use crate::event::{Event, RuleStats};

/// Rules that are kept.
const RULES: usize = 1_000;

/// The rules by their names.
#[derive(Debug, Default)]
pub(super) struct Rules(BTreeMap<String, RuleStats>);

impl Rules {
    pub(super) fn take(&mut self, event: &Event) {
        match event {
            Event::Rst(rst) => {
                let Some(policy) = &rst.policy else { return };
                if let Some(rule) = self.at(RuleStats::new(policy.rule.clone(), policy.expect)) {
                    rule.count(policy.verdict, rst.time);
                }
            }
            // Its numbers are those of events that may be here, too.
            Event::Stats(stats) => stats.policy.iter().for_each(|rule| {
                self.at(RuleStats::new(rule.rule.clone(), rule.expect));
            }),
            Event::Finding(_) => {}
        }
    }

    fn at(&mut self, new: RuleStats) -> Option<&mut RuleStats> {
        let name = new.rule.to_string();
        if self.0.len() >= RULES && !self.0.contains_key(&name) {
            return None;
        }
        Some(self.0.entry(name).or_insert(new))
    }

    /// Those that were violated most first, then those that never matched.
    pub(super) fn sorted(&self) -> Vec<&RuleStats> {
        let mut all: Vec<_> = self.0.values().collect();
        all.sort_by_key(|rule| (std::cmp::Reverse(rule.violated), rule.rsts > 0));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Expect, Policy, PolicyVerdict, StatsEvent, samples::unread_data};

    #[test]
    fn events_are_counted_once_and_a_rule_that_never_matched_is_there() {
        let mut rules = Rules::default();
        let Event::Rst(mut rst) = unread_data() else { panic!("a reset") };
        let (expect, verdict) = (Expect::Denied, PolicyVerdict::Violated);
        rst.policy = Some(Policy { rule: "guests".into(), expect, verdict, text: None });
        rules.take(&Event::Rst(rst.clone()));
        let mut counted = RuleStats::new("guests".into(), expect);
        counted.count(verdict, rst.time);
        let policy = vec![counted.clone(), RuleStats::new("unused".into(), Expect::Never)];
        rules.take(&StatsEvent { policy, ..StatsEvent::default() }.into());
        let told: Vec<_> = rules.sorted().into_iter().cloned().collect();
        assert_eq!(told, [counted, RuleStats::new("unused".into(), Expect::Never)]);
    }
}
