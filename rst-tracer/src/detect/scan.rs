//! Port scans: one address asks for many services in vain.
//!
//! A refused connection counts, and one that its client leaves as scanners do, if its SYN was seen: a reset alone
//! proves nobody's question, and whoever answers a scan in others' names must not be called the scanner. How many are
//! too many is taken from Zeek (`policy/misc/scan.zeek`): 15 ports of one host, or one port of 25 hosts, in five minutes.
//!
//! Who calls through his TCP may also be a client whose servers are down. So a service that accepted lately is none that
//! somebody looks for; one port of many hosts counts within one network only, and after two minutes in which few of them were
//! asked again: crawlers and peers go far, and clients try again. SYNs that no TCP writes need no such doubt.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{
    Bounded, Detector, named,
    spell::{Ongoing, SECOND, Spell, Spells, Subject, Words, some, span},
    window::Window,
};
use crate::event::{Endpoint, Finding, FindingKind, LocalRole, RstEvent, Severity, Source};

mod asked;
mod doubt;

use asked::{Asked, Sign};

const PORTS: usize = 15;
const HOSTS: usize = 25;
/// So many services of any hosts, asked for with SYNs that no TCP writes.
const SERVICES: usize = 40;
const WIDTH: u64 = 300 * SECOND;
/// So long it is waited whether a client asks again.
const DOUBT: u64 = 120 * SECOND;
/// How many who ask in vain are remembered, and how many of what each asked for.
const MOST: usize = 1_024;
const MOST_ASKED: usize = 100;
/// A scan's hosts and ports are told apart up to so many of each...
const MOST_TOLD: usize = 4_096;
/// ...and who asks from one network up to so many.
const MOST_ASKERS: usize = 64;

pub(super) struct Scans {
    askers: Bounded<IpAddr, Window<Asked, MOST_ASKED>>,
    /// When services were last seen to accept a connection.
    accepted: Bounded<Endpoint, u64>,
    doubts: doubt::Doubts,
    ongoing: Ongoing<Scan>,
}

/// What a scan has found so far.
#[derive(Default)]
struct Scan {
    resets: u64,
    refusals: u64,
    /// Who asks, and how many resets that brought.
    by: BTreeMap<IpAddr, u64>,
    hosts: BTreeSet<IpAddr>,
    ports: BTreeSet<u16>,
    open: BTreeSet<Endpoint>,
    is_raw: bool,
    by_this_host: bool,
    process: Option<String>,
}

impl Default for Scans {
    fn default() -> Self {
        Self {
            askers: Bounded::new(MOST),
            accepted: Bounded::new(MOST_TOLD),
            doubts: doubt::Doubts::default(),
            ongoing: Ongoing::default(),
        }
    }
}

impl Detector for Scans {
    fn see(&mut self, event: &RstEvent, now: u64, out: &mut Vec<Finding>) {
        let Some(mut asked) = Asked::of(event) else { return };
        let accepted = self.accepted.get(&asked.server).copied();
        let accepts = accepted.is_some_and(|then| now.saturating_sub(then) <= WIDTH);
        if accepts && !asked.is_open() {
            return;
        }
        let asker = asked::asker(asked.by);
        if let Some(scan) = self.ongoing.go_on(&asker, now) {
            return scan.take(event, &asked);
        }
        let is_doubted = self.doubts.take(asker, &asked, event);
        let lately = self.askers.at(asker, Window::default);
        if let Some(before) = lately.iter().find(|before| **before == asked) {
            asked.first = before.first;
        }
        lately.see(now, WIDTH, asked);
        match asked::sign(lately.iter(), &asked) {
            None => {}
            Some(Sign::Doubtful) if is_doubted => {}
            Some(Sign::Doubtful) => {
                self.doubts.begin((asker, asked.server.port), now, lately.iter(), event);
            }
            Some(Sign::Sure) => {
                let mut scan = Scan::default();
                lately.iter().for_each(|asked| scan.take(event, asked));
                let began = lately.began();
                lately.clear();
                self.ongoing.begin(asker, began, now, scan, out);
            }
        }
    }

    fn accepts(&mut self, server: Endpoint, time: u64) {
        *self.accepted.at(server, || time) = time;
    }

    fn ongoing(&mut self) -> &mut dyn Spells {
        self
    }
}

impl Spells for Scans {
    fn look(&mut self, now: u64, out: &mut Vec<Finding>) {
        self.settle(now, now, out);
        self.ongoing.look(now, out);
    }

    fn end(&mut self, now: u64, out: &mut Vec<Finding>) {
        self.settle(u64::MAX, now, out);
        self.ongoing.end(now, out);
    }
}

impl Scans {
    /// Tells of those who are doubted until `until` and did scan.
    fn settle(&mut self, until: u64, now: u64, out: &mut Vec<Finding>) {
        for (asker, doubt) in self.doubts.settle(until) {
            if self.ongoing.get(&asker).is_none() {
                self.ongoing.begin_late(asker, (doubt.began, doubt.seen), now, doubt.scan, out);
            }
        }
    }
}

impl Scan {
    fn take(&mut self, event: &RstEvent, asked: &Asked) {
        self.resets += 1;
        self.refusals += u64::from(!asked.is_open());
        self.is_raw |= asked.is_raw;
        if self.by.len() < MOST_ASKERS || self.by.contains_key(&asked.by) {
            *self.by.entry(asked.by).or_default() += 1;
        }
        if self.hosts.len() < MOST_TOLD {
            self.hosts.insert(asked.server.ip);
        }
        self.ports.insert(asked.server.port);
        if asked.is_open() && self.open.len() < MOST_TOLD {
            self.open.insert(asked.server);
        }
        let by_client = Some(event.src) == event.client;
        let asks_from_here = match event.local_role {
            LocalRole::Sender => by_client,
            LocalRole::Receiver => !by_client,
            LocalRole::Forwarder | LocalRole::Observer => false,
        };
        self.by_this_host |= asks_from_here;
        if asks_from_here && self.process.is_none() {
            self.process = event.process.as_ref().map(named);
        }
    }

    /// Who asks, in words.
    fn who(&self, asker: &IpAddr) -> String {
        let who = match (self.by.first_key_value(), self.by.len()) {
            (Some((only, _)), 1) => only.to_string(),
            (_, MOST_ASKERS..) => format!("{asker}/64 (at least {MOST_ASKERS} addresses)"),
            (_, n) => format!("{asker}/64 ({n} addresses)"),
        };
        match (self.by_this_host, &self.process) {
            (true, Some(process)) => format!("{who}, this host, by {process},"),
            (true, None) => format!("{who}, this host,"),
            (false, _) => who,
        }
    }

    /// What was found, in words: of some questions nothing is known, as no reset ended them.
    fn found(&self) -> String {
        let refusals = match self.refusals {
            0 => "no refusal was seen".to_owned(),
            n => some(usize::try_from(n).unwrap_or(usize::MAX), "refusal"),
        };
        match (self.open.len(), self.hosts.len()) {
            (0, _) => refusals,
            (n @ 1..=8, 1) => {
                let ports = list(self.open.iter().map(|open| open.port));
                format!("{refusals}, {n} open: {ports}")
            }
            (n @ 1..=8, _) => format!("{refusals}, {n} open: {}", list(self.open.iter())),
            (n, _) => format!("{refusals}, {n} open"),
        }
    }
}

impl Subject for Scan {
    type Key = IpAddr;
    const KIND: FindingKind = FindingKind::PortScan;
    const QUIET: u64 = 60 * SECOND;

    fn say(&self, asker: &IpAddr, spell: &Spell) -> Words {
        let hosts = match (self.hosts.first(), self.hosts.len()) {
            (Some(only), 1) => only.to_string(),
            (_, MOST_TOLD..) => format!("at least {MOST_TOLD} hosts"),
            (_, n) => some(n, "host"),
        };
        let ports = match (self.ports.first(), self.ports.len()) {
            (Some(only), 1) => format!("port {only}"),
            (_, n) => some(n, "port"),
        };
        Words {
            // Somebody on this host may have been taken over.
            severity: match self.by_this_host && self.is_raw {
                true => Severity::High,
                false => Severity::Medium,
            },
            text: format!(
                "{} tried {ports} of {hosts} in {}; {}",
                self.who(asker),
                span(spell.lasted()),
                self.found()
            ),
            counts: vec![
                ("duration_ms", spell.lasted() / 1_000_000),
                ("hosts", self.hosts.len() as u64),
                ("ports", self.ports.len() as u64),
                ("open", self.open.len() as u64),
                ("rsts", self.resets),
            ],
            sources: self
                .by
                .iter()
                .map(|(&ip, &resets)| Source { ip, port: None, resets })
                .collect(),
        }
    }
}

fn list(items: impl Iterator<Item = impl ToString>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
