//! The engine's sixth exam: scenarios that are kept aside until their results are looked at.
//!
//! In: nothing. Out: scenarios of every class of the taxonomy, about as often each as operators meet such resets, told
//! as they would tell them: replicas and automation that call in vain, programs that run out of memory, pipelines that
//! outrun their end, guards before closed doors, administrators that lock themselves out; by somebody who read neither
//! the engine's rules nor its results.

mod capacity;
mod common;
mod crashes;
mod endings;
mod intruders;
mod misunderstood;
mod refused;
mod states;
mod traffic;
mod walls;

use rst_tracer::demo::scenarios::Listed;

/// Those scenarios, by family of files.
pub(super) const LISTED: &[&[Listed]] = &[
    refused::LISTED,
    crashes::LISTED,
    misunderstood::LISTED,
    walls::LISTED,
    intruders::LISTED,
    traffic::LISTED,
    capacity::LISTED,
    states::LISTED,
    endings::LISTED,
];
