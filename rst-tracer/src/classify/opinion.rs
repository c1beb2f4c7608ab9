//! What one rule thinks: a cause, how likely it is by itself, and why.

use crate::event::{Cause, Evidence, Origin, Text, Weight};

/// One rule's opinion.
#[derive(Clone, Debug, PartialEq)]
pub struct Opinion {
    /// The cause it speaks for.
    pub cause: Cause,
    /// How likely that cause is, from 0 to 1, if no other rule spoke.
    pub probability: f64,
    /// What really sent the reset, if the cause is right.
    pub origin: Origin,
    /// Why.
    pub evidence: Vec<Evidence>,
    /// It holds whether or not the beginning of the connection was seen.
    pub stands_alone: bool,
}

impl Opinion {
    /// An opinion about a reset of the endpoint itself, without a reason yet.
    pub fn new(cause: Cause, probability: f64) -> Self {
        let origin = Origin::Endpoint;
        Self { cause, probability, origin, evidence: Vec::new(), stands_alone: false }
    }

    /// The same, of another origin.
    pub fn made_by(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    /// The same, with a reason. `weight` is about the logarithm of the likelihood ratio.
    pub fn because(mut self, id: &'static str, weight: f64, text: impl Into<Text>) -> Self {
        self.evidence.push(reason(id, weight, text));
        self
    }

    /// The same, with reasons found elsewhere.
    pub fn and(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    /// The same, sure whether or not the beginning of the connection was seen.
    pub fn whatever_came_before(self) -> Self {
        Self { stands_alone: true, ..self }
    }
}

/// One reason.
pub(super) fn reason(id: &'static str, weight: f64, text: impl Into<Text>) -> Evidence {
    Evidence { id: Text::Borrowed(id), text: text.into(), weight: Weight::new(weight) }
}

/// A span of time for people, in the unit that suits it.
pub(super) fn span(ns: u64) -> String {
    match ns {
        0..1000 => "a moment".to_owned(),
        1000..1_000_000 => format!("{} µs", ns / 1000),
        1_000_000..10_000_000_000 => format!("{} ms", ns / 1_000_000),
        _ => format!("{} s", ns / 1_000_000_000),
    }
}
