//! Ended on purpose between the two: idle timeouts, health checks, administrators.

use rst_tracer_common::{flow::flag, wire::Flags};

use super::{
    Case, Form, LastWords, Maker, Opinion, Rule, application, opinion::span, security::hand, ttl,
};
use crate::event::{Cause, Origin, SentBy, Stage};

pub(super) const RULES: &[Rule] =
    &[idle_timeout, sweep, health_check, asked_for_a_check, check_without_ack, gateway, killed];

/// Silences after which common middleboxes forget a connection, in seconds: cloud balancers and
/// NAT gateways (240, 350), F5 and many firewalls (300, 1800, 3600), others.
const IDLE_S: [u64; 7] = [240, 300, 350, 600, 900, 1800, 3600];

/// Whether a silence is one of those, within 2 %.
fn is_idle_timeout(ns: u64) -> bool {
    let ms = ns / 1_000_000;
    IDLE_S.iter().any(|s| ms.abs_diff(s * 1000) <= s * 20)
}

impl Case<'_> {
    /// How likely a filter rejected a segment of a connection because it had forgotten it, rather than
    /// because a rule came in: the longer nothing was said, the likelier. 0 where it was no filter.
    pub(super) fn forgotten_by_its_filter(&self) -> f64 {
        const S: u64 = 1_000_000_000;
        let Some((past, trigger)) = self.established().zip(self.answered_lately()) else {
            return 0.0;
        };
        let by_filter =
            self.maker() == Maker::Filter || self.forgery().proven && self.form.is_passive();
        let shifted = self.ttl_shift().is_some_and(|shift| shift != 0) && !self.made_here();
        let elsewhere = self.form == Form::Passive
            && self.maker() != Maker::Stack
            && (shifted || self.forgery().has("too_soon"));
        if !(by_filter || elsewhere) || past.has(flag::RST_SEEN) || past.i(flag::FIN) {
            return 0.0;
        }
        match past.silence_before(trigger) {
            ..S => 0.0,
            // Few keep a connection in mind longer, and only what does not stand at its end writes from there.
            silence if elsewhere && silence >= IDLE_S[0] * S => 0.62,
            _ if !by_filter => 0.0,
            silence if is_idle_timeout(silence) => 0.65,
            silence if silence < 30 * S => 0.2,
            _ => 0.45,
        }
    }
}

impl Case<'_> {
    /// Whether it answers a keepalive probe, and not the one who is probed does: what has forgotten the connection is on
    /// the way.
    fn answers_a_keepalive_from_elsewhere(&self) -> bool {
        let Some((past, trigger)) = self.established().zip(self.trigger()) else { return false };
        let elsewhere =
            self.ttl_shift().is_some_and(|shift| shift.abs() > i16::from(ttl::OTHER_WAY));
        elsewhere && !self.made_here() && past.turned().is_probe(trigger)
    }
}

impl Case<'_> {
    /// How long nothing had been said when something on the way wrote this, if that is so long that it answers nothing.
    pub(super) fn unasked(&self) -> Option<u64> {
        const SILENCE_NS: u64 = 1_000_000_000;
        let past = self.established().filter(|past| !past.has(flag::FIN | flag::FIN << 1))?;
        let spoke = past.slots().rfind(|slot| !slot.flags.has(Flags::RST))?;
        let tells = self.forgery();
        let elsewhere = tells.suspected() || tells.has("ttl_differs") && self.resets_both_sides();
        let silence = self.since(spoke);
        (silence >= SILENCE_NS && elsewhere && !self.made_here()).then_some(silence)
    }

    /// Whether the other side is reset in the same moment.
    fn resets_both_sides(&self) -> bool {
        const AT_ONCE_NS: u64 = 20_000_000;
        let earlier = self.past.and_then(|past| past.earlier_reset()).filter(|(_, mine)| !mine);
        let earlier = earlier.map(|(reset, _)| self.since(reset));
        let later = self.resets_of_the_other_side().next();
        earlier.into_iter().chain(later).any(|apart| apart <= AT_ONCE_NS)
    }
}

/// A box on the way that resets a connection that nobody uses, without being asked anything.
fn sweep(case: &Case<'_>) -> Vec<Opinion> {
    let Some(silence) = case.unasked() else { return vec![] };
    let bare = case.form == Form::Passive && case.forgery().habit.is_none();
    let (probability, id, whom) = match (case.resets_both_sides(), bare) {
        (true, _) => {
            (0.66, "both_sides_at_once", "both sides were reset at once, by neither of them")
        }
        (false, true) => (0.48, "unasked", "this came, from elsewhere, and answers nothing"),
        (false, false) => return vec![],
    };
    let text = format!("nothing had been said for {}, then {whom}", span(silence));
    let opinion = Opinion::new(Cause::IdleTimeoutMiddlebox, probability);
    let opinion = opinion.made_by(hand(case)).because(id, 2.0, text);
    vec![if case.forgery().proven { opinion.whatever_came_before() } else { opinion }]
}

/// A reset that ends a silence as long as a middlebox keeps a connection in mind.
fn idle_timeout(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.established() else { return vec![] };
    if past.has(flag::RST_SEEN) || past.i(flag::FIN) {
        return vec![];
    }
    let trigger = case.answered_lately();
    let (silence, probability) = match trigger {
        Some(trigger) => {
            // The wait that counts is the one before the segment that was answered; the box may
            // have forgotten the connection any time since.
            let ns = past.silence_before(trigger);
            (ns, if ns / 1_000_000_000 >= IDLE_S[0] { 0.3 } else { 0.0 })
        }
        None => {
            let silence = past.silence_ns(case.now_ns()).unwrap_or(0);
            // An endpoint's TCP writes a bare reset as an answer only.
            let bare = case.form == Form::Passive && !case.made_here();
            let probability = match silence / 1_000_000_000 {
                s if bare && s >= IDLE_S[0] => 0.45,
                s if bare && s >= 10 => 0.28,
                _ => 0.0,
            };
            (silence, probability)
        }
    };
    let probability = if is_idle_timeout(silence) { 0.55 } else { probability };
    let probability = case.forgotten_by_its_filter().max(probability);
    let probability = if case.answers_a_keepalive_from_elsewhere() { 0.62 } else { probability };
    if probability == 0.0 {
        return vec![];
    }
    let text = format!(
        "nothing had been said for {}, {}",
        span(silence),
        if trigger.is_some() { "and the next segment was answered so" } else { "then it came" }
    );
    let opinion = Opinion::new(Cause::IdleTimeoutMiddlebox, probability);
    vec![opinion.made_by(Origin::MiddleboxSuspected).because("idle", 1.5, text)]
}

/// A client that connects and hangs up without a word looks whether the port is open; or it has
/// tried several addresses and another was faster (RFC 8305 section 5).
fn health_check(case: &Case<'_>) -> Vec<Opinion> {
    const REGULAR: u32 = 3;
    let Some(past) = case.established().filter(|_| case.known.stage == Stage::PostAck) else {
        return vec![];
    };
    let wordless = past.mine().bytes == 0 && past.theirs().bytes == 0;
    let hangs_up = case.abort().is_some() || case.form == Form::Passive;
    let is_closing = past.has(flag::FIN | flag::FIN << 1 | flag::RST_SEEN);
    let foul = case.forgery().suspected();
    if !wordless || !hangs_up || is_closing || foul || case.known.sent_by != SentBy::Client {
        return vec![];
    }
    let periodic = case.crowd().periodic.filter(|(times, _)| *times >= REGULAR);
    let probability = match (periodic, case.form) {
        (Some(_), _) => 0.92,
        // A check comes again and again, and then it is known; a first one may be anything.
        (None, _) => 0.35,
    };
    let text = "the client completed the handshake and hung up without a word";
    let mut check = Opinion::new(Cause::LbHealthCheck, probability).because("wordless", 1.0, text);
    if let Some((times, ms)) = periodic {
        let text = format!("it did so {times} times before, every {ms} ms");
        check = check.because("periodic", 2.0, text);
    }
    let race = "a client that races several addresses leaves the slower ones so";
    let cancel = Opinion::new(Cause::ClientCancel, if periodic.is_some() { 0.02 } else { 0.25 });
    vec![check, cancel.because("address_race", 0.5, race)]
}

/// What checkers ask in words, as far as the recorder keeps it: HAProxy's `option redis-check`, `httpchk`
/// and `smtpchk` (src/tcpcheck.c), and the paths that balancers and orchestrators are commonly told to ask for.
const CHECKS: [&[u8]; 11] = [
    b"PING\r\n",
    b"*1\r\n$4\r\nPING\r\n",
    b"OPTIONS / HTTP/1",
    b"OPTIONS * HTTP/1",
    b"HELO localhost\r\n",
    b"EHLO localhost\r\n",
    b"GET /health",
    b"HEAD /health",
    b"GET /ping",
    b"GET /livez",
    b"GET /readyz",
];

/// What checkers ask otherwise: HAProxy's `option ssl-hello-chk` and `ldap-check` (src/tcpcheck.c).
const WORDLESS_CHECKS: [(&[u8], &str); 2] = [
    (b"\x16\x03\x00\x00\x79\x01\x00\x00\x75\x03\x00", "said hello in SSL 3.0"),
    (
        b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00",
        "asked LDAP to bind without a name",
    ),
];

/// What a client did that began with these words, if checkers do.
fn checkers_words(asked: &[u8]) -> Option<String> {
    let wordless = WORDLESS_CHECKS.iter().find(|(check, _)| asked.starts_with(check));
    if let Some((_, what)) = wordless {
        return Some((*what).to_owned());
    }
    let is_check = CHECKS.iter().any(|check| asked.starts_with(check));
    is_check.then(|| format!("asked \"{}\"", asked.escape_ascii()))
}

impl Case<'_> {
    /// What a client did that asked one thing, as a checker does, had its answer, and hung up at once.
    pub(super) fn checked_with(&self) -> Option<String> {
        const SHORT_NS: u64 = 1_000_000_000;
        let (past, _) = self.abort().filter(|_| self.known.sent_by == SentBy::Client)?;
        let asked = application::head(past.my_facts());
        let one = past.mine().data_segments == 1 && (1..=2).contains(&past.theirs().data_segments);
        let short = self.now_ns().saturating_sub(past.state().flow.first_ns) < SHORT_NS;
        checkers_words(asked).filter(|_| one && short)
    }
}

/// A client that asks what checkers ask, and hangs up when it has the answer.
fn asked_for_a_check(case: &Case<'_>) -> Vec<Opinion> {
    let Some(asked) = case.checked_with() else { return vec![] };
    let text = format!("the client {asked}, had its answer and hung up, as checkers do");
    let probability = if case.crowd().periodic.is_some() { 0.95 } else { 0.84 };
    vec![Opinion::new(Cause::LbHealthCheck, probability).because("check_request", 1.5, text)]
}

/// HAProxy's check of a port, as the laboratory sees it: the reset comes in place of the last ACK of the
/// handshake.
fn check_without_ack(case: &Case<'_>) -> Vec<Opinion> {
    let Some(past) = case.past.filter(|_| case.known.stage == Stage::PostSynack) else {
        return vec![];
    };
    let tcp = &case.segment().tcp;
    let completes = past.i_opened() == Some(true)
        && past.has(flag::SYN | flag::SYN_ACK)
        && tcp.flags.has(Flags::ACK)
        && tcp.seq == past.my_end()
        && tcp.ack == past.their_end();
    if !completes || case.forgery().suspected() {
        return vec![];
    }
    let text = "the client reset the connection in place of the last ACK of the handshake, as HAProxy \
                checks a port";
    let probability = if case.crowd().periodic.is_some() { 0.93 } else { 0.65 };
    let check = Opinion::new(Cause::LbHealthCheck, probability);
    vec![
        check.because("reset_for_ack", 1.5, text),
        Opinion::new(Cause::Linger0Close, 0.2),
        Opinion::new(Cause::ClientGaveUp, 0.1),
    ]
}

/// The statuses with which a gateway tells of the server behind it: bad gateway, gateway timeout (RFC 9110
/// sections 15.6.3 and 15.6.5).
const fn is_of_a_gateway(status: u16) -> bool {
    matches!(status, 502 | 504)
}

/// A proxy that has just told of the server behind it, and hangs up.
fn gateway(case: &Case<'_>) -> Vec<Opinion> {
    const SOON_NS: u64 = 1_000_000_000;
    let Some((past, _)) = case.abort() else { return vec![] };
    let Some(LastWords::HttpStatus(status)) = past.my_last_words() else { return vec![] };
    let soon = past.my_last_data().is_some_and(|words| case.since(words) < SOON_NS);
    if !soon || !is_of_a_gateway(status) {
        return vec![];
    }
    let text = format!(
        "the last thing it said was HTTP status {status}, with which a proxy tells of the server behind it"
    );
    vec![Opinion::new(Cause::ProxyAbort, 0.7).because("gateway_status", 2.0, text)]
}

/// Destroying a socket from outside looks like closing it hard from inside.
fn killed(case: &Case<'_>) -> Vec<Opinion> {
    const LONG_NS: u64 = 1_000_000_000;
    let Some((past, _)) = case.abort().filter(|_| case.form == Form::Active) else {
        return vec![];
    };
    let idle = past.silence_ns(case.now_ns()).is_some_and(|ns| ns > LONG_NS);
    vec![Opinion::new(Cause::AdminKill, if idle { 0.25 } else { 0.1 })]
}
