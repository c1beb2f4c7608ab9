//! Answers to a segment: there was no socket for it, or one that could not take it.

use rst_tracer_common::{flow::flag, wire::Flags};

use super::{Row, multipath, told};
use crate::{
    classify::{Case, Opinion, normal::copy_behind_the_end, opinion::span, scan},
    event::{Cause, Stage},
    source::Notice,
};

/// Answers to a segment, by reason.
pub(super) const PASSIVE: [Row; 11] = [
    ("NO_SOCKET", no_socket),
    ("TCP_TIMEWAIT_SOCKET", behind_its_end),
    ("TCP_ABORT_ON_DATA", behind_its_end),
    ("TCP_FLAGS", unexpected_by_listener),
    ("INVALID_SYN", refused_by_listener),
    ("TCP_INVALID_ACK_SEQUENCE", wrong_syn_ack),
    ("TCP_RFC7323_PAWS", wrong_timestamp),
    ("TCP_OLD_ACK", wrong_handshake_ack),
    ("TCP_TOO_OLD_ACK", wrong_handshake_ack),
    ("TCP_ACK_UNSENT_DATA", wrong_handshake_ack),
    ("MPTCP_RST_ERESOURCE", multipath),
];

/// What the state of the socket tells where the kernel gives no reason (before Linux 6.10).
pub(super) fn answered_without_reason(case: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    match sent.state.as_deref() {
        Some("SYN_SENT") => wrong_syn_ack(case, sent),
        Some("SYN_RECV") => wrong_handshake_ack(case, sent),
        Some("CLOSE") => behind_its_end(case, sent),
        _ => vec![],
    }
}

/// No socket for the segment: what the segment was, and what came before, says why.
fn no_socket(case: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    let flags = sent.wire.trigger_flags;
    if !flags.has(Flags::SYN) {
        return no_connection(case, sent);
    }
    if flags.has(Flags::ACK) {
        return unwanted_syn_ack(case, sent);
    }
    nobody_listens(case, sent)
}

fn nobody_listens(case: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    let closed = told(sent, Cause::ClosedPort, 0.97, "nothing listens on the port");
    let ports = case.crowd().refused_ports;
    if ports >= scan::MANY_PORTS {
        let meaning = format!(
            "nothing listens on the port, and {ports} ports of this host refused the same client \
             within 10 s"
        );
        return vec![
            told(sent, Cause::ScanResponse, 0.94, &meaning),
            Opinion { probability: 0.05, ..closed },
        ];
    }
    let Some(ns) = case.accepted_lately_ns() else { return vec![closed] };
    let meaning =
        format!("nothing listens on the port, which accepted a connection {} ago", span(ns));
    let away = if case.may_refuse_a_path().is_some() { 0.4 } else { 0.96 };
    vec![
        told(sent, Cause::ListenerWentAway, away, &meaning),
        Opinion { probability: 0.04, ..closed },
    ]
}

fn unwanted_syn_ack(case: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    if let Some((_, false)) = case.past.and_then(|past| past.earlier_reset()) {
        let meaning = "it had believed a refusal before the SYN-ACK came";
        return vec![told(sent, Cause::SegmentAfterReset, 0.95, meaning)];
    }
    let asked = case.past.is_some_and(|past| past.has(flag::SYN));
    if !asked {
        let meaning = "a SYN-ACK came that answers no SYN of this host: somebody uses its address";
        return vec![told(sent, Cause::Backscatter, 0.88, meaning)];
    }
    if case.past.is_some_and(|past| scan::is_raw_syn(&past)) {
        let meaning = "no socket had sent the SYN: a program wrote it past TCP";
        return vec![
            told(sent, Cause::ScannerProbe, 0.95, meaning),
            told(sent, Cause::ClientGaveUp, 0.03, meaning),
        ];
    }
    let meaning = "the socket that had sent the SYN was gone when the SYN-ACK came";
    if sent.state_before.as_deref() == Some("SYN_SENT") {
        return vec![told(sent, Cause::ClientGaveUp, 0.97, meaning)];
    }
    // Of sockets that closed the kernel's part of the tracer remembers some: one of a common TCP may be forgotten.
    let by_a_stack = case.past.is_some_and(|past| scan::is_stack_syn(&past));
    if case.testimony().witnesses.states && !by_a_stack {
        let unknown = "no socket of this host had sent the SYN, nor closed since: a program wrote it \
                       past TCP";
        return vec![
            told(sent, Cause::ScannerProbe, 0.8, unknown),
            told(sent, Cause::ClientGaveUp, 0.17, meaning),
        ];
    }
    vec![told(sent, Cause::ClientGaveUp, 0.9, meaning)]
}

/// A segment of a connection that this host does not know, or no longer.
fn no_connection(case: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    let Some(past) = case.past else {
        let meaning = "a segment came that belongs to no connection";
        return vec![told(sent, Cause::StraySegment, 0.7, meaning)];
    };
    if case.known.stage == Stage::NoFlow {
        let lone = case.trigger().is_none_or(|trigger| trigger.len == 0);
        let (stray, stale) = if lone { (0.9, 0.07) } else { (0.55, 0.4) };
        let meaning = "a lone segment came that belongs to no connection";
        return vec![
            told(sent, Cause::StraySegment, stray, meaning),
            told(sent, Cause::HalfOpenStaleState, stale, meaning),
        ];
    }
    if let Some((_, mine)) = case.heeded_reset() {
        let meaning = match mine {
            true => "it had reset the connection before and answers what still came",
            false => "it had believed a reset before, of which the other side knew nothing",
        };
        return vec![told(sent, Cause::SegmentAfterReset, 0.97, meaning)];
    }
    if past.i(flag::FIN) && past.they(flag::FIN) {
        return behind_both_fins(case, sent);
    }
    if let Some(times) = past.repeated_in_vain() {
        return vec![told(sent, Cause::LateSegmentAfterTimeout, 0.95, &given_up(times))];
    }
    if past.i(flag::FIN) {
        let meaning = "it had closed with a FIN and given up waiting; more came";
        return vec![told(sent, Cause::DataAfterClose, 0.92, meaning)];
    }
    let meaning = "it knows nothing of the connection: it was restarted, or lost it silently";
    vec![
        told(sent, Cause::HalfOpenStaleState, 0.93, meaning),
        told(sent, Cause::LateSegmentAfterTimeout, 0.04, meaning),
    ]
}

fn given_up(times: usize) -> String {
    format!("it had sent the same segment {times} times without an answer, and given up")
}

/// A segment of a connection that both sides had closed.
fn behind_both_fins(case: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    let Some(what) = copy_behind_the_end(case) else {
        let meaning = "the connection was closed both ways and this came late";
        return vec![told(sent, Cause::RstAfterFin, 0.9, meaning)];
    };
    let meaning = format!("the connection was closed both ways, and {what}");
    vec![
        told(sent, Cause::StraySegment, 0.75, &meaning),
        told(sent, Cause::RstAfterFin, 0.2, &meaning),
    ]
}

/// FIN_WAIT2, an orphan, or a socket shut down both ways got data (or, with TCP_LINGER2 below 0,
/// the ACK of its FIN).
fn behind_its_end(case: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    let has_data = case.trigger().is_none_or(|trigger| trigger.len > 0);
    if has_data {
        let meaning = "it had closed its side, and data came that nobody can read any more";
        return vec![told(sent, Cause::DataAfterClose, 0.97, meaning)];
    }
    let meaning = "its owner had closed it and does not wait for the other side (TCP_LINGER2)";
    vec![told(sent, Cause::RstAfterFin, 0.92, meaning)]
}

/// A listener got an ACK that completes no handshake.
fn unexpected_by_listener(case: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    let known = case.known.stage != Stage::NoFlow;
    let Some(past) = case.past.filter(|_| known) else {
        let meaning = "a listener got a segment that belongs to no connection";
        return vec![told(sent, Cause::StraySegment, 0.93, meaning)];
    };
    if case.known_reset().is_some() {
        let meaning = "a listener got a segment of a connection that was reset before";
        return vec![told(sent, Cause::SegmentAfterReset, 0.95, meaning)];
    }
    if past.i(flag::FIN) && past.they(flag::FIN) {
        return behind_both_fins(case, sent);
    }
    if let Some(times) = past.repeated_in_vain() {
        return vec![told(sent, Cause::LateSegmentAfterTimeout, 0.95, &given_up(times))];
    }
    if past.mine().data_segments > 0 || past.i(flag::ACKED) {
        let meaning = "a listener got a segment of a connection that its host does not know any \
                       more: it was restarted";
        return vec![told(sent, Cause::HalfOpenStaleState, 0.95, meaning)];
    }
    let meaning = "a listener got an ACK that does not fit its SYN-ACK";
    vec![
        told(sent, Cause::BadHandshakeAck, 0.95, meaning),
        told(sent, Cause::AcceptQueueOverflow, 0.04, meaning),
    ]
}

/// A listener refused the end of a handshake (its queue is full and tcp_abort_on_overflow is set) or
/// a second SYN within it.
fn refused_by_listener(_: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    if sent.wire.trigger_flags.has(Flags::SYN) {
        let meaning = "a SYN came amid the handshake that does not belong to it";
        return vec![told(sent, Cause::BadHandshakeAck, 0.97, meaning)];
    }
    let meaning = "the listener's accept queue was full (tcp_abort_on_overflow is set)";
    vec![told(sent, Cause::AcceptQueueOverflow, 0.98, meaning)]
}

/// A caller got an ACK that does not fit its SYN: the other side has an older connection there.
fn wrong_syn_ack(case: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    if sent.wire.trigger_flags.has(Flags::SYN) {
        let meaning = "the SYN-ACK acknowledged what was never sent";
        return vec![told(sent, Cause::BadHandshakeAck, 0.95, meaning)];
    }
    let meaning = "the other side answered the SYN with an ACK of an older connection";
    let (found, reuse) = case.older_connection();
    vec![
        told(sent, Cause::HalfOpenDiscovery, found, meaning),
        told(sent, Cause::PortReuseTimewait, reuse, meaning),
    ]
}

fn wrong_timestamp(_: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    let meaning = "the SYN-ACK echoed a timestamp that the SYN never had";
    vec![told(sent, Cause::TimestampMismatch, 0.98, meaning)]
}

fn wrong_handshake_ack(_: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    let meaning = "the handshake was answered with a wrong acknowledgment";
    vec![told(sent, Cause::BadHandshakeAck, 0.95, meaning)]
}
