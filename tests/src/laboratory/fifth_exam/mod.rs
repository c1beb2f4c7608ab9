//! The engine's fifth exam: scenarios that were kept aside until their results were looked at.
//!
//! In: nothing. Out: scenarios of every class of the taxonomy, about as often each as operators meet such resets,
//! mostly with programs that no other family runs (lighttpd, Node.js, Dropbear, beanstalkd, tinyproxy, Perl, nft's sets
//! and meters, the real tcpkill and masscan), by somebody who read neither the engine's rules nor its results. Half of
//! them was opened first, every second one of the list, and the other half when the next exam was written. The exam that
//! counts now is [`sixth_exam`](super::sixth_exam).

mod capacity;
pub(super) mod common;
mod endings;
mod intruders;
mod javascript;
mod programs;
mod refused;
mod states;
mod traffic;
mod walls;

use rst_tracer::demo::scenarios::Listed;

/// Those scenarios, by family of files.
pub(super) const LISTED: &[&[Listed]] = &[
    refused::LISTED,
    programs::LISTED,
    javascript::LISTED,
    endings::LISTED,
    walls::LISTED,
    intruders::LISTED,
    traffic::LISTED,
    capacity::LISTED,
    states::LISTED,
];
