//! Nobody wanted the connection: a closed port, or a client that no longer waits.

use rst_tracer_common::{
    flow::flag,
    wire::{Flags, Seq, option},
};

use super::{
    Case, Form, Maker, Opinion, Past, Rule,
    opinion::{reason, span},
    scan, security, ttl,
};
use crate::event::{Cause, Origin, Stage};

pub(super) const RULES: &[Rule] =
    &[closed_port, listener_went_away, second_syn, refused_path, unseen_syn, client_gave_up];

impl Case<'_> {
    /// Whether the reset answers a SYN with a refusal that its sender must believe (RFC 9293
    /// section 3.10.7.3), and the other side has said nothing so far.
    pub(super) fn refuses_a_syn(&self) -> bool {
        let Some(past) = self.past else { return false };
        let tcp = &self.segment().tcp;
        // A SYN may carry data (TCP Fast Open, RFC 7413).
        matches!(self.known.stage, Stage::PostSyn | Stage::PostPush)
            && !past.has(flag::SYN_ACK)
            && past.i_opened() == Some(false)
            && past.mine().packets == 0
            && tcp.flags.has(Flags::ACK)
            && tcp.ack.since(past.their_facts().isn) > 0
            && tcp.ack.since(past.their_end()) <= 0
    }
}

/// `SYN → RST+ACK` with sequence number 0: nothing listens, says the host.
fn closed_port(case: &Case<'_>) -> Vec<Opinion> {
    if !case.refuses_a_syn() || case.forgery().proven || amid_handshake(case).is_some() {
        return vec![];
    }
    let by_windows = Form::is_written_by_windows(case.segment());
    let probability = match (case.form, case.maker()) {
        _ if case.may_refuse_a_path().is_some() => 0.3,
        (Form::PassiveToSyn, Maker::Stack) if scan::raw_caller(case).is_some() => 0.7,
        // It listened a moment ago.
        (Form::PassiveToSyn, Maker::Stack | Maker::Undecided)
            if case.accepted_lately_ns().is_some() =>
        {
            0.3
        }
        // Why it is asked for a closed port, the ports before it say.
        (Form::PassiveToSyn, Maker::Stack) if case.crowd().refused_ports >= scan::MANY_PORTS => 0.5,
        (Form::PassiveToSyn, Maker::Stack) => 0.96,
        (Form::PassiveToSyn, Maker::Filter) => 0.15,
        (Form::PassiveToSyn, _) if case.is_elsewhere_by_peer() => 0.2,
        // Linux' packet filter does not write so, and Windows' own is silent.
        (Form::PassiveToSyn, Maker::Undecided) if by_windows => 0.8,
        (Form::PassiveToSyn, Maker::Undecided) if case.made_on_this_link() => 0.33,
        (Form::PassiveToSyn, Maker::Undecided) if is_by_appliance(case) => 0.35,
        (Form::PassiveToSyn, Maker::Undecided) => 0.74,
        _ if case.forgery().habit.is_some() => 0.25,
        _ if case.refuses_with_a_number() => 0.1,
        _ => 0.6,
    };
    let answers = reason("answers_syn", 2.0, "it answers the SYN, which nothing else did");
    let mut opinion = Opinion::new(Cause::ClosedPort, probability)
        .and([answers])
        .and(case.maker_evidence().filter(|_| case.maker() == Maker::Stack));
    if by_windows {
        let text = format!("its TTL {} and its headers are those of Windows", case.segment().ttl);
        opinion = opinion.because("windows", 1.0, text);
    } else if case.maker() == Maker::Undecided {
        let text = "on the wire a packet filter that rejects the SYN would look the same";
        opinion = opinion.because("undecidable", -0.5, text);
    }
    vec![opinion]
}

impl Case<'_> {
    /// Whether a refusal of a SYN has a sequence number: a TCP without a connection has none to give, and
    /// writes 0 (RFC 9293 section 3.10.7.1).
    pub(super) fn refuses_with_a_number(&self) -> bool {
        self.refuses_a_syn() && self.segment().tcp.seq != Seq(0)
    }
}

/// Whether its time to live began at 255, as network equipment has it and common hosts do not (p0f's
/// p0fr.fp).
pub(super) fn is_by_appliance(case: &Case<'_>) -> bool {
    case.segment().ttl > 128 && case.past.is_some_and(|past| past.theirs().ttl <= 128)
}

/// The port is closed, and a minute ago it was not: the service ended or is being restarted.
fn listener_went_away(case: &Case<'_>) -> Vec<Opinion> {
    let refuses = case.refuses_a_syn() && case.form == Form::PassiveToSyn;
    // A subflow of multipath TCP is refused by a listener that lives.
    let filtered =
        case.maker() == Maker::Filter || case.forgery().proven || case.mptcp_reason().is_some();
    let ago = case.accepted_lately_ns();
    let Some(ns) = ago.filter(|_| refuses && !filtered) else { return vec![] };
    let probability = match case.maker() {
        _ if amid_handshake(case).is_some() => 0.2,
        _ if case.may_refuse_a_path().is_some() => 0.5,
        Maker::Stack => 0.95,
        // It was not the server that answered.
        _ if case.made_on_this_link() || case.is_elsewhere_by_peer() => 0.15,
        _ => 0.75,
    };
    let text = format!("the same port had accepted a connection {} before", span(ns));
    vec![Opinion::new(Cause::ListenerWentAway, probability).because("accepted_before", 2.0, text)]
}

/// How long ago the port had accepted a connection, if that may have been one from the very port that is
/// refused now: a second SYN amid a handshake is refused by its listener (tcp_check_req).
pub(super) fn amid_handshake(case: &Case<'_>) -> Option<u64> {
    const HANDSHAKE_NS: u64 = 3_000_000_000;
    let again = case.past.is_some_and(|past| past.state().flow.reuses > 0);
    case.crowd().accepted_ago_ns.filter(|ns| again && *ns < HANDSHAKE_NS)
}

/// A second SYN amid a handshake.
fn second_syn(case: &Case<'_>) -> Vec<Opinion> {
    let refuses = case.refuses_a_syn() && case.form == Form::PassiveToSyn;
    let ago = amid_handshake(case).filter(|_| refuses && !case.forgery().proven);
    let Some(ns) = ago else { return vec![] };
    let text = format!(
        "the same port had accepted a connection {} before, and the client had called from this very \
         port: a SYN came amid the handshake",
        span(ns)
    );
    vec![Opinion::new(Cause::BadHandshakeAck, 0.75).because("second_syn", 2.0, text)]
}

/// A second path of a multipath connection that the server does not want.
fn refused_path(case: &Case<'_>) -> Vec<Opinion> {
    let refuses = case.refuses_a_syn() && !case.forgery().proven;
    let Some(ns) = case.may_refuse_a_path().filter(|_| refuses) else { return vec![] };
    let text = format!(
        "the SYN speaks multipath TCP, and the port had accepted a connection {} before: a second path \
         may be refused while the listener lives",
        span(ns)
    );
    let opinion = Opinion::new(Cause::MptcpProtocol, 0.55).because("multipath_syn", 1.0, text);
    vec![opinion.whatever_came_before()]
}

impl Case<'_> {
    /// How long ago the source endpoint was seen to accept a connection, if that was within a minute.
    pub(super) fn accepted_lately_ns(&self) -> Option<u64> {
        const LATELY_NS: u64 = 60_000_000_000;
        self.crowd().accepted_ago_ns.filter(|ns| *ns < LATELY_NS)
    }

    /// The same where the SYN speaks multipath TCP: it may ask to join a connection, and that may be
    /// refused while the listener lives (RFC 8684 section 3.2).
    pub(super) fn may_refuse_a_path(&self) -> Option<u64> {
        let asks = self.past.is_some_and(|past| past.their_facts().options & option::MPTCP != 0);
        self.accepted_lately_ns().filter(|_| asks)
    }
}

/// The same answer to a SYN that was not seen.
fn unseen_syn(case: &Case<'_>) -> Vec<Opinion> {
    let spoke = case.past.is_some_and(|past| past.theirs().packets > 0);
    if case.known.stage != Stage::NoFlow || case.form != Form::PassiveToSyn || spoke {
        return vec![];
    }
    let text = "it has the form in which a SYN is refused; the SYN itself was not seen";
    vec![Opinion::new(Cause::ClosedPort, 0.5).because("form_refusal", 1.0, text)]
}

/// `SYN → SYN-ACK → RST` by the client's host: no socket waits for the SYN-ACK.
fn client_gave_up(case: &Case<'_>) -> Vec<Opinion> {
    let alone = case.known.stage == Stage::PostSyn
        && case.past.is_some_and(|past| past.i_opened() == Some(true) && !past.they(flag::HEARD));
    if alone {
        let text = "the client's host ended what its own SYN had begun; no answer to it was seen";
        return vec![Opinion::new(Cause::ClientGaveUp, 0.4).because("ends_its_syn", 0.5, text)];
    }
    if !case.refuses_the_syn_ack() {
        return vec![];
    }
    if let Some((reset, false)) = case.past.and_then(|past| past.earlier_reset()) {
        let text = format!(
            "the client's SYN had been refused {} before, and now it was accepted",
            span(case.since(reset))
        );
        let opinion = Opinion::new(Cause::SegmentAfterReset, 0.9);
        return vec![opinion.because("refused_before", 2.0, text)];
    }
    if let Some((times, ms)) = case.crowd().periodic {
        let text = format!(
            "the client's host let the SYN-ACK go {times} times before too, every {ms} ms: a health \
             check that leaves the handshake half done"
        );
        return vec![
            Opinion::new(Cause::LbHealthCheck, 0.85).because("periodic", 2.0, text),
            Opinion::new(Cause::ClientGaveUp, 0.1),
        ];
    }
    if case.past.is_some_and(|past| !past.has(flag::SYN)) {
        let text = "the client's host refused a SYN-ACK, and this way no SYN had gone: somebody else may \
                    have called in its name";
        return vec![
            Opinion::new(Cause::Backscatter, 0.72).because("unasked_syn_ack", 1.5, text),
            Opinion::new(Cause::ClientGaveUp, 0.25),
        ];
    }
    let Some(past) = case.past else { return vec![] };
    match (scan::by_another_hand(case, &past), scan::is_stack_syn(&past)) {
        (true, true) => return written_for_the_client(case, &past),
        // No socket had sent the SYN that could have given up.
        (true, false) => return vec![Opinion::new(Cause::ClientGaveUp, 0.1)],
        (false, _) => {}
    }
    if case.made_on_this_link() && !ttl::is_fresh(past.my_facts().first_ttl) && past.has(flag::SYN)
    {
        return rejected_syn_ack(case, &past);
    }
    let answers = reason(
        "answers_syn_ack",
        2.0,
        "the client's host answered the SYN-ACK as if no socket waited for it",
    );
    let gave_up = |probability| {
        let opinion = Opinion::new(Cause::ClientGaveUp, probability).and([answers.clone()]);
        opinion.and(past.my_slots().find(|slot| slot.flags.has(Flags::SYN)).map(|syn| {
            let text = format!(
                "the SYN was {} ms old: a client that tries several addresses at once gives up the \
                 slower ones so (RFC 8305)",
                case.since(syn) / 1_000_000
            );
            reason("syn_age", 0.2, text)
        }))
    };
    if let Some(ns) = let_one_pass(case, &past) {
        let text = format!(
            "the SYN-ACK had come {} before too, and then the client's host had said nothing: it may \
             have believed a reset that was not seen here",
            span(ns)
        );
        let later = Opinion::new(Cause::SegmentAfterReset, 0.24);
        return vec![gave_up(0.72), later.because("let_one_pass", 1.0, text)];
    }
    vec![gave_up(if scan::is_stack_syn(&past) { 0.78 } else { 0.4 })]
}

/// The client's SYN came by way of routers, and the reset of the SYN-ACK by none: something on this link rejected the
/// SYN-ACK, as a packet filter does.
fn rejected_syn_ack(case: &Case<'_>, past: &Past<'_>) -> Vec<Opinion> {
    let text = format!(
        "its TTL {} is fresh, that of the client's SYN was {}: something on this link answered the SYN-ACK",
        case.segment().ttl,
        past.my_facts().first_ttl
    );
    let by_filter = if Form::is_written_by_linux(case.segment()) { 0.72 } else { 0.4 };
    let rejected = Opinion::new(Cause::NetworkFirewallReject, by_filter);
    let injected = Opinion::new(Cause::InjectedReset, 0.8 - by_filter);
    vec![
        rejected.made_by(Origin::MiddleboxSuspected).because("fresh_ttl", 2.0, text.clone()),
        injected.made_by(Origin::MiddleboxSuspected).because("fresh_ttl", 2.0, text),
        Opinion::new(Cause::ClientGaveUp, 0.15),
    ]
}

/// A SYN of a common TCP, and a reset that comes from another distance: whoever wrote the reset is not the
/// client.
fn written_for_the_client(case: &Case<'_>, past: &Past<'_>) -> Vec<Opinion> {
    let text = format!(
        "its TTL is {}, that of the client's SYN {}, which a common TCP wrote: the reset comes from \
         elsewhere",
        case.segment().ttl,
        past.my_facts().first_ttl
    );
    let opinion = Opinion::new(Cause::InjectedReset, 0.7).made_by(security::hand(case));
    let opinion = opinion.because("ttl_of_the_syn", 2.0, text);
    vec![
        opinion.and(case.forgery().signs.iter().cloned()),
        Opinion::new(Cause::ScannerProbe, 0.15),
        Opinion::new(Cause::ClientGaveUp, 0.1),
    ]
}

/// How long ago the same SYN-ACK had come for the first time, if that was long before the one that is
/// refused.
fn let_one_pass(case: &Case<'_>, past: &Past<'_>) -> Option<u64> {
    const REPEATED_NS: u64 = 200_000_000;
    let mut syn_acks = past.their_slots().filter(|slot| slot.flags.has(Flags::SYN));
    let (first, again) = (syn_acks.next()?, syn_acks.next_back()?);
    (again.time_ns - first.time_ns >= REPEATED_NS).then(|| case.since(first))
}

impl Case<'_> {
    /// Whether a client's host answers the right SYN-ACK as if it had no socket.
    pub(super) fn refuses_the_syn_ack(&self) -> bool {
        let Some(past) = self.past else { return false };
        let tcp = &self.segment().tcp;
        self.known.stage == Stage::PostSynack
            && past.i_opened() == Some(true)
            && past.has(flag::SYN_ACK)
            && self.form == Form::Passive
            && (!past.has(flag::SYN) || tcp.seq == past.my_end())
    }
}
