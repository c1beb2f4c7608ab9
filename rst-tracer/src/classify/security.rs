//! Attacks, scans, and defences against them.

use super::{
    Case, Form, Maker, Opinion, Rule,
    application::head,
    blind::{in_volley, is_guess, is_guessed, is_odd_and_old},
    opinion::{reason, span},
    ttl,
};
use crate::event::{Cause, Effect, Initiator, LocalRole, Origin, SentBy, Stage};

pub(super) const RULES: &[Rule] = &[injected, injected_on_syn, dpi_block, backscatter];

/// What wrote a reset that is not its claimed sender's.
pub(super) fn hand(case: &Case<'_>) -> Origin {
    match case.forgery() {
        _ if case.wrote_for_another() => Origin::MiddleboxProven,
        // This host wrote it, though not its TCP for that socket.
        _ if case.made_here() => Origin::Unknown,
        tells if tells.proven => Origin::MiddleboxProven,
        _ => Origin::MiddleboxSuspected,
    }
}

/// A reset amid a connection that another hand wrote.
fn injected(case: &Case<'_>) -> Vec<Opinion> {
    let tells = case.forgery();
    let amid = case.established().is_some() || tells.has("known_payload");
    let Some(past) = case.past else { return vec![] };
    if !amid || !tells.suspected() || case.known.stage == Stage::PostSyn {
        return vec![];
    }
    let unbelieved = case.known.disbelieved;
    // A packet filter, and a host without the socket, write answers just so.
    let is_answer = case.form.is_passive()
        && tells.habit.is_none()
        && !case.is_a_raw_frame_of_this_host()
        && (case.answers_at_once() || !tells.refuted && case.unasked().is_none())
        && !is_guessed(case, &past)
        && !case.answers_more_than_was_said(&past);
    let (here, taken) = (case.ttl_shift() == Some(0), case.took_what_it_answers());
    let probability = match (tells.proven, tells.sum()) {
        (true, _) if is_answer && !Form::is_written_by_linux(case.segment()) => 0.5,
        // Neither its TCP wrote it nor a filter, which writes otherwise, or would have stopped what it answers.
        (true, _) if is_answer && here && taken.is_some() => 0.9,
        (true, _) if is_answer && here && case.maker() == Maker::Stack => 0.75,
        (true, _) if is_answer && !tells.has("seq_runs_ahead") => 0.09,
        (true, _) if unbelieved && !in_volley(case, &past) && is_guess(case, &past) => 0.3,
        (true, _) if unbelieved && tells.habit.is_none() && !in_volley(case, &past) => 0.5,
        (true, _) if unbelieved && !in_volley(case, &past) && is_odd_and_old(case, &past) => 0.6,
        (true, _) => 0.92,
        (false, _) if is_answer => 0.09,
        (false, 3.0..) => 0.68,
        (false, _) => 0.4,
    };
    let mut opinions = by_its_habit(case, probability);
    if let Some(bytes) = taken.filter(|_| tells.proven && is_answer && here) {
        let text = format!(
            "{} took the {bytes} bytes that it answers: a packet filter that rejects lets nothing through",
            case.sender()
        );
        opinions =
            opinions.into_iter().map(|it| it.because("took_it", 2.0, text.clone())).collect();
    }
    opinions
}

/// The injector whose habits it has, or one that is not known by name.
fn by_its_habit(case: &Case<'_>, probability: f64) -> Vec<Opinion> {
    let tells = case.forgery();
    let opinion = |cause, probability| {
        let opinion = Opinion::new(cause, probability).made_by(hand(case));
        let opinion = opinion.and(tells.signs.iter().cloned());
        if tells.proven { opinion.whatever_came_before() } else { opinion }
    };
    match tells.habit {
        Some(habit) if habit.cause != Cause::InjectedReset => vec![
            opinion(habit.cause, probability * habit.surely),
            opinion(Cause::InjectedReset, probability * (1.0 - habit.surely)),
        ],
        // Another hand, but whose, nothing says: prevention systems write in many ways.
        None if tells.proven => vec![
            opinion(Cause::InjectedReset, probability * 0.86),
            opinion(Cause::IpsActiveResponse, probability * 0.14),
        ],
        _ => vec![opinion(Cause::InjectedReset, probability)],
    }
}

/// A SYN that is refused and accepted, or refused as no TCP refuses: one answer is forged.
fn injected_on_syn(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.past else { return vec![] };
    let answers = case.known.stage == Stage::PostSyn && past.i_opened() == Some(false);
    let tells = case.forgery();
    let misfit = case.known.effect == Effect::Ignored;
    let numbered = case.refuses_with_a_number();
    if !answers || tells.genuine || !(tells.suspected() || misfit || numbered) {
        return vec![];
    }
    let probability = match (tells.proven, misfit) {
        (true, _) => 0.85,
        _ if numbered => 0.75,
        (false, false) if tells.habit.is_some_and(|habit| habit.weight > 1.0) => 0.75,
        (false, true) => 0.4,
        (false, false) => 0.3,
    };
    let mut reasons = Vec::new();
    if misfit {
        let text = "it does not acknowledge the SYN: no TCP refuses one so, or believes it";
        reasons.push(reason("misfit_refusal", 1.5, text));
    }
    if numbered {
        let text =
            "it refuses the SYN with a sequence number, and a TCP without a connection has none";
        reasons.push(reason("numbered_refusal", 2.0, text));
    }
    let opinions = by_its_habit(case, probability).into_iter();
    opinions.map(|opinion| opinion.and(reasons.iter().cloned())).collect()
}

/// A reset right behind a request that names what is wanted: a TLS ClientHello or an HTTP request.
/// Without a sign of another hand a server that hangs up looks the same.
fn dpi_block(case: &Case<'_>) -> Vec<Opinion> {
    const AT_ONCE_NS: u64 = 2_000_000_000;
    let Some(past) = case.established() else { return vec![] };
    let Some(i_opened) = past.i_opened() else { return vec![] };
    let (client, server, facts) = match i_opened {
        true => (past.mine(), past.theirs(), past.my_facts()),
        false => (past.theirs(), past.mine(), past.their_facts()),
    };
    let Some(request) = names_a_server(head(facts)) else { return vec![] };
    let asked = past.slots().rfind(|slot| slot.len > 0 && past.is_mine(slot) == i_opened);
    let Some(ns) = asked.map(|slot| case.since(slot)).filter(|ns| *ns < AT_ONCE_NS) else {
        return vec![];
    };
    let unanswered = client.data_segments <= 3 && server.data_segments == 0;
    let tells = case.forgery();
    let is_ips = tells
        .habit
        .is_some_and(|habit| habit.cause == Cause::IpsActiveResponse && habit.surely > 0.5);
    if !unanswered
        || !tells.suspected()
        || is_ips
        || case.form.is_passive() && tells.habit.is_none()
    {
        return vec![];
    }
    let again = case.crowd().reset_alike;
    let probability = match (again, tells.proven) {
        (0..2, true) => 0.3,
        (0..2, false) => 0.25,
        (_, true) => 0.94,
        (_, false) => 0.62,
    };
    let mut text = format!("it came {:.1} ms after {request}", ns as f64 / 1e6);
    if again >= 2 {
        text.push_str(&format!(", as on {again} other connections to the same server"));
    }
    let opinion = Opinion::new(Cause::DpiBlock, probability).made_by(hand(case));
    let opinion = opinion.because("behind_a_request", 1.5, text).and(tells.signs.iter().cloned());
    vec![if tells.proven { opinion.whatever_came_before() } else { opinion }]
}

/// What the first words of a client are, if they name what is wanted.
pub(super) fn names_a_server(head: &[u8]) -> Option<&'static str> {
    const METHODS: [&[u8]; 6] = [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"CONNECT ", b"OPTIONS "];
    match head {
        [0x16, 0x03, _, _, _, 0x01, ..] => Some("the TLS ClientHello, which names the server"),
        _ if METHODS.iter().any(|method| head.starts_with(method)) => Some("the HTTP request"),
        _ => None,
    }
}

/// An answer to something that its receiver did not send: somebody used its address, or guesses.
fn backscatter(case: &Case<'_>) -> Vec<Opinion> {
    let unknown = matches!(case.known.initiator, Initiator::Ports | Initiator::Unknown)
        && case.known.stage == Stage::NoFlow
        && case.past.is_none();
    if !unknown {
        return vec![];
    }
    match case.form {
        Form::Passive => unasked_reset(case),
        Form::PassiveToSyn if case.known.sent_by != SentBy::Client => unasked_refusal(case),
        _ => vec![],
    }
}

/// A bare reset answers a segment at once, and that segment would have been seen.
fn unasked_reset(case: &Case<'_>) -> Vec<Opinion> {
    let dropped = case.testimony().dropped.as_ref();
    let why = if dropped.is_some_and(|dropped| dropped.is_because("NO_SOCKET")) {
        "this host's TCP has no socket for it (NO_SOCKET)"
    } else if case.crowd().sees_dst {
        "what its receiver sends to others passes here"
    } else if case.crowd().sees_both_ways {
        "of nearly all other connections both directions pass here"
    } else {
        return vec![];
    };
    let text = format!(
        "it answers a segment that was not seen to be sent, and {why}; a stranger may have sent it in \
         this address's name"
    );
    let stray = |probability| {
        Opinion::new(Cause::Backscatter, probability).because("unasked_answer", 1.0, text.clone())
    };
    let shifted =
        case.ttl_shift_by_peer().is_some_and(|shift| shift.abs() > i16::from(ttl::OTHER_WAY));
    let Some(ns) = case.crowd().accepted_ago_ns.filter(|_| shifted || !written_by_a_stack(case))
    else {
        return vec![stray(0.5)];
    };
    let text = format!(
        "it has the headers of no common TCP, it is for a port that has no connection, and its source \
         had accepted one {} before: somebody guesses the port of a connection that lives",
        span(ns)
    );
    let guess = Opinion::new(Cause::BlindResetAttempt, 0.6).made_by(Origin::MiddleboxSuspected);
    vec![guess.because("guessed_port", 1.5, text), stray(0.3)]
}

/// Whether Linux or Windows may have written it.
fn written_by_a_stack(case: &Case<'_>) -> bool {
    Form::is_written_by_linux(case.segment()) || Form::is_written_by_windows(case.segment())
}

/// A refusal that came where the SYN would have been seen: on its way to the host that had called, as a rule.
fn unasked_refusal(case: &Case<'_>) -> Vec<Opinion> {
    let probability = match case.known.role {
        LocalRole::Receiver => 0.6,
        _ if case.crowd().sees_dst || case.crowd().sees_both_ways => 0.58,
        _ => 0.2,
    };
    let text = "it answers a SYN that was not seen to be sent; a stranger may have sent it in this \
                address's name";
    vec![Opinion::new(Cause::Backscatter, probability).because("unasked_answer", 0.5, text)]
}
