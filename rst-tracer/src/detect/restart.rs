//! Restarts: a service goes down while connections are open or wait to be accepted.
//!
//! In a moment several connections are cut, and what asks again is refused. Where nobody is refused, or others are
//! accepted meanwhile, it was a part of it only: one of several processes, or of several hosts behind one address.

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
/// When a service accepts is known to a millisecond.
const SHARP: u64 = 2 * SECOND / 1_000;

pub(super) struct Restarts {
    services: Bounded<Endpoint, Window<Lost, MOST_CUT>>,
    /// When services were last seen to accept a connection.
    accepted: Bounded<Endpoint, u64>,
    ongoing: Ongoing<Restart>,
}

/// A connection that the service did not take or keep.
#[derive(Clone, Copy)]
struct Lost {
    time: u64,
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
    began: u64,
    /// It accepted others after it had begun, and then refused one.
    accepts: bool,
}

impl Default for Restarts {
    fn default() -> Self {
        Self {
            services: Bounded::new(MOST),
            accepted: Bounded::new(MOST),
            ongoing: Ongoing::default(),
        }
    }
}

impl Detector for Restarts {
    fn see(&mut self, event: &RstEvent, now: u64, out: &mut Vec<Finding>) {
        let (Some((server, lost)), SentBy::Server) = (lost(event), event.sent_by) else { return };
        let accepted = self.accepted.get(&server).copied().unwrap_or(0);
        if let Some(restart) = self.ongoing.go_on(&server, now) {
            return restart.take(event, lost, accepted);
        }
        let lately = self.services.at(server, Window::default);
        lately.see(now, WIDTH, lost);
        let telling = lately.iter().filter(|lost| lost.is_telling).count();
        let is_cut = lately.iter().any(|lost| lost.fate != Fate::Refused);
        if lately.len() < ENOUGH || telling < TELLING || !is_cut {
            return;
        }
        let began = lately.began();
        let mut restart = Restart { began, ..Restart::default() };
        lately.iter().for_each(|lost| restart.take(event, *lost, accepted));
        lately.clear();
        self.ongoing.begin(server, began, now, restart, out);
    }

    fn accepts(&mut self, server: Endpoint, time: u64) {
        let last = self.accepted.at(server, || time);
        *last = time.max(*last);
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
    let (server, client, time) = (event.server?, event.client?, event.time.0);
    Some((server, Lost { time, client, fate, is_telling }))
}

impl Restart {
    /// Takes one more in; `accepted`: when the service was last seen to accept another.
    fn take(&mut self, event: &RstEvent, lost: Lost, accepted: u64) {
        let is_refused = lost.fate == Fate::Refused;
        self.accepts |= is_refused && (self.began + SHARP..=lost.time).contains(&accepted);
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
        let service = format!("{server}{}", self.process.as_deref().unwrap_or_default());
        let (what, rest) = match (self.accepts, self.refused + self.waiting) {
            (true, _) => (format!("{service} went down in part"), ", while it accepted others"),
            (false, 0) => (format!("a process of {service} ended"), "; nobody was refused"),
            (false, _) => (format!("{service} went down"), ""),
        };
        Words {
            severity: Severity::Medium,
            text: format!(
                "{what}: {} lost in {} ({}){rest}",
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
