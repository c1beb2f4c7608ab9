//! The policy file: which resets are expected where, and what each of its rules says of a reset.
//!
//! In: rules, in the order of the file, and each event that is written. Out: the verdict of the first rule that matches,
//! the counts of every rule, and findings about what violates one. What the files look like, and who reads them, is in
//! `config`.

mod denied;
mod ledger;
mod rule;
#[cfg(test)]
mod tests;
pub(super) mod violations;

pub use ledger::Ledger;
pub use rule::{Expectation, Match, Rule};
