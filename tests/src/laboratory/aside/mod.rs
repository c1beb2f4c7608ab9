//! The scenarios that are kept aside: the engine's exam, the third of its kind.
//!
//! In: nothing. Out: scenarios of refusals and aborts by bare sockets and by programs as they are
//! in daily use, of packet filters, injectors, proxies and of connections that were lost, by somebody who did not
//! know the engine's rules. They differ from all others in what is done, when, how
//! often and by whom. Of their results only sums are looked at.

mod appliances;
mod balancers;
mod capacity;
mod common;
mod endings;
mod filters;
mod inspectors;
mod lost;
mod programs;
mod redis;
mod refused;
mod retired;
mod strangers;
mod tools;
mod walled;

use rst_tracer::demo::scenarios::Listed;

/// Those scenarios, by family of files.
pub(super) const LISTED: &[&[Listed]] = &[
    refused::LISTED,
    appliances::LISTED,
    walled::LISTED,
    inspectors::LISTED,
    strangers::LISTED,
    capacity::LISTED,
    filters::LISTED,
    redis::LISTED,
    retired::LISTED,
    endings::LISTED,
    lost::LISTED,
    programs::LISTED,
    balancers::LISTED,
    tools::LISTED,
];
