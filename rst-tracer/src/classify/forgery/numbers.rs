//! Sequence and acknowledgment numbers that the claimed sender's TCP would not have used.

use rst_tracer_common::{
    flow::{Port, SLOTS, flag},
    wire::{Flags, Seq},
};

use super::{Case, Tells};
use crate::{
    classify::{Form, Past},
    event::LocalRole,
};

/// Resets further apart are not of one volley (Weaver, Sommer and Paxson, NDSS 2009).
const VOLLEY_NS: u64 = 2_000_000_000;
/// Resets so near belong to the same hand.
const ONE_HAND_NS: u64 = 50_000_000;

pub(super) fn look(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    if !case.saw_the_beginning() || !past.has(flag::ESTABLISHED) {
        return;
    }
    ahead_of_the_first(case, past, tells);
    acknowledges(case, past, tells);
    stale(case, past, tells);
    answers_nothing(case, past, tells);
}

/// Whether a number is one at which the receiver was seen to stand: a reset that answers takes its
/// sequence number from there.
fn was_acknowledged(case: &Case<'_>, past: &Past<'_>, seq: Seq) -> bool {
    let later = case.sequel.theirs().map(|after| &after.head.segment.tcp);
    past.their_slots().any(|slot| slot.flags.has(Flags::ACK) && slot.ack == seq)
        || later.filter(|tcp| tcp.flags.has(Flags::ACK)).any(|tcp| tcp.ack == seq)
        || past.their_ack() == Some(seq)
}

/// RST_SEQ_CHANGE: a further reset beyond the first and beyond all that its sender has sent. An
/// injector aims ahead, in case that more data passes meanwhile. Answers to segments under way have
/// rising numbers too, but each of them is one that the receiver acknowledged.
fn ahead_of_the_first(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    let this = case.segment().tcp.seq;
    let both_heard = past.i(flag::HEARD) && past.they(flag::HEARD);
    if !both_heard || this == Seq(0) {
        return;
    }
    let beyond = |first: Seq, second: Seq| {
        // The first must stand at the end of what was seen: else segments may have been missed.
        let is_exact = first == past.my_end() || past.their_ack() == Some(first);
        second.since(first) > 2
            && is_exact
            && second.is_after(past.my_end())
            && !was_acknowledged(case, past, second)
    };
    let earlier = past.my_slots().find(|slot| {
        slot.flags.has(Flags::RST) && case.since(slot) < VOLLEY_NS && beyond(slot.seq, this)
    });
    let by = if let Some(earlier) = earlier {
        Some((this.since(earlier.seq), case.since(earlier)))
    } else {
        let later =
            case.later_resets(ONE_HAND_NS).find(|rst| beyond(this, rst.head.segment.tcp.seq));
        later.map(|rst| {
            (rst.head.segment.tcp.seq.since(this), rst.head.time_ns.saturating_sub(case.now_ns()))
        })
    };
    let Some((bytes, ns)) = by else { return };
    let text = format!(
        "two resets within {} ms stand {bytes} bytes apart, the second behind all that {} was seen \
         to send: no TCP does that",
        ns / 1_000_000,
        case.sender()
    );
    // Bare ones may answer acknowledgments that were missed here together with the data; unless
    // they are a window apart, as tcpkill shoots.
    let is_abort = case.segment().tcp.flags.has(Flags::ACK);
    let by_window = past.their_slots().any(|slot| i32::from(slot.window) == bytes);
    if is_abort || by_window && !Form::is_written_by_linux(case.segment()) {
        tells.prove("seq_runs_ahead", 3.0, text);
    } else {
        tells.add("seq_runs_ahead", 1.5, text);
    }
}

/// The acknowledgment of an abort is where its sender stands: never beyond what it was sent, never
/// back.
fn acknowledges(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    let tcp = &case.segment().tcp;
    if !tcp.flags.has(Flags::ACK) {
        // Windows puts its sequence number there (p0f's p0fr.fp).
        if tcp.ack != Seq(0) && tcp.ack != tcp.seq {
            let text = format!("its acknowledgment field is {} without the ACK flag", tcp.ack.0);
            tells.add("ack_without_flag", 0.5, text);
        }
        return;
    }
    if tcp.seq == Seq(0) {
        return;
    }
    let beyond = tcp.ack.since(past.their_end());
    if beyond > 0 && past.mine().packets > 0 {
        let text = format!("it acknowledges {beyond} bytes that were never sent");
        // Here, and only here, every byte that the receiver sends is seen.
        if sees_all_that_the_receiver_sends(case, past) {
            tells.prove("acks_the_unsent", 3.0, text);
        } else {
            tells.add("acks_the_unsent", 1.5, text);
        }
        return;
    }
    let acked = past.my_slots().rfind(|slot| slot.flags.has(Flags::ACK)).map(|slot| slot.ack);
    let back = acked.map_or(0, |acked| acked.since(tcp.ack));
    if back > 0 && !case.form.is_passive() {
        let text = format!("it acknowledges {back} bytes less than its sender did before");
        tells.add("ack_goes_back", 1.0, text);
    }
}

fn sees_all_that_the_receiver_sends(case: &Case<'_>, past: &Past<'_>) -> bool {
    let port = Port(past.state().hot.ports[past.my_side() as usize ^ 1]);
    case.known.role == LocalRole::Receiver && port.0 != 0 && !port.is_ingress()
}

/// DATA_SEQ_RST: an abort with a number that its sender has left behind. A reset with a window and
/// an acknowledgment is that of a live socket, which stands behind all that it has sent.
fn stale(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    let tcp = &case.segment().tcp;
    let behind = past.my_end().since(tcp.seq);
    let is_abort = tcp.flags.has(Flags::ACK) && tcp.window != 0 && tcp.seq != Seq(0);
    // A FIN that is not acknowledged yet may be taken back by one.
    let is_fin = behind == 1 && past.i(flag::FIN);
    if is_abort && behind > 0 && !is_fin {
        let text = format!("its sequence number is {behind} bytes behind what its sender has sent");
        tells.add("stale_seq", 2.0, text);
    }
}

/// A bare reset has the acknowledgment of the segment it answers for its number (RFC 9293 section
/// 3.10.7.1). Other systems abort with a bare reset too: then it is the end of what they sent.
fn answers_nothing(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    let seq = case.segment().tcp.seq;
    // Acknowledgments that the recorder has forgotten may have been answered.
    let remembers_all = past.state().hot.recorded < SLOTS as u16;
    let forgotten = !remembers_all && past.their_ack().is_some_and(|ack| seq.since(ack) < 0);
    let own = seq == past.my_end() || seq + 1 == past.my_end();
    let partial = !past.they(flag::ACKED) && !past.they(flag::DATA);
    if case.form != Form::Passive || forgotten || own || partial {
        return;
    }
    if was_acknowledged(case, past, seq) {
        return;
    }
    // In between, the acknowledgment may have been missed here.
    let weight = if seq.is_after(past.my_end()) { 2.0 } else { 1.0 };
    let text = format!(
        "it answers no segment: {} never acknowledged {}, as a bare reset would repeat it",
        case.receiver(),
        seq.0
    );
    tells.add("answers_nothing", weight, text);
}
