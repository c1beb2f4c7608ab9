//! Signs that somebody else wrote the reset, weighed against signs that its claimed sender did.
//!
//! Weights are logarithms of likelihood ratios, forged to genuine. Only a sign that the claimed
//! sender's own TCP refutes counts as a proof: times to live, identifications and windows differ
//! for innocent reasons too.

use rst_tracer_common::wire::{Flags, Segment, Seq, option};

use super::{Case, Form, Past, opinion::reason};
use crate::event::{Effect, Evidence};

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Tells {
    /// Signs, for and against.
    pub signs: Vec<Evidence>,
    /// Whether one of them is a proof.
    pub proven: bool,
}

impl Tells {
    /// Looks for all signs.
    pub fn of(case: &Case<'_>) -> Self {
        let mut tells = Self::default();
        let Some(past) = case.past else { return tells };
        tells.refuted_by_the_sender(case, &past);
        if case.form.is_passive() {
            return tells;
        }
        tells.time_to_live(case);
        tells.identification(case, &past);
        tells.timestamps(case, &past);
        tells.numbers(case, &past);
        tells.bursts(case, &past);
        tells
    }

    /// The sum of the weights.
    pub fn sum(&self) -> f64 {
        self.signs.iter().map(|sign| sign.weight.value()).sum()
    }

    fn add(&mut self, id: &'static str, weight: f64, text: impl Into<crate::event::Text>) {
        self.signs.push(reason(id, weight, text));
    }

    fn refuted_by_the_sender(&mut self, case: &Case<'_>, past: &Past<'_>) {
        let sender = case.sender();
        let live_on = if case.known.effect == Effect::Accepted {
            case.sequel.zombie(past)
        } else {
            case.sequel.sender_goes_on(past)
        };
        if let Some(after) = live_on {
            let ms = case.sequel.delay_ns(after) / 1_000_000;
            let text = format!(
                "{sender} went on with the connection {ms} ms after the reset, so its TCP did \
                 not send it"
            );
            self.add("sender_goes_on", 3.0, text);
            self.proven = true;
        }
        let refused = past.mine().packets == 0;
        if let Some(after) = case.sequel.late_syn_ack(past).filter(|_| refused) {
            let ms = case.sequel.delay_ns(after) / 1_000_000;
            let text = format!("{sender} accepted the same SYN {ms} ms after the reset");
            self.add("late_syn_ack", 3.0, text);
            self.proven = true;
        }
    }

    fn time_to_live(&mut self, case: &Case<'_>) {
        let Some(shift) = case.ttl_shift() else { return };
        let ttl = case.segment().ttl;
        let usual = i16::from(ttl) - shift;
        match shift.unsigned_abs() {
            0 => self.add("ttl_usual", -0.5, format!("its TTL {ttl} is the sender's usual one")),
            1..3 => self.add("ttl_near", 0.5, format!("its TTL is {ttl}, the usual one {usual}")),
            _ => self.add(
                "ttl_differs",
                1.5,
                format!("its TTL is {ttl}, that of the sender's other segments {usual}"),
            ),
        }
    }

    fn identification(&mut self, case: &Case<'_>, past: &Past<'_>) {
        let segment = case.segment();
        if case.is_v6() || past.mine().packets == 0 {
            return;
        }
        let df = segment.traits & Segment::DONT_FRAGMENT != 0;
        let usual_df = past.mine().traits & Segment::DONT_FRAGMENT != 0;
        if usual_df && !df {
            let text = "don't-fragment is not set, as it is in the sender's other segments";
            self.add("df_missing", 1.5, text);
        }
        let last = past.mine().ip_id;
        let step = segment.ip_id.wrapping_sub(last);
        if last != 0 && segment.ip_id != 0 && (1..=64).contains(&step) {
            let text = format!("its IP ID continues the sender's counter ({last}, then +{step})");
            self.add("ip_id_continues", -1.5, text);
        } else if last != 0 && segment.ip_id == 0 && !df {
            self.add("ip_id_zero", 1.5, "its IP ID is 0 although it may be fragmented");
        }
    }

    fn timestamps(&mut self, case: &Case<'_>, past: &Past<'_>) {
        let tcp = &case.segment().tcp;
        if past.i_use_timestamps() != Some(true) || tcp.seq == Seq(0) {
            return;
        }
        if tcp.options & option::TIMESTAMPS == 0 {
            let text = "it has no timestamp, unlike the sender's other segments";
            self.add("timestamp_missing", 1.5, text);
            return;
        }
        // Clocks of 1 kHz (Linux) to 1 MHz are in use; a forger's number is anywhere.
        let ahead = Seq(tcp.tsval).since(Seq(past.mine().tsval));
        let silence_ms = past.my_slots().next_back().map_or(0, |slot| case.since(slot) / 1_000_000);
        let most = (silence_ms + 1000).saturating_mul(1000).min(i32::MAX as u64) as i32;
        if ahead < 0 || ahead > most {
            let text = "its timestamp does not continue the sender's clock";
            self.add("timestamp_wild", 2.0, text);
        } else {
            self.add("timestamp_fits", -1.5, "its timestamp continues the sender's clock");
        }
    }

    fn numbers(&mut self, case: &Case<'_>, past: &Past<'_>) {
        let tcp = &case.segment().tcp;
        if !tcp.flags.has(Flags::ACK) || tcp.seq == Seq(0) || !case.saw_the_beginning() {
            return;
        }
        let beyond = tcp.ack.since(past.their_end());
        if beyond > 0 && past.mine().packets > 0 {
            let text = format!("it acknowledges {beyond} bytes that were never sent");
            self.add("acks_the_unsent", 1.5, text);
        }
        let behind = past.my_end().since(tcp.seq);
        if behind > 0 && case.form == Form::Active {
            let text = format!("its sequence number is {behind} bytes behind the sender's");
            self.add("stale_seq", 1.0, text);
        }
    }

    /// A live socket is aborted once; several RST+ACK within 50 ms are an injector's.
    fn bursts(&mut self, case: &Case<'_>, past: &Past<'_>) {
        const BURST_NS: u64 = 50_000_000;
        let head = &case.joined.reset.rst.head;
        let is_abort = |flags: Flags, seq: Seq| flags.has(Flags::ACK) && seq != Seq(0);
        if !is_abort(head.segment.tcp.flags, head.segment.tcp.seq) {
            return;
        }
        let before = past.my_slots().filter(|slot| {
            slot.flags.has(Flags::RST)
                && is_abort(slot.flags, slot.seq)
                && case.since(slot) < BURST_NS
        });
        let after = case.joined.later_resets.iter().filter(|later| {
            let later = &later.rst.head;
            later.side == head.side
                && is_abort(later.segment.tcp.flags, later.segment.tcp.seq)
                && later.time_ns.saturating_sub(head.time_ns) < BURST_NS
        });
        let others = before.count() + after.count();
        if others > 0 {
            let text = format!("{} of its kind came within 50 ms; TCP sends one", others + 1);
            self.add("burst", 1.5, text);
        }
    }
}
