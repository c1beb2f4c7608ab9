//! What the sender's kernel said of the reset decides nearly everything.
//!
//! One row per place in Linux that sends a reset (net/ipv4/tcp.c, tcp_input.c, tcp_ipv4.c,
//! tcp_minisocks.c, tcp_timer.c, net/mptcp; reasons: include/net/rstreason.h, passive ones from
//! 6.10, active ones from 6.12). Names, never numbers: these change between kernels.

use rst_tracer_common::{
    flow::{Slot, flag},
    notice::notice_trait,
    wire::{Flags, Seq},
};

use super::{Author, Case, Form, LastWords, Opinion, Past, Payload, Rule};
use crate::{
    event::{Cause, Origin, SentBy, Stage},
    source::Notice,
};

pub(super) const RULES: &[Rule] = &[by_tcp, by_filter, by_program];

/// A reason by its kernel name, and what it means in a case.
type Row = (&'static str, fn(&Case<'_>, &Notice) -> Vec<Opinion>);

/// Resets of a living socket, by reason.
const ACTIVE: [Row; 7] = [
    ("TCP_ABORT_ON_CLOSE", closed_unread),
    ("TCP_STATE", disconnected),
    ("TCP_ABORT_ON_LINGER", lingered),
    ("TCP_ABORT_ON_MEMORY", out_of_memory),
    ("TCP_KEEPALIVE_TIMEOUT", keepalive),
    ("TCP_DISCONNECT_WITH_DATA", disconnected_with_data),
    ("MPTCP_RST_ERESOURCE", multipath),
];

/// Answers to a segment, by reason.
const PASSIVE: [Row; 11] = [
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

fn by_tcp(case: &Case<'_>) -> Vec<Opinion> {
    let Some(sent) = case.sent() else { return vec![] };
    // Linux 6.10 and 6.11 do not say why a living socket is aborted.
    let reason = sent.reason.as_deref().filter(|reason| *reason != "NOT_SPECIFIED");
    let table: &[Row] = if sent.has_trigger() { &PASSIVE } else { &ACTIVE };
    let row = table.iter().find(|(name, _)| Some(*name) == reason);
    let opinions = match (row, reason) {
        (Some((_, rule)), _) => rule(case, sent),
        (None, Some(reason)) if reason.starts_with("MPTCP_RST_") => multipath(case, sent),
        (None, Some(_)) => return vec![],
        (None, None) if sent.has_trigger() => answered_without_reason(case, sent),
        (None, None) => aborted_without_reason(case, sent),
    };
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

/// What the state of the socket tells where the kernel gives no reason (before Linux 6.10).
fn answered_without_reason(case: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    match sent.state.as_deref() {
        Some("SYN_SENT") => wrong_syn_ack(case, sent),
        Some("SYN_RECV") => wrong_handshake_ack(case, sent),
        Some("CLOSE") => behind_its_end(case, sent),
        _ => vec![],
    }
}

/// The same of a socket that is aborted. One that its owner closes is in CLOSE by then; one that is
/// not was destroyed from outside, or a timer gave it up.
fn aborted_without_reason(case: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    if !sent.is_in("CLOSE") {
        let probes = case.past.map_or(0, |past| past.unanswered_probes());
        let orphaned = case.past.is_some_and(|past| past.i(flag::FIN));
        return match probes {
            2.. => keepalive(case, sent),
            _ if orphaned || sent.state.is_none() => vec![],
            _ => {
                let meaning = "its owner did not close it: somebody destroyed it from outside, as \
                               `ss -K` does";
                vec![told(sent, Cause::AdminKill, 0.9, meaning)]
            }
        };
    }
    if let Some(death) = death(sent) {
        return vec![told(sent, Cause::ProcessCrashOrKill, 0.95, &format!("its owner {death}"))];
    }
    if case.known.sent_by == SentBy::Server && sent.wire.inode == 0 {
        let meaning = "nobody had accepted it yet when its listener was closed";
        return vec![told(sent, Cause::RestartWithPendingConnections, 0.95, meaning)];
    }
    vec![]
}

/// `__tcp_close` with received data left unread.
fn closed_unread(case: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    let meaning = "its owner closed it while received data lay unread";
    if let Some(death) = death(sent) {
        return vec![told(sent, Cause::ProcessCrashOrKill, 0.97, &format!("its owner {death}"))];
    }
    if let Some(said) = case.past.and_then(|past| last_complaint(&past)) {
        let text = format!("{meaning}, right after it had said {said}");
        return vec![
            told(sent, Cause::ProtocolMismatch, 0.9, &text),
            told(sent, Cause::ClosedWithUnreadData, 0.08, meaning),
        ];
    }
    if let Some(LastWords::TlsAlert { description: None | Some(0), .. }) =
        case.past.and_then(|past| past.my_last_words())
    {
        let text = format!("{meaning}, right after it had said goodbye in TLS");
        return vec![
            told(sent, Cause::TlsCloseThenRst, 0.9, &text),
            told(sent, Cause::ClosedWithUnreadData, 0.05, meaning),
        ];
    }
    match case.known.sent_by {
        SentBy::Client => vec![
            told(sent, Cause::ClientCancel, 0.93, &format!("{meaning}, as a client that hangs up")),
            told(sent, Cause::ClosedWithUnreadData, 0.06, meaning),
        ],
        _ => vec![told(sent, Cause::ClosedWithUnreadData, 0.97, meaning)],
    }
}

/// `tcp_disconnect` (SO_LINGER 0, `connect(AF_UNSPEC)`, a listener closed with a child that nobody
/// accepted) or `tcp_abort` (SOCK_DESTROY).
fn disconnected(case: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    if !sent.is_in("CLOSE") {
        let meaning = "somebody destroyed it from outside, as `ss -K` does";
        // An orphan in FIN_WAIT2 may have reached the end of its time instead.
        let probability = if sent.is_in("FIN_WAIT2") { 0.7 } else { 0.97 };
        return vec![told(sent, Cause::AdminKill, probability, meaning)];
    }
    if let Some(death) = death(sent) {
        return vec![told(sent, Cause::ProcessCrashOrKill, 0.95, &format!("its owner {death}"))];
    }
    let by_server = case.known.sent_by == SentBy::Server;
    if by_server && sent.wire.inode == 0 {
        let meaning = "nobody had accepted it yet when its listener was closed";
        return vec![told(sent, Cause::RestartWithPendingConnections, 0.97, meaning)];
    }
    let meaning = "its owner asked for it (SO_LINGER 0)";
    let linger = |probability| told(sent, Cause::Linger0Close, probability, meaning);
    let Some(past) = case.past else { return vec![linger(0.9)] };
    if past.i(flag::FIN) {
        let meaning = "its owner closed it for good after its own FIN";
        return vec![told(sent, Cause::RstAfterFin, 0.93, meaning), linger(0.06)];
    }
    if case.known.sent_by == SentBy::Client && past.mine().bytes + past.theirs().bytes == 0 {
        return health_check_or_linger(case, sent);
    }
    vec![linger(0.95)]
}

/// A client that connects and hangs up without a word.
fn health_check_or_linger(case: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    let wordless = "its owner hung up without a word (SO_LINGER 0)";
    let (check, text) = match (case.crowd().periodic, known_checker(case)) {
        (_, Some(name)) => {
            (0.95, format!("{wordless}, and is {name}, which checks its servers so"))
        }
        (Some((times, ms)), None) => {
            (0.93, format!("{wordless}, {times} times before too, every {ms} ms"))
        }
        (None, None) => (0.3, wordless.to_owned()),
    };
    vec![
        told(sent, Cause::LbHealthCheck, check, &text),
        told(sent, Cause::Linger0Close, 0.97 - check, wordless),
    ]
}

/// Programs whose business is to look whether others are alive.
fn known_checker(case: &Case<'_>) -> Option<&'static str> {
    const CHECKERS: [&str; 5] = ["haproxy", "keepalived", "kubelet", "ipvsadm", "ldirectord"];
    let name = &case.joined.process.as_ref()?.name;
    CHECKERS.into_iter().find(|checker| name == checker)
}

fn lingered(_: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    let meaning = "its owner had closed it and did not want to wait for the other side's FIN";
    vec![told(sent, Cause::RstAfterFin, 0.96, meaning)]
}

fn out_of_memory(_: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    let meaning = "there was no room for it among the orphaned sockets, or no memory";
    vec![told(sent, Cause::OrphanOrMemoryPressure, 0.98, meaning)]
}

fn keepalive(case: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    let probes = case.past.map_or(0, |past| past.unanswered_probes());
    let meaning = format!("the other side answered none of its probes (the last {probes} seen)");
    vec![told(sent, Cause::KeepaliveTimeout, 0.98, &meaning)]
}

fn disconnected_with_data(_: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    let meaning = "its owner closed it for good with data still unsent behind its FIN";
    vec![told(sent, Cause::RstAfterFin, 0.95, meaning)]
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
    const RECENT_NS: u64 = 60_000_000_000;
    let closed = told(sent, Cause::ClosedPort, 0.97, "nothing listens on the port");
    let ports = case.crowd().refused_ports;
    if ports >= super::scan::MANY_PORTS {
        let meaning = format!(
            "nothing listens on the port, and {ports} ports of this host refused the same client \
             within 10 s"
        );
        return vec![
            told(sent, Cause::ScanResponse, 0.94, &meaning),
            Opinion { probability: 0.05, ..closed },
        ];
    }
    match case.crowd().accepted_ago_ns {
        Some(ns) if ns < RECENT_NS => {
            let meaning = format!(
                "nothing listens on the port, which accepted a connection {} ago",
                super::opinion::span(ns)
            );
            vec![
                told(sent, Cause::ListenerWentAway, 0.95, &meaning),
                Opinion { probability: 0.04, ..closed },
            ]
        }
        _ => vec![closed],
    }
}

fn unwanted_syn_ack(case: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    if let Some((_, false)) = case.past.and_then(|past| past.earlier_reset()) {
        let meaning = "it had believed a refusal before the SYN-ACK came";
        return vec![told(sent, Cause::SegmentAfterReset, 0.95, meaning)];
    }
    let asked = case.past.is_some_and(|past| past.has(flag::SYN));
    if !asked {
        let meaning = "a SYN-ACK came that answers no SYN of this host: somebody uses its address";
        return vec![told(sent, Cause::Backscatter, 0.8, meaning)];
    }
    if case.past.is_some_and(|past| super::scan::is_raw_syn(&past)) {
        let meaning = "no socket had sent the SYN: a program wrote it past TCP";
        return vec![
            told(sent, Cause::ScannerProbe, 0.95, meaning),
            told(sent, Cause::ClientGaveUp, 0.03, meaning),
        ];
    }
    let meaning = "the socket that had sent the SYN was gone when the SYN-ACK came";
    vec![told(sent, Cause::ClientGaveUp, 0.93, meaning)]
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
    if let Some((_, mine)) = past.earlier_reset() {
        let meaning = match mine {
            true => "it had reset the connection before and answers what still came",
            false => "it had believed a reset before, of which the other side knew nothing",
        };
        return vec![told(sent, Cause::SegmentAfterReset, 0.97, meaning)];
    }
    if past.i(flag::FIN) && past.they(flag::FIN) {
        let meaning = "the connection was closed both ways and this came late";
        return vec![told(sent, Cause::RstAfterFin, 0.9, meaning)];
    }
    if let Some(times) = gave_up_sending(&past) {
        let meaning =
            format!("it had sent the same segment {times} times without an answer, and given up");
        return vec![told(sent, Cause::LateSegmentAfterTimeout, 0.95, &meaning)];
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

/// How often the sender had sent its last data or FIN in vain; `None` when it was not in that state.
fn gave_up_sending(past: &Past<'_>) -> Option<usize> {
    const LEAST: usize = 2;
    let unanswered = past.their_ack().is_some_and(|acked| past.my_end().is_after(acked));
    let counts = |slot: &&Slot| slot.len > 0 || slot.flags.has(Flags::FIN);
    let last: Seq = past.my_slots().rfind(counts)?.seq;
    let times = past.my_slots().filter(counts).filter(|slot| slot.seq == last).count();
    (unanswered && times >= LEAST).then_some(times)
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
    if past.earlier_reset().is_some() {
        let meaning = "a listener got a segment of a connection that was reset before";
        return vec![told(sent, Cause::SegmentAfterReset, 0.95, meaning)];
    }
    if past.mine().data_segments > 0 || past.i(flag::ACKED) {
        let meaning = "a listener got a segment of a connection that its host does not know any \
                       more: it was restarted";
        return vec![told(sent, Cause::HalfOpenStaleState, 0.95, meaning)];
    }
    let meaning = "a listener got an ACK that does not fit its SYN-ACK";
    vec![
        told(sent, Cause::BadHandshakeAck, 0.93, meaning),
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

/// MPTCP names its reasons as RFC 8684 section 3.6 does.
fn multipath(_: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    let (cause, meaning) = match sent.reason.as_deref() {
        Some("MPTCP_RST_ERESOURCE") => (Cause::MptcpResource, "multipath TCP lacks resources"),
        _ => (Cause::MptcpProtocol, "multipath TCP gave up this subflow"),
    };
    vec![told(sent, cause, 0.97, meaning)]
}

/// A fatal complaint that was the last thing the sender said, in words.
fn last_complaint(past: &Past<'_>) -> Option<&'static str> {
    let facts = past.my_facts();
    let head = &facts.head[..usize::from(facts.head_len).min(facts.head.len())];
    let once = past.mine().data_segments == 1;
    match head {
        [0x15, 0x03, ..] if once => Some("a TLS alert"),
        _ if once && (head.starts_with(b"HTTP/1.1 400") || head.starts_with(b"HTTP/1.0 400")) => {
            Some("HTTP status 400, Bad Request")
        }
        _ => None,
    }
}

/// How the process ended that closed the socket by ending, if a signal ended it.
fn death(sent: &Notice) -> Option<String> {
    let signal = sent.killed_by()?;
    Some(format!("was killed by signal {signal} ({})", signal_name(signal)))
}

/// The signals that end processes (signal(7)).
fn signal_name(signal: u32) -> &'static str {
    match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        31 => "SIGSYS",
        _ => "see signal(7)",
    }
}

/// A packet filter of this host wrote it.
fn by_filter(case: &Case<'_>) -> Vec<Opinion> {
    let Author::Filter(_) = case.author() else { return vec![] };
    let text = "a packet filter of this host wrote it: TCP sent no reset, and netfilter dropped the \
                segment that it answers";
    let (cause, origin, other) = if case.wrote_for_another() {
        let origin = Origin::MiddleboxSuspected;
        (Cause::NetworkFirewallReject, origin, Cause::HostFirewallReject)
    } else {
        (Cause::HostFirewallReject, Origin::HostFirewall, Cause::NetworkFirewallReject)
    };
    let mut opinions = vec![
        Opinion::new(cause, 0.97).made_by(origin).because("filter_dropped", 3.0, text),
        Opinion::new(other, 0.02).made_by(origin).because("filter_dropped", 3.0, text),
    ];
    if let Some(bytes) = first_words_rejected(case) {
        let words = format!(
            "it let the handshake pass and rejected the first {bytes} bytes that were said"
        );
        opinions[0].probability = 0.3;
        let dpi = Opinion::new(Cause::DpiBlock, 0.68).made_by(origin);
        opinions.push(dpi.because("filter_dropped", 3.0, text).because("first_words", 1.5, words));
    }
    opinions.into_iter().map(Opinion::whatever_came_before).collect()
}

/// How long the first words were, when the segment that is answered carries them.
fn first_words_rejected(case: &Case<'_>) -> Option<u32> {
    let past = case.past.filter(|past| past.has(flag::SYN | flag::SYN_ACK))?;
    let trigger = case.trigger().filter(|slot| slot.len > 0)?;
    let first = past.theirs().data_segments <= 1 && past.mine().data_segments == 0;
    first.then_some(trigger.len)
}

/// A raw socket, a packet socket or a BPF program of this host wrote it.
fn by_program(case: &Case<'_>) -> Vec<Opinion> {
    if case.author() != Author::Program {
        return vec![];
    }
    let text = "neither this host's TCP nor its packet filter wrote it: a program did, through a raw \
                socket, a packet socket or BPF";
    let origin = if case.wrote_for_another() { Origin::MiddleboxProven } else { Origin::Unknown };
    let opinion = |cause, probability| {
        let opinion = Opinion::new(cause, probability).made_by(origin);
        opinion.because("written_by_program", 3.0, text).whatever_came_before()
    };
    match case.forgery().habit {
        // It says itself what it is for.
        _ if matches!(case.payload(), Payload::Diagnostic(_) | Payload::BigIp(..)) => {
            vec![opinion(Cause::InjectedReset, 0.1)]
        }
        Some(habit) if habit.cause != Cause::InjectedReset => {
            let signs = case.forgery().signs.iter().cloned();
            vec![
                opinion(habit.cause, 0.95 * habit.surely).and(signs),
                opinion(Cause::InjectedReset, 0.95 * (1.0 - habit.surely)),
            ]
        }
        Some(_) => vec![opinion(Cause::InjectedReset, 0.85)],
        // The filter's drop is not told where its reset had to wait for the next hop's address.
        None if case.form.is_passive() && Form::is_written_by_linux(case.segment()) => {
            let text = "this host's TCP did not write it, and it has the form in which Linux' packet \
                        filter rejects";
            let (cause, origin) = if case.wrote_for_another() {
                (Cause::NetworkFirewallReject, Origin::MiddleboxProven)
            } else {
                (Cause::HostFirewallReject, Origin::HostFirewall)
            };
            let filter = Opinion::new(cause, 0.75).made_by(origin);
            vec![
                filter.because("form_of_the_filter", 2.0, text).whatever_came_before(),
                opinion(Cause::InjectedReset, 0.2),
            ]
        }
        None => vec![opinion(Cause::InjectedReset, 0.75), opinion(Cause::IpsActiveResponse, 0.12)],
    }
}
