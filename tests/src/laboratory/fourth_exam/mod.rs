//! The engine's fourth exam: scenarios that were kept aside until their results were looked at.
//!
//! In: nothing. Out: scenarios of every class of the taxonomy, with programs that no family before it ran, packet
//! filters with the less usual matches, boxes that forget or say why, scripts and pipelines, by somebody who read
//! neither the engine's rules nor its results. They differ from all others in what is done, when, how often and by
//! whom. Half of them was opened first, every second one of the list, and the other half when the next exam was
//! written. The exam that counts now is [`sixth_exam`](super::sixth_exam).

mod admin;
mod appliances;
mod balancers;
mod callers;
mod endings;
mod files;
mod gateways;
mod handshakes;
mod injectors;
mod lost;
mod messages;
mod python;
mod refused;
mod strangers;
mod tunnels;

use rst_tracer::demo::scenarios::Listed;

/// Those scenarios, by family of files.
pub(super) const LISTED: &[&[Listed]] = &[
    refused::LISTED,
    callers::LISTED,
    gateways::LISTED,
    appliances::LISTED,
    injectors::LISTED,
    strangers::LISTED,
    handshakes::LISTED,
    lost::LISTED,
    endings::LISTED,
    admin::LISTED,
    balancers::LISTED,
    python::LISTED,
    messages::LISTED,
    files::LISTED,
    tunnels::LISTED,
];
