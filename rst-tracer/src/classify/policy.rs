//! A rule forbade it: packet filters on the host or on the path that answer with a reset.

use rst_tracer_common::{
    flow::flag,
    wire::{Flags, Seq},
};

use super::{
    Case, Form, Maker, Opinion, Past, Rule, blind::is_guessed, opinion::reason, refused, ttl,
};
use crate::event::{Cause, Effect, Evidence, Origin};

pub(super) const RULES: &[Rule] = &[rejected_syn, rejected_in_use];

/// A filter that answers a SYN in the place of the server.
fn rejected_syn(case: &Case<'_>) -> Vec<Opinion> {
    if !case.refuses_a_syn() || case.form != Form::PassiveToSyn || case.forgery().proven {
        return vec![];
    }
    let here = case.made_on_this_link();
    let by_peer = case.ttl_shift_by_peer();
    let elsewhere = case.is_elsewhere_by_peer();
    let (host, network) = match (case.maker(), here) {
        (Maker::Stack, _) => (0.04, 0.02),
        (Maker::Filter, _) if elsewhere => (0.1, 0.85),
        (Maker::Undecided, _) if elsewhere => (0.06, 0.7),
        (Maker::Filter, _) if by_peer == Some(0) => (0.8, 0.08),
        (Maker::Filter, false) => (0.66, 0.25),
        (Maker::Filter, true) => (0.15, 0.8),
        (Maker::Undecided, false) if Form::is_written_by_windows(case.segment()) => (0.05, 0.1),
        (Maker::Undecided, false) if refused::is_by_appliance(case) => (0.05, 0.55),
        (Maker::Undecided, false) => (0.16, 0.08),
        (Maker::Undecided, true) => (0.05, 0.6),
    };
    let mut reasons: Vec<Evidence> = case.maker_evidence().into_iter().collect();
    reasons.extend(case.forgery().signs.iter().filter(|sign| sign.id == "soon_for_peer").cloned());
    if let (Some(shift), Some(peer)) = (by_peer.filter(|shift| *shift != 0), case.crowd().src_peer)
    {
        let text = format!(
            "its TTL is {}, on {} other connections of this server it was {}: something else on the \
             path answered",
            case.segment().ttl,
            peer.connections,
            i16::from(case.segment().ttl) - shift
        );
        reasons.push(reason("ttl_of_peer", 1.5, text));
    }
    if refused::is_by_appliance(case) {
        let text = format!(
            "its TTL {} began at 255, as that of network equipment does and that of common hosts not",
            case.segment().ttl
        );
        reasons.push(reason("ttl_of_equipment", 1.0, text));
    }
    if here {
        let text = format!(
            "its TTL {} is fresh, though the server is on another network: something on this link \
             answered",
            case.segment().ttl
        );
        reasons.push(reason("fresh_ttl", 1.0, text));
    }
    both(case, host, network, reasons)
}

/// A filter that answers a segment of a living connection: it takes the passive form, but the
/// socket that it speaks for lives on.
fn rejected_in_use(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.established() else { return vec![] };
    let is_challenged = case.known.disbelieved && case.known.effect != Effect::Ignored;
    if case.form != Form::Passive || is_challenged {
        return vec![];
    }
    let tells = case.forgery();
    if tells.has("seq_runs_ahead")
        || is_guessed(case, &past)
        || case.answers_more_than_was_said(&past)
        || case.unasked().is_some()
    {
        return vec![]; // A filter answers what it rejects, at once and once.
    }
    let too_soon = tells.has("too_soon");
    let shifted = case.ttl_shift().is_some_and(|shift| shift != 0) && !case.made_here();
    let elsewhere = shifted || too_soon;
    let mut reasons = tells.signs.clone();
    reasons.extend(case.maker_evidence().filter(|_| case.maker() == Maker::Filter));
    if shifted && !tells.has("ttl_differs") {
        let usual = past.my_ttl().unwrap_or_default();
        let text = format!(
            "its TTL is {}, that of {}'s segments {usual}: it comes from elsewhere on the path",
            case.segment().ttl,
            case.sender()
        );
        reasons.push(reason("ttl_shifted", 1.5, text));
    }
    if tells.proven {
        let text = "it has the form in which packet filters reject: no options, no window";
        reasons.push(reason("form_passive", 1.0, text));
    }
    let (host, network) = match (tells.proven, case.maker(), elsewhere) {
        // Nobody had just sent what a filter would answer.
        _ if tells.refuted && !case.answers_at_once() => (0.05, 0.05),
        // Linux' filter, the only common one that rejects so amid a connection, writes no such headers.
        (true, _, false) if !Form::is_written_by_linux(case.segment()) => (0.3, 0.15),
        // What a filter rejects does not come through.
        (true, _, false) if case.took_what_it_answers().is_some() => (0.04, 0.04),
        // Its TCP did not write it, and a filter sets no flow label and mirrors no type of service.
        (true, Maker::Stack, false) => (0.1, 0.1),
        (true, _, false) => (0.75, 0.12),
        (true, _, true) => (0.06, 0.85),
        // Other systems than Linux answer without flow label too, above all behind a FIN.
        (false, Maker::Filter, false) if past.i(flag::FIN) => (0.15, 0.1),
        (false, Maker::Filter, false) => (0.65, 0.2),
        (false, Maker::Filter, true) => (0.15, 0.7),
        (false, Maker::Undecided, _) if too_soon => (0.03, 0.6),
        (false, Maker::Undecided, true) if first_words_rejected(case).is_some() => (0.05, 0.7),
        (false, Maker::Undecided, true) => (0.05, 0.4),
        (false, Maker::Undecided, false) => (0.12, 0.06),
        (false, Maker::Stack, _) => return vec![],
    };
    let rule = 1.0 - case.forgotten_by_its_filter();
    let rule = if case.is_a_raw_frame_of_this_host() { rule * 0.1 } else { rule };
    let words = first_words_rejected(case).filter(|_| elsewhere);
    let path = network * rule * if words.is_some() { BY_RULE } else { 1.0 };
    let mut opinions = both(case, host * rule, path, reasons);
    if let Some(bytes) = words {
        let dpi = Opinion::new(Cause::DpiBlock, network * rule * BY_WORDS);
        let dpi =
            dpi.made_by(Origin::MiddleboxSuspected).because("first_words", 1.5, let_pass(bytes));
        opinions.push(dpi);
    }
    if tells.proven {
        opinions = opinions.into_iter().map(Opinion::whatever_came_before).collect();
        let path = opinions.iter_mut().find(|o| o.origin == Origin::MiddleboxSuspected);
        if let Some(path) = path.filter(|_| !case.made_here()) {
            path.origin = Origin::MiddleboxProven;
        }
    }
    opinions
}

impl Case<'_> {
    /// Whether there were more bare resets with its number than segments that they can answer: TCP and packet
    /// filters answer each once.
    pub(super) fn answers_more_than_was_said(&self, past: &Past<'_>) -> bool {
        const VOLLEY_NS: u64 = 2_000_000_000;
        /// What comes sooner is the same frame, seen at another interface.
        const COPY_NS: u64 = 2_000_000;
        let seq = self.segment().tcp.seq;
        let asks =
            |flags: Flags, ack: Seq| flags.has(Flags::ACK) && !flags.has(Flags::RST) && ack == seq;
        let before = past.their_slots().filter(|slot| asks(slot.flags, slot.ack)).count();
        let later = self.sequel.theirs().map(|after| &after.head.segment.tcp);
        let after = later.filter(|tcp| asks(tcp.flags, tcp.ack)).count();
        let earlier = past.my_slots().filter(|slot| {
            slot.flags == Flags::RST && slot.seq == seq && self.since(slot) < VOLLEY_NS
        });
        let again = self.later_resets(VOLLEY_NS).map(|rst| &rst.head);
        let again = again
            .filter(|head| head.segment.tcp.flags == Flags::RST && head.segment.tcp.seq == seq);
        let times = earlier
            .map(|slot| slot.time_ns)
            .chain([self.now_ns()])
            .chain(again.map(|head| head.time_ns));
        let mut last = None;
        let resets = times.filter(|time| {
            let is_new = last.is_none_or(|last| time.saturating_sub(last) >= COPY_NS);
            last = Some(*time);
            is_new
        });
        self.form == Form::Passive && before > 0 && resets.count() > before + after
    }

    /// Whether this host wrote it for another, and not as its packet filter writes: with a fresh time to
    /// live, identification 0 and don't-fragment (net/ipv4/netfilter/nf_reject_ipv4.c).
    pub(super) fn is_a_raw_frame_of_this_host(&self) -> bool {
        let segment = self.segment();
        let like_the_filter = Form::is_written_by_linux(segment) && ttl::is_fresh(segment.ttl);
        self.wrote_for_another() && !like_the_filter
    }
}

/// How much of what rejects the first words looks at addresses only, and how much at the words.
pub(super) const BY_RULE: f64 = 0.31;
pub(super) const BY_WORDS: f64 = 0.69;

/// How long the first words were, when the segment that is answered carries them.
pub(super) fn first_words_rejected(case: &Case<'_>) -> Option<u32> {
    let past = case.past.filter(|past| past.has(flag::SYN | flag::SYN_ACK))?;
    let trigger = case.trigger().filter(|slot| slot.len > 0)?;
    let first = past.theirs().data_segments <= 1 && past.mine().data_segments == 0;
    first.then_some(trigger.len)
}

/// What that means, in words.
pub(super) fn let_pass(bytes: u32) -> String {
    format!("it let the handshake pass and rejected the first {bytes} bytes that were said")
}

/// The filter of the host, and one on the path. Who wrote it here in the name of an address that is
/// not this host's own is on the path himself.
fn both(case: &Case<'_>, host: f64, network: f64, mut reasons: Vec<Evidence>) -> Vec<Opinion> {
    let (host, network, on_path) = if case.rejects_its_own() {
        let text = "this host wrote it in the name of another and to itself: its packet filter rejects what it sends";
        reasons.push(reason("rejects_its_own", 3.0, text));
        (host + network, 0.0, Origin::MiddleboxSuspected)
    } else if case.wrote_for_another() {
        let text = "this host wrote it, and its source address is none of this host's";
        reasons.push(reason("written_for_another", 3.0, text));
        (0.0, host + network, Origin::MiddleboxProven)
    } else {
        (host, network, Origin::MiddleboxSuspected)
    };
    let of_host = Opinion::new(Cause::HostFirewallReject, host).made_by(Origin::HostFirewall);
    let of_network = Opinion::new(Cause::NetworkFirewallReject, network).made_by(on_path);
    vec![of_host.and(reasons.iter().cloned()), of_network.and(reasons)]
}
