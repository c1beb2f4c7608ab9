//! The scenarios that are kept aside: the engine's exam.
//!
//! In: nothing. Out: scenarios of every class of the taxonomy, by somebody who did not know the
//! engine's rules and wrote them after the rules. They differ from all others in what is done,
//! when, how often and by whom. Of their results only sums are looked at.

mod aborts;
mod daemons;
mod farewells;
mod filter;
mod hosts;
mod inspectors;
mod refusals;
mod responders;
mod routing;
mod scanners;
mod strangers;
mod strays;
mod walls;

use rst_tracer::demo::scenarios::Listed;

/// Those scenarios, by family of files.
pub(super) const LISTED: &[&[Listed]] = &[
    refusals::LISTED,
    aborts::LISTED,
    farewells::LISTED,
    strays::LISTED,
    walls::LISTED,
    hosts::LISTED,
    inspectors::LISTED,
    responders::LISTED,
    strangers::LISTED,
    scanners::LISTED,
    daemons::LISTED,
    routing::LISTED,
];
