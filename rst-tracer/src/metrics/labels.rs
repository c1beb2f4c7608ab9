//! The labels of metrics that are counted event by event. Never an address, never a port: whoever sends resets
//! must not be able to make series.

use prometheus_client::encoding::EncodeLabelSet;

use super::UNKNOWN;
use crate::event::{Confidence, RstEvent};

/// Of `rst_tracer_events_total`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct EventLabels {
    iface: String,
    direction: &'static str,
    class: &'static str,
    cause: &'static str,
    severity: &'static str,
}

impl EventLabels {
    /// Those of an event at an interface, whose name is one of few.
    pub(super) fn new(event: &RstEvent, iface: String) -> Self {
        Self {
            iface,
            direction: event.direction.map_or(UNKNOWN, |direction| direction.id()),
            class: event.class.id(),
            cause: event.cause.id(),
            severity: event.severity.id(),
        }
    }
}

/// Of `rst_tracer_verdicts_total`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct VerdictLabels {
    pub(super) class: &'static str,
    pub(super) cause: &'static str,
    pub(super) confidence: &'static str,
}

/// Of `rst_tracer_findings_total`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct FindingLabels {
    pub(super) kind: &'static str,
}

/// Of `rst_tracer_policy_resets_total`. The names of rules are the user's own.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct PolicyLabels {
    pub(super) rule: String,
    pub(super) verdict: &'static str,
}

/// Of `rst_tracer_build_info`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct VersionLabels {
    version: &'static str,
}

impl Default for VersionLabels {
    fn default() -> Self {
        Self { version: env!("CARGO_PKG_VERSION") }
    }
}

/// How sure a verdict is: a label has no room for a hundred numbers.
pub(super) const CONFIDENCES: [&str; 3] = ["high", "medium", "low"];

/// The one of [`CONFIDENCES`] that a verdict has.
pub(super) const fn confidence(confidence: Confidence) -> &'static str {
    let [high, medium, low] = CONFIDENCES;
    match confidence.percent() {
        75.. => high,
        50.. => medium,
        _ => low,
    }
}
