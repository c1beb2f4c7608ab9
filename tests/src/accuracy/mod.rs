//! How often the engine is right: the laboratory's scenarios, judged from three points of view.
//!
//! In: scenarios whose truth is known from how they were made. Out: per reset and point of view,
//! what was expected and what was concluded, and the sums over them.

pub mod ceiling;
pub mod goals;
pub mod judge;
pub mod kinds;
pub mod play;
mod reasons;
pub mod report;
pub mod sums;

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::laboratory::kept_aside;

/// Where a verdict was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Viewpoint {
    /// On the host that put the reset on the wire: packets and the host's kernel.
    Sender,
    /// On the host that the reset was for: packets and the host's kernel.
    Receiver,
    /// From a capture that was taken at the router between the two: packets only.
    Capture,
}

impl Viewpoint {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Sender, Self::Receiver, Self::Capture];

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Sender => "sender's host",
            Self::Receiver => "receiver's host",
            Self::Capture => "capture at the router",
        }
    }
}

/// Whether a scenario is kept aside: its results never serve to choose a rule, a threshold or a
/// probability.
///
/// Exactly those of [`crate::laboratory::kept_aside`]: they were written by somebody who did not know
/// the rules, and only sums of their results are looked at.
pub fn is_held_out(id: &str) -> bool {
    static ASIDE: LazyLock<HashSet<&str>> =
        LazyLock::new(|| kept_aside().iter().map(|scenario| scenario.id).collect());
    ASIDE.contains(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::laboratory::laboratory;

    #[test]
    fn exactly_the_family_that_was_written_for_it_is_kept_aside() {
        let all = laboratory();
        let aside = all.iter().filter(|scenario| is_held_out(scenario.id)).count();
        assert_eq!(aside, kept_aside().len());
        assert!(aside >= 50 && aside < all.len(), "{aside} of {}", all.len());
        let first = kept_aside().first().map(|scenario| scenario.id);
        assert!(!is_held_out("closed_port") && first.is_some_and(is_held_out));
    }
}
