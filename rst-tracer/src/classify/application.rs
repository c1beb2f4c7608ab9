//! A program ended it the hard way, went on after the end, or lost its memory of it.

use std::ops::RangeInclusive;

use rst_tracer_common::{
    flow::{Facts, Slot, flag},
    wire::{Flags, Tcp},
};

use super::{Case, Form, LastWords, Maker, Opinion, Past, Rule, opinion::span, past::end_of};
use crate::{
    correlate::at_odds,
    event::{Cause, SentBy, Stage},
};

pub(super) const RULES: &[Rule] = &[
    aborted,
    shut_with_unread_data,
    pending_connection,
    protocol_mismatch,
    data_after_close,
    stale_state,
];

/// What a live socket had done with the other side's data when it was aborted.
#[derive(Clone, Copy)]
pub(super) enum Abort<'a> {
    /// None ever came.
    NothingReceived,
    /// The last of it, if that is recorded, was not followed by data of its own.
    Unanswered(Option<&'a Slot>),
    /// The last of it was a TLS server's session tickets, each of so many bytes.
    Tickets(u32),
    /// It sent data after the last of it.
    Answered,
    /// Data had come, and whose came last is recorded no more.
    Forgotten,
    /// Whether any came was not seen.
    Unseen,
}

impl<'a> Case<'a> {
    /// How far a live socket was when it was aborted; `None` for resets of another kind.
    pub(super) fn abort(&self) -> Option<(Past<'a>, Abort<'a>)> {
        let past = self.established()?;
        let alive = match self.form {
            Form::Active => true,
            // Other systems abort without window or timestamps.
            Form::Other => self.segment().tcp.flags.has(Flags::ACK) && self.forgery().sum() < 1.5,
            Form::Passive | Form::PassiveToSyn => false,
        };
        let ended = past.has(flag::RESET) || past.i(flag::FIN);
        if !alive || ended || past.unanswered_probes() > 1 || self.forgery().proven {
            return None;
        }
        let tcp = &self.segment().tcp;
        // What it does not acknowledge passed here and had not come to its sender.
        let had_come = |slot: &&Slot| !tcp.flags.has(Flags::ACK) || tcp.ack.is_after(slot.seq);
        let theirs = past.their_slots().filter(|slot| slot.len > 0).rfind(had_come);
        let mine = past.my_last_data();
        // Its last words were said before that came, though they passed here behind it.
        let unaware = |theirs: &Slot| mine.is_some_and(|mine| !mine.ack.is_after(theirs.seq));
        let last = mine.map_or(0, |slot| slot.time_ns);
        let abort = match theirs {
            None if self.had_nothing(&past) => Abort::NothingReceived,
            None if past.theirs().bytes == 0 => Abort::Unseen,
            None if heard_since(&past, tcp) => Abort::Unanswered(None),
            None if mine.is_none() => Abort::Forgotten,
            Some(theirs) if theirs.time_ns >= last || unaware(theirs) => {
                last_came_tickets(&past).map_or(Abort::Unanswered(Some(theirs)), Abort::Tickets)
            }
            _ => Abort::Answered,
        };
        Some((past, abort))
    }

    /// Whether it acknowledges nothing but the other side's SYN, which was seen, and its FIN at most: then no data had
    /// come to its sender.
    fn had_nothing(&self, past: &Past<'_>) -> bool {
        let opening = if past.i_opened() == Some(true) { flag::SYN_ACK } else { flag::SYN };
        let first = past.their_facts().isn + 1 + u32::from(past.they(flag::FIN));
        let tcp = &self.segment().tcp;
        let acked = [past.turned().their_ack(), tcp.flags.has(Flags::ACK).then_some(tcp.ack)];
        past.has(opening) && acked.into_iter().flatten().all(|ack| ack.since(first) <= 0)
    }
}

/// Whether data came to the sender of an abort after the last words of it that are recorded, or after all that is: the
/// reset acknowledges more than they did.
fn heard_since(past: &Past<'_>, tcp: &Tcp) -> bool {
    let acks = |slot: &&Slot| slot.flags.has(Flags::ACK) && !slot.flags.has(Flags::RST);
    let words = past.my_last_data().or_else(|| past.my_slots().find(acks));
    let fin = u32::from(past.they(flag::FIN));
    tcp.flags.has(Flags::ACK) && words.is_some_and(|words| tcp.ack.is_after(words.ack + fin))
}

/// How long each is of two session tickets, should a TLS server have sent those last: it issues two alike, one right
/// behind the other, unasked, when the handshake is over (RFC 8446, 4.6.1; two is the default of OpenSSL).
fn last_came_tickets(past: &Past<'_>) -> Option<u32> {
    const RIGHT_BEHIND_NS: u64 = 2_000_000;
    const OF_A_TICKET: RangeInclusive<u32> = 150..=400;
    let handshakes =
        [past.my_facts(), past.their_facts()].map(|facts| head(facts).starts_with(&[0x16, 0x03]));
    let mut latest = past.their_slots().filter(|slot| slot.len > 0).rev();
    let (second, first) = (latest.next()?, latest.next()?);
    let alike = first.len == second.len && OF_A_TICKET.contains(&first.len);
    let behind_ns = second.time_ns.saturating_sub(first.time_ns);
    let adjoin = end_of(first) == second.seq && behind_ns < RIGHT_BEHIND_NS;
    (past.i_opened() == Some(true) && handshakes == [true; 2] && alike && adjoin)
        .then_some(first.len)
}

/// Closed with received data unread, or by the death of the process, which is the same to TCP.
fn aborted(case: &Case<'_>) -> Vec<Opinion> {
    const SOON_NS: u64 = 1_000_000_000;
    let Some((past, abort)) = case.abort() else { return vec![] };
    if let (Abort::Answered, Some(LastWords::HttpStatus(status @ 400..))) =
        (abort, past.my_last_words())
        && past.my_last_data().is_some_and(|words| case.since(words) < SOON_NS)
    {
        let text = format!(
            "the last thing it said was HTTP status {status}, and it hung up at once: it may not have \
             read the request to its end"
        );
        let by_server = if case.page_from_elsewhere().is_some() { 0.25 } else { 0.62 };
        let opinion = Opinion::new(Cause::ClosedWithUnreadData, by_server);
        return vec![opinion.because("refused_amid_request", 1.5, text)];
    }
    let (unread, crash) = match (abort, case.known.sent_by) {
        (Abort::NothingReceived, _) => (0.0, 0.1),
        (Abort::Unanswered(_), SentBy::Client) => (0.1, 0.05),
        (Abort::Unanswered(Some(data)), _) if case.since(data) < SOON_NS => (0.6, 0.08),
        (Abort::Unanswered(_), _) => (0.45, 0.2),
        (Abort::Tickets(_), _) => (0.3, 0.08),
        (Abort::Answered, _) => (0.12, 0.1),
        (Abort::Forgotten | Abort::Unseen, _) => (0.2, 0.1),
    };
    let mut opinions = vec![Opinion::new(Cause::ProcessCrashOrKill, crash)];
    if let Abort::Unanswered(data) = abort {
        let sender = case.sender();
        let text = match data.map(|data| (case.since(data) / 1_000_000, data.len)) {
            Some((ms, len)) => {
                format!(
                    "{sender} reset the connection {ms} ms after {len} bytes had come that it did not answer"
                )
            }
            None => format!(
                "{sender} reset the connection and had not answered what it had acknowledged last"
            ),
        };
        let opinion = Opinion::new(Cause::ClosedWithUnreadData, unread);
        let form = "it has the form of a live socket that its owner closes";
        let opinion = opinion.because("unanswered_data", 1.5, text);
        opinions.push(opinion.because("form_active", 1.0, form));
    } else if past.theirs().bytes > 0 || matches!(abort, Abort::Unseen) {
        opinions.push(Opinion::new(Cause::ClosedWithUnreadData, unread));
    }
    opinions
}

/// Shut down for writing and closed at once, with something of the other side unread: a server that has
/// said all it has to say does not wait for the rest of the request.
fn shut_with_unread_data(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.established().filter(|past| shut_then_closed(case, past)) else {
        return vec![];
    };
    let text = format!(
        "{} sent its FIN and reset the connection at once, though {} bytes had come that it may not have \
         read to the end",
        case.sender(),
        past.theirs().bytes
    );
    vec![Opinion::new(Cause::ClosedWithUnreadData, 0.5).because("reset_behind_fin", 1.5, text)]
}

/// Whether a server that had been asked something resets right behind its own FIN.
pub(super) fn shut_then_closed(case: &Case<'_>, past: &Past<'_>) -> bool {
    const AT_ONCE_NS: u64 = 25_000_000;
    let fin = past.my_slots().rfind(|slot| slot.flags.has(Flags::FIN));
    let soon = fin.is_some_and(|fin| case.since(fin) <= AT_ONCE_NS);
    let asked = past.i_opened() == Some(false) && past.theirs().bytes > 0;
    let open = !past.they(flag::FIN) && case.known_reset().is_none() && !case.forgery().proven;
    soon && asked && open && case.form == Form::Active
}

/// A server that resets a connection on which nothing was ever said has perhaps not accepted it.
fn pending_connection(case: &Case<'_>) -> Vec<Opinion> {
    let Some((past, Abort::NothingReceived)) = case.abort() else { return vec![] };
    let by_server = case.known.sent_by == SentBy::Server && past.mine().bytes == 0;
    if !by_server || case.known.stage != Stage::PostAck || !past.has(flag::SYN_ACK) {
        return vec![];
    }
    let text = "the server reset a connection on which neither side had said anything, as a \
                listener does with those that wait when it is closed";
    // That nobody had accepted it is what the sender's kernel would say.
    if case.sent().is_some() {
        return vec![];
    }
    let crowd = case.crowd();
    let probability = match (crowd.refused_later, crowd.of_endpoint) {
        (true, _) => 0.7,
        (false, 1..) => 0.65,
        // A listener seldom closes with one connection waiting.
        (false, 0) => 0.33,
    };
    let opinion = Opinion::new(Cause::RestartWithPendingConnections, probability);
    vec![opinion.because("nothing_said", 1.0, text)]
}

/// One side answered the other's first words with an error, and then hung up.
fn protocol_mismatch(case: &Case<'_>) -> Vec<Opinion> {
    let Some((past, _)) = case.abort() else { return vec![] };
    if let Some((client, server)) = spoken(&past) {
        let text = format!("the client spoke {client}, the server {server}");
        return vec![Opinion::new(Cause::ProtocolMismatch, 0.88).because("at_odds", 2.0, text)];
    }
    let [mine, theirs] = [past.my_facts(), past.their_facts()].map(head);
    if is_proxy_header(theirs) && past.mine().data_segments <= 1 {
        let text = "the client began with a header of the PROXY protocol, and the server hung up: it does not \
                    expect one";
        return vec![Opinion::new(Cause::ProtocolMismatch, 0.75).because(
            "proxy_header",
            2.0,
            text,
        )];
    }
    let text = match mine {
        [0x15, 0x03, ..] => "the first thing it ever said was a TLS alert",
        _ if mine.starts_with(b"HTTP/1.1 400") || mine.starts_with(b"HTTP/1.0 400") => {
            "the first thing it ever said was HTTP status 400, Bad Request"
        }
        _ => return vec![],
    };
    vec![Opinion::new(Cause::ProtocolMismatch, 0.7).because("first_words", 2.0, text)]
}

/// Whether a side began with the PROXY protocol, in which a balancer tells who calls (haproxy,
/// doc/proxy-protocol.txt, versions 1 and 2).
fn is_proxy_header(head: &[u8]) -> bool {
    const VERSION_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    head.starts_with(b"PROXY ") || head.starts_with(VERSION_2)
}

/// What client and server spoke, where that is known and not the same.
pub(super) fn spoken(past: &Past<'_>) -> Option<(&'static str, &'static str)> {
    let [mine, theirs] = [past.my_facts(), past.their_facts()].map(head);
    match past.i_opened()? {
        true => at_odds(mine, theirs),
        false => at_odds(theirs, mine),
    }
}

/// The first bytes that a side said.
pub(super) fn head(facts: &Facts) -> &[u8] {
    &facts.head[..usize::from(facts.head_len).min(facts.head.len())]
}

/// The sender had closed in order; the other side went on sending, or its data crossed the FIN.
fn data_after_close(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.established() else { return vec![] };
    let closed = past.i(flag::FIN) && case.known_reset().is_none();
    let trigger = case.trigger().filter(|slot| slot.len > 0);
    let (true, Form::Passive, Some(data)) = (closed, case.form, trigger) else { return vec![] };
    let knew = case.segment().tcp.seq == past.my_end();
    let fin = past.my_slots().rfind(|slot| slot.flags.has(Flags::FIN));
    // With or without what the sender had said right before its FIN.
    let had_all = fin.is_some_and(|fin| case.segment().tcp.seq.since(fin.seq) >= 0);
    let taken = past.turned().their_ack();
    let crossed = fin.is_some() && taken.is_none_or(|taken| end_of(data).is_after(taken));
    if !(knew || crossed) || case.forgery().proven {
        return vec![];
    }
    let (sender, receiver, len) = (case.sender(), case.receiver(), data.len);
    let took_more = |fin: &&Slot| {
        past.my_slots().any(|slot| slot.time_ns > fin.time_ns && slot.ack.is_after(fin.ack))
    };
    let (probability, text) = match fin {
        // Only the end of a socket that somebody still reads, or a filter, stops it then.
        Some(fin) if knew && took_more(&fin) => (
            0.62,
            format!(
                "{sender} had closed one direction with a FIN and taken data behind it; it did not take {len} \
                 bytes more"
            ),
        ),
        Some(fin) if knew => {
            let ms = data.time_ns.saturating_sub(fin.time_ns) / 1_000_000;
            (
                0.95,
                format!(
                    "{sender} had closed with a FIN; {receiver} sent {len} bytes {ms} ms later"
                ),
            )
        }
        _ if knew => (0.95, format!("{sender} had closed with a FIN; {receiver} sent {len} bytes")),
        _ => {
            let text = format!("{len} bytes of {receiver} and the FIN of {sender} crossed");
            (if had_all { 0.85 } else { 0.8 }, text)
        }
    };
    // Its host's other segments come another way, or somebody nearer answered.
    let shifted = case.ttl_shift().is_some_and(|shift| shift != 0) && !case.made_here();
    let probability = if shifted { probability * 0.4 } else { probability };
    let opinion = Opinion::new(Cause::DataAfterClose, probability);
    vec![opinion.because("data_behind_fin", 2.5, text).and(case.said_twice_in_words())]
}

/// The sender answers a segment of a connection that it no longer knows.
fn stale_state(case: &Case<'_>) -> Vec<Opinion> {
    const JUST_NOW_NS: u64 = 1_000_000_000;
    const RECENT_NS: u64 = 10_000_000_000;
    let Some(past) = case.established() else { return vec![] };
    let open = !past.i(flag::FIN) && case.heeded_reset().is_none();
    let was_alive = past.mine().data_segments > 0 || past.i(flag::ACKED);
    let Some(trigger) = case.answered_lately() else { return vec![] };
    if case.form != Form::Passive || !open || !was_alive || case.forgery().proven {
        return vec![];
    }
    let shifted = case.ttl_shift().is_some_and(|shift| shift != 0);
    let elsewhere = shifted || case.forgery().has("too_soon");
    let probability = match (case.maker(), elsewhere) {
        (Maker::Stack, true) if case.forgery().has("too_soon") => 0.35,
        (Maker::Filter, _) => 0.1,
        (Maker::Undecided, true) => 0.35,
        (Maker::Stack, _) => 0.75,
        (Maker::Undecided, false) => 0.65,
    };
    // Who was here a moment ago has hardly rebooted: it may have believed a reset that took
    // another way.
    let ago = past.my_slots().next_back().map_or(u64::MAX, |slot| case.since(slot));
    let (probability, elsewhere) = match ago {
        ..JUST_NOW_NS => (probability * 0.4, probability * 0.84),
        JUST_NOW_NS..RECENT_NS => (probability, 0.2),
        _ => (probability, 0.05),
    };
    let alive = format!(
        "{} had spoken {} before: no host restarts so fast, it has rather believed a reset that was \
         not seen here",
        case.sender(),
        span(ago)
    );
    let what = if trigger.len > 0 { format!("{} bytes", trigger.len) } else { "an ACK".into() };
    let text = format!(
        "{} answered {what} on an open connection as if it had never known it",
        case.sender()
    );
    let opinion = Opinion::new(Cause::HalfOpenStaleState, probability);
    let opinion = opinion.because("unknown_connection", 1.5, text);
    let stack = case.maker_evidence().filter(|_| case.maker() == Maker::Stack);
    vec![
        opinion.and(stack),
        Opinion::new(Cause::SegmentAfterReset, elsewhere).because("just_alive", 1.0, alive),
        Opinion::new(Cause::LateSegmentAfterTimeout, 0.05),
    ]
}
