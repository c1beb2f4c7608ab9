//! Joins what belongs to one reset: its sightings at several hooks, and what the flow did after it.
//!
//! In: records in the order of the source, and the time. Out: [`Joined`] resets, each once, when
//! nothing more is awaited for it, and the event that describes each. No clock: replay passes
//! capture time.

mod bounded;
mod crowd;
mod describe;
mod early;
mod hearing;
mod pending;
mod settled;
#[cfg(test)]
pub(crate) mod story;
mod testimony;
#[cfg(test)]
mod tests;

pub(crate) use bounded::Bounded;
pub use crowd::Peer;
pub(crate) use crowd::is_bound;
pub(crate) use describe::app::{at_odds, greets};
pub use describe::{Scene, describe};
pub use pending::{Correlator, Rules};
pub use testimony::{Crowd, SendReset, Testimony, Witnesses};

use std::sync::Arc;

use rst_tracer_common::event::Rst;

use crate::{
    event::Process,
    source::{After, Reset},
};

/// One reset with everything that belongs to it.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The first sighting.
    pub reset: Reset,
    /// Further sightings of the same RST at other hooks of this host.
    pub sightings: Vec<Reset>,
    /// Segments of the same flow after it, in order, the first few of them. Shared: a flow may have many resets that wait.
    pub aftermath: Vec<Arc<After>>,
    /// Resets of the same flow that came after it, likewise.
    pub later_resets: Vec<Arc<Rst>>,
    /// What the kernel of this host said about it.
    pub testimony: Testimony,
    /// The process of this host that the connection belongs to, if that is certain.
    pub process: Option<Process>,
    /// Whether a listening socket of this host is known at the source (`true`: the source is the
    /// server) or at the destination (`false`) of the reset.
    pub listens: Option<bool>,
    /// What happened around it on other connections.
    pub crowd: Crowd,
}

impl Joined {
    /// A reset about which nothing else is known yet.
    pub fn new(reset: Reset) -> Self {
        let crowd = Crowd { accepted_ago_ns: reset.accepted_ago_ns(), ..Crowd::default() };
        Self {
            reset,
            sightings: Vec::new(),
            aftermath: Vec::new(),
            later_resets: Vec::new(),
            testimony: Testimony::default(),
            process: None,
            listens: None,
            crowd,
        }
    }

    /// The network namespaces of this kernel in which the source and the destination of the reset
    /// are, as far as they are known to be in one: the tracer's own, `own`, by where the reset was
    /// seen; others by what the kernel said.
    pub fn namespaces(&self, own: u32) -> [Option<u32>; 2] {
        let said = [&self.testimony.sent, &self.testimony.received];
        let here = hearing::ends_here(self);
        std::array::from_fn(|end| {
            let said = said[end].as_ref().map(|notice| notice.wire.netns);
            said.or(here[end].then_some(own))
        })
    }
}
