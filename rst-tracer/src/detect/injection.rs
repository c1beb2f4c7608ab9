//! Injection campaigns: forged resets on one connection after another.
//!
//! One forged reset may be a slip of the rules; forged ones on many connections within a minute have a maker. What they
//! have in common (a server, a client, a port, the TTL that they came with) leads to it.

use std::{fmt, net::IpAddr};

use super::{
    Detector,
    spell::{Ongoing, SECOND, Spell, Spells, Subject, Words, some, span},
    window::Window,
};
use crate::event::{Cause, Endpoint, Finding, FindingKind, Origin, RstEvent, Severity, Source};

/// So many connections are a campaign: of those where it is proven, and of all.
const PROVEN: usize = 3;
const SUSPECTED: usize = 5;
const WIDTH: u64 = 60 * SECOND;
const MOST: usize = 64;
/// How many addresses are counted.
const NAMES: usize = 64;
/// A suspicion counts from this confidence on, in percent.
const SURE: u8 = 50;

#[derive(Default)]
pub(super) struct Injections {
    lately: Window<Forged, MOST>,
    ongoing: Ongoing<Campaign>,
}

/// A forged reset.
#[derive(Clone, Copy)]
struct Forged {
    src: Endpoint,
    dst: Endpoint,
    server: Option<Endpoint>,
    ttl: u8,
    is_proven: bool,
}

/// A connection counts once.
impl PartialEq for Forged {
    fn eq(&self, other: &Self) -> bool {
        [self.src, self.dst] == [other.src, other.dst]
            || [self.dst, self.src] == [other.src, other.dst]
    }
}

/// What all have in common so far; `None` once two differ.
struct Campaign {
    resets: u64,
    proven: u64,
    server: Option<IpAddr>,
    client: Option<IpAddr>,
    port: Option<u16>,
    ttl: Option<u8>,
    /// In whose names they came.
    names: Vec<(IpAddr, u64)>,
}

/// There is one at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OfAll;

impl fmt::Display for OfAll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all")
    }
}

impl Detector for Injections {
    fn see(&mut self, event: &RstEvent, now: u64, out: &mut Vec<Finding>) {
        let Some(forged) = forged(event) else { return };
        if let Some(campaign) = self.ongoing.go_on(&OfAll, now) {
            return campaign.take(&forged);
        }
        self.lately.see(now, WIDTH, forged);
        let proven = self.lately.iter().filter(|forged| forged.is_proven).count();
        if proven < PROVEN && self.lately.len() < SUSPECTED {
            return;
        }
        let mut campaign = Campaign::of(&forged);
        self.lately.iter().for_each(|forged| campaign.take(forged));
        let began = self.lately.began();
        self.lately.clear();
        self.ongoing.begin(OfAll, began, now, campaign, out);
    }

    fn ongoing(&mut self) -> &mut dyn Spells {
        &mut self.ongoing
    }
}

fn forged(event: &RstEvent) -> Option<Forged> {
    use Cause::{BlindResetAttempt, DpiBlock, InjectedReset, IpsActiveResponse};
    let is_proven = event.origin == Origin::MiddleboxProven;
    let is_suspected =
        event.origin == Origin::MiddleboxSuspected && event.confidence.percent() >= SURE;
    let is_ours =
        matches!(event.cause, InjectedReset | IpsActiveResponse | DpiBlock | BlindResetAttempt);
    let (src, dst, server, ttl) = (event.src, event.dst, event.server, event.segment.ttl);
    (is_ours && (is_proven || is_suspected)).then_some(Forged { src, dst, server, ttl, is_proven })
}

impl Campaign {
    fn of(first: &Forged) -> Self {
        let client =
            |server: Endpoint| if server == first.src { first.dst.ip } else { first.src.ip };
        Self {
            resets: 0,
            proven: 0,
            server: first.server.map(|server| server.ip),
            client: first.server.map(client),
            port: first.server.map(|server| server.port),
            ttl: Some(first.ttl),
            names: Vec::new(),
        }
    }

    fn take(&mut self, forged: &Forged) {
        let other = Self::of(forged);
        self.resets += 1;
        self.proven += u64::from(forged.is_proven);
        self.server = self.server.filter(|server| other.server == Some(*server));
        self.client = self.client.filter(|client| other.client == Some(*client));
        self.port = self.port.filter(|port| other.port == Some(*port));
        self.ttl = self.ttl.filter(|ttl| other.ttl == Some(*ttl));
        let room = self.names.len() < NAMES;
        match self.names.iter_mut().find(|(name, _)| *name == forged.src.ip) {
            Some((_, n)) => *n += 1,
            None if room => self.names.push((forged.src.ip, 1)),
            None => {}
        }
    }

    /// What all have in common.
    fn common(&self) -> String {
        let server = match (self.server, self.port) {
            (Some(ip), Some(port)) => Some(format!("to {}", Endpoint { ip, port })),
            (Some(ip), None) => Some(format!("to {ip}")),
            (None, Some(port)) => Some(format!("to port {port}")),
            (None, None) => None,
        };
        let client = self.client.map(|client| format!("of {client}"));
        let ttl = self.ttl.map(|ttl| format!("with TTL {ttl} where they were seen"));
        let all: Vec<_> = [client, server, ttl].into_iter().flatten().collect();
        match all.is_empty() {
            true => "they have no address, port or TTL in common".to_owned(),
            false => format!("all on connections {}", all.join(" ")),
        }
    }
}

impl Subject for Campaign {
    type Key = OfAll;
    const KIND: FindingKind = FindingKind::InjectionCampaign;
    const QUIET: u64 = WIDTH;

    fn say(&self, _: &OfAll, spell: &Spell) -> Words {
        let forged = some(usize::try_from(self.resets).unwrap_or(usize::MAX), "forged reset");
        Words {
            severity: Severity::High,
            text: format!(
                "{forged} in {}, {} of them proven; {}: look for what stands between the two ends",
                span(spell.lasted()),
                self.proven,
                self.common()
            ),
            counts: vec![
                ("duration_ms", spell.lasted() / 1_000_000),
                ("proven", self.proven),
                ("rsts", self.resets),
            ],
            sources: self
                .names
                .iter()
                .map(|&(ip, resets)| Source { ip, port: None, resets })
                .collect(),
        }
    }
}
