//! The engine's third exam: scenarios that were kept aside until their results were looked at.
//!
//! In: nothing. Out: scenarios of refusals and aborts by bare sockets and by programs as they are
//! in daily use, of packet filters, injectors, proxies and of connections that were lost, by somebody who did not
//! know the engine's rules. They differ from all others in what is done, when, how
//! often and by whom. Half of them was opened first, chosen by the order in which they are listed, and the other half
//! when the next exam was written. The exam that counts now is [`sixth_exam`](super::sixth_exam).

mod appliances;
pub(super) mod balancers;
pub(super) mod capacity;
pub(super) mod common;
mod endings;
mod filters;
mod inspectors;
mod lost;
mod programs;
mod redis;
mod refused;
pub(super) mod retired;
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
