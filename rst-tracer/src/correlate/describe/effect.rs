//! What the receiver did with the reset, as far as the wire shows.
//!
//! In: the receiver's acknowledgments and window before the reset, and what it sent after it.
//! The rules are those of RFC 9293 section 3.10.7 and RFC 5961 section 3.2, as Linux has them
//! (net/ipv4/tcp_input.c `tcp_validate_incoming`). One is out of reach: Linux also believes a
//! reset at the right edge of its last SACK block, and the flight recorder keeps no SACK blocks.

use rst_tracer_common::{
    flow::flag,
    wire::{Flags, Seq},
};

use crate::{
    classify::{Past, Sequel},
    correlate::Joined,
    event::Effect,
};

pub(super) fn of(joined: &Joined, past: Option<&Past<'_>>) -> Effect {
    let Some(past) = past else { return Effect::Unknown };
    let segment = &joined.reset.rst.head.segment;
    let tcp = &segment.tcp;
    let waits_for_syn_ack = past.i_opened() == Some(false)
        && past.has(flag::SYN)
        && !past.has(flag::SYN_ACK | flag::ESTABLISHED);
    if waits_for_syn_ack {
        return in_syn_sent(tcp.flags, tcp.ack, past);
    }
    // A receiver that has stopped answering may not even have got it.
    if past.unanswered_probes() > 1 {
        return Effect::Unknown;
    }
    let Some(expected) = past.their_ack() else { return Effect::Unknown };
    let sequel = Sequel::of(joined);
    match place(tcp.seq, expected, past) {
        Place::Exact if sequel.receiver_goes_on(past).is_some() => Effect::Ignored,
        Place::Exact => Effect::Accepted,
        Place::Inside => Effect::Challenged,
        Place::Outside => Effect::Ignored,
        Place::Unclear if sequel.challenge_ack(expected).is_some() => Effect::Challenged,
        Place::Unclear => Effect::Unknown,
    }
}

/// A client without a SYN-ACK believes only what acknowledges its SYN.
fn in_syn_sent(flags: Flags, ack: Seq, past: &Past<'_>) -> Effect {
    let fits = ack.since(past.their_facts().isn) > 0 && ack.since(past.their_end()) <= 0;
    if flags.has(Flags::ACK) && fits { Effect::Accepted } else { Effect::Ignored }
}

/// Where the sequence number of a reset lies for its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// What it expects next.
    Exact,
    /// Elsewhere in its window.
    Inside,
    /// Outside its window.
    Outside,
    /// What was seen does not say.
    Unclear,
}

fn place(seq: Seq, expected: Seq, past: &Past<'_>) -> Place {
    let ahead = seq.since(expected);
    // The receiver may have got more than it has acknowledged so far.
    let not_yet_acked = past.my_end().since(expected).max(0);
    if ahead == 0 || ahead == not_yet_acked {
        return Place::Exact;
    }
    // A receiver that has our FIN also takes the number before it.
    let has_fin = past.i(flag::FIN) && past.i(flag::FIN_ACKED);
    if ahead == -1 && has_fin {
        return Place::Exact;
    }
    let (least, most) = past.their_window();
    match ahead {
        ..0 => Place::Outside,
        _ if ahead < not_yet_acked => Place::Unclear,
        _ if ahead as u32 <= least => Place::Inside,
        _ if ahead as u32 > most.saturating_add(not_yet_acked as u32) => Place::Outside,
        _ => Place::Unclear,
    }
}
