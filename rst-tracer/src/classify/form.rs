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
        let alive = tcp.window != 0 && tcp.payload_len == 0 && as_before;
        if alive { Self::Active } else { Self::Other }
    }

    /// Whether it answers a segment, as stacks without a socket and packet filters do.
    pub const fn is_passive(self) -> bool {
        matches!(self, Self::Passive | Self::PassiveToSyn)
    }
}
