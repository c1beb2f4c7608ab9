//! Port scans: one address asks for many services in vain.
//!
//! A refused connection counts, and one that its client leaves as scanners do, if its SYN was seen: a reset alone
//! proves nobody's question, and whoever answers a scan in others' names must not be called the scanner. How many are
//! too many is taken from Zeek (`policy/misc/scan.zeek`): 15 ports of one host, or one port of 25 hosts, in five minutes.

use std::{collections::BTreeSet, net::IpAddr};

use super::{
    Bounded, Detector, named,
    spell::{Ongoing, SECOND, Spell, Spells, Subject, Words, some, span},
    window::Window,
};
use crate::event::{
    Cause, ConnState, Endpoint, Finding, FindingKind, Initiator, LocalRole, RstEvent, Severity,
    Source,
};

const PORTS: usize = 15;
const HOSTS: usize = 25;
const WIDTH: u64 = 300 * SECOND;
/// How many who ask in vain are remembered, and how many of what each asked for.
const MOST: usize = 1_024;
const MOST_ASKED: usize = 40;
/// A scan's hosts and ports are told apart up to so many of each.
const MOST_TOLD: usize = 4_096;

pub(super) struct Scans {
    askers: Bounded<IpAddr, Window<Asked, MOST_ASKED>>,
    ongoing: Ongoing<Scan>,
}

/// A service that somebody asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Asked {
    server: Endpoint,
    is_open: bool,
}

/// What a scan has found so far.
#[derive(Default)]
struct Scan {
    resets: u64,
    hosts: BTreeSet<IpAddr>,
    ports: BTreeSet<u16>,
    open: BTreeSet<Endpoint>,
    by_this_host: bool,
    process: Option<String>,
}

impl Default for Scans {
    fn default() -> Self {
        Self { askers: Bounded::new(MOST), ongoing: Ongoing::default() }
    }
}

impl Detector for Scans {
    fn see(&mut self, event: &RstEvent, now: u64, out: &mut Vec<Finding>) {
        let Some((asker, asked)) = asked_in_vain(event) else { return };
        if let Some(scan) = self.ongoing.go_on(&asker, now) {
            return scan.take(event, asked);
        }
        let lately = self.askers.at(asker, Window::default);
        lately.see(now, WIDTH, asked);
        if !is_scan(lately.iter(), asked.server) {
            return;
        }
        let mut scan = Scan::default();
        lately.iter().for_each(|asked| scan.take(event, *asked));
        let began = lately.began();
        lately.clear();
        self.ongoing.begin(asker, began, now, scan, out);
    }

    fn ongoing(&mut self) -> &mut dyn Spells {
        &mut self.ongoing
    }
}

/// Who asked for what, if the reset says that it was in vain, or by a scanner.
fn asked_in_vain(event: &RstEvent) -> Option<(IpAddr, Asked)> {
    use Cause::{
        ClosedPort, HostFirewallReject, ListenerWentAway, NetworkFirewallReject, ScanResponse,
        ScannerProbe,
    };
    let (client, server) = (event.client?, event.server?);
    let refused = event.conn_state == Some(ConnState::Rej)
        && matches!(
            event.cause,
            ClosedPort
                | ScanResponse
                | HostFirewallReject
                | NetworkFirewallReject
                | ListenerWentAway
        );
    let is_open = event.cause == ScannerProbe;
    let was_asked = matches!(event.initiator, Initiator::Syn | Initiator::SynAck);
    (was_asked && (refused || is_open)).then_some((client.ip, Asked { server, is_open }))
}

/// Whether these are enough, the last of them `latest`.
fn is_scan<'a>(asked: impl Iterator<Item = &'a Asked> + Clone, latest: Endpoint) -> bool {
    let ports = asked.clone().filter(|asked| asked.server.ip == latest.ip).count();
    let hosts = asked.filter(|asked| asked.server.port == latest.port).count();
    ports >= PORTS || hosts >= HOSTS
}

impl Scan {
    fn take(&mut self, event: &RstEvent, asked: Asked) {
        self.resets += 1;
        if self.hosts.len() < MOST_TOLD {
            self.hosts.insert(asked.server.ip);
        }
        self.ports.insert(asked.server.port);
        if asked.is_open && self.open.len() < MOST_TOLD {
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
        let who = match (self.by_this_host, &self.process) {
            (true, Some(process)) => format!("{asker}, this host, by {process},"),
            (true, None) => format!("{asker}, this host,"),
            (false, _) => asker.to_string(),
        };
        let found = match (self.open.len(), self.hosts.len()) {
            (0, _) => "all were refused".to_owned(),
            (n @ 1..=8, 1) => format!("{n} open: {}", list(self.open.iter().map(|open| open.port))),
            (n @ 1..=8, _) => format!("{n} open: {}", list(self.open.iter())),
            (n, _) => format!("{n} open"),
        };
        Words {
            // Somebody on this host may have been taken over.
            severity: if self.by_this_host { Severity::High } else { Severity::Medium },
            text: format!("{who} tried {ports} of {hosts} in {}; {found}", span(spell.lasted())),
            counts: vec![
                ("duration_ms", spell.lasted() / 1_000_000),
                ("hosts", self.hosts.len() as u64),
                ("ports", self.ports.len() as u64),
                ("open", self.open.len() as u64),
                ("rsts", self.resets),
            ],
            sources: vec![Source { ip: *asker, port: None, resets: self.resets }],
        }
    }
}

fn list(items: impl Iterator<Item = impl ToString>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
