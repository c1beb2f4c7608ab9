//! Which statement of the kernel is about which reset.
//!
//! In: a statement and a reset with its sightings. Out: what the statement says about it, if it is
//! about this one. Measured on Linux 6.18: `tcp_send_reset` speaks before the packet when a segment
//! is answered (`tcp_v4_send_reset`), after it when a live socket aborts (`tcp_send_active_reset`);
//! `tcp_receive_reset` and `kfree_skb` speak after it.

use std::cmp::Reverse;

use rst_tracer_common::{
    event::{Head, Hook},
    notice::Point,
    wire::{Flags, Seq},
};

use super::{Joined, Testimony, describe::role};
use crate::{classify::Past, event::LocalRole, source::Notice};

/// How far a statement about a sent reset may be from its packet.
pub(super) const SENT_NS: u64 = 200_000_000;
/// The same where this host's packet filter gave the packet another source (REDIRECT, DNAT, MASQUERADE): its number, or
/// its destination and the moment, have to do.
const TRANSLATED_NS: u64 = 5_000_000;
/// How long after a reset its receiver's TCP may take it up: the socket may be busy.
const TAKEN_NS: u64 = 20_000_000;
/// How far the drop of a segment may be from the reset that answers it.
pub(super) const ANSWER_NS: u64 = 5_000_000;
/// Interface number of the loopback device in every network namespace (LOOPBACK_IFINDEX).
const LOOPBACK: u32 = 1;
/// Most bytes that a segment without ACK may carry.
const LONGEST: i32 = 65_535;

/// What a statement says about a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// TCP sent it as the answer to a segment: the numbers prove it.
    Answered,
    /// TCP sent it for a live socket: tuple and form fit.
    Aborted,
    /// TCP believed it.
    Received,
    /// It was dropped.
    Dropped,
    /// What it answers was dropped.
    TriggerDropped,
}

/// What `notice` says about `joined`, seen from the namespace `own`.
pub(super) fn part(notice: &Notice, joined: &Joined, own: Option<u32>) -> Option<Part> {
    let head = &joined.reset.rst.head;
    let (segment, said) = (&head.segment, &notice.wire);
    let is_along = said.src == segment.src && said.dst == segment.dst;
    let is_against = said.src == segment.dst && said.dst == segment.src;
    let apart = said.time_ns.abs_diff(head.time_ns);
    let here = own.is_some_and(|own| own == said.netns);
    let is_translated = here && said.dst == segment.dst && apart <= TRANSLATED_NS;
    let is_sent = is_along && apart <= SENT_NS || is_translated;
    match said.point {
        Point::SEND_RESET if is_sent => {
            // The own TCP sends nothing that only comes in.
            if here && !all(joined).any(is_departure) {
                None
            } else if notice.has_trigger() {
                answers(notice, head).then_some(Part::Answered)
            } else {
                let is_live = segment.tcp.flags.has(Flags::ACK) && segment.tcp.seq != Seq(0);
                is_live.then_some(Part::Aborted)
            }
        }
        Point::RECEIVE_RESET if is_along => {
            let arrives = !here || all(joined).any(is_arrival);
            let is_soon = said.time_ns >= head.time_ns && apart <= TAKEN_NS;
            (arrives && is_soon && can_be_believed(joined)).then_some(Part::Received)
        }
        Point::DROP if is_along => {
            let is_it = notice.has_trigger() && said.trigger_seq == segment.tcp.seq;
            (is_it && said.time_ns >= head.time_ns && apart <= TAKEN_NS).then_some(Part::Dropped)
        }
        Point::DROP if is_against && apart <= ANSWER_NS && is_answered_drop(notice) => {
            answers(notice, head).then_some(Part::TriggerDropped)
        }
        _ => None,
    }
}

/// Whether a drop goes with a reset in answer: a rule of the packet filter that rejects, or a
/// listener that is told to refuse what it has no room for.
pub(super) fn is_answered_drop(notice: &Notice) -> bool {
    notice.is_because("NETFILTER_DROP") || notice.is_because("TCP_LISTEN_OVERFLOW")
}

/// Whether the reset is the answer to the statement's segment (RFC 9293 section 3.10.7.1).
fn answers(notice: &Notice, head: &Head) -> bool {
    let (said, tcp) = (&notice.wire, &head.segment.tcp);
    if !notice.has_trigger() {
        return false;
    }
    if said.trigger_flags.has(Flags::ACK) {
        // A live socket's reset may have the same number, but it acknowledges.
        return tcp.seq == said.trigger_ack && !tcp.flags.has(Flags::ACK);
    }
    // The length of the segment is not told.
    let least = i32::from(said.trigger_flags.has(Flags::SYN))
        + i32::from(said.trigger_flags.has(Flags::FIN));
    let acked = tcp.ack.since(said.trigger_seq);
    tcp.seq == Seq(0) && tcp.flags.has(Flags::ACK) && (least..=least + LONGEST).contains(&acked)
}

fn all(joined: &Joined) -> impl Iterator<Item = &Head> {
    std::iter::once(&joined.reset).chain(&joined.sightings).map(|reset| &reset.rst.head)
}

/// Whether this host made it: it leaves and came by no interface.
pub(super) fn is_departure(head: &Head) -> bool {
    head.hook == Hook::TC_EGRESS && head.came_by == 0
}

/// Whether it comes in. What leaves by the loopback comes in by it.
fn is_arrival(head: &Head) -> bool {
    matches!(head.hook, Hook::XDP | Hook::TC_INGRESS) || head.ifindex == LOOPBACK
}

impl Part {
    /// Where it belongs.
    pub(super) fn of(self, testimony: &mut Testimony) -> &mut Option<Box<Notice>> {
        match self {
            Self::Answered | Self::Aborted => &mut testimony.sent,
            Self::Received => &mut testimony.received,
            Self::Dropped => &mut testimony.dropped,
            Self::TriggerDropped => &mut testimony.trigger_dropped,
        }
    }

    fn is_missing(self, testimony: &Testimony) -> bool {
        match self {
            Self::Answered | Self::Aborted => testimony.sent.is_none(),
            Self::Received => testimony.received.is_none(),
            Self::Dropped => testimony.dropped.is_none(),
            Self::TriggerDropped => testimony.trigger_dropped.is_none(),
        }
    }
}

/// How well a statement fits a reset that it may be about; `None` when that has one already. Numbers
/// before form, and nearer in time before farther where only form tells.
pub(super) fn rank(part: Part, notice: &Notice, joined: &Joined) -> Option<(u8, Reverse<u64>)> {
    if !part.is_missing(&joined.testimony) {
        return None;
    }
    let head = &joined.reset.rst.head;
    let apart = notice.wire.time_ns.abs_diff(head.time_ns);
    Some(match part {
        Part::Answered | Part::Dropped | Part::TriggerDropped => (1, Reverse(0)),
        Part::Aborted => (0, Reverse(apart)),
        // TCP believes the one with the number it expects; of several such the first.
        Part::Received => (expectation(joined), Reverse(0)),
    })
}

/// Whether a TCP could have taken the reset's number for the one that it expects: it lies between what the receiver
/// acknowledged, or one before where a FIN came (`tcp_reset_check`), and the end of what it was sent. Where nothing of
/// that was seen, any may be it.
fn can_be_believed(joined: &Joined) -> bool {
    let head = &joined.reset.rst.head;
    let Some(past) = joined.reset.flow.as_deref().map(|state| Past::of(state, head.side)) else {
        return true;
    };
    let Some(acked) = past.their_ack().filter(|_| past.i_answered()) else { return true };
    let first = acked - 1;
    (0..=past.my_end().later(acked).since(first)).contains(&head.segment.tcp.seq.since(first))
}

/// How likely the receiver expected the reset's number: that which it acknowledged before the end of what it was sent,
/// and both before any other.
fn expectation(joined: &Joined) -> u8 {
    let head = &joined.reset.rst.head;
    let seq = head.segment.tcp.seq;
    match joined.reset.flow.as_deref().map(|state| Past::of(state, head.side)) {
        Some(past) if past.their_ack() == Some(seq) => 2,
        Some(past) if past.i_answered() && past.my_end() == seq => 1,
        _ => 0,
    }
}

/// Whether its source and its destination are this host itself, by where it was seen.
pub(super) fn ends_here(joined: &Joined) -> [bool; 2] {
    match role(joined) {
        LocalRole::Sender => [true, all(joined).any(|head| head.ifindex == LOOPBACK)],
        LocalRole::Receiver => [false, true],
        LocalRole::Forwarder | LocalRole::Observer => [false; 2],
    }
}
