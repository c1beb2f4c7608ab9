//! Deliberate and harmless: abortive closes, cancelled answers, resets behind a FIN.

use rst_tracer_common::{
    flow::{Slot, flag, slot_trait},
    wire::{Flags, Seq},
};

use super::{
    Case, Form, LastWords, Opinion, Past, Rule,
    application::{self, Abort},
    past, ttl,
};
use crate::event::{Cause, SentBy, Stage};

pub(super) const RULES: &[Rule] = &[linger0, cancelled, behind_fin, tls_closed];

/// SO_LINGER 0: the program asked for a reset in place of a FIN.
fn linger0(case: &Case<'_>) -> Vec<Opinion> {
    let Some((past, abort)) = case.abort() else { return vec![] };
    let (probability, text) = match (abort, case.known.sent_by) {
        (Abort::Answered, _) if past.they(flag::FIN) => {
            (0.3, "it had answered everything that had come before the FIN")
        }
        (Abort::Answered, SentBy::Client) => {
            (0.25, "it had sent the last data itself, which was not answered yet")
        }
        (Abort::Answered, _) => (0.6, "it had answered everything that had come"),
        (Abort::Tickets(_), _) => (0.3, "what came last looks like a TLS server's session tickets"),
        (Abort::Forgotten, SentBy::Client) if is_in_flight(case, &past) => {
            (0.2, "the other side's data had come to it")
        }
        (Abort::Forgotten, _) => (0.5, "whose data came last is recorded no more"),
        (Abort::Unseen, _) => (0.4, "what data had come to it was not seen here"),
        (Abort::NothingReceived, _) => (0.5, "no data had come, so none can be left unread"),
        (Abort::Unanswered(_), SentBy::Client) if is_in_flight(case, &past) => {
            (0.2, "the other side's data had come to it")
        }
        (Abort::Unanswered(_), SentBy::Client) => {
            (0.5, "it had received and acknowledged the whole answer")
        }
        (Abort::Unanswered(_), _) => (0.25, "it may have read what had come"),
    };
    let form = "it has the form of a live socket that its owner closes";
    let opinion = Opinion::new(Cause::Linger0Close, probability);
    vec![opinion.because("form_active", 1.0, form).because("data_state", 0.5, text)]
}

/// Whether data of the receiver was under way when the sender hung up: more than it had
/// acknowledged, or several segments since it last spoke.
fn is_in_flight(case: &Case<'_>, past: &Past<'_>) -> bool {
    let acked = past.my_slots().rfind(|slot| slot.flags.has(Flags::ACK)).map(|slot| slot.ack);
    let since = past.my_last_data().map_or(0, |slot| slot.time_ns);
    let segments = past.their_slots().filter(|slot| slot.len > 0 && slot.time_ns > since).count();
    let more = |later: &&crate::source::After| later.head.segment.tcp.payload_len > 0;
    acked.is_some_and(|acked| past.their_end().is_after(acked))
        || segments > 1
        || case.sequel.theirs().find(more).is_some()
}

/// A client that hangs up before it has all, or any, of the answer.
fn cancelled(case: &Case<'_>) -> Vec<Opinion> {
    let Some((past, abort)) = case.abort().filter(|_| case.known.sent_by == SentBy::Client) else {
        return vec![];
    };
    let (probability, text) = match abort {
        Abort::NothingReceived if past.mine().bytes == 0 => return vec![],
        Abort::NothingReceived | Abort::Answered => {
            (0.6, "the client hung up while it waited for an answer")
        }
        Abort::Tickets(_) => {
            (0.42, "the client hung up when no more than session tickets seem to have answered it")
        }
        Abort::Forgotten if is_in_flight(case, &past) => {
            (0.65, "the client hung up while the answer was on its way")
        }
        Abort::Forgotten => (0.45, "the client hung up; whose data came last is recorded no more"),
        Abort::Unseen => (0.45, "the client hung up; what data had come to it was not seen here"),
        Abort::Unanswered(_) if is_in_flight(case, &past) => {
            // The sender's kernel knows what was left unread, and its word counts more.
            let surely = if case.sent().is_some() { 0.65 } else { 0.82 };
            (surely, "the client hung up while the answer was on its way")
        }
        Abort::Unanswered(_) => (0.42, "the client hung up after an answer that it may not want"),
    };
    vec![Opinion::new(Cause::ClientCancel, probability).because("client_hangs_up", 1.0, text)]
}

/// A side that has said FIN resets the rest; or both have, and something late is answered.
fn behind_fin(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.established().filter(|_| case.known_reset().is_none()) else {
        return vec![];
    };
    let (mine, theirs) = (past.i(flag::FIN), past.they(flag::FIN));
    if !(mine || theirs) || case.forgery().proven {
        return vec![];
    }
    if let Some(what) = copy_behind_the_end(case) {
        let text = format!("both sides had closed, and all was acknowledged; {what}");
        return vec![
            Opinion::new(Cause::StraySegment, 0.7).because("copy_behind_the_end", 2.0, text),
            Opinion::new(Cause::RstAfterFin, 0.2),
        ];
    }
    if let Some((fin, usual)) = foreign_fin(case, &past) {
        let text = format!(
            "the FIN in {}'s name came with TTL {fin}, its other segments with {usual}: it never closed, and \
             answers as one who had believed a reset",
            case.sender()
        );
        return vec![
            Opinion::new(Cause::SegmentAfterReset, 0.62).because("fin_from_elsewhere", 2.0, text),
            Opinion::new(Cause::RstAfterFin, 0.2),
        ];
    }
    if mine && !past.they(flag::HEARD) && case.form == Form::Passive {
        return behind_fin_half_seen(case);
    }
    let late_data = case.trigger().is_some_and(|slot| slot.len > 0);
    let (probability, text) = match (mine, theirs) {
        _ if is_nobodys(case, &past) => (0.1, "it follows a FIN, but its number is nobody's here"),
        _ if mine && late_data => (0.1, "it follows a FIN of the same side"),
        (true, true) => (0.93, "both sides had sent their FIN"),
        (true, false) if application::shut_then_closed(case, &past) => {
            (0.4, "the same side had sent its FIN a moment before")
        }
        (true, false) => (0.85, "the same side had sent its FIN before"),
        // No socket was left for the FIN, and nothing that this side sent had ended it.
        (false, _) if case.form == Form::Passive && Form::is_written_by_linux(case.segment()) => {
            (0.15, "the other side had sent its FIN")
        }
        (false, _) if case.form == Form::Passive => (0.6, "the other side had sent its FIN"),
        (false, _) => (0.65, "the other side had sent its FIN, and this one does not wait"),
    };
    vec![Opinion::new(Cause::RstAfterFin, probability).because("behind_fin", 1.5, text)]
}

/// A bare reset behind its own sender's FIN answers something; where nothing of the other side is seen, data as a rule.
fn behind_fin_half_seen(case: &Case<'_>) -> Vec<Opinion> {
    let text = format!(
        "it is bare and follows a FIN of the same side: it answers something that {} sent, of which nothing was seen \
         here; as a rule data",
        case.receiver()
    );
    vec![
        Opinion::new(Cause::DataAfterClose, 0.6).because("answers_the_unseen", 1.0, text),
        Opinion::new(Cause::RstAfterFin, 0.25),
    ]
}

/// Whether no end of the connection would write this number: it answers nothing, and stands nowhere or behind the FIN
/// with which its claimed sender had ended.
fn is_nobodys(case: &Case<'_>, past: &Past<'_>) -> bool {
    let beyond = past.i(flag::FIN) && case.segment().tcp.seq.is_after(past.my_end());
    case.forgery().has("answers_nothing") || beyond && case.trigger().is_none()
}

/// Whether it answers a pure ACK that the other side had sent before, right behind old data of the sender's
/// own that was acknowledged long ago.
fn answers_a_stale_duplicate(case: &Case<'_>) -> bool {
    let Some((past, ack)) = case.past.zip(case.trigger()) else { return false };
    let before = past.my_slots().rfind(|slot| slot.time_ns <= ack.time_ns);
    let is_old = |slot: &&Slot| slot.len > 0 && past::end_of(slot).since(ack.ack) < 0;
    let is_pure = ack.flags == Flags::ACK && ack.len == 0;
    is_pure && before.filter(is_old).is_some()
}

/// What came once more when both sides had closed, and all was acknowledged: there is nobody for a copy any more.
///
/// Either of something long acknowledged, or of the ACK of this side's FIN, if it closed last: it forgets the connection
/// with that ACK (RFC 9293 section 3.10.7.4, LAST-ACK).
pub(super) fn copy_behind_the_end(case: &Case<'_>) -> Option<&'static str> {
    let (past, copy) = case.past.zip(case.trigger())?;
    let both = past.i(flag::FIN) && past.they(flag::FIN);
    if both && answers_a_stale_duplicate(case) {
        return Some(
            "an old segment came once more, and the other side repeated its last ACK to it",
        );
    }
    let both = both && case.form == Form::Passive;
    let is_like = is_like_the_first(&past, copy);
    let mut before = past.my_slots().filter(|slot| slot.time_ns < copy.time_ns);
    let mut fins = past.my_slots().filter(|slot| slot.flags.has(Flags::FIN));
    let closed_last = fins.any(|fin| fin.ack == past.their_end());
    let is_pure = copy.flags == Flags::ACK && copy.len == 0;
    if both && is_pure && closed_last && copy.ack == past.my_end() {
        return Some("the last ACK came once more, to the side that had closed last");
    }
    let end = past::end_of(copy);
    let taken = |slot: &Slot| {
        slot.time_ns > copy.time_ns && slot.flags.has(Flags::ACK) && slot.ack.since(end) >= 0
    };
    if both && copy.len > 0 && !case.answers_at_once() && past.my_slots().any(taken) {
        return Some(
            "it answers something that had been taken in long before: a copy came by another way, and was not seen here",
        );
    }
    let is_old = both && copy.len > 0 && past.their_end().is_after(end);
    let is_had = before.any(|slot| slot.flags.has(Flags::ACK) && slot.ack.since(end) >= 0);
    (is_old && is_had).then_some(match is_like {
        true => "a copy of an older segment came by a slower way",
        false => {
            "a segment with an old number came that is no copy of what that side had sent: its window or its \
             options are others"
        }
    })
}

/// Whether what came late may be a copy of what its side had sent before: with or without a timestamp as that was, and
/// with the same one and the same window, or repeated later.
fn is_like_the_first(past: &Past<'_>, copy: &Slot) -> bool {
    let stamp = |slot: &Slot| (slot.traits & slot_trait::TIMESTAMPS != 0).then_some(slot.tsval);
    let is_plain = |slot: &&Slot| slot.flags.0 & (Flags::SYN.0 | Flags::RST.0) == 0;
    let mut first = past.their_slots().filter(is_plain).filter(|slot| slot.time_ns < copy.time_ns);
    first.any(|slot| match (stamp(slot), stamp(copy)) {
        (Some(then), Some(now)) if then == now => slot.window == copy.window,
        (Some(then), Some(now)) => Seq(now).is_after(Seq(then)),
        (None, None) => slot.window == copy.window,
        _ => false,
    })
}

/// The time to live of the FIN in the sender's name, and that of its handshake, if they are so far apart that somebody
/// else closed for it.
fn foreign_fin(case: &Case<'_>, past: &Past<'_>) -> Option<(u8, u8)> {
    let fin = past.my_slots().rfind(|slot| slot.flags.has(Flags::FIN))?;
    let usual = past.my_facts().first_ttl;
    let own = ttl::are_apart(case.segment().ttl, usual);
    let handshake = past.has(flag::SYN | flag::SYN_ACK) && case.form == Form::Passive;
    (handshake && !own && ttl::are_apart(fin.ttl, usual)).then_some((fin.ttl, usual))
}

/// The last data was as short as an encrypted close_notify: 24 bytes in TLS 1.3, 31 in TLS 1.2
/// with AES-GCM (RFC 8446 section 6.1).
fn tls_closed(case: &Case<'_>) -> Vec<Opinion> {
    const CLOSE_NOTIFY: [u32; 2] = [24, 31];
    let Some(past) = case.established() else { return vec![] };
    let is_tls = [past.my_facts(), past.their_facts()]
        .iter()
        .all(|facts| facts.head_len >= 2 && matches!(facts.head[..2], [0x16, 0x03]));
    let ended = matches!(case.known.stage, Stage::PostData | Stage::PostFin);
    if !is_tls || !ended || case.known_reset().is_some() || case.forgery().proven {
        return vec![];
    }
    if let Some(LastWords::TlsAlert { description: None | Some(0), .. }) = past.my_last_words() {
        let text = "the last thing it said was a TLS alert, as at the end of a session";
        let opinion = Opinion::new(Cause::TlsCloseThenRst, 0.85);
        return vec![opinion.because("tls_alert", 1.5, text)];
    }
    if let Some(LastWords::TlsAlert { description: None | Some(0), .. }) = past.their_last_words() {
        let text =
            "the last thing that the other side said was a TLS alert, as at the end of a session";
        let opinion = Opinion::new(Cause::TlsCloseThenRst, 0.84);
        return vec![opinion.because("tls_alert", 1.5, text)];
    }
    let last = past.slots().rfind(|slot| slot.len > 0).map(|slot| slot.len);
    let Some(len) = last.filter(|len| CLOSE_NOTIFY.contains(len)) else { return vec![] };
    let text = format!("the last data was {len} bytes of TLS, the size of a close_notify alert");
    vec![Opinion::new(Cause::TlsCloseThenRst, 0.78).because("close_notify", 1.5, text)]
}
