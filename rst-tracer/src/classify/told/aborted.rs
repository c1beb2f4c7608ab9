//! Resets of a living socket: its owner closed it, somebody destroyed it, or a timer gave it up.

use rst_tracer_common::flow::flag;

use super::{Row, multipath, told};
use crate::{
    classify::{
        Case, LastWords, Opinion, Past,
        application::{Abort, head, spoken},
        opinion::span,
    },
    correlate::greets,
    event::{Cause, SentBy},
    source::Notice,
};

/// Resets of a living socket, by reason.
pub(super) const ACTIVE: [Row; 7] = [
    ("TCP_ABORT_ON_CLOSE", closed_unread),
    ("TCP_STATE", disconnected),
    ("TCP_ABORT_ON_LINGER", lingered),
    ("TCP_ABORT_ON_MEMORY", out_of_memory),
    ("TCP_KEEPALIVE_TIMEOUT", keepalive),
    ("TCP_DISCONNECT_WITH_DATA", disconnected_with_data),
    ("MPTCP_RST_ERESOURCE", multipath),
];

/// The same of a socket that is aborted. One that its owner closes is in CLOSE by then; one that is
/// not was destroyed from outside, or a timer gave it up.
pub(super) fn aborted_without_reason(case: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
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
        return vec![told(sent, Cause::ProcessCrashOrKill, 0.97, &format!("its owner {death}"))];
    }
    if case.known.sent_by == SentBy::Server && sent.wire.inode == 0 {
        let meaning = "nobody had accepted it yet when its listener was closed";
        return vec![told(sent, Cause::RestartWithPendingConnections, 0.95, meaning)];
    }
    vec![]
}

/// Programs that are nothing but proxies.
const PROXIES: [&str; 6] = ["haproxy", "envoy", "traefik", "squid", "varnishd", "pgbouncer"];

/// What a proxy does to one leg is done for the sake of the other: the opinions about an abort, where its
/// sender is one.
pub(super) fn passed_on(case: &Case<'_>, sent: &Notice, opinions: Vec<Opinion>) -> Vec<Opinion> {
    let by_its_own_hand = |opinion: &Opinion| {
        use Cause::{ClientCancel, ClosedWithUnreadData, Linger0Close};
        matches!(opinion.cause, Linger0Close | ClosedWithUnreadData | ClientCancel)
    };
    let is_abort = !sent.has_trigger() && opinions.first().is_some_and(by_its_own_hand);
    let name = case.joined.process.as_ref().map(|process| process.name.as_str());
    let is_wordless = case.known.sent_by == SentBy::Client
        && case.past.is_some_and(|past| past.mine().bytes == 0);
    let (cause, probability, meaning) = match (case.crowd().other_leg_ns, name) {
        (None, Some(name)) if !is_wordless && drains(case, name, sent, &opinions) => {
            let text = format!(
                "its owner is {name}, a proxy, which reset {} other connections in the same moment, and no reset on \
                 another leg was seen right before: as when it takes a server out, or stops",
                case.crowd().of_host
            );
            (Cause::LbDrain, 0.62, text)
        }
        _ if !is_abort => return opinions,
        (Some(ns), _) => {
            let text = format!(
                "its owner had got a reset {} before on another connection, on which it was the other \
                 side: it passes on what befell it",
                span(ns)
            );
            (Cause::ProxyAbort, 0.88, text)
        }
        (None, Some(name)) if PROXIES.contains(&name) && is_wordless => {
            let text =
                format!("its owner is {name}, a proxy, which asked nothing: it looks who answers");
            (Cause::LbHealthCheck, 0.7, text)
        }
        (None, Some(name)) if PROXIES.contains(&name) && case.checked_with().is_some() => {
            let text = format!("its owner is {name}, a proxy, which asked as checkers do");
            (Cause::LbHealthCheck, 0.85, text)
        }
        (None, Some(name)) if PROXIES.contains(&name) => (
            Cause::ProxyAbort,
            0.72,
            format!("its owner is {name}, a proxy, which ends one leg for the other's sake"),
        ),
        (None, _) => return opinions,
    };
    let mut all = vec![told(sent, cause, probability, &meaning)];
    all.extend(opinions.into_iter().map(|opinion| Opinion {
        probability: opinion.probability * (1.0 - probability),
        ..opinion
    }));
    all
}

/// Whether a proxy ends several of its connections in one moment, none of them for its own sake (HAProxy's
/// `shutdown sessions`, `on-marked-down` and `hard-stop-after`). HAProxy closes with a FIN and resets behind it.
fn drains(case: &Case<'_>, name: &str, sent: &Notice, opinions: &[Opinion]) -> bool {
    const OTHERS: u32 = 2;
    let by_choice = opinions.first().is_some_and(|opinion| {
        use Cause::{ClientCancel, ClosedWithUnreadData, Linger0Close, RstAfterFin};
        matches!(opinion.cause, Linger0Close | ClosedWithUnreadData | ClientCancel | RstAfterFin)
    });
    let asks = case.checked_with().is_some();
    PROXIES.contains(&name)
        && !sent.has_trigger()
        && by_choice
        && !asks
        && case.crowd().of_host >= OTHERS
}

/// `__tcp_close` with received data left unread.
fn closed_unread(case: &Case<'_>, sent: &Notice) -> Vec<Opinion> {
    let meaning = "its owner closed it while received data lay unread";
    if let Some(death) = death(sent) {
        return vec![told(sent, Cause::ProcessCrashOrKill, 0.97, &format!("its owner {death}"))];
    }
    if !sent.is_in("CLOSE") {
        // mptcp_do_fastclose says so of every subflow, whatever was left unread.
        let meaning = "its owner ended the whole multipath connection at once (MP_FASTCLOSE)";
        return vec![
            told(sent, Cause::Linger0Close, 0.55, meaning),
            told(sent, Cause::ClientCancel, 0.2, meaning),
            told(sent, Cause::ClosedWithUnreadData, 0.2, meaning),
        ];
    }
    if let Some((client, server)) = case.past.and_then(|past| spoken(&past)) {
        let text = format!("{meaning}; the client spoke {client}, the server {server}");
        return vec![
            told(sent, Cause::ProtocolMismatch, 0.92, &text),
            told(sent, Cause::ClosedWithUnreadData, 0.06, meaning),
        ];
    }
    if let Some(said) = case.past.and_then(|past| last_complaint(&past)) {
        let text = format!("{meaning}, right after it had said {said}");
        return vec![
            told(sent, Cause::ProtocolMismatch, 0.9, &text),
            told(sent, Cause::ClosedWithUnreadData, 0.08, meaning),
        ];
    }
    if case.past.is_some_and(|past| ended_tls(past.their_last_words())) {
        let text = format!("{meaning}: at least the other side's goodbye in TLS");
        let cancel = match case.known.sent_by {
            SentBy::Client => Cause::ClientCancel,
            _ => Cause::ClosedWithUnreadData,
        };
        return vec![
            told(sent, Cause::TlsCloseThenRst, 0.7, &text),
            told(sent, cancel, 0.25, meaning),
        ];
    }
    if case.past.is_some_and(|past| ended_tls(past.my_last_words())) {
        let text = format!("{meaning}, right after it had said goodbye in TLS");
        return vec![
            told(sent, Cause::TlsCloseThenRst, 0.9, &text),
            told(sent, Cause::ClosedWithUnreadData, 0.05, meaning),
        ];
    }
    match case.known.sent_by {
        SentBy::Client if let Some((_, Abort::Answered)) = case.abort() => {
            let text =
                format!("{meaning}, which had come before it spoke last: no answer is missed");
            vec![
                told(sent, Cause::ClosedWithUnreadData, 0.72, &text),
                told(sent, Cause::ClientCancel, 0.26, meaning),
            ]
        }
        SentBy::Client if let Some((_, Abort::Tickets(len))) = case.abort() => {
            let text = format!(
                "{meaning}: what came last were two things of {len} bytes at once, as a server's session tickets in \
                 TLS 1.3, so that perhaps no answer is missed"
            );
            vec![
                told(sent, Cause::ClosedWithUnreadData, 0.62, &text),
                told(sent, Cause::ClientCancel, 0.36, meaning),
            ]
        }
        SentBy::Client if hangs_up_on_a_greeting(case) => {
            let text = format!(
                "{meaning}: the server had greeted it, and it hung up without a word, as one that expected another \
                 protocol, or only looks who answers"
            );
            vec![
                told(sent, Cause::ProtocolMismatch, 0.5, &text),
                told(sent, Cause::LbHealthCheck, 0.2, &text),
                told(sent, Cause::ClientCancel, 0.2, meaning),
                told(sent, Cause::ClosedWithUnreadData, 0.08, meaning),
            ]
        }
        SentBy::Client => vec![
            told(sent, Cause::ClientCancel, 0.95, &format!("{meaning}, as a client that hangs up")),
            told(sent, Cause::ClosedWithUnreadData, 0.04, meaning),
        ],
        _ => vec![told(sent, Cause::ClosedWithUnreadData, 0.97, meaning)],
    }
}

/// Whether a client that had said nothing leaves a server that had said one short thing of a protocol in which the
/// server speaks first.
fn hangs_up_on_a_greeting(case: &Case<'_>) -> bool {
    case.past.is_some_and(|past| {
        let wordless = past.has(flag::SYN) && past.mine().bytes == 0;
        wordless && past.theirs().data_segments == 1 && greets(head(past.their_facts()))
    })
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
        return vec![told(sent, Cause::ProcessCrashOrKill, 0.97, &format!("its owner {death}"))];
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
        return vec![told(sent, Cause::RstAfterFin, 0.96, meaning), linger(0.03)];
    }
    if case.known.sent_by == SentBy::Client && past.mine().bytes + past.theirs().bytes == 0 {
        return health_check_or_linger(case, sent);
    }
    vec![linger(0.97)]
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

/// A fatal complaint that was the last thing the sender said, in words.
fn last_complaint(past: &Past<'_>) -> Option<&'static str> {
    let head = head(past.my_facts());
    let once = past.mine().data_segments == 1;
    match head {
        [0x15, 0x03, ..] if once => Some("a TLS alert"),
        _ if once && (head.starts_with(b"HTTP/1.1 400") || head.starts_with(b"HTTP/1.0 400")) => {
            Some("HTTP status 400, Bad Request")
        }
        _ => None,
    }
}

/// Whether it is an alert as at the end of a TLS session.
fn ended_tls(words: Option<LastWords>) -> bool {
    matches!(words, Some(LastWords::TlsAlert { description: None | Some(0), .. }))
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
