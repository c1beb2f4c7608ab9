//! What stood around the reset: its own headers, the connection so far, the last segments.

use rst_tracer_common::{flow, wire};

use super::roles::Roles;
use crate::{
    classify::Past,
    event::{Flags, Flow, Recent, Segment, Side, Timestamp},
    source::Reset,
};

/// The headers of the reset.
pub(super) fn segment(segment: &wire::Segment) -> Segment {
    let tcp = &segment.tcp;
    let is_v6 = segment.traits & wire::Segment::IPV6 != 0;
    Segment {
        flags: Flags(tcp.flags.0),
        seq: tcp.seq.0,
        ack: tcp.ack.0,
        window: tcp.window,
        ttl: segment.ttl,
        ip_id: (!is_v6).then_some(segment.ip_id),
        df: (!is_v6).then_some(segment.traits & wire::Segment::DONT_FRAGMENT != 0),
        tos: segment.tos,
        flow_label: is_v6.then_some(segment.flow_label),
        payload_len: tcp.payload_len,
        src_mac: None,
        dst_mac: None,
    }
}

/// The connection as it stood.
pub(super) fn flow(reset: &Reset, past: &Past<'_>, roles: &Roles) -> Flow {
    let now = reset.rst.head.time_ns;
    let age = now.saturating_sub(past.state().flow.first_ns);
    let (src, dst) = (Some(side(past.mine())), Some(side(past.theirs())));
    let flow = Flow {
        start: Timestamp(reset.time.0.saturating_sub(age)),
        duration_ms: age / 1_000_000,
        idle_ms: past.silence_ns(now).unwrap_or(0) / 1_000_000,
        rtt_us: past.rtt_ns().map(|ns| u32::try_from(ns / 1000).unwrap_or(u32::MAX)),
        ..Flow::default()
    };
    match roles.src_opened {
        Some(true) => Flow { client: src, server: dst, ..flow },
        Some(false) => Flow { client: dst, server: src, ..flow },
        None => Flow { src, dst, ..flow },
    }
}

fn side(side: &flow::Side) -> Side {
    Side {
        packets: side.packets.into(),
        bytes: side.bytes,
        retransmits: side.retransmits.into(),
        ttl: (side.ttl != 0).then_some(side.ttl),
    }
}

/// The last segments, oldest first.
pub(super) fn recent(now: u64, past: &Past<'_>, roles: &Roles) -> Vec<Recent> {
    let recent = |slot: &flow::Slot| Recent {
        ago_us: now.saturating_sub(slot.time_ns) / 1000,
        from: roles.speaker(past.is_mine(slot)),
        flags: Flags(slot.flags.0),
        seq: slot.seq.0,
        ack: slot.ack.0,
        len: slot.len,
        window: slot.window,
        ttl: slot.ttl,
    };
    past.slots().map(recent).collect()
}
