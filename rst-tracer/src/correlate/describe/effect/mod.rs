//! What the receiver did with the reset: what its kernel said, else what the wire shows.
//!
//! In: the receiver's acknowledgments and window before the reset, and what it sent after it; the
//! kernel's testimony where this host is the receiver. The rules are those of RFC 9293 section
//! 3.10.7 and RFC 5961 section 3.2, as Linux has them (net/ipv4/tcp_input.c
//! `tcp_validate_incoming`, net/ipv4/tcp_minisocks.c).

mod place;
mod receiver;
mod testimony;

use rst_tracer_common::wire::{Flags, Seq};

use crate::{
    classify::{Past, Sequel},
    correlate::Joined,
    event::{Effect, LocalRole},
    source::After,
};
use place::{Place, Window};
use receiver::State;

/// The value of the key `effect`, and whether a receiver that follows RFC 5961 does not believe the reset, be that
/// seen or not.
pub(super) fn of(joined: &Joined, past: Option<&Past<'_>>, role: LocalRole) -> (Effect, bool) {
    let state = past.map_or(State::Unknown, State::of);
    let wire = past.map(|past| Wire { joined, past, role });
    let told = testimony::of(joined, role, state);
    let effect = told.or_else(|| wire.as_ref().map(|wire| wire.effect(state)));
    let disbelieved = match effect {
        None | Some(Effect::Unknown) => wire.is_some_and(|wire| wire.is_misplaced(state)),
        Some(effect) => matches!(effect, Effect::Challenged | Effect::Ignored),
    };
    (effect.unwrap_or(Effect::Unknown), disbelieved)
}

/// What is on the wire before and after a reset.
struct Wire<'a> {
    joined: &'a Joined,
    past: &'a Past<'a>,
    role: LocalRole,
}

impl<'a> Wire<'a> {
    fn effect(&self, state: State) -> Effect {
        match state {
            State::SynSent => self.in_syn_sent(),
            State::SynReceived => self.in_syn_received(),
            // A receiver that has stopped answering may not even have got it.
            _ if self.past.unanswered_probes() > 1 => Effect::Unknown,
            State::Synchronised | State::FinWait2 => self.in_window(),
            State::TimeWait => self.in_time_wait(),
            // It could not end what had ended, and nothing went on.
            State::Gone | State::Unknown => Effect::Unknown,
        }
    }

    fn tcp(&self) -> &'a rst_tracer_common::wire::Tcp {
        &self.joined.reset.rst.head.segment.tcp
    }

    /// A client without a SYN-ACK believes only what acknowledges its SYN, and echoes one of its
    /// timestamps if any (`tcp_rcv_synsent_state_process`).
    fn in_syn_sent(&self) -> Effect {
        let (tcp, past) = (self.tcp(), self.past);
        let acknowledges =
            tcp.ack.since(past.their_facts().isn) > 0 && tcp.ack.since(past.their_end()) <= 0;
        if !tcp.flags.has(Flags::ACK) || !acknowledges {
            return Effect::Ignored;
        }
        if let Some(tsval) = past.syn_tsval().filter(|_| tcp.tsecr != 0) {
            let (first, last) = (Seq(tsval), Seq(past.theirs().tsval));
            if Seq(tcp.tsecr).since(first) < 0 {
                return Effect::Ignored;
            }
            if Seq(tcp.tsecr).is_after(last) {
                return Effect::Unknown;
            }
        }
        let tries_again = |after: &After| after.head.segment.tcp.seq == past.their_facts().isn;
        if self.repeats_its_syn(tries_again) || self.goes_on() {
            return Effect::Ignored;
        }
        Effect::Accepted
    }

    /// A half-open connection of a server believes the very next number. Elsewhere in its window,
    /// kernels before 2026-07 (commit a28c4fcbf774) do as well, later ones send a challenge ACK.
    fn in_syn_received(&self) -> Effect {
        let Some(expected) = self.past.their_ack() else { return Effect::Unknown };
        let ahead = self.tcp().seq.since(expected);
        let window = i32::from(self.past.theirs().window); // Of a SYN-ACK: never scaled.
        if !(0..=window).contains(&ahead) {
            return Effect::Ignored;
        }
        if ahead > 0 && self.is_challenged(expected) {
            return Effect::Challenged;
        }
        if self.repeats_its_syn(|after| after.head.segment.tcp.flags.has(Flags::ACK)) {
            return Effect::Ignored;
        }
        if ahead == 0 { Effect::Accepted } else { Effect::Unknown }
    }

    /// A synchronised connection. What it makes of a number in its window that is not the expected one is known only
    /// once it shows.
    fn in_window(&self) -> Effect {
        let Some(window) = Window::of(self.past, self.role) else { return Effect::Unknown };
        let challenged = self.is_challenged(window.acknowledged);
        match window.place(self.tcp()) {
            Place::Exact if self.goes_on() => Effect::Ignored,
            Place::Exact if self.stays_behind() => Effect::Challenged,
            Place::Exact => Effect::Accepted,
            Place::Outside => Effect::Ignored,
            Place::Inside | Place::Unclear if challenged => Effect::Challenged,
            Place::Inside | Place::Unclear if self.goes_on() => Effect::Ignored,
            Place::Inside | Place::Unclear => Effect::Unknown,
        }
    }

    /// Whether its number is elsewhere in the receiver's window than where it expects it: then it is to be challenged
    /// (RFC 5961 section 3.2). Closed, a receiver that waits for the other FIN kept but a small socket, which believes
    /// all of its window (`tcp_timewait_state_process`).
    fn is_misplaced(&self, state: State) -> bool {
        let window = || Window::of(self.past, self.role);
        let listens = state == State::Synchronised && self.past.unanswered_probes() <= 1;
        listens && window().is_some_and(|window| window.place(self.tcp()) == Place::Inside)
    }

    /// What remains of a closed connection believes the very next number, unless its host follows
    /// RFC 1337, and answers no other reset.
    fn in_time_wait(&self) -> Effect {
        if self.tcp().seq == self.past.my_end() { Effect::Accepted } else { Effect::Ignored }
    }

    fn goes_on(&self) -> bool {
        Sequel::of(self.joined).receiver_goes_on(self.past).is_some()
    }

    fn is_challenged(&self, expected: Seq) -> bool {
        Sequel::of(self.joined).challenge_ack(self.past, expected).is_some()
    }

    /// Whether, here where the receiver itself stands, it acknowledged afterwards that it has not
    /// got as far as the number of the reset: data before that was lost.
    fn stays_behind(&self) -> bool {
        let number = self.tcp().seq;
        self.role == LocalRole::Receiver
            && Sequel::of(self.joined).theirs().any(|after| {
                let tcp = &after.head.segment.tcp;
                tcp.flags == Flags::ACK && tcp.payload_len == 0 && number.is_after(tcp.ack)
            })
    }

    /// Whether the receiver sent its SYN or SYN-ACK again, too late for one that was under way.
    fn repeats_its_syn(&self, is_same: impl Fn(&After) -> bool) -> bool {
        const LATER_NS: u64 = 400_000_000;
        let sequel = Sequel::of(self.joined);
        sequel.theirs().any(|after| {
            after.head.segment.tcp.flags.has(Flags::SYN)
                && sequel.delay_ns(after) > LATER_NS
                && is_same(after)
        })
    }
}
