//! The two sides did not agree about the state of the connection.

use rst_tracer_common::{
    flow::{Slot, flag},
    wire::{Flags, NO_MPTCP},
};

use super::{Case, Form, Opinion, Rule};
use crate::event::{Cause, Stage};

pub(super) const RULES: &[Rule] =
    &[keepalive, after_reset, stray, half_open_discovery, bad_handshake_ack, mptcp];

/// The sender's keepalive probes went unanswered, then it gave up.
fn keepalive(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.established() else { return vec![] };
    let probes = past.unanswered_probes();
    let aborts =
        matches!(case.form, Form::Active | Form::Other) && case.segment().tcp.flags.has(Flags::ACK);
    if !aborts || probes < 2 {
        return vec![];
    }
    let times: Vec<u64> = past.slots().rev().take(probes).map(|slot| slot.time_ns).collect();
    let span = times[0].saturating_sub(times[probes - 1]);
    let ms = span / (probes as u64 - 1) / 1_000_000;
    let text =
        format!("{} sent {probes} probes, one every {ms} ms, and heard nothing", case.sender());
    let opinion = Opinion::new(Cause::KeepaliveTimeout, 0.95);
    vec![opinion.because("unanswered_probes", 3.0, text).whatever_came_before()]
}

/// The connection was reset before; what still comes is answered.
fn after_reset(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.past.filter(|past| past.has(flag::RST_SEEN)) else { return vec![] };
    let (Some((reset, mine)), Some(trigger)) = (past.earlier_reset(), case.trigger()) else {
        return vec![];
    };
    if case.form != Form::Passive || trigger.flags.has(Flags::SYN) {
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
        (0.93, text)
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
    let (stray, stale, what) = match trigger.len {
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
    let waits = !case.is_v6() && ack.ip_id == 0;
    let (found, reuse) = if waits { (0.5, 0.45) } else { (0.9, 0.05) };
    vec![
        Opinion::new(Cause::HalfOpenDiscovery, found).because("ack_to_syn", 2.5, text.clone()),
        Opinion::new(Cause::PortReuseTimewait, reuse).because("ack_to_syn", 2.0, text),
    ]
}

fn is_pure_ack(slot: &Slot) -> bool {
    slot.flags == Flags::ACK && slot.len == 0
}

/// An ACK that does not acknowledge the SYN-ACK.
fn bad_handshake_ack(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.past else { return vec![] };
    let early = matches!(case.known.stage, Stage::PostSynack | Stage::PostAck);
    let by_server = past.i_opened() == Some(false) && past.has(flag::SYN_ACK);
    let Some(trigger) = case.trigger().filter(|_| early && by_server) else { return vec![] };
    if case.form != Form::Passive || trigger.ack == past.my_facts().isn + 1 {
        return vec![];
    }
    let text = "it answers an ACK that does not fit the SYN-ACK";
    vec![Opinion::new(Cause::BadHandshakeAck, 0.8).because("wrong_ack", 2.0, text)]
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
    // Reason 0 only says that there was one.
    let probability = if reason == 0 { 0.6 } else { 0.95 };
    let opinion = Opinion::new(Cause::MptcpProtocol, probability);
    vec![opinion.because("mptcp_reason", 3.0, text).whatever_came_before()]
}
