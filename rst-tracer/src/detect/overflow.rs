//! Accept queues that overflow: a listener refuses what its program does not accept fast enough.

use super::{
    Bounded, Detector, named,
    spell::{Ongoing, SECOND, Spell, Spells, Subject, Words, span},
    window::Window,
};
use crate::event::{Cause, Endpoint, Finding, FindingKind, RstEvent, Severity, Source};

/// So many within a minute are no slip of the scheduler.
const ENOUGH: usize = 3;
const WIDTH: u64 = 60 * SECOND;
const MOST: usize = 1_024;

pub(super) struct Overflows {
    listeners: Bounded<Endpoint, Window<Endpoint, ENOUGH>>,
    ongoing: Ongoing<Overflow>,
}

#[derive(Default)]
struct Overflow {
    resets: u64,
    process: Option<String>,
}

impl Default for Overflows {
    fn default() -> Self {
        Self { listeners: Bounded::new(MOST), ongoing: Ongoing::default() }
    }
}

impl Detector for Overflows {
    fn see(&mut self, event: &RstEvent, now: u64, out: &mut Vec<Finding>) {
        let (Cause::AcceptQueueOverflow, Some(server), Some(client)) =
            (event.cause, event.server, event.client)
        else {
            return;
        };
        if let Some(overflow) = self.ongoing.go_on(&server, now) {
            return overflow.take(event);
        }
        let lately = self.listeners.at(server, Window::default);
        lately.see(now, WIDTH, client);
        if lately.len() < ENOUGH {
            return;
        }
        let mut overflow = Overflow { resets: lately.len() as u64 - 1, process: None };
        overflow.take(event);
        let began = lately.began();
        lately.clear();
        self.ongoing.begin(server, began, now, overflow, out);
    }

    fn ongoing(&mut self) -> &mut dyn Spells {
        &mut self.ongoing
    }
}

impl Overflow {
    fn take(&mut self, event: &RstEvent) {
        self.resets += 1;
        if self.process.is_none() && Some(event.src) == event.server {
            self.process = event.process.as_ref().map(|process| format!(" ({})", named(process)));
        }
    }
}

impl Subject for Overflow {
    type Key = Endpoint;
    const KIND: FindingKind = FindingKind::AcceptQueueOverflow;
    const QUIET: u64 = WIDTH;

    fn say(&self, server: &Endpoint, spell: &Spell) -> Words {
        Words {
            severity: Severity::High,
            text: format!(
                "{server}{} refused {} connections in {} because its accept queue was full: it accepts too slowly, or its \
                 backlog (listen, net.core.somaxconn) is too short",
                self.process.as_deref().unwrap_or_default(),
                self.resets,
                span(spell.lasted())
            ),
            counts: vec![("duration_ms", spell.lasted() / 1_000_000), ("rsts", self.resets)],
            sources: vec![Source { ip: server.ip, port: Some(server.port), resets: self.resets }],
        }
    }
}
