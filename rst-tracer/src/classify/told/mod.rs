//! What the sender's kernel said of the reset decides nearly everything.
//!
//! One row per place in Linux that sends a reset (net/ipv4/tcp.c, tcp_input.c, tcp_ipv4.c,
//! tcp_minisocks.c, tcp_timer.c, net/mptcp; reasons: include/net/rstreason.h, passive ones from
//! 6.10, active ones from 6.12). Names, never numbers: these change between kernels.

mod aborted;
mod answered;
mod silent;

use rst_tracer_common::notice::notice_trait;

use super::{Case, Opinion, Rule};
use crate::{event::Cause, source::Notice};

pub(super) const RULES: &[Rule] = &[by_tcp, silent::by_filter, silent::by_program];

/// A reason by its kernel name, and what it means in a case.
type Row = (&'static str, fn(&Case<'_>, &Notice) -> Vec<Opinion>);

fn by_tcp(case: &Case<'_>) -> Vec<Opinion> {
    let Some(sent) = case.sent() else { return vec![] };
    // Linux 6.10 and 6.11 do not say why a living socket is aborted.
    let reason = sent.reason.as_deref().filter(|reason| *reason != "NOT_SPECIFIED");
    let table: &[Row] = if sent.has_trigger() { &answered::PASSIVE } else { &aborted::ACTIVE };
    let row = table.iter().find(|(name, _)| Some(*name) == reason);
    let opinions = match (row, reason) {
        (Some((_, rule)), _) => rule(case, sent),
        (None, Some(reason)) if reason.starts_with("MPTCP_RST_") => multipath(case, sent),
        (None, Some(_)) => return vec![],
        (None, None) if sent.has_trigger() => answered::answered_without_reason(case, sent),
        (None, None) => aborted::aborted_without_reason(case, sent),
    };
    let opinions = aborted::passed_on(case, sent, opinions);
    opinions.into_iter().map(Opinion::whatever_came_before).collect()
}

/// An opinion that rests on what the kernel said.
fn told(sent: &Notice, cause: Cause, probability: f64, meaning: &str) -> Opinion {
    let reason = sent
        .reason
        .as_deref()
        .map_or("no reason".into(), |reason| std::borrow::Cow::Owned(format!("reason {reason}")));
    let state = sent.state.as_deref().unwrap_or("none");
    let before = sent.state_before.as_deref().filter(|before| *before != state);
    let was = match (sent.has(notice_trait::SOCKET), before) {
        (false, _) => "no socket".to_owned(),
        (true, Some(before)) => format!("a socket that was {before}"),
        (true, None) => format!("a socket in state {state}"),
    };
    let text = format!("this host's TCP sent it, with {reason} and {was}: {meaning}");
    Opinion::new(cause, probability).because("kernel_reason", 3.0, text)
}

/// MPTCP names its reasons as RFC 8684 section 3.6 does.
fn multipath(_: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    let (cause, meaning) = match sent.reason.as_deref() {
        Some("MPTCP_RST_ERESOURCE") => (Cause::MptcpResource, "multipath TCP lacks resources"),
        _ => (Cause::MptcpProtocol, "multipath TCP gave up this subflow"),
    };
    vec![told(sent, cause, 0.97, meaning)]
}
