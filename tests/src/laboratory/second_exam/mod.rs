//! The engine's second exam: scenarios that were kept aside until their results were looked at.
//!
//! In: nothing. Out: scenarios of filters, injectors, scanners, servers, proxies and administrators, by others who
//! did not know the engine's rules. The exam that counts now is [`sixth_exam`](super::sixth_exam).

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
