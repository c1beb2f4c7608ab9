//! Resets that this host wrote and its TCP did not: a packet filter's, or a program's.

use crate::{
    classify::{
        Author, Case, Form, Opinion, Payload,
        policy::{BY_RULE, BY_WORDS, first_words_rejected, let_pass},
        scan::resets_a_refusal,
    },
    event::{Cause, Origin},
};

/// A packet filter of this host wrote it.
pub(super) fn by_filter(case: &Case<'_>) -> Vec<Opinion> {
    let Author::Filter(_) = case.author() else { return vec![] };
    let text = if case.rejects_its_own() {
        "a packet filter of this host wrote it: netfilter dropped the segment that it answers, which this \
         host itself was about to send"
    } else {
        "a packet filter of this host wrote it: TCP sent no reset, and netfilter dropped the segment that it \
         answers"
    };
    let (cause, origin, other) = if case.filters_for_itself() {
        (Cause::HostFirewallReject, Origin::HostFirewall, Cause::NetworkFirewallReject)
    } else {
        let origin = Origin::MiddleboxSuspected;
        (Cause::NetworkFirewallReject, origin, Cause::HostFirewallReject)
    };
    let rule = 1.0 - case.forgotten_by_its_filter();
    let mut opinions = vec![
        Opinion::new(cause, 0.97 * rule).made_by(origin).because("filter_dropped", 3.0, text),
        Opinion::new(other, 0.02).made_by(origin).because("filter_dropped", 3.0, text),
    ];
    if let Some(bytes) = first_words_rejected(case) {
        opinions[0].probability *= BY_RULE;
        let dpi = Opinion::new(Cause::DpiBlock, 0.97 * rule * BY_WORDS).made_by(origin);
        let dpi = dpi.because("filter_dropped", 3.0, text);
        opinions.push(dpi.because("first_words", 1.5, let_pass(bytes)));
    }
    opinions.into_iter().map(Opinion::whatever_came_before).collect()
}

/// Whether it is written as Linux' packet filter rejects, with the number of a segment that passed here; where segments
/// were not recorded, of any.
fn is_of_the_filter(case: &Case<'_>) -> bool {
    let is_written = case.form.is_passive() && Form::is_written_by_linux(case.segment());
    let saw_all = case.past.is_some_and(|past| !past.state().has_holes());
    is_written && (case.trigger().is_some() || !saw_all)
}

/// A raw socket, a packet socket or a BPF program of this host wrote it.
pub(super) fn by_program(case: &Case<'_>) -> Vec<Opinion> {
    if case.author() != Author::Program {
        return vec![];
    }
    let text = "neither this host's TCP nor its packet filter wrote it: a program did, through a raw \
                socket, a packet socket or BPF";
    if resets_a_refusal(case) {
        let probe = Opinion::new(Cause::ScannerProbe, 0.95);
        return vec![probe.because("written_by_program", 3.0, text).whatever_came_before()];
    }
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
        None if is_of_the_filter(case) => {
            let text = "this host's TCP did not write it, and it has the form in which Linux' packet \
                        filter rejects";
            let (cause, origin) = if case.filters_for_itself() {
                (Cause::HostFirewallReject, Origin::HostFirewall)
            } else {
                (Cause::NetworkFirewallReject, Origin::MiddleboxProven)
            };
            let rule = 1.0 - case.forgotten_by_its_filter();
            let filter = Opinion::new(cause, 0.75 * rule).made_by(origin);
            vec![
                filter.because("form_of_the_filter", 2.0, text).whatever_came_before(),
                opinion(Cause::InjectedReset, 0.2),
            ]
        }
        None => vec![opinion(Cause::InjectedReset, 0.87), opinion(Cause::IpsActiveResponse, 0.09)],
    }
}
