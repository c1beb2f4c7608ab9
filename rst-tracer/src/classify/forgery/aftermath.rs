//! The claimed sender lives on: what no socket that sent a reset can do (Weaver, Sommer and Paxson,
//! NDSS 2009, RST_SEQ_DATA). A packet filter on its host gives the same picture.
//!
//! Guards: reordered and duplicated segments that were sent before the reset, retransmissions, and
//! the next connection on the same ports.

use rst_tracer_common::{
    flow::{Slot, side_trait},
    wire::{Flags, Segment, Seq, option},
};

use super::{Case, Tells};
use crate::{classify::Past, event::Stage, source::After};

/// Segments are seldom reordered by more than this.
const REORDERING_NS: u64 = 5_000_000;
/// No segment is on its way for so long behind a later one: without timestamps and numbers that
/// show its age, only waiting does.
const STRAGGLING_NS: u64 = 200_000_000;
/// A client sends its SYN again after 400 ms or later (Windows 500 ms, Linux 1 s: RFC 6298).
const SYN_AGAIN_NS: u64 = 400_000_000;

pub(super) fn look(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    if let Some((after, what)) = zombie(case, past) {
        let ms = case.sequel.delay_ns(after) / 1_000_000;
        let text = format!(
            "{} went on with the connection {ms} ms after the reset: it {what}, so its TCP did not \
             send the reset",
            case.sender()
        );
        tells.prove("sender_goes_on", 3.0, text);
        tells.refuted = true;
    }
    two_answers(case, past, tells);
}

/// The first segment of the claimed sender that its TCP cannot have sent if it had sent the reset
/// before, and what it does.
fn zombie<'a>(case: &Case<'a>, past: &Past<'a>) -> Option<(&'a After, &'static str)> {
    // A client without a connection yet, and a listener, answer what does not fit with a reset and
    // go on with what does (RFC 9293 sections 3.10.7.2 and 3.10.7.3).
    let is_early = matches!(case.known.stage, Stage::NoFlow | Stage::PostSyn | Stage::PostSynack);
    let seq = case.segment().tcp.seq;
    let misplaced = seq.since(past.my_facts().isn) <= 0 || seq.is_after(past.my_end());
    let answers_a_misfit = case.trigger().is_some() && misplaced && past.mine().data_segments == 0;
    if is_early || answers_a_misfit {
        return None;
    }
    let of_this_connection =
        case.joined.aftermath.iter().take_while(|after| !begins_anew(&after.head.segment, past));
    let side = case.joined.reset.rst.head.side;
    let mut said = None;
    for after in of_this_connection {
        let segment = &after.head.segment;
        let flags = segment.tcp.flags;
        if after.head.side != side {
            said = said.or(Some(segment.seq_end()).filter(|end| end.is_after(past.their_end())));
            continue;
        }
        if flags.0 & (Flags::SYN.0 | Flags::RST.0) != 0 {
            continue;
        }
        let delay = case.sequel.delay_ns(after);
        if let Some(what) = refutes(case, past, segment, delay, said) {
            return Some((after, what));
        }
    }
    None
}

/// What a later segment does that refutes the reset. `said` is the end of the first new segment
/// that the receiver was seen to send since the reset.
fn refutes(
    case: &Case<'_>,
    past: &Past<'_>,
    segment: &Segment,
    delay: u64,
    said: Option<Seq>,
) -> Option<&'static str> {
    let (tcp, rst) = (&segment.tcp, &case.segment().tcp);
    let age = Age::of(segment, past);
    if age == Age::Older {
        return None;
    }
    // The receiver said it only after the reset had passed here: reordering cannot feign that.
    let acks_more = tcp.flags.has(Flags::ACK) && tcp.ack.is_after(past.their_end());
    let acks_what_came_since = said.is_some_and(|said| tcp.ack.since(said) >= 0);
    if acks_more && (acks_what_came_since || delay >= REORDERING_NS) {
        return Some("acknowledges what was sent to it only after the reset");
    }
    let is_fin = tcp.flags.has(Flags::FIN);
    if tcp.payload_len == 0 && !is_fin {
        return None;
    }
    let what = if is_fin { "sends a FIN" } else { "sends data" };
    // A live socket resets behind all that it has sent: nothing can have been on its way there.
    let is_abort = !case.form.is_passive() && rst.flags.has(Flags::ACK);
    if is_abort && rst.seq.since(past.my_end()) >= 0 && tcp.seq.since(rst.seq) >= 0 {
        return Some(what);
    }
    let is_new = segment.seq_end().is_after(past.my_end());
    let is_behind = segment.seq_end().is_after(rst.seq);
    let patience = match age {
        Age::Younger => REORDERING_NS,
        _ => STRAGGLING_NS.max(past.rtt_ns().unwrap_or(0).saturating_mul(2)),
    };
    // What was seen before may come again as a copy, but a copy has no younger timestamp.
    let counts = is_new || is_behind && age == Age::Younger;
    (counts && delay >= patience).then_some(what)
}

/// A SYN of another connection on the same ports.
fn begins_anew(segment: &Segment, past: &Past<'_>) -> bool {
    let (tcp, isns) = (&segment.tcp, [past.my_facts().isn, past.their_facts().isn]);
    tcp.flags.has(Flags::SYN) && !isns.contains(&tcp.seq)
}

/// When a segment was sent, compared with the last one seen before from the same side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    Older,
    /// In the same tick of the sender's clock, or nothing tells.
    Unclear,
    Younger,
}

impl Age {
    fn of(segment: &Segment, past: &Past<'_>) -> Self {
        let mine = past.mine();
        let stamped = segment.tcp.options & option::TIMESTAMPS != 0;
        if stamped && mine.traits & side_trait::TIMESTAMPS != 0 {
            return match Seq(segment.tcp.tsval).since(Seq(mine.tsval)).signum() {
                -1 => Self::Older,
                1 => Self::Younger,
                _ => Self::Unclear,
            };
        }
        let counts = segment.traits & Segment::IPV6 == 0 && past.my_ip_id_counts();
        match (segment.ip_id.wrapping_sub(mine.ip_id) as i16).signum() {
            -1 if counts && segment.ip_id != 0 => Self::Older,
            1 if counts => Self::Younger,
            _ => Self::Unclear,
        }
    }
}

/// A SYN that was refused and accepted: one of the answers is not the server's.
fn two_answers(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    if past.i_opened() != Some(false) {
        return;
    }
    let sender = case.sender();
    let Some(after) = case.sequel.late_syn_ack(past).filter(|_| !past.i_answered()) else { return };
    let delay = case.sequel.delay_ns(after);
    let ms = delay / 1_000_000;
    // A repeated SYN has an answer of its own: that of a listener that came back, or of another
    // member of a pool.
    let is_syn = |flags: Flags| flags.has(Flags::SYN) && !flags.has(Flags::ACK);
    let before = past.their_slots().filter(|slot: &&Slot| is_syn(slot.flags)).count();
    let again = case.sequel.theirs().any(|theirs| {
        is_syn(theirs.head.segment.tcp.flags) && theirs.head.time_ns <= after.head.time_ns
    });
    let alike = after.head.segment.ttl == case.segment().ttl;
    if before > 1 || again {
        let text = format!(
            "{sender} accepted the SYN {ms} ms after the reset, but the SYN had been repeated: a \
             pool or a restart explains that too"
        );
        tells.add("late_syn_ack", 1.0, text);
    } else if alike && delay >= SYN_AGAIN_NS {
        let text = format!(
            "{sender} accepted the same SYN {ms} ms after the reset, with the same TTL: unless a \
             repeated SYN was missed, two hands answered"
        );
        tells.add("late_syn_ack", 2.0, text);
    } else {
        let text = format!("{sender} accepted the same SYN {ms} ms after the reset");
        tells.prove("late_syn_ack", 3.0, text);
        tells.refuted = true;
    }
}
