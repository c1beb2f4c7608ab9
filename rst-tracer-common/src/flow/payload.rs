//! What is kept of what the two sides say: the first bytes, and what may be their last words.
//!
//! In: a segment that was applied to its flow, and its frame. One byte of every data segment is
//! looked at; more only where that byte begins a TLS alert record or an HTTP status line.

use super::{Entry, Memory, Place};
use crate::wire::{Bytes, Segment};

/// First byte of a TLS record that holds an alert (RFC 8446 section 5.1).
const ALERT: u8 = 21;
/// An alert in plain text, header included, is the shortest of them.
const SHORTEST: u32 = 7;

/// Keeps the first payload bytes of a side, and those that may turn out to be its last words.
#[inline(always)]
pub fn note_payload<M: Memory, B: Bytes>(
    memory: &mut M,
    place: Place,
    side: u32,
    segment: &Segment,
    bytes: &B,
) {
    let side = side as usize & 1;
    if segment.tcp.payload_len == 0 {
        return;
    }
    let Some(entry) = memory.entry(place.bucket, place.way) else { return };
    let at = u32::from(segment.payload_at);
    if entry.hot.counts[side].data_segments == 1 && entry.flow.facts[side].head_len == 0 {
        let facts = &mut entry.flow.facts[side];
        facts.head_len = bytes.copy(at, segment.tcp.payload_len, &mut facts.head) as u8;
    }
    if bytes.fetch::<1>(at).is_some_and(|[first]| may_tell(first))
        && segment.tcp.payload_len >= SHORTEST
        && is_telling(bytes, at)
    {
        note_words(entry, side, segment, bytes);
    }
}

/// Whether words that begin so may be the last.
#[inline(always)]
pub(super) const fn may_tell(first: u8) -> bool {
    matches!(first, ALERT | b'H')
}

/// Whether a TLS alert record or an HTTP status line (RFC 9112 section 4) begins here.
#[inline(always)]
fn is_telling<B: Bytes>(bytes: &B, at: u32) -> bool {
    const TLS_3: u8 = 3;
    matches!(bytes.fetch::<5>(at), Some([ALERT, TLS_3, ..] | [b'H', b'T', b'T', b'P', b'/']))
}

/// Keeps the words, unless the side has said more before this segment came.
#[inline(always)]
fn note_words<B: Bytes>(entry: Entry<'_>, side: usize, segment: &Segment, bytes: &B) {
    let end = segment.seq_end();
    if end != entry.hot.seq_end[side] {
        return;
    }
    let facts = &mut entry.flow.facts[side];
    let at = u32::from(segment.payload_at);
    facts.words_len = bytes.copy(at, segment.tcp.payload_len, &mut facts.words) as u8;
    facts.words_end = end;
}
