//! The connection before the reset, seen from the side in whose name the reset travels.
//!
//! In: the flow's state. Out: its facts as "mine" (of the claimed sender) and "theirs" (of the
//! receiver), so that no rule handles side numbers.

use rst_tracer_common::{
    flow::{Facts, Side, Slot, flag, ns_of_ticks, side_trait, slot_trait, ticks},
    wire::{Flags, NO_SCALE, Seq},
};

use super::LastWords;
use crate::source::FlowState;

/// A connection as it stood, and which of its sides the reset claims to come from.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    state: &'a FlowState,
    me: usize,
}

/// The sequence number behind a recorded segment.
pub(super) fn end_of(slot: &Slot) -> Seq {
    let syn = u32::from(slot.flags.has(Flags::SYN));
    let fin = u32::from(slot.flags.has(Flags::FIN));
    slot.seq + slot.len + syn + fin
}

impl<'a> Past<'a> {
    /// The past of a reset that `side` of the flow claims to send.
    pub fn of(state: &'a FlowState, side: u8) -> Self {
        Self { state, me: usize::from(side & 1) }
    }

    const fn peer(&self) -> usize {
        self.me ^ 1
    }

    /// The claimed sender's side number in the flow: 0 or 1.
    pub fn my_side(&self) -> u32 {
        self.me as u32
    }

    /// The flow's own view.
    pub fn state(&self) -> &'a FlowState {
        self.state
    }

    /// Counters of the claimed sender.
    pub fn mine(&self) -> &'a Side {
        &self.state.sides[self.me]
    }

    /// The same connection, from the receiver's side.
    pub(super) const fn turned(&self) -> Self {
        Self { state: self.state, me: self.peer() }
    }

    /// Counters of the receiver.
    pub fn theirs(&self) -> &'a Side {
        &self.state.sides[self.peer()]
    }

    /// What the claimed sender's first segments told.
    pub fn my_facts(&self) -> &'a Facts {
        &self.state.flow.facts[self.me]
    }

    /// What the receiver's first segments told.
    pub fn their_facts(&self) -> &'a Facts {
        &self.state.flow.facts[self.peer()]
    }

    /// Behind everything that the claimed sender has sent.
    pub fn my_end(&self) -> Seq {
        self.state.hot.seq_end[self.me]
    }

    /// Behind everything that the receiver has sent.
    pub fn their_end(&self) -> Seq {
        self.state.hot.seq_end[self.peer()]
    }

    /// What the receiver has acknowledged; `None` when it never did.
    pub fn their_ack(&self) -> Option<Seq> {
        let acked = self.they(flag::HEARD) && self.state.hot.ack[self.peer()] != Seq(0);
        acked.then(|| self.state.hot.ack[self.peer()])
    }

    /// Whether a flag of the connection is set.
    pub fn has(&self, bit: u16) -> bool {
        self.state.hot.flags & bit != 0
    }

    /// Whether a per-side flag is set for the claimed sender.
    pub fn i(&self, bit: u16) -> bool {
        self.has(bit << self.me)
    }

    /// Whether a per-side flag is set for the receiver.
    pub fn they(&self, bit: u16) -> bool {
        self.has(bit << self.peer())
    }

    /// Whether the claimed sender opened the connection, as far as a handshake tells.
    pub fn i_opened(&self) -> Option<bool> {
        self.state.hot.opener().map(|opener| opener as usize == self.me)
    }

    /// Whether a recorded segment is the claimed sender's.
    pub fn is_mine(&self, slot: &Slot) -> bool {
        usize::from(slot.traits & slot_trait::SIDE_1) == self.me
    }

    /// The recorded segments, oldest first.
    pub fn slots(&self) -> impl DoubleEndedIterator<Item = &'a Slot> + ExactSizeIterator {
        self.state.recent()
    }

    /// The recorded segments of the claimed sender, oldest first.
    pub fn my_slots(&self) -> impl DoubleEndedIterator<Item = &'a Slot> {
        let past = *self;
        self.state.recent().filter(move |slot| past.is_mine(slot))
    }

    /// The recorded segments of the receiver, oldest first.
    pub fn their_slots(&self) -> impl DoubleEndedIterator<Item = &'a Slot> {
        let past = *self;
        self.state.recent().filter(move |slot| !past.is_mine(slot))
    }

    /// The last segment that the claimed sender's data went in.
    pub fn my_last_data(&self) -> Option<&'a Slot> {
        self.my_slots().rfind(|slot| slot.len > 0)
    }

    /// The last segment that the receiver's data went in.
    pub fn their_last_data(&self) -> Option<&'a Slot> {
        self.their_slots().rfind(|slot| slot.len > 0)
    }

    /// The highest right edge of the receiver's SACK blocks, while what is missing before them has
    /// not come.
    pub fn their_sack_edge(&self) -> Option<Seq> {
        let (facts, ack) = (self.their_facts(), self.state.hot.ack[self.peer()]);
        let standing = facts.sack_ack == ack && facts.sack_right.is_after(ack);
        (self.they(flag::HEARD) && standing).then_some(facts.sack_right)
    }

    /// What the claimed sender said last, if that may tell why the connection ends.
    pub fn my_last_words(&self) -> Option<LastWords> {
        self.last_words(self.me)
    }

    /// What the receiver said last, likewise.
    pub fn their_last_words(&self) -> Option<LastWords> {
        self.last_words(self.peer())
    }

    fn last_words(&self, side: usize) -> Option<LastWords> {
        let (facts, hot) = (&self.state.flow.facts[side], &self.state.hot);
        let said_since = hot.seq_end[side].since(facts.words_end);
        let finished = hot.flags & flag::FIN << side != 0;
        let len = usize::from(facts.words_len).min(facts.words.len());
        let last = len > 0 && (said_since == 0 || said_since == 1 && finished);
        last.then(|| LastWords::read(&facts.words[..len])).flatten()
    }

    /// Timestamp value of the first SYN, if it carried one.
    pub fn syn_tsval(&self) -> Option<u32> {
        Some(self.state.flow.syn_tsval).filter(|&tsval| tsval != 0)
    }

    /// Timestamp echo reply of the last SYN-ACK that answered the SYN, if it carried one.
    pub fn syn_ack_tsecr(&self) -> Option<u32> {
        Some(self.state.flow.syn_ack_tsecr).filter(|&tsecr| tsecr != 0)
    }

    /// Silence before `now`, on the source's clock.
    pub fn silence_ns(&self, now: u64) -> Option<u64> {
        match self.slots().next_back() {
            Some(last) => Some(now.saturating_sub(last.time_ns)),
            None if self.state.hot.has_gap() => {
                let ticks = ticks(now).wrapping_sub(self.state.hot.last);
                Some(ns_of_ticks(if ticks > u32::MAX / 2 { 0 } else { ticks }))
            }
            None => None,
        }
    }

    /// How long nothing had been said when the receiver sent a segment for the first time, in nanoseconds.
    pub(super) fn silence_before(&self, asked: &Slot) -> u64 {
        let is_it = |slot: &&Slot| {
            slot.seq == asked.seq && slot.len == asked.len && slot.flags == asked.flags
        };
        let first = self.their_slots().find(is_it).map_or(asked.time_ns, |slot| slot.time_ns);
        let before = self.slots().rfind(|slot| slot.time_ns < first);
        before.map_or(0, |before| first - before.time_ns)
    }

    /// The round trip of the handshake: from the SYN to the ACK that completes it, which is the
    /// same wherever on the path one stands.
    pub fn rtt_ns(&self) -> Option<u64> {
        let flow = &self.state.flow;
        let known = flow.syn_ns != 0 && flow.established_ns > flow.syn_ns;
        known.then(|| flow.established_ns - flow.syn_ns)
    }

    /// The usual time to live of the claimed sender, when it has one.
    pub fn my_ttl(&self) -> Option<u8> {
        let steady = self.mine().traits & side_trait::TTL_VARIES == 0;
        (steady && self.mine().ttl != 0).then_some(self.mine().ttl)
    }

    /// Whether the claimed sender's last segment before resets is known: what its header said.
    pub fn my_last_is_known(&self) -> bool {
        self.mine().traits & side_trait::LAST_UNKNOWN == 0
    }

    /// Whether the receiver's is.
    pub fn their_last_is_known(&self) -> bool {
        self.theirs().traits & side_trait::LAST_UNKNOWN == 0
    }

    /// Whether the claimed sender's segments carry timestamps; `None` when it sent nothing that is known.
    pub fn i_use_timestamps(&self) -> Option<bool> {
        let is_known = self.i(flag::HEARD) && self.my_last_is_known();
        is_known.then(|| self.mine().traits & side_trait::TIMESTAMPS != 0)
    }

    /// Whether the claimed sender answered a SYN or spoke at all, resets aside.
    pub fn i_answered(&self) -> bool {
        self.i(flag::HEARD)
    }

    /// Whether the claimed sender's IPv4 identifications are those of a counter for this
    /// connection alone: they rise by little from segment to segment. Zeros are left out, which
    /// Linux sends now and then.
    pub fn my_ip_id_counts(&self) -> bool {
        const STEP: u16 = 8;
        let plain = |slot: &&Slot| slot.ip_id != 0 && !slot.flags.has(Flags::RST);
        let ids: Vec<u16> = self.my_slots().filter(plain).map(|slot| slot.ip_id).collect();
        let rises = |pair: &[u16]| (1..=STEP).contains(&pair[1].wrapping_sub(pair[0]));
        ids.len() >= 3 && ids.windows(2).all(rises)
    }

    /// Keepalive or window probes of the claimed sender at the very end, none of them answered.
    pub fn unanswered_probes(&self) -> usize {
        self.slots().rev().take_while(|slot| self.is_probe(slot)).count()
    }

    /// Keepalive or window probes of the claimed sender at the very end, the last first, whether or
    /// not the other side repeated an ACK after each.
    pub fn last_probes(&self) -> impl Iterator<Item = &'a Slot> {
        let past = *self;
        let is_idle = move |slot: &&Slot| {
            let is_ack = slot.flags == Flags::ACK && slot.len == 0;
            past.is_probe(slot) || !past.is_mine(slot) && is_ack
        };
        let idle = self.slots().rev().take_while(is_idle);
        idle.filter(move |slot| past.is_probe(slot))
    }

    /// How often the claimed sender had sent its last data or FIN, none of it acknowledged; `None` when
    /// it had not repeated it.
    pub fn repeated_in_vain(&self) -> Option<usize> {
        let unanswered = self.their_ack().is_some_and(|acked| self.my_end().is_after(acked));
        let counts = |slot: &&Slot| slot.len > 0 || slot.flags.has(Flags::FIN);
        let last: Seq = self.my_slots().rfind(counts)?.seq;
        let times = self.my_slots().filter(counts).filter(|slot| slot.seq == last).count();
        (unanswered && times > 1).then_some(times)
    }

    pub(super) fn is_probe(&self, slot: &Slot) -> bool {
        let plain = slot.flags.0 & (Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0) == 0;
        self.is_mine(slot) && plain && slot.len <= 1 && slot.seq + 1 == self.my_end()
    }

    /// How far the receiver's window may reach: at least and at most so many bytes. The two
    /// differ when the window scale was agreed before the tracer looked, or the window is not known.
    pub fn their_window(&self) -> (u32, u32) {
        const MOST_SCALE: u32 = 14; // RFC 7323 section 2.3
        if !self.their_last_is_known() {
            return (0, u32::from(u16::MAX) << MOST_SCALE);
        }
        let raw = u32::from(self.theirs().window);
        let (mine, theirs) = (self.mine().scale, self.theirs().scale);
        let handshake = flag::SYN | flag::SYN_ACK;
        if self.state.hot.flags & handshake != handshake {
            return (raw, raw << MOST_SCALE);
        }
        let scaled = mine != NO_SCALE && theirs != NO_SCALE;
        let window = if scaled { raw << u32::from(theirs).min(MOST_SCALE) } else { raw };
        (window, window)
    }
}
