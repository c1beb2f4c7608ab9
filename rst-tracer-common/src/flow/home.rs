//! At which place of this host a segment counts: a host that forwards sees each at two of them.

use super::{Entry, SLOTS, slot_trait, step::opens_anew};
use crate::wire::{Flags, Segment};

/// A place of this host where segments are seen: interface index and direction. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port(pub u16);

impl Port {
    /// Whether segments arrive here, and not leave.
    #[inline(always)]
    pub const fn is_ingress(self) -> bool {
        self.0 & 3 == 1
    }

    /// Seen arriving at this interface.
    #[inline(always)]
    pub const fn ingress(ifindex: u32) -> Self {
        Self((ifindex as u16) << 2 | 1)
    }

    /// Seen leaving through this interface.
    #[inline(always)]
    pub const fn egress(ifindex: u32) -> Self {
        Self((ifindex as u16) << 2 | 3)
    }
}

/// Whether this sighting is the one that counts for its side. A forwarding host sees each segment
/// at two interfaces; the first port at which a side was seen keeps it, until another port brings
/// something new first (the path changed). A SYN is new where it opens another connection between the same two ends.
#[inline(always)]
pub(super) fn is_home(
    entry: &mut Entry<'_>,
    side: u32,
    segment: &Segment,
    port: Port,
    now: u64,
) -> bool {
    let me = side as usize & 1;
    let (hot, flags) = (&mut *entry.hot, segment.tcp.flags);
    if hot.ports[me] == port.0 {
        return true;
    }
    let is_news = if flags.has(Flags::SYN) {
        opens_anew(hot, entry.flow, side, segment, now)
    } else {
        segment.seq_end().is_after(hot.seq_end[me])
            || flags.has(Flags::ACK) && segment.tcp.ack.is_after(hot.ack[me])
    };
    if hot.ports[me] == 0 || is_news {
        hot.ports[me] = port.0;
        return true;
    }
    false
}

/// Whether the segment recorded last is this very one, seen at another place of this host.
#[inline(always)]
pub(super) fn is_last_recorded(entry: &Entry<'_>, side: u32, segment: &Segment) -> bool {
    let last = u32::from(entry.hot.recorded).wrapping_sub(1) & (SLOTS - 1);
    let slot = &entry.recorder.slots[last as usize];
    slot.seq == segment.tcp.seq
        && slot.ack == segment.tcp.ack
        && slot.flags == segment.tcp.flags
        && slot.ip_id == segment.ip_id
        && u32::from(slot.traits & slot_trait::SIDE_1) == side
}
