//! The scenarios that are kept aside: the engine's exam.
//!
//! In: nothing. Out: scenarios of filters, injectors, scanners, servers, proxies and administrators (refusals and
//! aborts by bare sockets are still to be written), by others who did not know the
//! engine's rules and wrote them after the rules. They differ from all others in what is done,
//! when, how often and by whom. Of their results only sums are looked at.

pub(super) mod daemons;
pub(super) mod filter;
mod hosts;
mod inspectors;
mod responders;
mod routing;
mod scanners;
mod strangers;
mod walls;

use rst_tracer::demo::scenarios::Listed;

/// Those scenarios, by family of files.
pub(super) const LISTED: &[&[Listed]] = &[
    walls::LISTED,
    hosts::LISTED,
    inspectors::LISTED,
    responders::LISTED,
    strangers::LISTED,
    scanners::LISTED,
    daemons::LISTED,
    routing::LISTED,
];
