//! The state of the receiver's socket when the reset came, as far as the wire shows it.

use rst_tracer_common::{
    flow::{Slot, flag},
    wire::Flags,
};

use crate::classify::Past;

/// States of RFC 9293 section 3.3.2, as far as they judge a reset differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It sent a SYN and has no answer.
    SynSent,
    /// It answered a SYN and waits for the ACK.
    SynReceived,
    /// From the handshake to its end, the two below aside.
    Synchronised,
    /// Its FIN was acknowledged, and it waits for the other.
    FinWait2,
    /// It closed first, and both FINs were acknowledged.
    TimeWait,
    /// Its socket had ended before.
    Gone,
    /// It was not heard, or not understood.
    Unknown,
}

impl State {
    pub(super) fn of(past: &Past<'_>) -> Self {
        if past.has(flag::RESET) && !speaks_after_the_reset(past) {
            return Self::Gone;
        }
        let under_way = !past.has(flag::ESTABLISHED);
        match past.i_opened().filter(|_| under_way) {
            Some(false) if past.has(flag::SYN) && !past.has(flag::SYN_ACK) => Self::SynSent,
            Some(true) if past.has(flag::SYN_ACK) => Self::SynReceived,
            _ if past.they(flag::FIN_ACKED) => Self::of_finished(past),
            _ if past.they(flag::HEARD) => Self::Synchronised,
            _ => Self::Unknown,
        }
    }

    /// Its FIN was acknowledged.
    fn of_finished(past: &Past<'_>) -> Self {
        if !past.i(flag::FIN) {
            return Self::FinWait2;
        }
        if past.their_ack() != Some(past.my_end()) {
            // It has not acknowledged the other FIN: it may be in either of two states.
            return Self::Unknown;
        }
        if knew_of_my_fin(past) { Self::Gone } else { Self::TimeWait }
    }
}

/// Whether the receiver had the other side's FIN when it sent its own: then it closed last, and
/// what acknowledged its FIN ended it (LAST-ACK).
fn knew_of_my_fin(past: &Past<'_>) -> bool {
    let fin = |slot: &&Slot| slot.flags.has(Flags::FIN);
    if let Some(their_fin) = past.their_slots().find(fin) {
        return their_fin.ack == past.my_end();
    }
    let mut letters = past.state().flow.history_letters(past.my_side());
    letters.find(|letter| letter.eq_ignore_ascii_case(&b'F')) == Some(b'F')
}

/// Whether the receiver said something after the reset before this one, other than resets.
fn speaks_after_the_reset(past: &Past<'_>) -> bool {
    let is_reset = |slot: &Slot| slot.flags.has(Flags::RST);
    let since = past.slots().skip_while(|slot| !is_reset(slot));
    since.filter(|slot| !is_reset(slot)).any(|slot| !past.is_mine(slot))
}
