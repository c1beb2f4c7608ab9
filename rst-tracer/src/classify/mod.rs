//! The cause engine: why was this connection reset?
//!
//! Pure: in go the facts of one reset ([`Case`]), out comes a [`Verdict`]. Each rule gives an
//! [`Opinion`] with its reasons, or none; the verdict weighs them and never invents one.
#![forbid(unsafe_code)]

mod again;
mod answered;
mod application;
mod author;
mod blind;
mod block_page;
mod case;
mod consequence;
mod fingerprint;
mod forgery;
mod form;
mod last_words;
mod normal;
mod opinion;
mod past;
mod payload;
mod policy;
mod protocol;
mod refused;
mod resource;
mod scan;
mod security;
mod sequel;
pub mod signature;
#[cfg(test)]
mod tests;
mod told;
mod traffic;
mod ttl;
mod twice;
mod verdict;

pub use author::Author;
pub use case::{Case, Known, Maker};
pub use consequence::{consequence_in_words, consequence_table};
pub use fingerprint::Habit;
pub use forgery::{Tells, handshake_trip_ns};
pub use form::Form;
pub use last_words::LastWords;
pub use opinion::Opinion;
pub use past::Past;
pub use payload::{Diagnostic, Payload};
pub use sequel::Sequel;
pub use verdict::Verdict;

/// A rule: what it thinks about a case, if anything.
type Rule = fn(&Case<'_>) -> Vec<Opinion>;

/// The rules: what the sender's kernel told, what the reset says itself, then one file per class.
const CLASSES: [&[Rule]; 13] = [
    told::RULES,
    payload::RULES,
    refused::RULES,
    policy::RULES,
    blind::RULES,
    security::RULES,
    block_page::RULES,
    scan::RULES,
    resource::RULES,
    application::RULES,
    traffic::RULES,
    protocol::RULES,
    normal::RULES,
];

/// Explains a reset.
pub fn explain(case: &Case<'_>) -> Verdict {
    let mut opinions = Vec::new();
    let is_new = !case.is_seen_again();
    for rule in CLASSES.iter().copied().flatten().filter(|_| is_new) {
        opinions.append(&mut rule(case));
    }
    Verdict::of(case, opinions)
}
