//! Idle timeouts: the resets of a service follow the same length of silence again and again.
//!
//! A timer ends what nobody uses: that of a proxy, a balancer or a middlebox, whose table forgets. Which it is, the
//! single verdicts tell; how long it is, only many can. Keepalive more often than that would avoid them.

use super::{
    Bounded, Detector,
    spell::{Ongoing, SECOND, Spell, Spells, Subject, Words, span},
};
use crate::event::{Cause, Class, Endpoint, Finding, FindingKind, RstEvent, Severity, Source};

const MS: u64 = 1_000_000;
/// Shorter silence is how conversations are.
const LEAST_MS: u64 = 10_000;
/// So many of the same length are no chance.
const ENOUGH: usize = 5;
/// They are of one length within a fiftieth, or two seconds for short ones...
const SPREAD: u64 = 50;
const LEAST_SPREAD_MS: u64 = 2_000;
/// ...and most of the latest ones are.
const LATEST: usize = 16;
/// How many services are remembered.
const MOST: usize = 1_024;

pub(super) struct Idles {
    services: Bounded<Endpoint, Vec<Wait>>,
    ongoing: Ongoing<Timeout>,
}

/// A reset that followed silence.
#[derive(Clone, Copy)]
struct Wait {
    time: u64,
    ms: u64,
}

/// A timeout that was recognised.
struct Timeout {
    resets: u64,
    /// Which others are of the same length.
    usual_ms: u64,
    shortest_ms: u64,
    longest_ms: u64,
}

impl Default for Idles {
    fn default() -> Self {
        Self { services: Bounded::new(MOST), ongoing: Ongoing::default() }
    }
}

impl Detector for Idles {
    fn see(&mut self, event: &RstEvent, now: u64, out: &mut Vec<Finding>) {
        let (Some(server), Some(ms)) = (event.server, silence_ms(event)) else { return };
        if let Some(timeout) = self.ongoing.get_mut(&server)
            && alike(timeout.usual_ms, ms)
        {
            timeout.take(ms);
            self.ongoing.go_on(&server, now);
            return;
        }
        let waits = self.services.at(server, Vec::new);
        if waits.len() >= LATEST {
            waits.remove(0);
        }
        waits.push(Wait { time: now, ms });
        if self.ongoing.get(&server).is_some() {
            return;
        }
        let same: Vec<Wait> = waits.iter().copied().filter(|wait| alike(wait.ms, ms)).collect();
        if same.len() < ENOUGH || same.len() * 2 <= waits.len() {
            return;
        }
        waits.clear();
        let mut timeout = Timeout { resets: 0, usual_ms: ms, shortest_ms: ms, longest_ms: ms };
        same.iter().for_each(|wait| timeout.take(wait.ms));
        let began = same.iter().map(|wait| wait.time).min().unwrap_or(now);
        self.ongoing.begin(server, began, now, timeout, out);
    }

    fn ongoing(&mut self) -> &mut dyn Spells {
        &mut self.ongoing
    }
}

/// The silence that the reset ended: before it, or before the few segments that it answers. None where another timer
/// or nobody's timer is behind it.
fn silence_ms(event: &RstEvent) -> Option<u64> {
    /// What is said at once when the silence is broken: a request, its retransmission.
    const LAST_WORDS: usize = 3;
    let is_other = event.class == Class::SecurityMeasure || event.cause == Cause::KeepaliveTimeout;
    let flow = event.flow.as_ref().filter(|_| !is_other)?;
    let ago = |recent: &crate::event::Recent| recent.ago_us;
    let gaps = event.recent.windows(2).rev().take(LAST_WORDS - 1);
    let before = gaps.map(|pair| ago(&pair[0]).saturating_sub(ago(&pair[1])) / 1_000);
    before.chain([flow.idle_ms]).max().filter(|ms| *ms >= LEAST_MS)
}

fn alike(one_ms: u64, other_ms: u64) -> bool {
    one_ms.abs_diff(other_ms) <= (one_ms.min(other_ms) / SPREAD).max(LEAST_SPREAD_MS)
}

impl Timeout {
    fn take(&mut self, ms: u64) {
        self.resets += 1;
        self.shortest_ms = self.shortest_ms.min(ms);
        self.longest_ms = self.longest_ms.max(ms);
    }
}

impl Subject for Timeout {
    type Key = Endpoint;
    const KIND: FindingKind = FindingKind::IdleTimeout;
    /// An hour: what follows long silence comes seldom.
    const QUIET: u64 = 3_600 * SECOND;

    fn say(&self, server: &Endpoint, spell: &Spell) -> Words {
        let (shortest, longest) = (self.shortest_ms, self.longest_ms);
        let middle = shortest.midpoint(longest);
        let length = match longest - shortest {
            0..1_000 => span(middle * MS),
            apart => format!("{} ± {}", span(middle * MS), span(apart.div_ceil(2) * MS)),
        };
        Words {
            severity: Severity::Medium,
            text: format!(
                "{} resets on connections to {server} follow {length} of silence: a timer of the server, or of something \
                 on the way, ends what is idle; keepalive every {} or less avoids it",
                self.resets,
                span(shortest / 2 * MS)
            ),
            counts: vec![
                ("duration_ms", spell.lasted() / MS),
                ("idle_ms", middle),
                ("idle_ms_longest", longest),
                ("idle_ms_shortest", shortest),
                ("rsts", self.resets),
            ],
            sources: vec![Source { ip: server.ip, port: Some(server.port), resets: self.resets }],
        }
    }
}
