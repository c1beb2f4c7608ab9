//! Which segment a reset answers, and of which earlier resets its sender may have known.
//!
//! In: the connection before the reset. Out: recorded segments. Between this place and the sender segments cross: what
//! passed here before the answer came may not have been there when it was written.

use rst_tracer_common::{
    flow::{Slot, slot_trait},
    wire::{Flags, Segment, Seq},
};

use super::{Case, Form, Past, past::end_of};
use crate::source::After;

impl<'a> Past<'a> {
    /// The recorded segment of the receiver that a reset of a passive form, seen at `now`, answers: a bare RST
    /// takes its sequence number from that segment's acknowledgment, a RST+ACK acknowledges it
    /// (RFC 9293 section 3.10.7.1).
    pub fn trigger(&self, form: Form, segment: &Segment, now: u64) -> Option<&'a Slot> {
        let answered = |slot: &&Slot| match form {
            Form::Passive => slot.flags.has(Flags::ACK) && slot.ack == segment.tcp.seq,
            Form::PassiveToSyn => !slot.flags.has(Flags::ACK) && end_of(slot) == segment.tcp.ack,
            Form::Active | Form::Other => false,
        };
        let fitting =
            || self.their_slots().filter(|slot| !slot.flags.has(Flags::RST)).filter(answered);
        let last = fitting().next_back()?;
        if form != Form::Passive {
            return Some(last);
        }
        self.first_unanswered(fitting(), segment, now).or(Some(last))
    }

    /// Of several segments with one acknowledgment the first that was neither taken in nor answered by an earlier
    /// reset. Only those count whose answer may be under way still, so the round trip must be known.
    fn first_unanswered(
        &self,
        fitting: impl Iterator<Item = &'a Slot>,
        segment: &Segment,
        now: u64,
    ) -> Option<&'a Slot> {
        const MARGIN_NS: u64 = 20_000_000;
        let soon = self.rtt_ns()?.saturating_mul(2).saturating_add(MARGIN_NS);
        let taken = self.turned().their_ack();
        let is_open = |slot: &&Slot| {
            let takes_room = slot.len > 0 || slot.flags.has(Flags::FIN);
            let is_new = taken.is_none_or(|taken| end_of(slot).is_after(taken));
            takes_room && is_new && now.saturating_sub(slot.time_ns) <= soon
        };
        let mut open = fitting.filter(is_open).peekable();
        let first = *open.peek()?;
        let is_answer = |slot: &&Slot| {
            slot.flags == Flags::RST && slot.seq == segment.tcp.seq && slot.time_ns >= first.time_ns
        };
        let answers = self.my_slots().filter(is_answer).count();
        open.nth(answers)
    }

    /// The last reset that was seen before this one, and whether the claimed sender sent it.
    pub fn earlier_reset(&self) -> Option<(&'a Slot, bool)> {
        self.reset_before(None)
    }

    /// The same, but for resets of the receiver that passed here behind the segment which this one answers: when the
    /// answer was written they had not come.
    fn reset_before(&self, answered: Option<&Slot>) -> Option<(&'a Slot, bool)> {
        let since = answered
            .and_then(|answered| self.slots().position(|slot| std::ptr::eq(slot, answered)));
        let is_reset = |slot: &Slot| slot.flags.has(Flags::RST);
        let mut all = self.slots().enumerate();
        let (_, slot) = all.rfind(|(at, slot)| {
            is_reset(slot) && (self.is_mine(slot) || since.is_none_or(|since| *at < since))
        })?;
        Some((slot, self.is_mine(slot)))
    }

    /// Whether the claimed sender went on after a reset, later than what was under way then: it neither sent that
    /// reset nor believed it.
    fn goes_on_after(&self, reset: &Slot) -> bool {
        const MARGIN_NS: u64 = 200_000;
        let under_way = self.rtt_ns().unwrap_or(200_000_000).saturating_add(MARGIN_NS);
        let speaks = |slot: &&Slot| slot.flags.0 & (Flags::SYN.0 | Flags::RST.0) == 0;
        let mut said = self.my_slots().filter(speaks);
        said.any(|slot| slot.time_ns > reset.time_ns.saturating_add(under_way))
    }
}

impl<'a> Case<'a> {
    /// The bytes that it answers, should its claimed sender have taken them: a packet filter that rejects a segment does
    /// not let it through. `None` where they were sent more than once, so that another copy may have passed.
    pub(super) fn took_what_it_answers(&self) -> Option<u32> {
        let (past, trigger) = self.past.zip(self.trigger())?;
        let end = end_of(trigger);
        let has = |seq: Seq| seq.since(end) >= 0;
        let once = past.their_slots().filter(|slot| slot.len > 0 && has(end_of(slot))).count() == 1
            && trigger.traits & slot_trait::RETRANSMIT == 0;
        let again = |after: &After| after.head.segment.tcp.payload_len > 0;
        let acks = |after: &After| {
            let tcp = &after.head.segment.tcp;
            tcp.flags.has(Flags::ACK) && !tcp.flags.has(Flags::RST) && has(tcp.ack)
        };
        let taken = past.turned().their_ack().is_some_and(has) || self.sequel.mine().any(acks);
        (trigger.len > 0 && once && taken && !self.sequel.theirs().any(again))
            .then_some(trigger.len)
    }

    /// The segment that it answers, if it is of a form that answers one.
    pub fn trigger(&self) -> Option<&'a Slot> {
        self.past?.trigger(self.form, self.segment(), self.now_ns())
    }

    /// The same, unless that passed so long before that this is no answer to it.
    pub(super) fn answered_lately(&self) -> Option<&'a Slot> {
        const LATE_NS: u64 = 1_000_000_000;
        let trips = self.past?.rtt_ns().unwrap_or(0).saturating_mul(2);
        self.trigger().filter(|trigger| self.since(trigger) <= trips.saturating_add(LATE_NS))
    }

    /// The last reset before it that its claimed sender may have known, and whether it sent that one too.
    pub(super) fn known_reset(&self) -> Option<(&'a Slot, bool)> {
        self.past?.reset_before(self.trigger())
    }

    /// The same, unless the claimed sender went on after it.
    pub(super) fn heeded_reset(&self) -> Option<(&'a Slot, bool)> {
        let (reset, mine) = self.known_reset()?;
        (!self.past?.goes_on_after(reset)).then_some((reset, mine))
    }
}
