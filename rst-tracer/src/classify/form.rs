//! The wire form of a reset: what of a TCP stack made it.
//!
//! Linux knows two: a live socket that aborts, and an answer to a segment that fits no socket.
//! The form alone gives half the cause. Measured on Linux 6.18; net/ipv4/tcp_output.c
//! `tcp_send_active_reset`, net/ipv4/tcp_ipv4.c `tcp_v4_send_reset`.

use rst_tracer_common::wire::{Flags, Segment, Seq, option};

use super::Past;

/// What kind of sender the headers speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// RST+ACK of a live socket: its own sequence number, a window, timestamps if it uses them.
    Active,
    /// Bare RST without options or window: the answer to a segment with ACK.
    Passive,
    /// RST+ACK with sequence number 0, without options or window: the answer to a SYN.
    PassiveToSyn,
    /// None of these: another operating system, a middlebox, or a forgery.
    Other,
}

impl Form {
    /// The form of a reset, given what was seen of its sender.
    pub fn of(segment: &Segment, past: Option<&Past<'_>>) -> Self {
        let tcp = &segment.tcp;
        let bare = tcp.window == 0 && tcp.header_len == 20 && tcp.payload_len == 0;
        if !tcp.flags.has(Flags::ACK) {
            return if bare { Self::Passive } else { Self::Other };
        }
        if tcp.flags.0 & (Flags::SYN.0 | Flags::FIN.0) != 0 {
            return Self::Other;
        }
        if bare && tcp.seq == Seq(0) {
            return Self::PassiveToSyn;
        }
        let stamped = tcp.options & option::TIMESTAMPS != 0;
        let as_before = past.and_then(Past::i_use_timestamps).is_none_or(|used| used == stamped);
        // A live socket's number is 0 once in four thousand million; FreeBSD refuses with a window.
        let alive = tcp.window != 0 && tcp.payload_len == 0 && as_before && tcp.seq != Seq(0);
        if alive { Self::Active } else { Self::Other }
    }

    /// Whether the headers are as Linux writes an answer, be it TCP's or its packet filter's: a
    /// time to live of 64 at the start, no options, and on IPv4 identification 0 and
    /// don't-fragment. Other systems (Windows: 128 and a counter; p0f's p0fr.fp) mirror neither the
    /// type of service nor set a flow label, so that what tells TCP from filter on Linux says
    /// nothing about them.
    pub fn is_written_by_linux(segment: &Segment) -> bool {
        let is_v6 = segment.traits & Segment::IPV6 != 0;
        let df = segment.traits & Segment::DONT_FRAGMENT != 0;
        let plain = segment.tcp.header_len == 20 && segment.tcp.window == 0;
        let bare = !segment.tcp.flags.has(Flags::ACK);
        plain
            && segment.ttl <= 64
            && (is_v6 || df && segment.ip_id == 0)
            && !(bare && segment.tcp.ack != Seq(0))
    }

    /// Whether the headers are as Windows writes an answer: a time to live of 128 at the start, no
    /// options, and in a bare reset the sequence number in the acknowledgment field too (p0f's
    /// p0fr.fp).
    pub fn is_written_by_windows(segment: &Segment) -> bool {
        let tcp = &segment.tcp;
        let plain = tcp.header_len == 20 && tcp.window == 0 && tcp.payload_len == 0;
        let numbered = tcp.flags.has(Flags::ACK) || tcp.ack == tcp.seq && tcp.ack != Seq(0);
        plain && (65..=128).contains(&segment.ttl) && numbered
    }

    /// Whether it answers a segment, as stacks without a socket and packet filters do.
    pub const fn is_passive(self) -> bool {
        matches!(self, Self::Passive | Self::PassiveToSyn)
    }
}
