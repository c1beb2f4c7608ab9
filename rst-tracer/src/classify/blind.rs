//! Resets with a number that the receiver does not expect: somebody guesses, or something was missed here.
//!
//! In: a reset that its receiver does not believe, or is not to. Out: an opinion, and whether a number is a guess.

use rst_tracer_common::{
    flow::{Slot, flag},
    wire::{Flags, Seq},
};

use super::{Case, Form, Opinion, Past, Rule, past::end_of, security::hand};
use crate::event::{Cause, Stage};

pub(super) const RULES: &[Rule] = &[blind_reset, lucky_guess];

/// Who guesses does not stop for so long.
const RECENT_NS: u64 = 10_000_000_000;

/// A reset that is not where the receiver expects it: RFC 5961 was made against such.
fn blind_reset(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.established().or(case.answered_handshake()) else { return vec![] };
    let Some(expected) = past.their_ack().filter(|_| case.known.disbelieved) else {
        return vec![];
    };
    let off = case.segment().tcp.seq.since(expected);
    let tells = case.forgery();
    if off == 0 || tells.genuine || case.found_no_socket() {
        return vec![];
    }
    if !tells.proven && leads_up_to(case, expected) {
        return vec![];
    }
    // One who sees the connection shoots several, ahead of what is under way; who is blind has no
    // hit among so few.
    let by_habit = tells.habit.is_some_and(|habit| habit.surely > 0.5);
    if hits(case, &past, expected) || by_habit && !is_guess(case, &past) {
        return vec![];
    }
    // An answer to a segment that was acknowledged meanwhile is stale, but honest.
    let honest = case.form == Form::Passive && acknowledged_before(case, &past);
    // Where segments were not recorded it may have stood in one of them, and who wrote it seen that.
    let perhaps_seen = off < 0 && past.state().has_holes();
    let probability = match (tells.proven, honest) {
        (true, _) if perhaps_seen => 0.6,
        (true, _) => 0.96,
        (false, true) => 0.15,
        (false, false) if off < 0 => 0.7,
        (false, false) => if_unproven(tells.sum()),
    };
    let text = format!(
        "its sequence number is {} bytes {} the last one that {} was seen here to expect",
        off.unsigned_abs(),
        if off < 0 { "behind" } else { "ahead of" },
        case.receiver()
    );
    let opinion = Opinion::new(Cause::BlindResetAttempt, probability)
        .made_by(hand(case))
        .because("wrong_seq", 2.0, text)
        .and(tells.signs.iter().cloned());
    vec![if tells.proven { opinion.whatever_came_before() } else { opinion }]
}

/// A reset that hits when several in the same name had been far off: who guesses long enough
/// guesses right (Watson, "Slipping in the Window", 2004; RFC 5961 section 1).
fn lucky_guess(case: &Case<'_>) -> Vec<Opinion> {
    const SEVERAL: usize = 2;
    /// So soon behind a miss the guessing goes on.
    const AT_IT_NS: u64 = 1_000_000_000;
    let Some(past) = case.established().filter(|_| !case.known.disbelieved) else { return vec![] };
    let tells = case.forgery();
    let misses = far_misses(case, &past);
    let (Some(last), false) = (misses.last(), tells.genuine || case.found_no_socket()) else {
        return vec![];
    };
    let amid = case.since(last) < AT_IT_NS;
    if misses.len() < SEVERAL || case.answers_at_once() && !amid {
        return vec![];
    }
    let text = format!(
        "{} resets in {}'s name before it had numbers far from all that was said; this one hits",
        misses.len(),
        case.sender()
    );
    let probability = match (tells.proven, case.answers_at_once()) {
        (true, _) => 0.96,
        (false, false) => 0.75,
        // It may answer what was just said.
        (false, true) => 0.6,
    };
    let opinion = Opinion::new(Cause::BlindResetAttempt, probability)
        .made_by(hand(case))
        .because("guessed_at_last", 2.0, text)
        .and(tells.signs.iter().cloned());
    vec![if tells.proven { opinion.whatever_came_before() } else { opinion }]
}

/// The recent resets in the same name with numbers so far from what the receiver expects that nobody who sees the
/// connection would write them.
fn far_misses<'a>(case: &Case<'_>, past: &Past<'a>) -> Vec<&'a Slot> {
    /// More than is ever under way on common paths; who aims ahead goes by segments or unscaled windows.
    const FAR: u32 = 1 << 20;
    let Some(expected) = past.their_ack() else { return vec![] };
    let is_far = |slot: &&Slot| slot.seq.since(expected).unsigned_abs() > FAR;
    let recent = |slot: &&Slot| slot.flags.has(Flags::RST) && case.since(slot) < RECENT_NS;
    past.my_slots().filter(recent).filter(is_far).collect()
}

/// How likely a number that is not the expected one was guessed, by what else speaks for and against another hand: a
/// frame that was lost or came late makes an honest reset look so.
fn if_unproven(sum: f64) -> f64 {
    match sum {
        ..=-1.5 => 0.12,
        ..0.0 => 0.45,
        _ => 0.7,
    }
}

/// Whether what lay between the expected number and that of the reset came right behind it, overtaken by it.
fn leads_up_to(case: &Case<'_>, expected: Seq) -> bool {
    let seq = case.segment().tcp.seq;
    case.sequel.mine().any(|after| {
        let segment = &after.head.segment;
        segment.seq_end() == seq && segment.tcp.payload_len > 0 && seq.is_after(expected)
    })
}

impl<'a> Case<'a> {
    /// Whether the receiver's kernel had no socket for it any more.
    fn found_no_socket(&self) -> bool {
        let dropped = self.testimony().dropped.as_ref();
        dropped.is_some_and(|dropped| dropped.is_because("NO_SOCKET"))
    }

    /// The connection, while its handshake lacks the last ACK, of its client: the SYN-ACK said which number the server
    /// expects.
    fn answered_handshake(&self) -> Option<Past<'a>> {
        let past = self.past.filter(|past| past.has(flag::SYN | flag::SYN_ACK))?;
        let amid = self.known.stage == Stage::PostSynack && past.i_opened() == Some(true);
        (amid && self.form != Form::PassiveToSyn).then_some(past)
    }
}

/// Whether its number stood in no segment. Where segments were not recorded nobody knows what stood in them.
fn stood_nowhere(case: &Case<'_>, past: &Past<'_>) -> bool {
    let seq = case.segment().tcp.seq;
    let stood_in = |slot: &Slot| match past.is_mine(slot) {
        true => slot.seq == seq || end_of(slot) == seq,
        false => slot.ack == seq,
    };
    let was_read = past.slots().filter(|slot| !slot.flags.has(Flags::RST)).any(stood_in);
    !was_read && !past.state().has_holes()
}

/// Whether it has a number that the receiver had left behind and that stood in no segment: who sees the connection may
/// be late, but does not write such a one.
pub(super) fn is_odd_and_old(case: &Case<'_>, past: &Past<'_>) -> bool {
    let expected = past.their_ack();
    expected.is_some_and(|expected| expected.is_after(case.segment().tcp.seq))
        && stood_nowhere(case, past)
}

/// Whether nobody who sees the connection would write it: its number stood in no segment, and the claimed
/// sender's last data was acknowledged so long ago that everybody on the path knew the right one.
pub(super) fn is_guess(case: &Case<'_>, past: &Past<'_>) -> bool {
    const MARGIN_NS: u64 = 5_000_000;
    if !stood_nowhere(case, past) {
        return false;
    }
    // Wherever on the path somebody writes: a round trip after the data passed here he may know its acknowledgment.
    let settled = past.rtt_ns().map_or(u64::MAX, |rtt| rtt.saturating_add(MARGIN_NS));
    let quiet = past.my_last_data().is_none_or(|data| case.since(data) > settled);
    quiet && past.their_ack() == Some(past.my_end())
}

/// Whether it is one shot of several, of which another hits.
pub(super) fn in_volley(case: &Case<'_>, past: &Past<'_>) -> bool {
    past.their_ack().is_some_and(|expected| hits(case, past, expected))
}

/// Whether resets in the same name were shot before that answer nothing: somebody guesses.
pub(super) fn is_guessed(case: &Case<'_>, past: &Past<'_>) -> bool {
    let answers = |seq: Seq| past.their_slots().any(|slot| slot.ack == seq);
    past.my_slots()
        .filter(|slot| slot.flags.has(Flags::RST) && case.since(slot) < RECENT_NS)
        .any(|slot| slot.seq != case.segment().tcp.seq && !answers(slot.seq))
}

/// Whether a reset right before or behind this one, of the same hand, has the number that the receiver
/// expects.
fn hits(case: &Case<'_>, past: &Past<'_>, expected: Seq) -> bool {
    const VOLLEY_NS: u64 = 1_000_000_000;
    const FEW: usize = 16;
    let before = past
        .my_slots()
        .filter(|slot| slot.flags.has(Flags::RST) && case.since(slot) < VOLLEY_NS)
        .map(|slot| slot.seq);
    let after = case.later_resets(VOLLEY_NS).map(|rst| rst.head.segment.tcp.seq);
    let all: Vec<Seq> = before.chain(after).collect();
    all.len() < FEW && all.contains(&expected)
}

/// Whether the sequence number is one that the receiver acknowledged a moment ago.
fn acknowledged_before(case: &Case<'_>, past: &Past<'_>) -> bool {
    past.their_slots().any(|slot| slot.flags.has(Flags::ACK) && slot.ack == case.segment().tcp.seq)
}
