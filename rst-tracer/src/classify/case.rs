//! The facts of one reset, drawn once for all rules.
//!
//! In: a joined reset, and what is known about its sides. Out: the form, the segment it answers,
//! what its sender did before, and words for both sides.

use std::net::IpAddr;

use rst_tracer_common::{
    event::Rst,
    flow::Slot,
    wire::{Flags, Segment, Tunnel},
};

use super::{Author, Form, Past, Payload, Sequel, Tells, opinion::reason, past::end_of, ttl};
use crate::{
    correlate::{Crowd, Joined, Testimony},
    event::{Effect, Evidence, Initiator, LocalRole, SentBy, Stage},
};

/// What is known about a reset beside its records.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// In whose name it travels.
    pub sent_by: SentBy,
    /// How that is known.
    pub initiator: Initiator,
    /// How far the connection had come.
    pub stage: Stage,
    /// What the receiver did with it, as far as that was seen.
    pub effect: Effect,
    /// Whether it did not believe it, or by RFC 5961 is not to: a forecast where the effect is not known.
    pub disbelieved: bool,
    /// What the observing host is to it.
    pub role: LocalRole,
    /// Whether its source address is one of the observing host's own; `None` when that host's
    /// addresses are not known (a capture).
    pub src_is_local: Option<bool>,
    /// The same of its destination address.
    pub dst_is_local: Option<bool>,
}

/// One reset, as the rules see it.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// The reset and what belongs to it.
    pub joined: &'a Joined,
    /// What is known about it.
    pub known: Known,
    /// Its wire form.
    pub form: Form,
    /// The connection before it.
    pub past: Option<Past<'a>>,
    /// The connection after it.
    pub sequel: Sequel<'a>,
    payload: Payload,
    tells: Tells,
}

/// Which of two answers to the same segment a reset is, by what Linux' TCP copies from it and
/// Linux' packet filter does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// TCP itself.
    Stack,
    /// A packet filter (`nft … reject with tcp reset`).
    Filter,
    /// The two look the same here.
    Undecided,
}

impl<'a> Case<'a> {
    /// The case of a reset.
    pub fn of(joined: &'a Joined, known: Known) -> Self {
        let head = &joined.reset.rst.head;
        let past = joined.reset.flow.as_deref().map(|state| Past::of(state, head.side));
        let form = Form::of(&head.segment, past.as_ref());
        let (sequel, tells) = (Sequel::of(joined), Tells::default());
        let payload = Payload::of(&joined.reset.rst);
        let mut case = Self { joined, known, form, past, sequel, payload, tells };
        case.tells = Tells::of(&case);
        case
    }

    /// The reset itself.
    pub fn segment(&self) -> &'a Segment {
        &self.joined.reset.rst.head.segment
    }

    /// What it says in its payload.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Resets in the same name that came within so many nanoseconds after it.
    pub fn later_resets(&self, within_ns: u64) -> impl Iterator<Item = &'a Rst> {
        let (side, now) = (self.joined.reset.rst.head.side, self.now_ns());
        let resets = self.joined.later_resets.iter().map(|rst| &**rst);
        resets.filter(move |rst| {
            rst.head.side == side && rst.head.time_ns.saturating_sub(now) < within_ns
        })
    }

    /// How long after it each later reset in the receiver's name came, in nanoseconds.
    pub(super) fn resets_of_the_other_side(&self) -> impl Iterator<Item = u64> {
        let (side, now) = (self.joined.reset.rst.head.side, self.now_ns());
        let heads = self.joined.later_resets.iter().map(|rst| &rst.head);
        heads
            .filter(move |head| head.side != side)
            .map(move |head| head.time_ns.saturating_sub(now))
    }

    /// When it was seen, on the clock of the flow.
    pub fn now_ns(&self) -> u64 {
        self.joined.reset.rst.head.time_ns
    }

    /// Whether it travelled over IPv6.
    pub fn is_v6(&self) -> bool {
        self.segment().traits & Segment::IPV6 != 0
    }

    /// The claimed sender in words.
    pub fn sender(&self) -> &'static str {
        match self.known.sent_by {
            SentBy::Client => "the client",
            SentBy::Server => "the server",
            SentBy::Unknown => "the sender",
        }
    }

    /// The receiver in words.
    pub fn receiver(&self) -> &'static str {
        match self.known.sent_by {
            SentBy::Client => "the server",
            SentBy::Server => "the client",
            SentBy::Unknown => "the receiver",
        }
    }

    /// Whether the handshake, or a part that tells who opened it, was seen.
    pub fn saw_the_beginning(&self) -> bool {
        matches!(self.known.initiator, Initiator::Syn | Initiator::SynAck)
    }

    /// Whether what came right before the reset was not recorded.
    pub fn lacks_the_end(&self) -> bool {
        self.past.is_some_and(|past| past.state().hot.has_gap())
    }

    /// The connection, once its handshake was complete.
    pub fn established(&self) -> Option<Past<'a>> {
        use Stage::{Closed, PostAck, PostData, PostFin, PostPush};
        let stages = [PostAck, PostPush, PostData, PostFin, Closed];
        self.past.filter(|_| stages.contains(&self.known.stage))
    }

    /// Nanoseconds since a recorded segment.
    pub fn since(&self, slot: &Slot) -> u64 {
        self.now_ns().saturating_sub(slot.time_ns)
    }

    /// Whether it came as soon behind a segment of the receiver as an answer to it would. What the claimed sender has
    /// acknowledged was taken in, and neither rejected nor met by nobody.
    pub(super) fn answers_at_once(&self) -> bool {
        const MARGIN_NS: u64 = 20_000_000;
        let rtt = self.past.and_then(|past| past.rtt_ns()).unwrap_or(200_000_000);
        let soon = rtt.saturating_mul(2).saturating_add(MARGIN_NS);
        let taken = self.past.and_then(|past| past.turned().their_ack());
        self.trigger().is_some_and(|trigger| {
            let takes_room = trigger.len > 0 || trigger.flags.has(Flags::FIN);
            let was_taken = takes_room && taken.is_some_and(|ack| ack.since(end_of(trigger)) >= 0);
            !was_taken && self.since(trigger) <= soon
        })
    }

    /// By how much the time to live of a host that said nothing else here differs from that of its other
    /// connections.
    pub(super) fn ttl_shift_by_peer(&self) -> Option<i16> {
        let peer = self.crowd().src_peer.filter(|_| !self.made_here())?;
        Some(i16::from(self.segment().ttl) - i16::from(peer.ttl?))
    }

    /// Whether other connections of the claimed sender show that it comes from elsewhere: with another
    /// time to live, or sooner than any answer before.
    pub(super) fn is_elsewhere_by_peer(&self) -> bool {
        let shifted = self.ttl_shift_by_peer().is_some_and(|shift| shift != 0);
        shifted || self.forgery().has("soon_for_peer")
    }

    /// By how much its time to live differs from the usual one of its claimed sender.
    pub fn ttl_shift(&self) -> Option<i16> {
        let usual = self.past?.my_ttl()?;
        Some(i16::from(self.segment().ttl) - i16::from(usual))
    }

    /// TCP or packet filter? Only for answers.
    ///
    /// TCP mirrors the type of service of what it answers and labels its IPv6 answers; the filter
    /// does neither (net/ipv4/tcp_ipv4.c, net/ipv4/netfilter/nf_reject_ipv4.c; the IPv6 twins).
    pub fn maker(&self) -> Maker {
        const NOT_ECN: u8 = 0xfc;
        let (segment, trigger) = (self.segment(), self.trigger());
        match self.author() {
            Author::Tcp(_) => return Maker::Stack,
            Author::Filter(_) => return Maker::Filter,
            Author::Program | Author::Untold => {}
        }
        if !self.form.is_passive() {
            return Maker::Undecided;
        }
        if self.is_v6() && self.segment().tunnel == Tunnel::NONE {
            let sender = self.past.filter(|past| past.mine().ttl != 0);
            let labels = sender.is_none_or(|past| past.my_facts().flow_label != 0);
            return match segment.flow_label {
                0 if labels && Form::is_written_by_linux(segment) => Maker::Filter,
                0 => Maker::Undecided,
                _ => Maker::Stack,
            };
        }
        match trigger.map(|slot| slot.tos & NOT_ECN) {
            None | Some(0) => Maker::Undecided,
            Some(asked) if segment.tos & NOT_ECN == asked => Maker::Stack,
            Some(_) if segment.tos == 0 && Form::is_written_by_linux(segment) => Maker::Filter,
            Some(_) => Maker::Undecided,
        }
    }

    /// What shows the maker, as a reason.
    pub fn maker_evidence(&self) -> Option<Evidence> {
        let tos = self.trigger().map_or(0, |slot| slot.tos);
        let label = self.segment().flow_label;
        if self.author() != Author::Untold {
            return None; // Said in the kernel's own words.
        }
        match (self.maker(), self.is_v6()) {
            (Maker::Undecided, _) => None,
            (Maker::Stack, true) => {
                let text = format!("its IPv6 flow label is {label:#x}, as TCP itself sets one");
                Some(reason("flow_label", 1.0, text))
            }
            (Maker::Filter, true) => {
                let text = "its IPv6 flow label is 0: a packet filter sets none, TCP does";
                Some(reason("flow_label", 1.5, text))
            }
            (Maker::Stack, false) => {
                let text = format!("it mirrors the type of service {tos:#04x}, as TCP itself does");
                Some(reason("tos_mirrored", 1.5, text))
            }
            (Maker::Filter, false) => {
                let text = format!(
                    "its type of service is 0 although the segment it answers had {tos:#04x}: \
                     a packet filter does not mirror it, TCP does"
                );
                Some(reason("tos_zero", 1.5, text))
            }
        }
    }

    /// Whether no router was passed although the addresses belong to different networks, here where the receiver itself
    /// stands or all that it sends passes no router before: something on this link answered. In networks whose routers
    /// do not count the time to live down (clouds have such), other connections of the claimed sender come fresh, too.
    pub fn made_on_this_link(&self) -> bool {
        let segment = self.segment();
        let before_the_receiver =
            matches!(self.known.role, LocalRole::Receiver | LocalRole::Observer);
        let at_receiver = before_the_receiver
            && self.past.and_then(|past| past.turned().my_ttl()).is_some_and(ttl::is_fresh)
            && self.ttl_shift_by_peer() != Some(0);
        let (src, dst) = (segment.src.address.to_ip(), segment.dst.address.to_ip());
        at_receiver && ttl::is_fresh(segment.ttl) && !same_network(src, dst)
    }

    /// What the kernel of this host said about it.
    pub fn testimony(&self) -> &'a Testimony {
        &self.joined.testimony
    }

    /// What happened around it on other connections.
    pub fn crowd(&self) -> &'a Crowd {
        &self.joined.crowd
    }

    /// What speaks for and against another hand than the claimed sender's.
    pub fn forgery(&self) -> &Tells {
        &self.tells
    }
}

/// Whether two addresses are likely to be on one link: the same /24 or /64, or link-local.
fn same_network(a: IpAddr, b: IpAddr) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => a.to_bits() >> 8 == b.to_bits() >> 8,
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            a.to_bits() >> 64 == b.to_bits() >> 64 || a.is_unicast_link_local()
        }
        _ => false,
    }
}
