//! What the kernel said, with its numbers turned into its own names.

use rst_tracer_common::notice::{self, notice_trait};

use crate::event::{Text, Timestamp};

/// A statement of the kernel about a reset, a dropped segment or a listener.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// When, since the Unix epoch.
    pub time: Timestamp,
    /// As it crossed the ring buffer.
    pub wire: notice::Notice,
    /// Why, by the running kernel's own name without its prefix: `TCP_ABORT_ON_CLOSE` of
    /// `SK_RST_REASON_TCP_ABORT_ON_CLOSE`, `NETFILTER_DROP` of `SKB_DROP_REASON_NETFILTER_DROP`.
    pub reason: Option<Text>,
    /// State of the socket by the kernel's name, without its prefix: `ESTABLISHED`.
    pub state: Option<Text>,
    /// The state that it left a moment ago.
    pub state_before: Option<Text>,
}

impl Notice {
    /// Whether a bit of [`notice_trait`] is set.
    pub fn has(&self, bit: u8) -> bool {
        self.wire.traits & bit != 0
    }

    /// Whether a segment is answered or dropped: else a reset is one of a living socket.
    pub fn has_trigger(&self) -> bool {
        self.has(notice_trait::TRIGGER)
    }

    /// Whether the reason has this name.
    pub fn is_because(&self, reason: &str) -> bool {
        self.reason.as_deref() == Some(reason)
    }

    /// Whether the socket was in this state.
    pub fn is_in(&self, state: &str) -> bool {
        self.state.as_deref() == Some(state)
    }

    /// The signal that is killing the task on the CPU, if one is.
    pub fn killed_by(&self) -> Option<u32> {
        let signal = self.wire.exit_code & 0x7f;
        (self.has(notice_trait::EXITING) && signal != 0).then_some(signal)
    }
}
