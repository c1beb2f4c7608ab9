//! What both formats make of a packet record: where its bytes lie, and what is said about them.
//!
//! In: lengths as the record claims them. Out: lengths without the frame check sequence.

use std::ops::Range;

use rst_tracer_common::wire::LinkType;

/// A packet record, its bytes still in the [`Input`](super::input::Input).
#[derive(Debug)]
pub(super) struct Packet {
    /// As [`Frame::number`](super::Frame::number).
    pub(super) number: u64,
    pub(super) time_ns: u64,
    pub(super) link: LinkType,
    pub(super) original_len: u32,
    pub(super) interface: Option<u32>,
    pub(super) data: Range<usize>,
}

/// The captured and the original length of a frame less its check sequence, of which a capture
/// cut to a snapshot length holds only a part or nothing.
#[inline]
pub(super) fn without_fcs(captured: u32, original: u32, fcs: u32) -> (u32, u32) {
    if fcs == 0 {
        return (captured, original);
    }
    let frame = original.max(captured).saturating_sub(fcs);
    (captured.min(frame), frame)
}

/// The larger of what a file promises not to exceed and what tcpdump and Wireshark take as the
/// longest packet, but never so much that a damaged length could fill the memory.
pub(super) fn longest_packet(snaplen: u32) -> u32 {
    snaplen.clamp(256 << 10, 128 << 20)
}
