//! Surges: a service has many more resets than it usually has.
//!
//! What is usual is learned for each service, from one interval of ten seconds to the next, as a mean that forgets
//! (about five minutes); the intervals in which a service had no reset count from the begin of the trace. What is much
//! more than that: at least twenty, four times as many, and beyond what chance makes of a mean (five standard
//! deviations of a Poisson process). In the first minute nobody knows what is usual.

use std::collections::BTreeMap;

use super::{
    Bounded, Detector,
    spell::{Ongoing, SECOND, Spell, Spells, Subject, Words, span},
};
use crate::event::{Cause, Endpoint, Finding, FindingKind, RstEvent, Severity, Source};

/// What is counted together.
const INTERVAL: u64 = 10 * SECOND;
/// Share of the newest interval in the mean.
const NEWEST: f64 = 1.0 / 30.0;
/// Nothing is told before the habits of a network are known a little.
const LEARNING: u64 = 60 * SECOND;
const LEAST: u64 = 20;
/// What lasts longer than this is how things are now.
const LONGEST: u64 = 1_800 * SECOND;
/// How many services are remembered.
const MOST: usize = 4_096;

pub(super) struct Surges {
    services: Bounded<Endpoint, Service>,
    ongoing: Ongoing<Surge>,
    /// From when on resets would have been seen.
    since: u64,
}

/// What is known of a service.
#[derive(Clone, Copy, Default)]
struct Service {
    /// The number of the interval that goes on, and what was counted in it.
    interval: u64,
    count: u64,
    /// The resets of an interval, each weighted with the share that it has in the mean.
    sum: f64,
    /// The sum of these shares: 1 once much is known.
    known: f64,
}

/// What a surge consists of.
struct Surge {
    usual: f64,
    began: u64,
    resets: u64,
    causes: BTreeMap<&'static str, u64>,
    by_server: u64,
    severity: Severity,
}

impl Default for Surges {
    fn default() -> Self {
        Self { services: Bounded::new(MOST), ongoing: Ongoing::default(), since: 0 }
    }
}

impl Detector for Surges {
    fn see(&mut self, event: &RstEvent, now: u64, out: &mut Vec<Finding>) {
        let Some(server) = event.server.filter(|_| concerns_service(event.cause)) else { return };
        let since = self.since;
        let service = self.services.at(server, || Service::since(since, now));
        let much = service.count(
            now,
            self.ongoing.get(&server).is_none_or(|surge| now.saturating_sub(surge.began) > LONGEST),
        );
        if let Some(surge) = self.ongoing.get_mut(&server) {
            surge.take(event);
            if much {
                self.ongoing.go_on(&server, now);
            }
        } else if much && now.saturating_sub(since) >= LEARNING {
            let began = service.interval * INTERVAL;
            let mut surge = Surge {
                usual: service.usual(),
                began,
                resets: service.count - 1,
                causes: BTreeMap::new(),
                by_server: 0,
                severity: Severity::Low,
            };
            surge.take(event);
            self.ongoing.begin(server, began, now, surge, out);
        }
    }

    fn begin(&mut self, since: u64) {
        self.since = since;
    }

    fn ongoing(&mut self) -> &mut dyn Spells {
        &mut self.ongoing
    }
}

/// Whether resets of this cause say something about the service: whoever scans or guesses has findings of his own.
fn concerns_service(cause: Cause) -> bool {
    use Cause::{Backscatter, BlindResetAttempt, ScanResponse, ScannerProbe};
    !matches!(cause, ScanResponse | ScannerProbe | Backscatter | BlindResetAttempt)
}

impl Service {
    /// One that had no reset from `since` until now.
    fn since(since: u64, now: u64) -> Self {
        let (interval, first) = (now / INTERVAL, since / INTERVAL);
        let mut service = Self { interval, ..Self::default() };
        service.learn_nothing(interval.saturating_sub(first));
        service
    }

    /// Counts one more, and says whether that is much more than usual. `learns`: what ends now was usual.
    fn count(&mut self, now: u64, learns: bool) -> bool {
        let interval = now / INTERVAL;
        if interval > self.interval {
            if learns {
                self.learn_nothing(1);
                self.sum += self.count as f64 * NEWEST;
                self.learn_nothing(interval - self.interval - 1);
            }
            (self.interval, self.count) = (interval, 0);
        }
        self.count += 1;
        let usual = self.usual();
        let much = (4.0 * usual).max(usual + 5.0 * usual.sqrt());
        self.count >= LEAST && self.count as f64 > much
    }

    /// Intervals without a reset.
    fn learn_nothing(&mut self, intervals: u64) {
        let kept = (1.0 - NEWEST).powi(i32::try_from(intervals).unwrap_or(i32::MAX));
        self.sum *= kept;
        self.known = 1.0 - (1.0 - self.known) * kept;
    }

    /// Resets in an interval, usually: the mean of those that were seen, and not of nothing before them.
    fn usual(&self) -> f64 {
        if self.known > 0.0 { self.sum / self.known } else { 0.0 }
    }
}

impl Surge {
    fn take(&mut self, event: &RstEvent) {
        self.resets += 1;
        *self.causes.entry(event.cause.words()).or_default() += 1;
        self.by_server += u64::from(Some(event.src) == event.server);
        self.severity = self.severity.max(event.severity);
    }
}

impl Subject for Surge {
    type Key = Endpoint;
    const KIND: FindingKind = FindingKind::Surge;
    const QUIET: u64 = 2 * INTERVAL;

    fn say(&self, server: &Endpoint, spell: &Spell) -> Words {
        let mut causes: Vec<_> = self.causes.iter().map(|(cause, n)| (*cause, *n)).collect();
        causes.sort_by_key(|(cause, n)| (std::cmp::Reverse(*n), *cause));
        let known: u64 = causes.iter().map(|(_, n)| n).sum();
        let most: Vec<_> = causes
            .iter()
            .take(3)
            .map(|(cause, n)| format!("{cause} {} %", n * 100 / known.max(1)))
            .collect();
        let usual = match self.usual {
            0.0..0.1 => "none".to_owned(),
            0.1..10.0 => format!("{:.1}", self.usual),
            usual => format!("{usual:.0}"),
        };
        Words {
            severity: self.severity,
            text: format!(
                "{} resets on connections to {server} in {}, usually {usual} in ten seconds; {} % by the server; {}",
                self.resets,
                span(spell.lasted()),
                self.by_server * 100 / known.max(1),
                most.join(", "),
            ),
            counts: vec![
                ("duration_ms", spell.lasted() / 1_000_000),
                ("rsts", self.resets),
                ("usual_per_minute", (self.usual * 6.0).round() as u64),
            ],
            sources: vec![Source { ip: server.ip, port: Some(server.port), resets: self.resets }],
        }
    }
}
