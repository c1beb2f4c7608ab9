//! What the kernel of the host says while the story goes on.

use rst_tracer_common::{
    flow::{Identity, Keys},
    notice::{self, Point, notice_trait},
    wire::{Address, Endpoint, Flags, Seq},
};

use super::{KEYS, Story, Who};
use crate::{
    correlate::{Joined, Rules},
    event::{Process, Timestamp},
    source::Notice,
};

/// The network namespace that the storyteller stands in.
pub(crate) const HERE: u32 = 4_026_531_840;
/// Another one on the same host.
pub(crate) const ELSEWHERE: u32 = 4_026_532_000;

impl Story {
    /// The same story for a tracer that follows these rules.
    pub(crate) fn by(mut self, rules: Rules) -> Self {
        self.netns = rules.netns;
        self.correlator = crate::correlate::Correlator::new(rules);
        self
    }

    fn end(&self, who: Who) -> Endpoint {
        let peer = &self.peers[who as usize];
        let word = |at: usize| u32::from_be_bytes(peer.ip[at..at + 4].try_into().unwrap());
        let address = if self.v6 {
            Address([word(0), word(4), word(8), word(12)])
        } else {
            Address::v4(word(0))
        };
        Endpoint { address, port: peer.port.into() }
    }

    /// A statement about a segment from one side to the other, for this reason.
    pub(crate) fn statement(&self, point: Point, from: Who, reason: &'static str) -> Notice {
        let (src, dst) = (self.end(from), self.end(from.other()));
        let id = Identity::of(&src, &dst, &Keys(KEYS));
        let wire = notice::Notice {
            time_ns: self.now,
            flow_hash: id.hash,
            kind: rst_tracer_common::event::Kind::NOTICE,
            point,
            side: id.side as u8,
            netns: HERE,
            src,
            dst,
            traits: if reason.is_empty() { 0 } else { notice_trait::REASON },
            ..Default::default()
        };
        let reason = (!reason.is_empty()).then_some(reason.into());
        Notice { time: Timestamp(self.now), wire, reason, state: None, state_before: None }
    }

    /// The last segment of a side, as the one that a statement is about.
    pub(crate) fn about_last(&self, mut notice: Notice, of: Who) -> Notice {
        let last = self.peers[of as usize].last.as_ref().unwrap();
        notice.wire.traits |= notice_trait::TRIGGER;
        notice.wire.trigger_seq = Seq(last.seq);
        notice.wire.trigger_ack = Seq(last.ack);
        notice.wire.trigger_flags = Flags(last.flags);
        notice
    }

    /// TCP sends a reset for a live socket.
    pub(crate) fn kernel_aborts(&mut self, from: Who, reason: &'static str) -> &mut Self {
        let mut notice = self.statement(Point::SEND_RESET, from, reason);
        notice.wire.traits |= notice_trait::SOCKET | notice_trait::STATE_BEFORE;
        (notice.state, notice.state_before) = (Some("CLOSE".into()), Some("ESTABLISHED".into()));
        self.hear(notice)
    }

    /// TCP answers the other side's last segment with a reset.
    pub(crate) fn kernel_answers(&mut self, from: Who, reason: &'static str) -> &mut Self {
        let notice = self.statement(Point::SEND_RESET, from, reason);
        self.hear(self.about_last(notice, from.other()))
    }

    /// TCP believes a reset in the name of `from`.
    pub(crate) fn kernel_believes(&mut self, from: Who) -> &mut Self {
        let mut notice = self.statement(Point::RECEIVE_RESET, from, "");
        notice.wire.traits |= notice_trait::SOCKET;
        notice.state = Some("ESTABLISHED".into());
        self.hear(notice)
    }

    /// The last segment of `from` is dropped.
    pub(crate) fn kernel_drops(&mut self, from: Who, reason: &'static str) -> &mut Self {
        let notice = self.statement(Point::DROP, from, reason);
        self.hear(self.about_last(notice, from))
    }

    /// The agent hears a statement.
    pub(crate) fn hear(&mut self, notice: Notice) -> &mut Self {
        self.hear_of(notice, None)
    }

    /// The agent hears a statement, and knows the process that it is about.
    pub(crate) fn hear_of(&mut self, notice: Notice, process: Option<Process>) -> &mut Self {
        self.correlator.take_notice(Box::new(notice), process);
        self
    }

    /// Everything that waits, without waiting, in the order of the wire.
    pub(crate) fn all(&mut self) -> Vec<Joined> {
        let mut all: Vec<_> = std::iter::from_fn(|| self.correlator.release()).collect();
        all.sort_by_key(|joined| joined.reset.rst.head.time_ns);
        all
    }

    /// What nothing more is awaited for.
    pub(crate) fn due(&mut self) -> Vec<Joined> {
        let now = self.now;
        std::iter::from_fn(|| self.correlator.due(now)).collect()
    }

    /// How many wait, sightings that were joined, statements that were about nothing.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        (self.correlator.pending(), self.correlator.merged(), self.correlator.unmatched())
    }
}
