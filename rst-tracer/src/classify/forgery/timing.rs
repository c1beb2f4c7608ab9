//! Answers that came sooner than light could have fetched them.
//!
//! The round trip between this place and the claimed sender is measured on the same connection: a
//! segment that passed here, and the first one back that acknowledges it. The handshake must be
//! among the measurements, for its SYN-ACK waits for no program and no delayed acknowledgment; and
//! it alone proves little: a first segment may wait for an ARP answer or for a radio to wake up.

use rst_tracer_common::{
    flow::{Slot, slot_trait},
    wire::{Flags, Seq},
};

use super::{Case, Tells};
use crate::classify::Past;

/// Below this, clocks and batches of captures count for more than distance.
const LEAST_NS: u64 = 1_000_000;
/// Below this nothing is proven.
const LEAST_PROOF_NS: u64 = 5_000_000;

pub(super) fn look(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    refused_too_soon(case, past, tells);
    let Some(took) = answered_after(case, past) else { return };
    let Some(handshake) = handshake(past) else { return };
    let mut trips = round_trips(past);
    trips.push(handshake);
    let Some(&least) = trips.iter().min().filter(|least| **least >= LEAST_NS) else { return };
    if took.saturating_mul(10) >= least.saturating_mul(8) {
        return;
    }
    let text = format!(
        "it came {:.1} ms after the segment that it answers passed here; the way to {} and back \
         took at least {:.1} ms in {} measurements",
        took as f64 / 1e6,
        case.sender(),
        least as f64 / 1e6,
        trips.len()
    );
    // A client's first ACK may have been missed here: then its next words were measured.
    let by_server = past.i_opened() == Some(false);
    let is_proof =
        by_server && trips.len() >= 2 && least >= LEAST_PROOF_NS && took.saturating_mul(2) < least;
    match is_proof {
        true => tells.prove("too_soon", 3.0, text),
        false => tells.add("soon", 1.0, text),
    }
}

/// A SYN that is refused sooner than other connections ever reached the server. A balancer that is
/// nearer than what it balances, or another path, explains that too: it proves nothing.
fn refused_too_soon(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    if !case.refuses_a_syn() || case.made_here() {
        return;
    }
    let syn = past.their_slots().rfind(|slot| slot.flags.has(Flags::SYN));
    let least = case.crowd().src_peer.and_then(|peer| peer.least_rtt_ns);
    let (Some(syn), Some(least)) = (syn, least.filter(|least| *least >= LEAST_NS)) else { return };
    let took = case.since(syn);
    if took.saturating_mul(10) < least.saturating_mul(8) {
        let text = format!(
            "it came {:.1} ms after the SYN; other connections took at least {:.1} ms to this server \
             and back",
            took as f64 / 1e6,
            least as f64 / 1e6
        );
        tells.add("soon_for_peer", 1.0, text);
    }
}

/// How long ago the first segment passed that tells what the reset knows: the one that it answers,
/// or that it acknowledges.
fn answered_after(case: &Case<'_>, past: &Past<'_>) -> Option<u64> {
    let tcp = &case.segment().tcp;
    if tcp.flags.has(Flags::ACK) {
        // Only if it acknowledges something that its sender had not yet acknowledged.
        let known = past.my_slots().filter(|slot| slot.flags.has(Flags::ACK));
        let news = known.map(|slot| slot.ack).all(|ack| tcp.ack.is_after(ack));
        let first = past.their_slots().find(|slot| reaches(slot, tcp.ack) && slot.len > 0);
        return first.filter(|_| news && tcp.seq != Seq(0)).map(|slot| case.since(slot));
    }
    let trigger = case.trigger()?;
    // Any earlier segment with the same acknowledgment may be the one.
    let same = |slot: &&Slot| slot.flags.has(Flags::ACK) && slot.ack == trigger.ack;
    let is_full = past.slots().len() == rst_tracer_common::flow::SLOTS as usize;
    let first = past.their_slots().find(same)?;
    let oldest = past.their_slots().next()?;
    // What the recorder has forgotten may have been the one.
    (!is_full || oldest.time_ns != first.time_ns).then(|| case.since(first))
}

fn reaches(slot: &Slot, ack: Seq) -> bool {
    !slot.flags.has(Flags::RST) && crate::classify::past::end_of(slot).since(ack) >= 0
}

/// The round trip between here and the claimed sender that the handshake took.
pub fn handshake(past: &Past<'_>) -> Option<u64> {
    let flow = &past.state().flow;
    let (from, to) = match past.i_opened()? {
        true => (flow.syn_ack_ns, flow.established_ns),
        false => (flow.syn_ns, flow.syn_ack_ns),
    };
    (from != 0).then(|| to.checked_sub(from)).flatten()
}

impl Past<'_> {
    /// The round trip between here and the receiver that the handshake took.
    pub(in crate::classify) fn trip_to_the_receiver_ns(&self) -> Option<u64> {
        handshake(&self.turned())
    }
}

/// Later round trips, as far as the recorder shows them: new data of the receiver, and the first
/// segment back that acknowledges it.
fn round_trips(past: &Past<'_>) -> Vec<u64> {
    let mut trips = Vec::new();
    let is_new = |slot: &&Slot| {
        let takes_room = slot.len > 0 || slot.flags.has(Flags::FIN);
        takes_room
            && !slot.flags.has(Flags::SYN)
            // A time that is a little behind would make the trip longer than it was.
            && slot.traits & (slot_trait::RETRANSMIT | slot_trait::COARSE) == 0
            && !slot.flags.has(Flags::RST)
    };
    for sent in past.their_slots().filter(is_new) {
        let end = crate::classify::past::end_of(sent);
        let back = past.my_slots().find(|slot| {
            slot.time_ns >= sent.time_ns
                && slot.flags.has(Flags::ACK)
                && !slot.flags.has(Flags::RST)
                && slot.ack.since(end) >= 0
        });
        trips.extend(back.map(|back| back.time_ns - sent.time_ns));
    }
    trips
}
