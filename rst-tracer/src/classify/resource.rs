//! Something was full: an accept queue, the memory of a host, the resources of MPTCP.

use rst_tracer_common::{flow::flag, wire::Flags};

use super::{Case, Form, Maker, Opinion, Rule, application};
use crate::event::{Cause, Stage};

pub(super) const RULES: &[Rule] = &[accept_queue_overflow, orphaned, mptcp];

/// The server's host answers the end of the handshake with a reset: with
/// `net.ipv4.tcp_abort_on_overflow` it does so when the listener's queue is full.
fn accept_queue_overflow(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.past else { return vec![] };
    let early = matches!(case.known.stage, Stage::PostAck | Stage::PostPush | Stage::PostData);
    let seen = past.has(flag::SYN_ACK) && past.i_opened() == Some(false);
    let silent = past.mine().data_segments == 0 && !past.i(flag::ACKED);
    let fits = early
        && seen
        && silent
        && case.form == Form::Passive
        && case.segment().tcp.seq == past.my_facts().isn + 1;
    if !fits || case.maker() == Maker::Filter || case.forgery().proven {
        return vec![];
    }
    // Something on the path answered, not the server.
    let elsewhere = case.ttl_shift().is_some_and(|shift| shift != 0) && !case.made_here();
    if elsewhere || case.forgery().has("too_soon") {
        return vec![Opinion::new(Cause::AcceptQueueOverflow, 0.1)];
    }
    let repeats = past.my_slots().filter(|slot| slot.flags.has(Flags::SYN)).count();
    let opinion = Opinion::new(Cause::AcceptQueueOverflow, if repeats > 1 { 0.88 } else { 0.5 });
    let text = "the server's host answered the end of the handshake as if it had no socket";
    let opinion = opinion.because("answers_handshake", 1.5, text);
    vec![match repeats {
        0 | 1 => opinion,
        n => opinion.because(
            "syn_ack_repeated",
            1.5,
            format!("the SYN-ACK was sent {n} times: the server held the connection back"),
        ),
    }]
}

/// A FIN and at once a reset behind it: the kernel had no room for the orphaned socket.
fn orphaned(case: &Case<'_>) -> Vec<Opinion> {
    const AT_ONCE_NS: u64 = 1_000_000;
    let Some(past) = case.established() else { return vec![] };
    let Some(fin) = past.my_slots().rfind(|slot| slot.flags.has(Flags::FIN)) else {
        return vec![];
    };
    let alone = past.their_slots().next_back().is_none_or(|theirs| theirs.time_ns <= fin.time_ns);
    let fits = case.form == Form::Active && case.segment().tcp.seq == past.my_end();
    if !fits || !alone || case.since(fin) > AT_ONCE_NS {
        return vec![];
    }
    let us = case.since(fin) / 1000;
    let text = format!("{} reset the connection {us} µs after its own FIN", case.sender());
    // A server that leaves a request unread does so too, and far more often.
    let probability = if application::shut_then_closed(case, &past) { 0.2 } else { 0.5 };
    let opinion = Opinion::new(Cause::OrphanOrMemoryPressure, probability);
    vec![opinion.because("reset_behind_fin", 1.0, text)]
}

/// MPTCP says so in its option (RFC 8684 section 3.6, reason 2).
fn mptcp(case: &Case<'_>) -> Vec<Opinion> {
    if case.mptcp_reason() != Some(2) {
        return vec![];
    }
    let text = "the MP_TCPRST option gives the reason “lack of resources”";
    let opinion = Opinion::new(Cause::MptcpResource, 0.95).because("mptcp_reason", 3.0, text);
    vec![opinion.whatever_came_before()]
}
