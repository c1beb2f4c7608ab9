//! What a cause means for people: how much attention it deserves, and where to look.
//!
//! In: a cause, and the case. Out: severity and fault, by a table that `docs/causes.md` shows. Rows
//! about the context change what the cause alone says; most resets are benign and must look so.

use rst_tracer_common::flow::flag;

use super::{Case, application::Abort};
use crate::event::{AtFault, Cause, Effect, SentBy, Severity, Stage};

/// Where to look for the fault, before it is known who sent the reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Sender,
    Receiver,
    Client,
    Server,
    Network,
    Nobody,
    Unknown,
}
use Severity::{High, Info, Low, Medium};
use Whose::{Client, Network, Nobody, Receiver, Sender, Server, Unknown};

impl Whose {
    fn of(self, sent_by: SentBy) -> AtFault {
        match (self, sent_by) {
            (Sender, SentBy::Client) | (Receiver, SentBy::Server) | (Client, _) => AtFault::Client,
            (Sender, SentBy::Server) | (Receiver, SentBy::Client) | (Server, _) => AtFault::Server,
            (Sender | Receiver, SentBy::Unknown) | (Unknown, _) => AtFault::Unknown,
            (Network, _) => AtFault::Network,
            (Nobody, _) => AtFault::Nobody,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Sender => "the sender",
            Receiver => "the receiver",
            Client => "the client",
            Server => "the server",
            Network => "the network",
            Nobody => "nobody",
            Unknown => "unknown",
        }
    }
}

/// What a cause means by itself.
fn row(cause: Cause) -> (Severity, Whose) {
    use Cause::*;
    match cause {
        ClosedPort => (Low, Whose::Unknown),
        ListenerWentAway => (Medium, Server),
        ClientGaveUp => (Info, Nobody),
        HostFirewallReject => (Low, Sender),
        NetworkFirewallReject => (Low, Network),
        DpiBlock => (Medium, Network),
        InjectedReset => (High, Network),
        IpsActiveResponse => (Medium, Network),
        ScanResponse => (Info, Receiver),
        ScannerProbe => (Low, Client),
        BlindResetAttempt => (Low, Network),
        Backscatter => (Info, Nobody),
        AcceptQueueOverflow => (High, Server),
        OrphanOrMemoryPressure => (High, Sender),
        MptcpResource => (Medium, Sender),
        MiddleboxTableFull => (High, Network),
        ClosedWithUnreadData => (Medium, Sender),
        ProcessCrashOrKill => (High, Sender),
        RestartWithPendingConnections => (Medium, Server),
        DataAfterClose => (Low, Receiver),
        ProtocolMismatch => (Medium, Whose::Unknown),
        HalfOpenStaleState => (Medium, Sender),
        IdleTimeoutMiddlebox => (Medium, Network),
        LbHealthCheck | LbDrain => (Info, Nobody),
        ProxyAbort => (Low, Network),
        AdminKill => (Low, Nobody),
        HalfOpenDiscovery | PortReuseTimewait => (Info, Nobody),
        BadHandshakeAck | TimestampMismatch => (Low, Whose::Unknown),
        KeepaliveTimeout => (Medium, Whose::Unknown),
        LateSegmentAfterTimeout => (Low, Whose::Unknown),
        SegmentAfterReset => (Info, Nobody),
        StraySegment => (Info, Whose::Unknown),
        MptcpProtocol => (Low, Whose::Unknown),
        Linger0Close | ClientCancel | RstAfterFin | TlsCloseThenRst => (Info, Nobody),
        Cause::Unknown => (Low, Whose::Unknown),
        NoConnectionSeen => (Info, Whose::Unknown),
    }
}

/// What a context changes.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// To this severity.
    To(Severity),
    /// To this severity, and this fault.
    Both(Severity, Whose),
    /// To this fault.
    Fault(Whose),
}

impl Change {
    /// What the change makes of what the cause says alone.
    fn of(self, (severity, whose): (Severity, Whose)) -> (Severity, Whose) {
        match self {
            Self::To(other) => (other, whose),
            Self::Both(other, fault) => (other, fault),
            Self::Fault(fault) => (severity, fault),
        }
    }
}

/// A row about the context: of which causes, when it holds, in words and as a test, and what it
/// changes.
struct Context {
    causes: &'static [Cause],
    when: &'static str,
    holds: fn(&Case<'_>) -> bool,
    then: Change,
}

/// The first that holds counts.
const CONTEXTS: [Context; 9] = [
    Context {
        causes: &[Cause::DpiBlock, Cause::InjectedReset, Cause::IpsActiveResponse],
        when: "it had no effect: the receiver ignored or challenged it",
        holds: |case| matches!(case.known.effect, Effect::Ignored | Effect::Challenged),
        then: Change::To(Low),
    },
    Context {
        causes: &[Cause::HostFirewallReject],
        when: "the filter is the receiver's own: it rejects what its host sends",
        holds: |case| case.rejects_its_own(),
        then: Change::Fault(Receiver),
    },
    Context {
        causes: &[Cause::HostFirewallReject, Cause::NetworkFirewallReject],
        when: "the connection was in use: data had been exchanged",
        holds: |case| matches!(case.known.stage, Stage::PostData | Stage::PostFin),
        then: Change::To(Medium),
    },
    Context {
        causes: &[Cause::DataAfterClose],
        when: "the data began where other data had come from another distance (TTL)",
        holds: |case| case.said_twice().is_some(),
        then: Change::Both(Medium, Network),
    },
    Context {
        causes: &[Cause::ProcessCrashOrKill],
        when: "somebody stopped the process: the signal was SIGTERM, SIGINT or SIGHUP",
        holds: was_stopped,
        then: Change::To(Medium),
    },
    Context {
        causes: &[Cause::ClientCancel],
        when: "the client had waited 5 s or longer for an answer",
        holds: |case| waited_ns(case) >= LONG_WAIT_NS,
        then: Change::Both(Medium, Server),
    },
    Context {
        causes: &[Cause::ClientGaveUp],
        when: "the SYN was 1 s old or older",
        holds: |case| syn_age_ns(case) >= SLOW_NS,
        then: Change::To(Low),
    },
    Context {
        causes: &[Cause::Linger0Close, Cause::RstAfterFin],
        when: "it threw away data that had waited 200 ms or longer for its acknowledgment",
        holds: loses_data,
        then: Change::Both(Low, Sender),
    },
    Context {
        causes: &[Cause::KeepaliveTimeout],
        when: "the probes were answered here, and the answers were lost on their way back",
        holds: probes_were_answered,
        then: Change::Fault(Network),
    },
];

const LONG_WAIT_NS: u64 = 5_000_000_000;
const LONG_UNACKED_NS: u64 = 200_000_000;
const SLOW_NS: u64 = 1_000_000_000;

/// How long the client had waited for an answer to its last words.
fn waited_ns(case: &Case<'_>) -> u64 {
    let Some((past, abort)) = case.abort() else { return 0 };
    let waits = matches!(abort, Abort::NothingReceived | Abort::Tickets(_) | Abort::Answered);
    past.my_last_data().filter(|_| waits).map_or(0, |asked| case.since(asked))
}

/// How old the client's first SYN was.
fn syn_age_ns(case: &Case<'_>) -> u64 {
    let flow = case.past.map(|past| &past.state().flow);
    let began = flow.map_or(0, |flow| flow.syn_ns);
    if began == 0 { 0 } else { case.now_ns().saturating_sub(began) }
}

/// Whether the sender had sent data that the receiver had not acknowledged for so long that it must
/// be sent again. What is merely under way arrives before the reset, and can be read.
fn loses_data(case: &Case<'_>) -> bool {
    let Some(past) = case.past else { return false };
    let fin = u32::from(past.i(flag::FIN));
    past.my_last_data().is_some_and(|data| case.since(data) >= LONG_UNACKED_NS)
        && past.their_ack().is_some_and(|acked| past.my_end().is_after(acked + fin))
}

/// Whether a signal that asks a process to end ended the owner, and not a fault of its own.
fn was_stopped(case: &Case<'_>) -> bool {
    const ASKED_TO_END: [u32; 3] = [1, 2, 15]; // SIGHUP, SIGINT, SIGTERM
    let signal = case.sent().and_then(|sent| sent.killed_by());
    signal.is_some_and(|signal| ASKED_TO_END.contains(&signal))
}

/// Whether keepalive probes were seen, and answers to them. Probes that were not seen at all say
/// nothing about the path.
fn probes_were_answered(case: &Case<'_>) -> bool {
    let Some(past) = case.established() else { return false };
    past.last_probes().count() > 1 && past.unanswered_probes() < 2
}

/// Below this probability nobody is to be alarmed.
const ALARMING: f64 = 0.5;

/// How much attention a reset deserves of which this is so likely the cause, and where to look for the fault.
pub(super) fn consequence(case: &Case<'_>, cause: Cause, probability: f64) -> (Severity, AtFault) {
    let context = contexts_of(cause).find(|context| (context.holds)(case));
    let alone = row(cause);
    let (severity, whose) = context.map_or(alone, |context| context.then.of(alone));
    let is_guess = severity == High && probability < ALARMING;
    (if is_guess { Medium } else { severity }, whose.of(case.known.sent_by))
}

fn contexts_of(cause: Cause) -> impl Iterator<Item = &'static Context> {
    CONTEXTS.iter().filter(move |context| context.causes.contains(&cause))
}

/// What a cause means by itself, then a line for each context that changes it.
pub fn consequence_in_words(cause: Cause) -> Vec<String> {
    let alone = row(cause);
    let words = |(severity, whose): (Severity, Whose)| {
        format!("severity {}, at fault: {}", severity.id(), whose.words())
    };
    let contexts = contexts_of(cause)
        .map(|context| format!("{} if {}", words(context.then.of(alone)), context.when));
    std::iter::once(words(alone)).chain(contexts).collect()
}

/// The tables, as `docs/causes.md` shows them.
pub fn consequence_table() -> String {
    let mut text = String::from("| cause | severity | at fault |\n|---|---|---|\n");
    for &cause in Cause::ALL {
        let (severity, whose) = row(cause);
        text += &format!("| [`{cause}`](#{cause}) | {} | {} |\n", severity.id(), whose.words());
    }
    text += "\nThe context changes that; of a cause's rows the first that holds counts:\n\n";
    text += "| cause | when | severity | at fault |\n|---|---|---|---|\n";
    for Context { causes, when, then, .. } in &CONTEXTS {
        let (severity, fault) = match then {
            Change::To(severity) => (severity.id(), ""),
            Change::Both(severity, fault) => (severity.id(), fault.words()),
            Change::Fault(fault) => ("", fault.words()),
        };
        let causes: Vec<_> = causes.iter().map(|cause| format!("`{cause}`")).collect();
        text += &format!("| {} | {when} | {severity} | {fault} |\n", causes.join(", "));
    }
    text += "\nA cause of high severity that is less than 50 % sure is of medium severity.\n";
    text
}
