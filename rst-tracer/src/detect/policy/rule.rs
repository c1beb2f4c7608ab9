//! A rule: which resets it is about, and what it expects of them.

use std::{ops::RangeInclusive, time::Duration};

use ipnet::IpNet;

use crate::event::{
    Cause, Class, Direction, Endpoint, Expect, Origin, PolicyVerdict, RstEvent, SentBy,
};

/// One rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it is called; no other rule is.
    pub name: String,
    /// Which resets it is about.
    pub matches: Match,
    /// What it expects of them.
    pub expects: Expectation,
}

/// What must hold of a reset. An empty list holds of every one; of others one item must.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Address of the side that opened the connection.
    pub client: Vec<IpNet>,
    /// Address of the side that was connected to.
    pub server: Vec<IpNet>,
    /// Address of either side, also where it is not known which side is which.
    pub net: Vec<IpNet>,
    /// Port of the server.
    pub port: Vec<RangeInclusive<u16>>,
    /// Class of the cause.
    pub class: Vec<Class>,
    /// Cause.
    pub cause: Vec<Cause>,
    /// In whose name it travels.
    pub sent_by: Vec<SentBy>,
    /// What really sent it.
    pub origin: Vec<Origin>,
    /// Name of the local process, or a glob.
    pub process: Vec<String>,
    /// Direction at the interface.
    pub direction: Vec<Direction>,
    /// Name of the interface, or a glob.
    pub interface: Vec<String>,
}

/// What a rule expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// A firewall denies these connections.
    Denied,
    /// Resets are part of how things work.
    Harmless,
    /// There is none.
    Never,
    /// No more than so many within this time.
    AtMost {
        /// How many.
        resets: usize,
        /// Within which time.
        within: Duration,
    },
}

impl Match {
    /// Whether it holds of this reset.
    pub(super) fn holds(&self, event: &RstEvent) -> bool {
        let is_in = |nets: &[IpNet], end: Endpoint| nets.iter().any(|net| net.contains(&end.ip));
        let side = |nets: &[IpNet], end: Option<Endpoint>| {
            nets.is_empty() || end.is_some_and(|end| is_in(nets, end))
        };
        let port = event.server.map(|server| server.port);
        side(&self.client, event.client)
            && side(&self.server, event.server)
            && (side(&self.net, Some(event.src)) || side(&self.net, Some(event.dst)))
            && (self.port.is_empty()
                || port.is_some_and(|port| self.port.iter().any(|range| range.contains(&port))))
            && any(&self.class, Some(event.class))
            && any(&self.cause, Some(event.cause))
            && any(&self.sent_by, Some(event.sent_by))
            && any(&self.origin, Some(event.origin))
            && named(&self.process, event.process.as_ref().map(|process| process.name.as_str()))
            && any(&self.direction, event.direction)
            && named(&self.interface, event.interface.as_deref())
    }
}

fn any<T: PartialEq>(wanted: &[T], one: Option<T>) -> bool {
    wanted.is_empty() || one.is_some_and(|one| wanted.contains(&one))
}

fn named(patterns: &[String], name: Option<&str>) -> bool {
    let is_like = |name: &str| patterns.iter().any(|p| glob_match::glob_match(p, name));
    patterns.is_empty() || name.is_some_and(is_like)
}

impl Expectation {
    /// As events have it.
    pub const fn kind(self) -> Expect {
        match self {
            Self::Denied => Expect::Denied,
            Self::Harmless => Expect::Harmless,
            Self::Never => Expect::Never,
            Self::AtMost { .. } => Expect::AtMost,
        }
    }
}

impl Expect {
    /// The verdicts that a rule which expects this can come to.
    pub const fn verdicts(self) -> &'static [PolicyVerdict] {
        use PolicyVerdict::{AsConfigured, Expected, Unclear, Violated};
        match self {
            Self::Denied => &[AsConfigured, Violated, Unclear],
            Self::Harmless => &[Expected],
            Self::Never => &[Violated],
            Self::AtMost => &[Expected, Violated],
        }
    }
}
