//! When a verdict may go out before its aftermath is known.
//!
//! In: a reset with what the kernel said. Out: how long it must wait at least. Only a host that knows
//! for certain why it sent the reset itself need not wait to be proven wrong: nothing that the other
//! side does later changes what its own kernel did. Everything that came from outside, was forwarded,
//! or was merely observed waits for the whole of `--settle`.

use super::{Joined, Rules, hearing::is_departure};
use crate::classify::Past;

/// How long the crowd needs to show itself: resets of one process come within 50 ms of each other,
/// and its listener closes with them.
const CROWD_NS: u64 = 100_000_000;
/// The other side's word on the reset is awaited for so many round trips, so that its effect is told
/// as it was.
const ROUND_TRIPS: u64 = 3;
/// Reasons of a process that ends: then what comes within a second tells why (the port refuses, or
/// does not).
const OF_PROCESS: [&str; 2] = ["TCP_ABORT_ON_CLOSE", "TCP_STATE"];

/// How long the reset waits, in nanoseconds from its sighting.
pub(super) fn wait_ns(joined: &Joined, rules: &Rules) -> u64 {
    let most = rules.longest_ns();
    if !is_own(joined, rules.netns) {
        return most;
    }
    let past = joined.reset.flow.as_deref();
    let past = past.map(|state| Past::of(state, joined.reset.rst.head.side));
    let rtt = past.and_then(|past| past.rtt_ns()).unwrap_or(0);
    let least = rtt.saturating_mul(ROUND_TRIPS).max(CROWD_NS).max(rules.sightings_ns());
    least.min(most)
}

/// Whether what is known around it says that more may come to be known in a second.
pub(super) fn is_open(joined: &Joined) -> bool {
    let sent = joined.testimony.sent.as_ref();
    let of_process = sent.is_some_and(|sent| OF_PROCESS.iter().any(|name| sent.is_because(name)));
    of_process && (joined.crowd.of_endpoint > 0 || joined.crowd.listener_closed)
}

/// Whether this host made it and its kernel says why: TCP by a reason that it names, or the packet
/// filter by dropping what the reset answers.
fn is_own(joined: &Joined, own: Option<u32>) -> bool {
    let all = std::iter::once(&joined.reset).chain(&joined.sightings);
    if !all.into_iter().all(|reset| is_departure(&reset.rst.head)) {
        return false;
    }
    let here = |netns: u32| own.is_none_or(|own| own == netns);
    let told = joined.testimony.sent.as_ref().is_some_and(|sent| {
        let has_reason = sent.reason.as_deref().is_some_and(|name| name != "NOT_SPECIFIED");
        has_reason && here(sent.wire.netns)
    });
    let dropped = joined.testimony.trigger_dropped.as_ref();
    let filtered = joined.testimony.sent.is_none()
        && dropped.is_some_and(|drop| drop.is_because("NETFILTER_DROP") && here(drop.wire.netns));
    told || filtered
}
