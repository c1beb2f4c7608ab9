//! Holds what a tracer said against what was really done.
//!
//! In: a scenario's ground truth, the events of a vantage point, and an independent count of the
//! frames there. Out: per connection, what was missed or reported too often.

use super::{
    lab::{Lab, Place},
    netns::Netns,
    truth::{Connection, Reset},
};
use crate::event::{Endpoint, RstEvent};

/// Where a tracer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Vantage {
    /// On the client.
    Client,
    /// On the router between them: it sees every reset.
    #[default]
    Router,
    /// On the server.
    Server,
}

impl Vantage {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Client, Self::Router, Self::Server];

    /// The namespace.
    pub fn netns(self, lab: &Lab) -> &Netns {
        match self {
            Self::Client => &lab.client,
            Self::Router => &lab.router,
            Self::Server => &lab.server,
        }
    }

    /// The interfaces.
    pub fn places(self) -> &'static [Place] {
        match self {
            Self::Client => &[Place::Client],
            Self::Router => &[Place::RouterClientSide, Place::RouterServerSide],
            Self::Server => &[Place::Server],
        }
    }

    /// Whether a reset passes here.
    pub fn sees(self, reset: &Reset) -> bool {
        reset.path().iter().any(|(place, _)| self.places().contains(place))
    }
}

/// One connection as a vantage point saw it.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// The resets that pass here, in order.
    pub expected: Vec<&'a Reset>,
    /// The events about this connection, in order.
    pub events: Vec<&'a RstEvent>,
    /// RSTs that an AF_PACKET socket counted at this host's interfaces.
    pub on_the_wire: usize,
}

impl<'a> Comparison<'a> {
    /// Collects what belongs to one connection.
    pub fn of(
        connection: &'a Connection,
        vantage: Vantage,
        lab: &Lab,
        events: &'a [RstEvent],
    ) -> Self {
        let (client, server) = (Endpoint::from(connection.client), connection.server.into());
        let belongs = |e: &&RstEvent| {
            (e.src, e.dst) == (client, server) || (e.src, e.dst) == (server, client)
        };
        let resets_at = |place: &Place| {
            let segments = lab.sniffer(*place).segments(connection);
            segments.iter().filter(|sighting| sighting.segment.flags & RST != 0).count()
        };
        Self {
            expected: connection.resets.iter().filter(|reset| vantage.sees(reset)).collect(),
            events: events.iter().filter(belongs).collect(),
            on_the_wire: vantage.places().iter().map(resets_at).sum(),
        }
    }

    /// What is wrong with the count, in words; `None` when every RST on the wire is exactly one
    /// event, with all its sightings.
    pub fn miscount(&self) -> Option<String> {
        let sightings: usize = self.events.iter().map(|e| e.sightings.len().max(1)).sum();
        if self.events.len() == self.expected.len() && sightings == self.on_the_wire {
            return None;
        }
        Some(format!(
            "{} resets provoked, {} events; {} RSTs counted on the wire, {sightings} reported",
            self.expected.len(),
            self.events.len(),
            self.on_the_wire
        ))
    }
}

const RST: u8 = 4;
