//! What was seen, kept and lost so far: the body of `"type":"stats"`.
//!
//! Nothing disappears unnoticed: two sums must hold, and [`StatsEvent::balanced`] says whether.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::{bounded, bounded_map, is_zero};
use super::{Expect, Hook, PolicyVerdict, Text, Timestamp};

/// What was seen, kept and lost since the start. `rsts` is the sum of `events`, `merged`,
/// `repeated`, `filtered`, `pending`, `suppressed` and `lost`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatsEvent {
    /// Counts the lines of a run from 1, whatever their type: where one is missing, it was lost on its way. Left out
    /// where nobody counts.
    #[serde(default, skip_serializing_if = "is_zero", serialize_with = "bounded")]
    pub seq: u64,
    /// When the counters were read.
    pub time: Timestamp,
    /// Name of the observing host.
    pub host: String,
    /// TCP segments seen at all hooks.
    #[serde(serialize_with = "bounded")]
    pub segments: u64,
    /// Resets among them; one that passes two hooks counts twice.
    #[serde(serialize_with = "bounded")]
    pub rsts: u64,
    /// Events written.
    #[serde(serialize_with = "bounded")]
    pub events: u64,
    /// Further sightings of a reset that another hook had seen.
    #[serde(serialize_with = "bounded")]
    pub merged: u64,
    /// Resets that an event stands for in its `repeats`.
    #[serde(serialize_with = "bounded")]
    pub repeated: u64,
    /// Resets that the filters of the command line left out.
    #[serde(serialize_with = "bounded")]
    pub filtered: u64,
    /// Resets that still wait for their aftermath.
    #[serde(serialize_with = "bounded")]
    pub pending: u64,
    /// Resets that the kernel programs only counted, because there were too many.
    #[serde(serialize_with = "bounded")]
    pub suppressed: u64,
    /// Resets that found the ring buffer full.
    #[serde(serialize_with = "bounded")]
    pub lost: u64,
    /// Frames that could not be parsed.
    #[serde(serialize_with = "bounded")]
    pub malformed: u64,
    /// Connections in the flow table.
    #[serde(serialize_with = "bounded")]
    pub flows: u64,
    /// Connections that were pushed out of the flow table.
    #[serde(serialize_with = "bounded")]
    pub evictions: u64,
    /// `false` where an interface takes VLAN tags out of frames before they are seen: an event of it without `vlan` may have
    /// come in one. Left out elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan_visible: Option<bool>,
    /// What became of the lines at each output; left out where outputs are waited for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<OutputStats>,
    /// What became of the resets that each rule of the policy file matched, in the order of the file; left out where
    /// there is no policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy: Vec<RuleStats>,
    /// The counters of each hook.
    pub hooks: Vec<HookStats>,
    /// Present when rules or hooks were left out to keep the line short.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

impl StatsEvent {
    /// Whether every reset and, at each hook, every segment is accounted for.
    pub fn balanced(&self) -> bool {
        let ends = [
            self.events,
            self.merged,
            self.repeated,
            self.filtered,
            self.pending,
            self.suppressed,
            self.lost,
        ];
        sum(&ends) == self.rsts.into() && self.hooks.iter().all(HookStats::balanced)
    }
}

/// What became of the lines at one output: `written`, `waiting` and `dropped` are together all that there were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputStats {
    /// Format and place, as `--output` names them.
    pub output: String,
    /// Lines that the output took.
    #[serde(serialize_with = "bounded")]
    pub written: u64,
    /// Lines that wait for it.
    #[serde(serialize_with = "bounded")]
    pub waiting: u64,
    /// Lines for which there was no more room while it took none.
    #[serde(serialize_with = "bounded")]
    pub dropped: u64,
}

/// The counters of one rule of the policy file. `rsts` is the sum of the other four.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleStats {
    /// Name of the rule.
    pub rule: Text,
    pub expect: Expect,
    /// Resets that it matched, as events tell them; 0 where it never did.
    #[serde(serialize_with = "bounded")]
    pub rsts: u64,
    /// Those that show that the policy acted.
    #[serde(default, skip_serializing_if = "is_zero", serialize_with = "bounded")]
    pub as_configured: u64,
    /// Those that it expects.
    #[serde(default, skip_serializing_if = "is_zero", serialize_with = "bounded")]
    pub expected: u64,
    /// Those that violate it.
    #[serde(default, skip_serializing_if = "is_zero", serialize_with = "bounded")]
    pub violated: u64,
    /// Those that show neither.
    #[serde(default, skip_serializing_if = "is_zero", serialize_with = "bounded")]
    pub unclear: u64,
    /// When it last matched one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
}

impl RuleStats {
    /// Of a rule that matched nothing yet.
    pub const fn new(rule: Text, expect: Expect) -> Self {
        let (rsts, as_configured, expected, violated, unclear) = (0, 0, 0, 0, 0);
        Self { rule, expect, rsts, as_configured, expected, violated, unclear, last: None }
    }

    /// Counts a reset of this time.
    pub fn count(&mut self, verdict: PolicyVerdict, time: Timestamp) {
        self.rsts += 1;
        self.last = self.last.max(Some(time));
        *match verdict {
            PolicyVerdict::AsConfigured => &mut self.as_configured,
            PolicyVerdict::Expected => &mut self.expected,
            PolicyVerdict::Violated => &mut self.violated,
            PolicyVerdict::Unclear => &mut self.unclear,
        } += 1;
    }

    /// How many are what to it.
    pub const fn verdicts(&self) -> [(PolicyVerdict, u64); 4] {
        [
            (PolicyVerdict::AsConfigured, self.as_configured),
            (PolicyVerdict::Expected, self.expected),
            (PolicyVerdict::Violated, self.violated),
            (PolicyVerdict::Unclear, self.unclear),
        ]
    }
}

/// The counters of one hook. `segments` is the sum of `tracked` and of all in `untracked`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookStats {
    pub hook: Hook,
    /// Interface name; left out where one program counts for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// TCP segments.
    #[serde(serialize_with = "bounded")]
    pub segments: u64,
    /// Segments that updated a flow.
    #[serde(serialize_with = "bounded")]
    pub tracked: u64,
    /// Segments that did not, by reason.
    #[serde(serialize_with = "bounded_map")]
    pub untracked: BTreeMap<Text, u64>,
    /// Frames that could not be parsed, by reason.
    #[serde(serialize_with = "bounded_map")]
    pub malformed: BTreeMap<Text, u64>,
    /// Frames that may hold TCP in what is not looked into (ERSPAN, GTP-U, a third VLAN tag, …), by what it is; left out
    /// where there were none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", serialize_with = "bounded_map")]
    pub skipped: BTreeMap<Text, u64>,
}

impl HookStats {
    /// Whether every segment is accounted for.
    pub fn balanced(&self) -> bool {
        sum(self.untracked.values().chain([&self.tracked])) == self.segments.into()
    }
}

/// Wide enough for whatever a file may claim.
fn sum<'a>(counts: impl IntoIterator<Item = &'a u64>) -> u128 {
    counts.into_iter().map(|n| u128::from(*n)).sum()
}
