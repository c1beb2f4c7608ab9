//! Restarts: a service goes down while connections are open or wait to be accepted.
//!
//! In a moment several connections are cut, and what asks again is refused.

use super::{
    Bounded, Detector, named,
    spell::{Ongoing, SECOND, Spell, Spells, Subject, Words, some, span},
    window::Window,
};
use crate::event::{Cause, Endpoint, Finding, FindingKind, RstEvent, SentBy, Severity, Source};

const WIDTH: u64 = 5 * SECOND;
/// So many connections, so many of which say so themselves, and at least one of which was cut.
const ENOUGH: usize = 3;
const TELLING: usize = 2;
const MOST: usize = 1_024;
const MOST_CUT: usize = 32;

pub(super) struct Restarts {
    services: Bounded<Endpoint, Window<Lost, MOST_CUT>>,
    ongoing: Ongoing<Restart>,
}

/// A connection that the service did not take or keep.
#[derive(Clone, Copy)]
struct Lost {
    client: Endpoint,
    fate: Fate,
    /// Its verdict says that the service stopped.
    is_telling: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It was open.
    Cut,
    /// Nobody had accepted it yet.
    Waiting,
    /// It came too late.
    Refused,
}

impl PartialEq for Lost {
    fn eq(&self, other: &Self) -> bool {
        self.client == other.client
    }
}

#[derive(Default)]
struct Restart {
    cut: u64,
    waiting: u64,
    refused: u64,
    process: Option<String>,
}

impl Default for Restarts {
    fn default() -> Self {
        Self { services: Bounded::new(MOST), ongoing: Ongoing::default() }
    }
}

impl Detector for Restarts {
    fn see(&mut self, event: &RstEvent, now: u64, out: &mut Vec<Finding>) {
        let (Some((server, lost)), SentBy::Server) = (lost(event), event.sent_by) else { return };
        if let Some(restart) = self.ongoing.go_on(&server, now) {
            return restart.take(event, lost);
        }
        let lately = self.services.at(server, Window::default);
        lately.see(now, WIDTH, lost);
        let telling = lately.iter().filter(|lost| lost.is_telling).count();
        let is_cut = lately.iter().any(|lost| lost.fate != Fate::Refused);
        if lately.len() < ENOUGH || telling < TELLING || !is_cut {
            return;
        }
        let mut restart = Restart::default();
        lately.iter().for_each(|lost| restart.take(event, *lost));
        let began = lately.began();
        lately.clear();
        self.ongoing.begin(server, began, now, restart, out);
    }

    fn ongoing(&mut self) -> &mut dyn Spells {
        &mut self.ongoing
    }
}

/// Which connection of which service, if the reset may be part of its end.
fn lost(event: &RstEvent) -> Option<(Endpoint, Lost)> {
    use Cause::{
        AdminKill, ClosedPort, ClosedWithUnreadData, Linger0Close, ListenerWentAway,
        ProcessCrashOrKill, RestartWithPendingConnections,
    };
    let (fate, is_telling) = match event.cause {
        RestartWithPendingConnections => (Fate::Waiting, true),
        ProcessCrashOrKill => (Fate::Cut, true),
        ListenerWentAway => (Fate::Refused, true),
        AdminKill | ClosedWithUnreadData | Linger0Close => (Fate::Cut, false),
        ClosedPort => (Fate::Refused, false),
        _ => return None,
    };
    Some((event.server?, Lost { client: event.client?, fate, is_telling }))
}

impl Restart {
    fn take(&mut self, event: &RstEvent, lost: Lost) {
        match lost.fate {
            Fate::Cut => self.cut += 1,
            Fate::Waiting => self.waiting += 1,
            Fate::Refused => self.refused += 1,
        }
        if self.process.is_none() && Some(event.src) == event.server {
            self.process = event.process.as_ref().map(|process| format!(" ({})", named(process)));
        }
    }
}

impl Subject for Restart {
    type Key = Endpoint;
    const KIND: FindingKind = FindingKind::Restart;
    const QUIET: u64 = 10 * SECOND;

    fn say(&self, server: &Endpoint, spell: &Spell) -> Words {
        let resets = self.cut + self.waiting + self.refused;
        let many = |n: u64, what| some(usize::try_from(n).unwrap_or(usize::MAX), what);
        let fates =
            [(self.cut, "cut"), (self.waiting, "not accepted yet"), (self.refused, "refused")];
        let fates: Vec<_> =
            fates.iter().filter(|(n, _)| *n > 0).map(|(n, fate)| format!("{n} {fate}")).collect();
        Words {
            severity: Severity::Medium,
            text: format!(
                "{server}{} went down: {} lost in {} ({})",
                self.process.as_deref().unwrap_or_default(),
                many(resets, "connection"),
                span(spell.lasted()),
                fates.join(", ")
            ),
            counts: vec![
                ("cut", self.cut),
                ("duration_ms", spell.lasted() / 1_000_000),
                ("refused", self.refused),
                ("rsts", resets),
                ("waiting", self.waiting),
            ],
            sources: vec![Source { ip: server.ip, port: Some(server.port), resets }],
        }
    }
}
