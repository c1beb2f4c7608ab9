//! What the receiver's own kernel says it did with the reset, where this host is the receiver.
//!
//! In: the notices that belong to the reset. Out: an effect, or `None` where they say nothing.

use super::State;
use crate::{
    correlate::Joined,
    event::{Effect, LocalRole},
    source::Notice,
};

/// Why a receiver drops a reset without a word (`enum skb_drop_reason`): before TCP, for want of a
/// socket, or for its numbers.
const IGNORED: [&str; 9] = [
    "NETFILTER_DROP",
    "NO_SOCKET",
    "TCP_OLD_SEQUENCE",
    "TCP_INVALID_SEQUENCE",
    "TCP_INVALID_END_SEQUENCE",
    "TCP_INVALID_ACK_SEQUENCE",
    "TCP_OVERWINDOW",
    "TCP_RFC7323_PAWS",
    "TCP_RFC7323_TSECR",
];

/// `tcp_receive_reset` speaks of the end of a connection by data that came too late as well, on
/// the host that sends the reset: so it counts only where the reset came in.
pub(super) fn of(joined: &Joined, role: LocalRole, state: State) -> Option<Effect> {
    if role != LocalRole::Receiver {
        return None;
    }
    let testimony = &joined.testimony;
    if testimony.received.is_some() {
        return Some(Effect::Accepted);
    }
    dropped(testimony.dropped.as_ref()?, state)
}

fn dropped(notice: &Notice, state: State) -> Option<Effect> {
    let reason = notice.reason.as_deref()?;
    if IGNORED.contains(&reason) {
        return Some(Effect::Ignored);
    }
    if reason != "TCP_RESET" {
        return None;
    }
    // A listener and a client without a SYN-ACK drop it for the same reason as a connection that
    // answers it (RFC 5961 section 3.2).
    match notice.state.as_deref() {
        Some("SYN_RECV" | "NEW_SYN_RECV") => None,
        Some("LISTEN") | None if state == State::SynReceived => None,
        Some("LISTEN" | "SYN_SENT") => Some(Effect::Ignored),
        None if state == State::SynSent => Some(Effect::Ignored),
        None if state == State::Unknown => None,
        _ => Some(Effect::Challenged),
    }
}
