//! Violations: resets that a rule of the policy does not expect.
//!
//! The first one is told at once: who writes a rule knows what he wants. The rest is counted with it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::{
    Detector,
    spell::{Ongoing, SECOND, Spell, Spells, Subject, Words, some, span},
};
use crate::event::{
    Expect, Finding, FindingKind, Policy, PolicyVerdict, RstEvent, Severity, Source, Text,
};

/// How many addresses are counted.
const CLIENTS: usize = 64;

#[derive(Default)]
pub(crate) struct Violations {
    ongoing: Ongoing<Violation>,
}

/// What violates a rule.
struct Violation {
    expect: Expect,
    resets: u64,
    causes: BTreeMap<&'static str, u64>,
    /// Who connected, or else in whose name the reset came.
    clients: BTreeMap<IpAddr, u64>,
    /// Between whom the first one was, and what is said of it.
    first: String,
}

impl Detector for Violations {
    fn see(&mut self, event: &RstEvent, now: u64, out: &mut Vec<Finding>) {
        let violated = |policy: &&Policy| policy.verdict == PolicyVerdict::Violated;
        let Some(policy) = event.policy.as_ref().filter(violated) else { return };
        let rule = policy.rule.to_string();
        if let Some(violation) = self.ongoing.go_on(&rule, now) {
            return violation.take(event);
        }
        let mut violation = Violation::first(event, policy);
        violation.take(event);
        self.ongoing.begin(rule, event.time.0, now, violation, out);
    }

    fn ongoing(&mut self) -> &mut dyn Spells {
        &mut self.ongoing
    }
}

impl Violation {
    fn first(event: &RstEvent, policy: &Policy) -> Self {
        let (from, to) = match (event.client, event.server) {
            (Some(client), Some(server)) => (client, server),
            _ => (event.src, event.dst),
        };
        let why = policy.text.as_deref().unwrap_or_default();
        Self {
            expect: policy.expect,
            resets: 0,
            causes: BTreeMap::new(),
            clients: BTreeMap::new(),
            first: format!("{from} → {to}: {why}"),
        }
    }

    fn take(&mut self, event: &RstEvent) {
        self.resets += 1;
        *self.causes.entry(event.cause.words()).or_default() += 1;
        let client = event.client.unwrap_or(event.src).ip;
        if self.clients.len() < CLIENTS || self.clients.contains_key(&client) {
            *self.clients.entry(client).or_default() += 1;
        }
    }
}

impl Subject for Violation {
    type Key = String;
    const KIND: FindingKind = FindingKind::PolicyViolation;
    const QUIET: u64 = 60 * SECOND;

    fn rule(&self, rule: &String) -> Option<Text> {
        Some(rule.clone().into())
    }

    fn say(&self, rule: &String, spell: &Spell) -> Words {
        let mut causes: Vec<_> = self.causes.iter().map(|(cause, n)| (*cause, *n)).collect();
        causes.sort_by_key(|(cause, n)| (std::cmp::Reverse(*n), *cause));
        let causes: Vec<_> =
            causes.iter().take(3).map(|(cause, n)| format!("{n} {cause}")).collect();
        let resets = some(usize::try_from(self.resets).unwrap_or(usize::MAX), "reset");
        // Nothing lasts where there was one.
        let lasted = match self.resets {
            1 => String::new(),
            _ => format!(" in {}", span(spell.lasted())),
        };
        Words {
            severity: match self.expect {
                Expect::Denied | Expect::Never => Severity::High,
                Expect::Harmless | Expect::AtMost => Severity::Medium,
            },
            text: format!(
                "{resets}{lasted} against the rule {rule} ({}): {}; the first: {}",
                self.expect.words(),
                causes.join(", "),
                self.first,
            ),
            counts: vec![("duration_ms", spell.lasted() / 1_000_000), ("rsts", self.resets)],
            sources: self
                .clients
                .iter()
                .map(|(&ip, &resets)| Source { ip, port: None, resets })
                .collect(),
        }
    }
}
