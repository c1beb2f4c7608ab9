//! The two sides did not agree about the state of the connection.

use rst_tracer_common::{
    flow::{Slot, flag},
    wire::{Flags, NO_MPTCP},
};

use super::{Case, Form, Opinion, Past, Rule, opinion::span};
use crate::event::{Cause, Stage};

pub(super) const RULES: &[Rule] = &[
    keepalive,
    gave_up,
    after_reset,
    stray,
    half_open_discovery,
    timestamp_mismatch,
    bad_handshake_ack,
    mptcp,
];

/// The sender's keepalive probes went unanswered, then it gave up.
fn keepalive(case: &Case<'_>) -> Vec<Opinion> {
    /// Linux counts keepalive times in seconds (tcp(7)).
    const LEAST_INTERVAL_NS: u64 = 900_000_000;
    let Some(past) = case.established() else { return vec![] };
    let aborts =
        matches!(case.form, Form::Active | Form::Other) && case.segment().tcp.flags.has(Flags::ACK);
    if !aborts {
        return vec![];
    }
    let probes: Vec<&Slot> = past.last_probes().collect();
    let (Some(last), Some(first), n) = (probes.first(), probes.last(), probes.len()) else {
        return vec![];
    };
    if n == 1 {
        return one_probe(case, &past, last);
    }
    let interval = last.time_ns.saturating_sub(first.time_ns) / (n as u64 - 1);
    let ms = interval / 1_000_000;
    let (probability, text) = if past.unanswered_probes() >= 2 {
        let text =
            format!("{} sent {n} probes, one every {ms} ms, and heard nothing", case.sender());
        (0.95, text)
    } else {
        // It gave up when the next probe would have been due.
        // Two and the end are only three times, so that they must fit better.
        let (part, probability) = if n < 3 { (20, 0.76) } else { (4, 0.9) };
        let on_time = case.since(last).abs_diff(interval) <= interval / part;
        if !on_time || n < 3 && interval < LEAST_INTERVAL_NS {
            return vec![];
        }
        let text = format!(
            "{} sent {n} probes, one every {ms} ms, and gave up after as long again, though they \
             were answered here: the answers were lost on the way to it",
            case.sender()
        );
        (probability, text)
    };
    let opinion = Opinion::new(Cause::KeepaliveTimeout, probability);
    vec![opinion.because("unanswered_probes", 3.0, text).whatever_came_before()]
}

/// One probe without an answer may be enough: of a last try, or under TCP_USER_TIMEOUT (RFC 5482; Linux,
/// `tcp_keepalive_timer`).
fn one_probe(case: &Case<'_>, past: &Past<'_>, probe: &Slot) -> Vec<Opinion> {
    const TIMERS_NS: u64 = 900_000_000;
    let waited = case.since(probe);
    if past.unanswered_probes() == 0 || waited < TIMERS_NS {
        return vec![];
    }
    let text = format!(
        "{} sent a probe and heard nothing for {}, then it gave up",
        case.sender(),
        span(waited)
    );
    vec![Opinion::new(Cause::KeepaliveTimeout, 0.65).because("unanswered_probes", 2.0, text)]
}

/// The sender had repeated its last data in vain, and then it does not know the connection any more.
fn gave_up(case: &Case<'_>) -> Vec<Opinion> {
    const SEVERAL: usize = 3;
    let Some(past) = case.established().filter(|_| case.heeded_reset().is_none()) else {
        return vec![];
    };
    let passive = case.form == Form::Passive && case.trigger().is_some();
    let times = past.repeated_in_vain().filter(|times| *times >= SEVERAL && passive);
    let Some(times) = times.filter(|_| !case.forgery().proven) else { return vec![] };
    let text = format!(
        "{} had sent the same segment {times} times, and what it answers now does not acknowledge it: it \
         had given up",
        case.sender()
    );
    vec![Opinion::new(Cause::LateSegmentAfterTimeout, 0.84).because("given_up", 2.0, text)]
}

/// The connection was reset before; what still comes is answered.
fn after_reset(case: &Case<'_>) -> Vec<Opinion> {
    let (Some((reset, mine)), Some(trigger)) = (case.heeded_reset(), case.trigger()) else {
        return vec![];
    };
    let is_late_syn_ack = trigger.flags.has(Flags::SYN) && trigger.flags.has(Flags::ACK) && !mine;
    let answers = !trigger.flags.has(Flags::SYN) || is_late_syn_ack;
    if case.form != Form::Passive || !answers || case.unasked().is_some() {
        return vec![];
    }
    let ms = case.since(reset) / 1_000_000;
    let (sender, receiver) = (case.sender(), case.receiver());
    let (probability, text) = if mine {
        let text = format!("{sender} reset the connection {ms} ms ago and answers what still came");
        (0.75, text)
    } else {
        let text = format!(
            "{sender} got a reset in {receiver}'s name {ms} ms ago, and now a segment from \
             {receiver}, which knew nothing of it"
        );
        (0.96, text)
    };
    let opinion = Opinion::new(Cause::SegmentAfterReset, probability);
    vec![opinion.because("earlier_reset", 2.0, text).whatever_came_before()]
}

/// A single segment of no connection, and the answer to it.
fn stray(case: &Case<'_>) -> Vec<Opinion> {
    let Some(trigger) = case.trigger() else { return vec![] };
    let lone = case.known.stage == Stage::NoFlow && case.form == Form::Passive;
    if !lone || trigger.flags.has(Flags::SYN) {
        return vec![];
    }
    let dropped = case.testimony().dropped.as_ref();
    let (stray, stale, what) = match trigger.len {
        // The one who sent it does not know the connection either.
        n if dropped.is_some_and(|dropped| dropped.is_because("NO_SOCKET")) => (
            0.85,
            0.1,
            format!("a lone segment of {n} bytes, of which this host's TCP has no socket"),
        ),
        0 => (0.6, 0.2, "a lone ACK or FIN".to_owned()),
        n => (0.3, 0.5, format!("a lone segment of {n} bytes")),
    };
    let text = format!("it answers {what}; nothing else was seen between the two");
    let opinion = Opinion::new(Cause::StraySegment, stray);
    vec![
        opinion.because("lone_segment", 1.0, text.clone()),
        Opinion::new(Cause::HalfOpenStaleState, stale).because("lone_segment", 1.0, text),
    ]
}

/// A SYN is answered by an ACK of an older connection, and that ACK by a reset (RFC 9293 section
/// 3.5.1, figure 9).
fn half_open_discovery(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.past.filter(|_| case.form == Form::Passive) else { return vec![] };
    let Some(ack) = case.trigger().filter(|slot| is_pure_ack(slot)) else { return vec![] };
    let syn = past.my_slots().rfind(|slot| slot.time_ns <= ack.time_ns);
    let is_new = |syn: &&Slot| {
        syn.flags.has(Flags::SYN) && !syn.flags.has(Flags::ACK) && syn.seq + 1 != ack.ack
    };
    if syn.filter(is_new).is_none() {
        return vec![];
    }
    let text = format!(
        "{}'s SYN was answered by an ACK of another connection on the same ports, which {} \
         does not know",
        case.sender(),
        case.sender()
    );
    let (found, reuse) = case.older_connection();
    vec![
        Opinion::new(Cause::HalfOpenDiscovery, found).because("ack_to_syn", 2.5, text.clone()),
        Opinion::new(Cause::PortReuseTimewait, reuse).because("ack_to_syn", 2.0, text),
    ]
}

impl Case<'_> {
    /// How likely the older connection that answers a SYN is one that lives, and one in TIME_WAIT.
    /// One whose end was seen waits, as a rule: the SYN began another one then; but a reset may have ended it for one side
    /// only. Linux writes the ACKs of TIME_WAIT with identification 0 (`tcp_v4_send_ack`), but others too; those of a
    /// socket that lives have one.
    pub(super) fn older_connection(&self) -> (f64, f64) {
        let began = self.past.is_some_and(|past| {
            let syn = past.my_slots().rfind(|slot| slot.flags.has(Flags::SYN));
            syn.is_none_or(|syn| syn.seq == past.my_facts().isn)
        });
        let ended = began && self.past.is_some_and(|past| past.state().flow.reuses > 0);
        let ip_id = self.trigger().map(|slot| slot.ip_id).filter(|_| !self.is_v6());
        match (ended, ip_id) {
            (true, Some(0)) => (0.1, 0.87),
            (true, None) => (0.25, 0.7),
            (true, Some(_)) => (0.68, 0.28),
            (false, Some(0)) => (0.55, 0.42),
            (false, _) => (0.95, 0.03),
        }
    }
}

/// The SYN-ACK echoes a timestamp that the SYN never had (RFC 7323 section 3.2; Linux,
/// `tcp_rcv_synsent_state_process`).
fn timestamp_mismatch(case: &Case<'_>) -> Vec<Opinion> {
    /// No SYN is repeated sooner (RFC 6298 section 2.1: after a second).
    const NO_REPEAT_US: u64 = 900_000;
    /// How much longer than the second SYN the first may have been under way.
    const JITTER_US: u64 = 10_000;
    let Some(past) = case.past.filter(|_| case.refuses_the_syn_ack()) else { return vec![] };
    let (Some(sent), Some(echoed)) = (past.syn_tsval(), past.syn_ack_tsecr()) else {
        return vec![];
    };
    // No clock ticks faster than once a microsecond: so much further may it be in a SYN that was repeated.
    let since_us = case.now_ns().saturating_sub(past.state().flow.syn_ns) / 1_000;
    let most = if since_us < NO_REPEAT_US { 0 } else { since_us + JITTER_US };
    if u64::from(echoed.wrapping_sub(sent)) <= most {
        return vec![];
    }
    let text = format!("the SYN-ACK echoes the timestamp {echoed}, the SYN had {sent}");
    vec![Opinion::new(Cause::TimestampMismatch, 0.96).because("wrong_echo", 3.0, text)]
}

fn is_pure_ack(slot: &Slot) -> bool {
    slot.flags == Flags::ACK && slot.len == 0
}

/// An ACK that does not acknowledge the SYN-ACK, or a SYN-ACK that does not acknowledge the SYN.
fn bad_handshake_ack(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.past else { return vec![] };
    let wrong_syn_ack = case.trigger().filter(|slot| {
        let is_syn_ack = slot.flags.has(Flags::SYN) && slot.flags.has(Flags::ACK);
        past.i_opened() == Some(true)
            && past.has(flag::SYN)
            && is_syn_ack
            && slot.ack != past.my_facts().isn + 1
    });
    if let (Some(answer), Form::Passive) = (wrong_syn_ack, case.form) {
        let text = format!(
            "the SYN-ACK acknowledges {}, the SYN had sequence number {}",
            answer.ack.0,
            past.my_facts().isn.0
        );
        return vec![Opinion::new(Cause::BadHandshakeAck, 0.9).because("wrong_ack", 2.0, text)];
    }
    let by_server = past.i_opened() == Some(false) && past.has(flag::SYN | flag::SYN_ACK);
    let amid = by_server && !past.i(flag::ACKED) && past.mine().data_segments == 0;
    let Some(trigger) = case.trigger().filter(|_| amid) else { return vec![] };
    let fits = past.their_slots().any(|slot| slot.ack == past.my_facts().isn + 1);
    if case.form != Form::Passive || fits || trigger.flags.has(Flags::SYN) {
        return vec![];
    }
    let text = "it answers an ACK that does not fit the SYN-ACK";
    vec![Opinion::new(Cause::BadHandshakeAck, 0.88).because("wrong_ack", 2.0, text)]
}

impl Case<'_> {
    /// The reason in the MP_TCPRST option (RFC 8684 section 3.6), if there is one.
    pub fn mptcp_reason(&self) -> Option<u8> {
        const MP_TCPRST: u8 = 8;
        const { assert!(MP_TCPRST != NO_MPTCP) };
        let tcp = &self.segment().tcp;
        (tcp.mptcp_subtype == MP_TCPRST).then_some(tcp.mptcp_reason)
    }
}

/// MPTCP says why it gave up a subflow.
fn mptcp(case: &Case<'_>) -> Vec<Opinion> {
    let Some(reason) = case.mptcp_reason().filter(|reason| *reason != 2) else { return vec![] };
    let text = format!("the MP_TCPRST option gives reason {reason}");
    // Reason 0 only says that there was one; Linux gives it of a connection that its owner aborts, too
    // (net/mptcp/options.c, `mptcp_established_options_rst`).
    let probability = match (reason, case.abort()) {
        (0, Some(_)) => 0.3,
        (0, None) => 0.6,
        _ => 0.95,
    };
    let opinion = Opinion::new(Cause::MptcpProtocol, probability);
    vec![opinion.because("mptcp_reason", 3.0, text).whatever_came_before()]
}
