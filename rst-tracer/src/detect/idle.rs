//! Idle timeouts: the resets of a service follow the same length of silence again and again.
//!
//! A timer ends what nobody uses: that of a client's pool, of a server or proxy, or of a middlebox, whose table forgets.
//! Which it is, the single verdicts tell; how long it is, only many can. What ends many connections in one moment (a
//! restart, a link that comes back) is no timer, however equally long they were silent.

use super::{
    Bounded, Detector,
    spell::{Ongoing, SECOND, Spell, Spells, Subject, Words, span},
};
use crate::event::{
    Cause, Class, Endpoint, Finding, FindingKind, Origin, RstEvent, SentBy, Severity, Source,
};

const MS: u64 = 1_000_000;
/// Shorter silence is how conversations are.
const LEAST_MS: u64 = 10_000;
/// So many of the same length are no chance...
const ENOUGH: usize = 5;
/// ...if they ended at so many different times.
const MOMENTS: usize = 3;
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
    /// A segment had ended it before the reset: the timer may be shorter.
    is_most: bool,
    owner: Owner,
}

/// Whose timer a reset speaks of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Client,
    Server,
    OnTheWay,
    Unknown,
}

/// A timeout that was recognised.
struct Timeout {
    resets: u64,
    /// Whose timer all of them speak of.
    owner: Owner,
    is_most: bool,
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
        let (Some(server), Some((ms, is_most))) = (event.server, silence(event)) else { return };
        let wait = Wait { time: now, ms, is_most, owner: Owner::of(event) };
        if let Some(timeout) = self.ongoing.get_mut(&server)
            && alike(timeout.usual_ms, ms)
        {
            timeout.take(wait);
            self.ongoing.go_on(&server, now);
            return;
        }
        let waits = self.services.at(server, Vec::new);
        if waits.len() >= LATEST {
            waits.remove(0);
        }
        waits.push(wait);
        if self.ongoing.get(&server).is_some() {
            return;
        }
        let same: Vec<Wait> = waits.iter().copied().filter(|wait| alike(wait.ms, ms)).collect();
        if same.len() < ENOUGH || same.len() * 2 <= waits.len() || moments(&same, ms) < MOMENTS {
            return;
        }
        waits.clear();
        let mut timeout = Timeout {
            resets: 0,
            owner: wait.owner,
            is_most,
            usual_ms: ms,
            shortest_ms: ms,
            longest_ms: ms,
        };
        same.iter().for_each(|wait| timeout.take(*wait));
        let began = same.iter().map(|wait| wait.time).min().unwrap_or(now);
        self.ongoing.begin(server, began, now, timeout, out);
    }

    fn ongoing(&mut self) -> &mut dyn Spells {
        &mut self.ongoing
    }
}

/// How many milliseconds of silence the reset ended, and whether a segment had ended them before. One that a segment had
/// ended before counts only where the verdict is that a timer had forgotten the connection: else it tells how often that
/// side speaks. None where another timer or nobody's timer is behind it.
fn silence(event: &RstEvent) -> Option<(u64, bool)> {
    /// What is said at once when the silence is broken: a request, its retransmission.
    const LAST_WORDS: usize = 3;
    let flow = event.flow.as_ref().filter(|_| !is_no_idle_timer(event))?;
    let ago = |recent: &crate::event::Recent| recent.ago_us;
    let words = if event.cause == Cause::IdleTimeoutMiddlebox { LAST_WORDS - 1 } else { 0 };
    let gaps = event.recent.windows(2).rev().take(words);
    let before = gaps.map(|pair| ago(&pair[0]).saturating_sub(ago(&pair[1])) / 1_000);
    let before = before.max().unwrap_or(0);
    let ms = before.max(flow.idle_ms);
    (ms >= LEAST_MS).then_some((ms, before > flow.idle_ms))
}

/// Whether the verdict is that something else ended it: an attack, a process that ended, an administrator, probes that
/// nobody answered.
fn is_no_idle_timer(event: &RstEvent) -> bool {
    use Cause::{
        AdminKill, KeepaliveTimeout, ListenerWentAway, ProcessCrashOrKill,
        RestartWithPendingConnections,
    };
    event.class == Class::SecurityMeasure
        || matches!(
            event.cause,
            AdminKill
                | KeepaliveTimeout
                | ListenerWentAway
                | ProcessCrashOrKill
                | RestartWithPendingConnections
        )
}

fn alike(one_ms: u64, other_ms: u64) -> bool {
    one_ms.abs_diff(other_ms) <= spread_ms(one_ms.min(other_ms))
}

/// How far silences of one length may lie apart.
fn spread_ms(ms: u64) -> u64 {
    (ms / SPREAD).max(LEAST_SPREAD_MS)
}

/// At how many different times these silences of one length ended: within their spread it may have been one event.
fn moments(waits: &[Wait], ms: u64) -> usize {
    let apart = spread_ms(ms) * MS;
    let mut times: Vec<u64> = waits.iter().map(|wait| wait.time).collect();
    times.sort_unstable();
    times.dedup_by(|later, first| *later - *first <= apart);
    times.len()
}

impl Owner {
    fn of(event: &RstEvent) -> Self {
        match (event.origin, event.sent_by) {
            _ if event.cause == Cause::IdleTimeoutMiddlebox => Self::OnTheWay,
            (Origin::MiddleboxProven | Origin::MiddleboxSuspected, _) => Self::OnTheWay,
            (Origin::Endpoint, SentBy::Client) => Self::Client,
            (Origin::Endpoint, SentBy::Server) => Self::Server,
            _ => Self::Unknown,
        }
    }

    /// Whose it is, and what would avoid it, in words. TCP's keepalive is seen by what counts segments, and by no
    /// program. `is_most`: it may be shorter than this.
    fn words(self, shortest_ms: u64, is_most: bool) -> String {
        let timer = span(shortest_ms * MS);
        match self {
            Self::Client => format!(
                "a timer of the client itself (of its pool, or for an answer) ends them; if they were still wanted, \
                 make that timer longer than {timer}"
            ),
            Self::Server => format!(
                "a timer of the server, or of a proxy in its place, ends what is idle; clients that give connections \
                 up earlier than {timer}, or the protocol's own ping, avoid it, TCP keepalive may not"
            ),
            Self::OnTheWay if is_most => format!(
                "something on the way forgets what is idle, after {timer} or less; TCP keepalive more often than it \
                 forgets avoids it"
            ),
            Self::OnTheWay => format!(
                "a timer of something on the way ends what is idle; TCP keepalive every {} or less avoids it",
                span(shortest_ms / 2 * MS)
            ),
            Self::Unknown => format!(
                "a timer of one of the two, or of something on the way, ends what is idle; clients that give \
                 connections up earlier than {timer} avoid it"
            ),
        }
    }
}

impl Timeout {
    fn take(&mut self, wait: Wait) {
        self.resets += 1;
        self.shortest_ms = self.shortest_ms.min(wait.ms);
        self.longest_ms = self.longest_ms.max(wait.ms);
        self.is_most |= wait.is_most;
        if self.owner != wait.owner {
            self.owner = Owner::Unknown;
        }
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
            severity: match self.owner {
                // It is its own doing.
                Owner::Client => Severity::Low,
                _ => Severity::Medium,
            },
            text: format!(
                "{} resets on connections to {server} follow {length} of silence: {}",
                self.resets,
                self.owner.words(shortest, self.is_most)
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
