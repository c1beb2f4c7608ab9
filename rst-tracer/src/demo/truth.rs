//! What is true about a provoked reset because we provoked it.
//!
//! In: what a scenario did. Out: endpoints, the true sender of each reset, the stage, the cause,
//! and where in the laboratory the reset must and must not be visible.

use std::fmt;
use std::net::SocketAddr;

use super::lab::Place;
use super::sniffer::Direction;

/// The two families; every scenario exists in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
        })
    }
}

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that opened it.
    Client,
    /// The one that was called.
    Server,
}

/// Which host put a reset on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The client's.
    Client,
    /// The server's.
    Server,
    /// The router, with this side's address as the source.
    RouterOnBehalfOf(Side),
    /// A fourth host behind the router that is on no path between the two, with this side's
    /// address as the source.
    StrangerOnBehalfOf(Side),
}

impl Sender {
    /// The side whose address the reset bears as its source.
    pub fn claimed(self) -> Side {
        match self {
            Self::Client => Side::Client,
            Self::Server => Side::Server,
            Self::RouterOnBehalfOf(side) | Self::StrangerOnBehalfOf(side) => side,
        }
    }

    /// The side that did send it, if one of the two did.
    pub fn genuine(self) -> Option<Side> {
        match self {
            Self::Client => Some(Side::Client),
            Self::Server => Some(Side::Server),
            Self::RouterOnBehalfOf(_) | Self::StrangerOnBehalfOf(_) => None,
        }
    }
}

/// What on the sending host made the reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// Its TCP.
    Stack,
    /// A firewall rule in it.
    Netfilter,
    /// A program that writes frames.
    Injector,
}

/// Where a reset comes from, as coarsely as the event contract tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The TCP (or a program) of one of the two hosts.
    Endpoint,
    /// A packet filter on one of the two hosts.
    HostFirewall,
    /// Anything else.
    Middlebox,
}

/// How far the connection had come when the reset passed, by the event contract's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing of a handshake was seen before it.
    NoFlow,
    /// Only SYNs.
    PostSyn,
    /// A SYN-ACK, but not the ACK that completes the handshake.
    PostSynack,
    /// The handshake, and no data.
    PostAck,
    /// One segment of data.
    PostPush,
    /// More than one, whichever the direction.
    PostData,
    /// A FIN.
    PostFin,
    /// Both FINs acknowledged, or an earlier reset.
    Closed,
}

impl Stage {
    /// The name in the event contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoFlow => "no_flow",
            Self::PostSyn => "post_syn",
            Self::PostSynack => "post_synack",
            Self::PostAck => "post_ack",
            Self::PostPush => "post_push",
            Self::PostData => "post_data",
            Self::PostFin => "post_fin",
            Self::Closed => "closed",
        }
    }
}

/// What a reset did to the side that received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It ended the connection there, or there was nothing left to end.
    Accepted,
    /// It was answered with a challenge ACK (RFC 5961) and otherwise ignored.
    Challenged,
    /// It was ignored.
    Ignored,
    /// It was lost on the way.
    Lost,
}

/// One reset that was provoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// Who put it on the wire.
    pub sender: Sender,
    /// What made it there.
    pub maker: Maker,
    /// How far the connection had come.
    pub stage: Stage,
    /// Class id of the taxonomy.
    pub class: &'static str,
    /// Cause id of the taxonomy.
    pub cause: &'static str,
    /// Causes that are just as true as `cause`: the scenario did both.
    pub also: &'static [&'static str],
    /// What it did.
    pub effect: Effect,
    /// The side in whose name it was forged refutes it on the wire: by a segment that passes
    /// where the reset passed and that it could not have sent after such a reset. Of a host's own
    /// packet filter this proves only that the host's TCP did not send it.
    pub proof_available: bool,
}

impl Reset {
    /// A reset by `sender`'s own TCP that took effect.
    pub fn by(sender: Sender, stage: Stage, (class, cause): (&'static str, &'static str)) -> Self {
        Self {
            sender,
            maker: Maker::Stack,
            stage,
            class,
            cause,
            also: &[],
            effect: Effect::Accepted,
            proof_available: false,
        }
    }

    /// The same, made by something other than TCP.
    pub fn made_by(self, maker: Maker) -> Self {
        Self { maker, ..self }
    }

    /// The same, with another effect.
    pub fn with_effect(self, effect: Effect) -> Self {
        Self { effect, ..self }
    }

    /// The same, of which other causes are just as true.
    pub fn or_as_truly(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }

    /// The same, refuted on the wire by the side in whose name it was forged.
    pub fn refuted(self) -> Self {
        Self { proof_available: true, ..self }
    }

    /// Where it comes from.
    pub fn source(&self) -> Source {
        match (self.sender.genuine(), self.maker) {
            (None, _) => Source::Middlebox,
            (Some(_), Maker::Netfilter) => Source::HostFirewall,
            (Some(_), Maker::Stack | Maker::Injector) => Source::Endpoint,
        }
    }

    /// Where this reset is visible, in the order in which it passes.
    pub fn path(&self) -> &'static [(Place, Direction)] {
        use Direction::{In, Out};
        use Place::{Client, RouterClientSide, RouterServerSide, Server};
        let whole: &[_] = match self.sender {
            Sender::Client => {
                &[(Client, Out), (RouterClientSide, In), (RouterServerSide, Out), (Server, In)]
            }
            Sender::Server => {
                &[(Server, Out), (RouterServerSide, In), (RouterClientSide, Out), (Client, In)]
            }
            Sender::RouterOnBehalfOf(Side::Server) | Sender::StrangerOnBehalfOf(Side::Server) => {
                &[(RouterClientSide, Out), (Client, In)]
            }
            Sender::RouterOnBehalfOf(Side::Client) | Sender::StrangerOnBehalfOf(Side::Client) => {
                &[(RouterServerSide, Out), (Server, In)]
            }
        };
        // A lost reset got as far as the router, whose rule ate it.
        if self.effect == Effect::Lost { &whole[..2] } else { whole }
    }
}

/// One connection of a scenario and all resets in it, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Who opened it, or claimed to.
    pub client: SocketAddr,
    /// Who was called.
    pub server: SocketAddr,
    /// The resets provoked; none if the connection only stood by.
    pub resets: Vec<Reset>,
}

impl Connection {
    /// A connection without resets so far.
    pub fn between(client: SocketAddr, server: SocketAddr) -> Self {
        Self { client, server, resets: Vec::new() }
    }

    /// The address of a side.
    pub fn address(&self, side: Side) -> SocketAddr {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }
}

/// What a scenario did, for comparison with what a tracer says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroundTruth {
    /// The connections; those that matter first.
    pub connections: Vec<Connection>,
    /// What was awaited before the scenario counted as done, in words.
    pub done: &'static str,
}

impl GroundTruth {
    /// The connection that the scenario is about.
    ///
    /// # Panics
    /// Never for a truth from the catalogue: each has a connection.
    pub fn subject(&self) -> &Connection {
        &self.connections[0]
    }

    /// Number of resets provoked, over all connections.
    pub fn resets(&self) -> usize {
        self.connections.iter().map(|connection| connection.resets.len()).sum()
    }
}
