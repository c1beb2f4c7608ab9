//! Who on this host wrote the reset, as its kernel tells or by its silence betrays.
//!
//! Linux' TCP announces every reset that it sends (`tcp_send_reset`, for all of them from 6.10); a
//! packet filter and a raw socket do not. Where TCP would have spoken and did not, another hand
//! wrote the reset, and what became of the segment that it answers says which.

use super::Case;
use crate::{correlate::SendReset, event::LocalRole, source::Notice};

/// The hand on this host that wrote a reset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Author<'a> {
    /// This kernel's TCP, and what it said.
    Tcp(&'a Notice),
    /// A packet filter of this host: it dropped the segment that the reset answers.
    Filter(&'a Notice),
    /// Neither: a raw socket, a packet socket or a BPF program.
    Program,
    /// It was not written here, or this kernel does not tell.
    Untold,
}

impl<'a> Case<'a> {
    /// Who on this host wrote it.
    pub fn author(&self) -> Author<'a> {
        let testimony = self.testimony();
        if let Some(sent) = &testimony.sent {
            return Author::Tcp(sent);
        }
        if self.known.role != LocalRole::Sender {
            return Author::Untold;
        }
        let trigger = testimony.trigger_dropped.as_ref();
        if let Some(drop) = trigger.filter(|drop| drop.is_because("NETFILTER_DROP")) {
            // What netfilter dropped never came to TCP, whether or not TCP would have spoken.
            return Author::Filter(drop);
        }
        let tells = testimony.witnesses;
        if tells.send_reset != SendReset::Always || !tells.drops {
            // Without that witness a filter cannot be told from a program.
            return Author::Untold;
        }
        Author::Program
    }

    /// What this kernel's TCP said when it sent the reset.
    pub(super) fn sent(&self) -> Option<&'a Notice> {
        match self.author() {
            Author::Tcp(sent) => Some(sent),
            _ => None,
        }
    }

    /// Whether this kernel shows that neither side's TCP wrote it: this host's packet filter did, or
    /// something on this host in another's name.
    pub(super) fn no_endpoint_wrote_it(&self) -> bool {
        matches!(self.author(), Author::Filter(_))
            || self.author() == Author::Program && self.wrote_for_another()
    }

    /// Whether this host wrote it in the name of an address that is not its own.
    pub(super) fn wrote_for_another(&self) -> bool {
        self.known.role == LocalRole::Sender && self.known.src_is_local == Some(false)
    }

    /// Whether this host's packet filter is the one of an endpoint: it wrote in the name of an address of this host,
    /// or to one, because it rejects what this host itself sends.
    pub(super) fn filters_for_itself(&self) -> bool {
        !self.wrote_for_another() || self.rejects_its_own()
    }

    /// Whether this host wrote it in the name of another, and to itself: its packet filter rejects on the way out
    /// (`iptables -A OUTPUT … -j REJECT --reject-with tcp-reset`).
    pub(super) fn rejects_its_own(&self) -> bool {
        self.wrote_for_another() && self.known.dst_is_local == Some(true)
    }
}
