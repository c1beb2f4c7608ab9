//! From a joined reset to the event that people and programs read.
//!
//! In: a [`Joined`] reset and the [`Scene`] it played on. Out: a [`RstEvent`] with every fact of
//! the contract and the verdict of the cause engine. Pure: the same reset gives the same event.
#![forbid(unsafe_code)]

pub(crate) mod app;
mod community_id;
mod conn_state;
mod context;
mod effect;
mod id;
mod kernel;
mod roles;
#[cfg(test)]
mod tests;
mod vantage;

use std::{borrow::Cow, collections::HashSet, net::IpAddr, sync::Arc};

use rst_tracer_common::wire::{Address, Segment};

use super::Joined;
use crate::{
    classify::{self, Case, Known, Past, Verdict},
    event::{self, RstEvent, Stage, Text},
};
pub(super) use roles::Roles;
pub(super) use vantage::role;

/// Where the tracer stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// Name of the observing host.
    pub host: String,
    /// Inode of the network namespace that the tracer stands in; `None` for captures.
    pub netns: Option<u32>,
    /// The addresses of the observing host; `None` for captures.
    pub addresses: Option<Arc<HashSet<IpAddr>>>,
    /// Seed of Community IDs.
    pub community_id_seed: u16,
}

/// Describes and explains a reset.
pub fn describe(joined: &Joined, scene: &Scene) -> RstEvent {
    let reset = &joined.reset;
    let head = &reset.rst.head;
    let segment = &head.segment;
    let past = reset.flow.as_deref().map(|state| Past::of(state, head.side));
    let roles = Roles::of(segment, past.as_ref(), joined.listens);
    let own = |address: Address| scene.addresses.as_ref().map(|own| own.contains(&address.to_ip()));
    let (src_is_local, dst_is_local) = (own(segment.src.address), own(segment.dst.address));
    let role = vantage::role_among(joined, dst_is_local);
    let (effect, disbelieved) = effect::of(joined, past.as_ref(), role);
    let known = Known {
        sent_by: roles.sent_by(),
        initiator: roles.initiator,
        stage: stage(past.as_ref()),
        effect,
        disbelieved,
        role,
        src_is_local,
        dst_is_local,
    };
    let case = Case::of(joined, known);
    let verdict = classify::explain(&case);

    let (src, dst) = (end(segment.src), end(segment.dst));
    let hook = vantage::hook(head.hook);
    let mut event = RstEvent::unexplained(reset.time, hook, src, dst, context::segment(segment));
    event.segment.src_mac = vantage::src_mac(reset);
    event.segment.dst_mac = vantage::dst_mac(reset);
    event.id = id::of(reset, scene);
    event.host = scene.host.clone();
    event.ifindex = vantage::direction(head.hook).map(|_| head.ifindex);
    event.netns = scene.netns;
    event.interface = reset.origin.interface.as_deref().map(str::to_owned);
    event.file = reset.origin.file.as_deref().map(str::to_owned);
    event.frame = reset.origin.frame;
    event.direction = vantage::direction(head.hook);
    event.local_role = known.role;
    (event.client, event.server) = roles.ends(src, dst).unzip();
    event.initiator = roles.initiator;
    event.sent_by = known.sent_by;
    event.session_end_reason = known.sent_by.session_end_reason();
    event.effect = known.effect;
    event.stage = known.stage;
    let (state, history) = conn_state::of(segment, past.as_ref(), &roles);
    (event.conn_state, event.history) = (Some(state), Some(history));
    event.app = app::of(past.as_ref(), &roles, known.stage, verdict.class);
    event.payload_text = case.payload().words().map(Cow::into_owned);
    event.signature = classify::signature::of(&case).map(Cow::Borrowed);
    event.mptcp_reason = case.mptcp_reason().map(mptcp_reason);
    event.flow = past.map(|past| context::flow(reset, &past, &roles));
    event.recent =
        past.map(|past| context::recent(head.time_ns, &past, &roles)).unwrap_or_default();
    event.community_id = community_id::of(src, dst, scene.community_id_seed);
    event.vlan = vlans(segment);
    event.tunnel = segment.tunnel.name().map(Cow::Borrowed);
    event.process = joined.process.clone();
    event.kernel = kernel::of(&joined.testimony, scene);
    event.sightings = vantage::sightings(joined);
    event.repeats = reset.flow.as_ref().map_or(0, |state| state.flow.suppressed.into());
    explained(event, verdict)
}

/// Takes the verdict over.
fn explained(mut event: RstEvent, verdict: Verdict) -> RstEvent {
    event.class = verdict.class;
    event.cause = verdict.cause;
    event.confidence = verdict.confidence;
    event.origin = verdict.origin;
    event.evidence = verdict.evidence;
    event.alternatives = verdict.alternatives;
    event.basis = verdict.basis;
    event.severity = verdict.severity;
    event.at_fault = verdict.at_fault;
    event
}

/// How far the connection had come.
pub(super) fn stage(past: Option<&Past<'_>>) -> Stage {
    use rst_tracer_common::flow::Stage as Tracked;
    match past.and_then(|past| past.state().stage()) {
        None => Stage::NoFlow,
        Some(Tracked::PostSyn) => Stage::PostSyn,
        Some(Tracked::PostSynAck) => Stage::PostSynack,
        Some(Tracked::PostAck) => Stage::PostAck,
        Some(Tracked::PostPush) => Stage::PostPush,
        Some(Tracked::PostData) => Stage::PostData,
        Some(Tracked::PostFin) => Stage::PostFin,
        Some(Tracked::Closed) => Stage::Closed,
    }
}

fn end(end: rst_tracer_common::wire::Endpoint) -> event::Endpoint {
    end.to_socket().into()
}

/// VLAN ids, outermost first.
fn vlans(segment: &Segment) -> Vec<u16> {
    const PRESENT: u32 = 1 << 16;
    let tags = segment.vlan.iter().filter(|tag| **tag & PRESENT != 0);
    tags.map(|tag| (tag & 0x0fff) as u16).collect()
}

/// The reasons of MP_TCPRST by number (RFC 8684 section 3.6, table 3).
fn mptcp_reason(reason: u8) -> Text {
    Cow::Borrowed(match reason {
        0 => "unspecified error",
        1 => "MPTCP-specific error",
        2 => "lack of resources",
        3 => "administratively prohibited",
        4 => "too much outstanding data",
        5 => "unacceptable performance",
        6 => "middlebox interference",
        other => return Cow::Owned(format!("reason {other}")),
    })
}
