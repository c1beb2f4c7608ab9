//! What the kernel of this host said about one reset, and what else happened around it.
//!
//! In: notices that belong to the reset. Out: facts for the engine. Silence is a fact only where
//! the kernel would have spoken: [`Witnesses`] says so.

use super::crowd::Peer;
use crate::source::Notice;

/// Everything that the kernel said about one reset.
#[derive(Clone, Debug, Default)]
pub struct Testimony {
    /// Who could have spoken.
    pub witnesses: Witnesses,
    /// This host's TCP sent it (`tcp_send_reset`).
    pub sent: Option<Box<Notice>>,
    /// This host's TCP believed it (`tcp_receive_reset`).
    pub received: Option<Box<Notice>>,
    /// This host dropped the reset itself (`kfree_skb`), and why.
    pub dropped: Option<Box<Notice>>,
    /// This host dropped the segment that the reset answers, and why.
    pub trigger_dropped: Option<Box<Notice>>,
}

impl Testimony {
    /// Whether the kernel said anything about this reset.
    pub fn has_spoken(&self) -> bool {
        self.statements().next().is_some()
    }

    /// Everything that it said, the most telling first.
    pub fn statements(&self) -> impl Iterator<Item = &Notice> {
        let all = [&self.sent, &self.received, &self.dropped, &self.trigger_dropped];
        all.into_iter().filter_map(|said| said.as_deref())
    }
}

/// Which tracepoints were listened to, in the network namespaces that count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Witnesses {
    /// `tcp_send_reset`.
    pub send_reset: SendReset,
    /// `tcp_receive_reset`.
    pub receive_reset: bool,
    /// `inet_sock_set_state`.
    pub states: bool,
    /// `kfree_skb` with a reason (from Linux 5.17).
    pub drops: bool,
}

/// For which resets `tcp_send_reset` speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SendReset {
    /// It is not listened to.
    #[default]
    Never,
    /// Only where there is a full socket: up to Linux 6.9.
    FullSockets,
    /// For every reset that TCP sends: from Linux 6.10.
    Always,
}

/// What happened around a reset on other connections, as far as it is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crowd {
    /// Other connections of the same source address and port that were reset in its name within
    /// 50 ms before or after.
    pub of_endpoint: u32,
    /// Other connections of the same source address, whatever the port, likewise.
    pub of_host: u32,
    /// The same as `of_endpoint` within one second.
    pub of_endpoint_within_1s: u32,
    /// Ports of the source that refused this destination within the last 10 s, this one included.
    pub refused_ports: u32,
    /// Nanoseconds since the source endpoint was last seen to accept a connection.
    pub accepted_ago_ns: Option<u64>,
    /// The source endpoint refused a SYN (a closed port) within the second after this reset.
    pub refused_later: bool,
    /// The kernel said that a listener of the source endpoint closed within 100 ms before or after.
    pub listener_closed: bool,
    /// How often resets of the same kind passed between the same client address and the same server
    /// endpoint before, at equal intervals, and the interval in milliseconds.
    pub periodic: Option<(u32, u64)>,
    /// What earlier connections of the source address showed at this place.
    pub src_peer: Option<Peer>,
    /// Other connections of the destination showed that what it sends passes here.
    pub sees_dst: bool,
    /// Other connections showed that both directions pass here, for some seconds at least, and hardly one showed one only.
    pub sees_both_ways: bool,
    /// Nanoseconds since the process that sent it got a reset on another connection of its own, where it was
    /// the other side: a server there if it is a client here.
    pub other_leg_ns: Option<u64>,
    /// Connections to the same server endpoint that were reset at the same stage by suspected
    /// middleboxes within the last 180 s.
    pub reset_alike: u32,
}
