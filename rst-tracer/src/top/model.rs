//! What the screen knows: resets counted by cause, pair, service and process, and the counters.
//!
//! In: events with the time at which they came. Out: the rows of a table, and the numbers of the head. Bounded: of each
//! key the last event is kept.

use std::{hash::Hash, sync::Arc};

use super::{
    rates::{PARTS, Rates, Recent},
    view::{Table, Window},
};
use crate::{
    digest::{Heavy, Owner, Pair, Row, Service},
    event::{Cause, Event, Finding, RstEvent, Severity},
    sink::words::{self, clean},
};

/// Keys of a table.
const KEYS: usize = 1_000;

/// Everything that can be shown.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) host: String,
    pub(super) resets: u64,
    /// By severity, in the order of the contract.
    pub(super) severities: [u64; Severity::ALL.len()],
    pub(super) rates: Rates,
    pub(super) finding: Option<Finding>,
    causes: Heavy<Cause, Entry>,
    pairs: Heavy<Pair, Entry>,
    services: Heavy<Service, Entry>,
    owners: Heavy<Owner, Entry>,
}

/// What is kept of a key.
#[derive(Debug, Default)]
struct Entry {
    recent: Recent,
    worst: Option<Severity>,
    last: Option<Arc<RstEvent>>,
}

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Cause(Cause),
    Pair(Pair),
    Service(Service),
    Owner(Owner),
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) key: Key,
    pub(super) total: u64,
    pub(super) lately: u64,
    pub(super) parts: [u32; PARTS],
    pub(super) worst: Option<Severity>,
    pub(super) last: Option<Arc<RstEvent>>,
}

impl Default for Model {
    fn default() -> Self {
        let (host, resets, severities, rates, finding) = Default::default();
        let (causes, pairs) = (Heavy::new(KEYS), Heavy::new(KEYS));
        let (services, owners) = (Heavy::new(KEYS), Heavy::new(KEYS));
        Self { host, resets, severities, rates, finding, causes, pairs, services, owners }
    }
}

impl Model {
    pub(super) fn take(&mut self, event: &Event, now_ns: u64) {
        if self.host.is_empty() {
            self.host = clean(event.host()).into_owned();
        }
        match event {
            Event::Rst(event) => self.reset(&Arc::new(RstEvent::clone(event)), now_ns),
            Event::Finding(finding) => self.finding = Some(Finding::clone(finding)),
            Event::Stats(stats) => self.rates.take(stats),
        }
    }

    fn reset(&mut self, event: &Arc<RstEvent>, now_ns: u64) {
        self.resets += 1;
        self.severities[event.severity as usize] += 1;
        self.causes.count(&event.cause, 1).take(event, now_ns);
        self.pairs.count(&Pair::of(event), 1).take(event, now_ns);
        if let Some(service) = Service::of(event) {
            self.services.count(&service, 1).take(event, now_ns);
        }
        if let Some(owner) = Owner::of(event) {
            self.owners.count(&owner, 1).take(event, now_ns);
        }
    }

    /// The rows of a table, the heaviest first.
    pub(super) fn lines(&self, table: Table, window: Window, now_ns: u64) -> Vec<Line> {
        match table {
            Table::Causes => lines(&self.causes, window, now_ns, |key| Key::Cause(*key)),
            Table::Pairs => lines(&self.pairs, window, now_ns, |key| Key::Pair(*key)),
            Table::Services => lines(&self.services, window, now_ns, |key| Key::Service(*key)),
            Table::Processes => lines(&self.owners, window, now_ns, |key| Key::Owner(key.clone())),
        }
    }
}

fn lines<K: Eq + Hash + Ord>(
    heavy: &Heavy<K, Entry>,
    window: Window,
    now_ns: u64,
    key: impl Fn(&K) -> Key,
) -> Vec<Line> {
    let weight = |row: &Row<Entry>| match window {
        Window::Minute => (row.value.recent.sum(now_ns), row.count),
        Window::Start => (row.count, 0),
    };
    let line = |(own, row): (&K, &Row<Entry>)| Line {
        key: key(own),
        total: row.count,
        lately: row.value.recent.sum(now_ns),
        parts: row.value.recent.parts(now_ns),
        worst: row.value.worst,
        last: row.value.last.clone(),
    };
    heavy.sorted_by(weight).into_iter().map(line).collect()
}

impl Entry {
    fn take(&mut self, event: &Arc<RstEvent>, now_ns: u64) {
        self.recent.count(now_ns);
        self.worst = self.worst.max(Some(event.severity));
        self.last = Some(event.clone());
    }
}

impl Key {
    /// Its name, and what more is to be said of it.
    pub(super) fn words(&self, last: Option<&RstEvent>) -> [String; 2] {
        let cause = || last.map(|event| event.cause.words()).unwrap_or_default().to_owned();
        match self {
            Self::Cause(cause) => [cause.words().into(), cause.class().words().into()],
            Self::Pair(pair) => {
                let who = last.map(words::who).unwrap_or_default();
                [format!("{} → {}", pair.from, pair.target()), format!("{}, {who}", cause())]
            }
            Self::Service(Service(end)) => [end.to_string(), cause()],
            Self::Owner(owner) => {
                let place = owner.container().map(|id| format!(", container {}", clean(id)));
                let user = owner.uid.map(|uid| format!(" (uid {uid})")).unwrap_or_default();
                let name = format!("{}{user}{}", clean(&owner.name), place.unwrap_or_default());
                [name, cause()]
            }
        }
    }
}
