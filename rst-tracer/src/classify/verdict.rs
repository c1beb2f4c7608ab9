//! The verdict: the best opinion, and what remains possible beside it.

use super::{Author, Case, Opinion, consequence::consequence};
use crate::event::{
    Alternative, AtFault, Basis, Cause, Class, Confidence, Evidence, Origin, Severity, Stage,
};

/// What the engine says about a reset.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Kind of cause.
    pub class: Class,
    /// Cause.
    pub cause: Cause,
    /// Probability that the cause is right.
    pub confidence: Confidence,
    /// What really sent it.
    pub origin: Origin,
    /// Why, strongest first.
    pub evidence: Vec<Evidence>,
    /// What else it may be, likeliest first.
    pub alternatives: Vec<Alternative>,
    /// What it rests on: the kernel of this host took part when it said anything about the reset.
    pub basis: Basis,
    /// How much attention it deserves.
    pub severity: Severity,
    /// Where to look.
    pub at_fault: AtFault,
}

/// Below this the best opinion is an alternative, not a verdict.
const LEAST: f64 = 0.3;
/// How sure one may be of a connection whose beginning was not seen.
const MOST_WITHOUT_BEGINNING: f64 = 0.6;
/// What is left of a cause where the segments before the reset were not recorded.
const WITHOUT_THE_END: f64 = 0.8;
/// What is left of a cause that needs an endpoint's TCP where this kernel's silence rules that out.
const IN_SPITE_OF_THE_KERNEL: f64 = 0.1;
/// Alternatives below this are not worth a word.
const WORTH_A_WORD: f64 = 0.02;
/// Alternatives that are told at most.
const ALTERNATIVES: usize = 4;

impl Verdict {
    /// Weighs opinions. The likeliest one stands as it is; the others share what it leaves, so
    /// that all together never exceed certainty. Without a likely one the cause is unknown.
    pub fn of(case: &Case<'_>, opinions: Vec<Opinion>) -> Self {
        let mut opinions = strongest_of_each_cause(case, opinions);
        let is_likely = opinions.first().is_some_and(|best| best.probability >= LEAST);
        if !is_likely {
            return Self::unknown(case, opinions);
        }
        let best = opinions.remove(0);
        let mut evidence = best.evidence;
        evidence.sort_by_key(|reason| std::cmp::Reverse(reason.weight));
        let (severity, at_fault) = consequence(case, best.cause, best.probability);
        Self {
            class: best.cause.class(),
            cause: best.cause,
            confidence: Confidence::new(best.probability),
            origin: best.origin,
            evidence,
            alternatives: share(opinions, 1.0 - best.probability),
            basis: basis(case),
            severity,
            at_fault,
        }
    }

    fn unknown(case: &Case<'_>, opinions: Vec<Opinion>) -> Self {
        let unseen = case.known.stage == Stage::NoFlow || !case.saw_the_beginning();
        let cause = if unseen { Cause::NoConnectionSeen } else { Cause::Unknown };
        let (severity, at_fault) = consequence(case, cause, 0.0);
        Self {
            class: cause.class(),
            cause,
            confidence: Confidence::default(),
            origin: Origin::Unknown,
            evidence: Vec::new(),
            alternatives: share(opinions, 1.0),
            basis: basis(case),
            severity,
            at_fault,
        }
    }
}

/// Whether the kernel took part. Its silence is a statement too, where it would have spoken.
fn basis(case: &Case<'_>) -> Basis {
    let took_part = case.testimony().has_spoken() || case.author() != Author::Untold;
    if took_part { Basis::WireKernel } else { Basis::Wire }
}

/// One opinion per cause, likeliest first. Equal ones keep the order of the rules, so that the
/// verdict is the same every time.
fn strongest_of_each_cause(case: &Case<'_>, opinions: Vec<Opinion>) -> Vec<Opinion> {
    let mut kept: Vec<Opinion> = Vec::with_capacity(opinions.len());
    for mut opinion in opinions {
        if !case.saw_the_beginning() && !opinion.stands_alone {
            opinion.probability = opinion.probability.min(MOST_WITHOUT_BEGINNING);
        }
        if case.lacks_the_end() && !opinion.stands_alone {
            opinion.probability *= WITHOUT_THE_END;
            let text = "the segments right before the reset were not recorded (`--recorder off`)";
            opinion = opinion.because("unrecorded", -0.5, text);
        }
        if opinion.origin == Origin::Endpoint && case.no_endpoint_wrote_it() {
            opinion.probability *= IN_SPITE_OF_THE_KERNEL;
        }
        match kept.iter_mut().find(|other| other.cause == opinion.cause) {
            Some(other) if other.probability < opinion.probability => *other = opinion,
            Some(_) => {}
            None => kept.push(opinion),
        }
    }
    kept.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    kept
}

/// The alternatives, scaled down to what is left.
fn share(opinions: Vec<Opinion>, left: f64) -> Vec<Alternative> {
    let sum: f64 = opinions.iter().map(|opinion| opinion.probability).sum();
    let scale = if sum > left { left / sum } else { 1.0 };
    let scaled = opinions.into_iter().map(|opinion| (opinion.cause, opinion.probability * scale));
    scaled
        .filter(|(_, probability)| *probability >= WORTH_A_WORD)
        .take(ALTERNATIVES)
        .map(|(cause, probability)| Alternative::new(cause, Confidence::new(probability)))
        .collect()
}
