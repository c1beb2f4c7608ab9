//! How far a segment brings its side: sequence numbers, acknowledgments, handshake and FIN.

use super::{
    super::{Flow, Hot, flag},
    LARGEST_WINDOW,
};
use crate::wire::{self, Flags, Segment, Seq};

/// How far from the end of what its side has sent a FIN of a live connection may stand, in bytes: about a receive
/// window. Elsewhere it is nobody's, and one that a stranger guesses is seldom nearer.
const FARTHEST_FIN: i32 = 1 << 22;

/// What kind of step a segment was.
pub(super) struct Step {
    pub(super) is_retransmit: bool,
    pub(super) brings_data: bool,
}

impl Step {
    /// The verifier need not follow each kind to the end.
    #[inline(always)]
    pub(super) fn forget(self) -> Self {
        Self {
            is_retransmit: wire::forget(u32::from(self.is_retransmit)) != 0,
            brings_data: wire::forget(u32::from(self.brings_data)) != 0,
        }
    }
}

/// Moves sequence and acknowledgment numbers and the handshake and FIN marks.
#[inline(always)]
pub(super) fn advance(
    hot: &mut Hot,
    flow: &mut Flow,
    side: u32,
    segment: &Segment,
    fresh: bool,
    now: u64,
) -> Step {
    let me = side as usize & 1;
    let flags = segment.tcp.flags;
    let end = segment.seq_end();
    let known = hot.seq_end[me];
    let ahead = end.since(known);
    // A SYN counts as a side's first segment only: one on a live connection may be forged, and what
    // it says stands in `contesting_syn`.
    let is_stray_fin = flags.has(Flags::FIN)
        && !fresh
        && hot.is_confirmed()
        && !(-FARTHEST_FIN..=FARTHEST_FIN).contains(&ahead);
    let follows = ahead > 0 && ahead < LARGEST_WINDOW && !flags.has(Flags::SYN) && !is_stray_fin;
    let is_new = fresh || follows;
    let has_data = segment.tcp.payload_len > 0;
    let is_probe = !fresh
        && !flags.has(Flags::SYN)
        && !flags.has(Flags::FIN)
        && segment.tcp.payload_len <= 1
        && segment.tcp.seq + 1 == known;
    if is_probe {
        let probes = &mut flow.facts[me].probes;
        *probes = probes.saturating_add(1);
    }
    if is_new {
        hot.seq_end[me] = end;
    }
    if flags.has(Flags::FIN) && !is_stray_fin {
        hot.flags |= flag::FIN << side;
    }
    if flags.has(Flags::ACK) {
        let progress = segment.tcp.ack.since(hot.ack[me]);
        // A SYN has no acknowledgment: the first segment with one sets the number.
        let first_ack = hot.ack[me] == Seq(0);
        if first_ack || (progress > 0 && progress < LARGEST_WINDOW) {
            hot.ack[me] = segment.tcp.ack;
        }
        note_ack(hot, flow, side, segment, now);
    }
    hot.flags |= flag::HEARD << side;
    Step { is_retransmit: has_data && !is_new && !is_probe, brings_data: has_data && is_new }
}

/// An acknowledgment may complete the handshake or confirm the peer's FIN.
#[inline(always)]
fn note_ack(hot: &mut Hot, flow: &mut Flow, side: u32, segment: &Segment, now: u64) {
    let peer = (side ^ 1) as usize & 1;
    let covers_peer = segment.tcp.ack.since(hot.seq_end[peer]) >= 0;
    if hot.flags & (flag::FIN << (side ^ 1)) != 0 && covers_peer {
        hot.flags |= flag::FIN_ACKED << (side ^ 1);
    }
    if hot.flags & flag::ESTABLISHED != 0 || segment.tcp.flags.has(Flags::SYN) {
        return;
    }
    let Some(opener) = hot.opener() else { return };
    let peer_heard = hot.flags & (flag::HEARD << (side ^ 1)) != 0;
    // Of what the peer has sent, and nothing else: a stranger who guesses would be right every other time.
    let answers_syn_ack = hot.flags & flag::SYN_ACK != 0
        && segment.tcp.ack.since(flow.facts[peer].isn) > 0
        && segment.tcp.ack.since(hot.seq_end[peer]) <= 0;
    // In a capture of one direction only, the opener's ACK is all there is to see; it makes no connection that others
    // have to give way to.
    if opener == side && (answers_syn_ack || !peer_heard) {
        hot.flags |= flag::ESTABLISHED;
        flow.established_ns = now;
    }
}
