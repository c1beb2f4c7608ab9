//! Where the sequence number of a reset lies for a receiver in a synchronised state.

use rst_tracer_common::{
    flow::flag,
    wire::{Flags, NO_SCALE, Seq, Tcp},
};

use crate::{classify::Past, event::LocalRole};

/// Where a sequence number lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// What is believed: as a rule what it expects next.
    Exact,
    /// Elsewhere in its window.
    Inside,
    /// Outside its window.
    Outside,
    /// What was seen does not say.
    Unclear,
}

/// What the receiver expects.
pub(super) struct Window {
    /// What it has acknowledged.
    pub(super) acknowledged: Seq,
    /// How far what it was sent reaches beyond that.
    not_yet_acked: i32,
    /// Whether all of that arrived, because it was seen to.
    arrived: bool,
    /// The highest edge of its SACK blocks: something before that is missing.
    sack_edge: Option<Seq>,
    /// Whether it has the other side's FIN, and so also believes the number before its end.
    has_fin: bool,
    /// How far its window reaches at least and at most.
    size: (u32, u32),
}

impl Window {
    /// `None`: the receiver has not acknowledged anything yet.
    pub(super) fn of(past: &Past<'_>, role: LocalRole) -> Option<Self> {
        let here = role == LocalRole::Receiver;
        let got_syn_ack = past.i_opened() == Some(false) && past.has(flag::SYN_ACK);
        let first = got_syn_ack.then(|| past.my_facts().isn + 1);
        let acknowledged = past.their_ack().or(first)?;
        let size = size(past);
        let sent = past.my_end().since(acknowledged).max(0);
        // A SYN that meets an older connection has numbers of its own, and a closed window takes
        // nothing in.
        let unanswered_syn = past.i_opened() == Some(true) && !past.has(flag::SYN_ACK);
        // What is not recorded amid a connection never closes it.
        let is_open = past.theirs().window != 0 || !past.their_last_is_known();
        let takes_in = past.i(flag::HEARD) && is_open && !unanswered_syn;
        let not_yet_acked = if takes_in && sent.cast_unsigned() <= size.1 { sent } else { 0 };
        let has_fin = past.i(flag::FIN) && (past.i(flag::FIN_ACKED) || here);
        let (arrived, sack_edge) = (here, past.their_sack_edge());
        Some(Self { acknowledged, not_yet_acked, arrived, sack_edge, has_fin, size })
    }

    pub(super) fn place(&self, tcp: &Tcp) -> Place {
        let ahead = tcp.seq.since(self.acknowledged);
        if self.sack_edge == Some(tcp.seq) {
            return Place::Exact;
        }
        if self.sack_edge.is_none() && ahead == self.not_yet_acked {
            return Place::Exact;
        }
        if self.has_fin && ahead == self.not_yet_acked - 1 && self.fin_arrived() {
            return Place::Exact;
        }
        let (least, most) = self.size;
        let payload = i32::try_from(tcp.payload_len).unwrap_or(i32::MAX);
        match ahead {
            ..0 if ahead.saturating_add(payload) < 0 => Place::Outside,
            ..0 => Place::Inside,
            _ if ahead <= self.not_yet_acked => self.among_the_unacknowledged(ahead),
            _ if ahead.cast_unsigned() <= least => Place::Inside,
            _ if ahead.cast_unsigned()
                > most.saturating_add(self.not_yet_acked.cast_unsigned()) =>
            {
                Place::Outside
            }
            _ => Place::Unclear,
        }
    }

    /// Whether the FIN has come: acknowledged, or seen to arrive.
    fn fin_arrived(&self) -> bool {
        self.not_yet_acked == 0 || self.arrived
    }

    /// A number that the receiver expects if what follows it did not arrive, or not yet.
    fn among_the_unacknowledged(&self, ahead: i32) -> Place {
        match self.sack_edge {
            // Something is missing, and the missing part begins here.
            Some(_) if ahead == 0 => Place::Exact,
            Some(_) => Place::Unclear,
            None if self.arrived => Place::Inside,
            None => Place::Unclear,
        }
    }
}

/// How far the receiver's window reaches. The window of a SYN is not scaled (RFC 7323 section 2.2),
/// and stands for a larger one once it is.
fn size(past: &Past<'_>) -> (u32, u32) {
    let (least, most) = past.their_window();
    let last = past.their_slots().next_back();
    if last.is_some_and(|slot| slot.flags.has(Flags::SYN)) {
        return (u32::from(past.theirs().window), most.max(1 << 16));
    }
    // Scaled, it was rounded down.
    let scale = Some(past.theirs().scale).filter(|scale| *scale != NO_SCALE);
    let rounded = scale.map_or(0, |scale| (1 << u32::from(scale).min(14)) - 1);
    (least, most.saturating_add(rounded))
}
