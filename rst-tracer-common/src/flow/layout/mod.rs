//! What is kept per flow, and where: hot entries in buckets, the flow, the flight recorder.
//!
//! The layout is the ABI between kernel and agent: `zerocopy` proves it free of padding at compile
//! time. A segment amid a connection writes the hot entry, which is a cache line, and a slot of the
//! recorder; the rest is written at the handshake, FIN and RST only. What a bucket holds is listed
//! in a line of its own, so that nothing else is read for a flow that is not there.

mod bucket;
mod facts;
mod flow;
mod hot;
mod recorder;

use core::mem::offset_of;

use crate::bits;

pub use bucket::{Bucket, Listing};
pub use facts::Facts;
pub use flow::{Flow, HISTORY, OpenedBy};
pub use hot::{Count, Hot, flag};
pub use recorder::{Recorder, Slot, slot_trait};

/// Entries per bucket.
pub const WAYS: u32 = 8;
/// Segments in a flight recorder.
pub const SLOTS: u32 = 16;
/// First payload bytes that are kept per side, and bytes of its last words.
pub const HEAD: usize = 16;

/// Coarse time: units of 2^20 ns (1.05 ms), modulo 2^32 (52 days).
#[inline(always)]
pub const fn ticks(ns: u64) -> u32 {
    (ns >> 20) as u32
}

/// How many ticks have passed since `then`; none if it is ahead: a clock may go back, that of a capture or between CPUs.
#[inline(always)]
pub(in crate::flow) fn ticks_since(now: u32, then: u32) -> u32 {
    let passed = now.wrapping_sub(then);
    bits::select(passed >> 31, 0, passed)
}

/// Nanoseconds in so many ticks.
pub const fn ns_of_ticks(ticks: u32) -> u64 {
    (ticks as u64) << 20
}

/// Ticks in so many seconds.
pub const fn ticks_of_secs(secs: u64) -> u32 {
    ticks(secs * 1_000_000_000)
}

/// Bytes in a cache line.
const LINE: usize = 64;

const _: () = {
    assert!(size_of::<Hot>() == 64);
    assert!(size_of::<Bucket>() == 576);
    assert!(size_of::<Facts>() == 72);
    assert!(size_of::<Flow>() == 6 * LINE);
    assert!(Flow::FRESH <= 2 * LINE);
    let facts = offset_of!(Flow, facts);
    let own = [facts, facts + size_of::<Facts>()];
    assert!(own[0] / LINE == (own[0] + Facts::FRESH - 1) / LINE);
    assert!(own[1] / LINE == (own[1] + Facts::FRESH - 1) / LINE);
    assert!(size_of::<Slot>() == 32);
    assert!(size_of::<Recorder>() == 512);
};
