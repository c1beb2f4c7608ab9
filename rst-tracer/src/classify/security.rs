//! Attacks, scans, and defences against them.

use rst_tracer_common::wire::Flags;

use super::{Case, Form, Opinion, Past, Rule};
use crate::event::{Cause, Effect, Initiator, LocalRole, Origin, SentBy, Stage};

pub(super) const RULES: &[Rule] =
    &[scanner_probe, blind_reset, injected, injected_on_syn, backscatter];

/// A SYN that no TCP stack wrote, and a stack that does not know the SYN-ACK to it.
fn scanner_probe(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.past.filter(|_| case.refuses_the_syn_ack()) else { return vec![] };
    let (facts, rst) = (past.my_facts(), case.segment());
    let mut opinion = Opinion::new(Cause::ScannerProbe, 0.2);
    let mut signs = 0;
    if facts.options == 0 {
        signs += 1;
        let text = "the SYN has no options; every common TCP stack sends some";
        opinion = opinion.because("syn_without_options", 1.5, text);
    }
    if !case.is_v6() && facts.first_ip_id == 54321 {
        signs += 2;
        opinion = opinion.because("zmap_ip_id", 2.0, "the SYN's IP ID is 54321, as ZMap writes it");
    }
    let apart = facts.first_ttl.abs_diff(rst.ttl);
    if apart > 32 {
        signs += 1;
        let text = format!(
            "the SYN's TTL is {}, that of the reset {}: the SYN was not written by the same TCP",
            facts.first_ttl, rst.ttl
        );
        opinion = opinion.because("syn_ttl", 1.5, text);
    }
    opinion.probability = [0.2, 0.8, 0.92, 0.95][signs.min(3)];
    vec![opinion]
}

/// A reset that is not where the receiver expects it: RFC 5961 was made against such.
fn blind_reset(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.established() else { return vec![] };
    let unbelieved = matches!(case.known.effect, Effect::Challenged | Effect::Ignored);
    let Some(expected) = past.their_ack().filter(|_| unbelieved) else { return vec![] };
    let off = case.segment().tcp.seq.since(expected);
    let tells = case.forgery();
    // An answer to a segment that was acknowledged meanwhile is stale, but honest.
    let honest = case.form == Form::Passive && acknowledged_before(case, &past);
    let probability = match (tells.proven, honest) {
        (true, _) => 0.93,
        (false, true) => 0.15,
        (false, false) => 0.7,
    };
    let origin = if tells.proven { Origin::MiddleboxProven } else { Origin::MiddleboxSuspected };
    let text = format!(
        "its sequence number is {} bytes {} the one that {} expects",
        off.unsigned_abs(),
        if off < 0 { "behind" } else { "ahead of" },
        case.receiver()
    );
    let opinion = Opinion::new(Cause::BlindResetAttempt, probability)
        .made_by(origin)
        .because("wrong_seq", 2.0, text)
        .and(tells.signs.iter().cloned());
    vec![if tells.proven { opinion.whatever_came_before() } else { opinion }]
}

/// Whether the sequence number is one that the receiver acknowledged a moment ago.
fn acknowledged_before(case: &Case<'_>, past: &Past<'_>) -> bool {
    past.their_slots().any(|slot| slot.flags.has(Flags::ACK) && slot.ack == case.segment().tcp.seq)
}

/// A reset amid a connection that another hand wrote.
fn injected(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.established() else { return vec![] };
    if case.form.is_passive() || matches!(case.known.effect, Effect::Challenged | Effect::Ignored) {
        return passive_injection(case, &past);
    }
    let tells = case.forgery();
    let sum = tells.sum();
    let (probability, origin) = match (tells.proven, sum) {
        (true, _) => (0.92, Origin::MiddleboxProven),
        (false, 3.0..) => (0.6, Origin::MiddleboxSuspected),
        (false, 1.5..) => (0.35, Origin::MiddleboxSuspected),
        _ => return vec![],
    };
    let opinion = Opinion::new(Cause::InjectedReset, probability)
        .made_by(origin)
        .and(tells.signs.iter().cloned());
    vec![if tells.proven { opinion.whatever_came_before() } else { opinion }]
}

/// A bare reset may be an injector's too; a packet filter is likelier.
fn passive_injection(case: &Case<'_>, past: &Past<'_>) -> Vec<Opinion> {
    let fits = case.form == Form::Passive && case.known.effect == Effect::Accepted;
    if !fits || case.sequel.zombie(past).is_none() {
        return vec![];
    }
    let opinion = Opinion::new(Cause::InjectedReset, 0.09).made_by(Origin::MiddleboxProven);
    vec![opinion.and(case.forgery().signs.iter().cloned())]
}

/// A SYN that is refused and accepted, or refused as no TCP refuses: one answer is forged.
fn injected_on_syn(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.past else { return vec![] };
    let answers = case.known.stage == Stage::PostSyn && past.i_opened() == Some(false);
    let tells = case.forgery();
    let misfit = case.known.effect == Effect::Ignored;
    if !answers || !(tells.proven || misfit) {
        return vec![];
    }
    let (probability, origin) = if tells.proven {
        (0.85, Origin::MiddleboxProven)
    } else {
        (0.4, Origin::MiddleboxSuspected)
    };
    let mut opinion = Opinion::new(Cause::InjectedReset, probability).made_by(origin);
    if misfit {
        let text = "it does not acknowledge the SYN: no TCP refuses one so, or believes it";
        opinion = opinion.because("misfit_refusal", 1.5, text);
    }
    vec![opinion.and(tells.signs.iter().cloned())]
}

/// A refusal that came to a host whose own SYN the tracer would have seen.
fn backscatter(case: &Case<'_>) -> Vec<Opinion> {
    let fits = matches!(case.known.initiator, Initiator::Ports | Initiator::Unknown)
        && case.known.stage == Stage::NoFlow
        && case.past.is_none()
        && case.form == Form::PassiveToSyn
        && case.known.sent_by != SentBy::Client;
    if !fits {
        return vec![];
    }
    let probability = if case.known.role == LocalRole::Receiver { 0.35 } else { 0.2 };
    let text = "it answers a SYN that was not seen to be sent; a stranger may have sent it in this \
                address's name";
    vec![Opinion::new(Cause::Backscatter, probability).because("unasked_answer", 0.5, text)]
}
