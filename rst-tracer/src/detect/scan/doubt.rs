//! What looks like a scan and may be a client whose servers are down: whether it asks again tells.

use std::{collections::BTreeMap, net::IpAddr};

use super::{Asked, DOUBT, Scan};
use crate::event::{Endpoint, RstEvent};

/// So many are doubted at once, each by what became of its first questions.
const MOST: usize = 256;
const MOST_QUESTIONS: usize = 256;
/// What is asked again so soon is one try.
const AGAIN: u64 = 2_000_000_000;

/// Everybody who is doubted, by the port that he asks for.
#[derive(Default)]
pub(super) struct Doubts(BTreeMap<(IpAddr, u16), Doubt>);

/// Somebody who asks many hosts for one port.
pub(super) struct Doubt {
    since: u64,
    pub(super) began: u64,
    pub(super) seen: u64,
    pub(super) scan: Scan,
    /// What was asked.
    questions: BTreeMap<Endpoint, Question>,
}

/// A service that was asked for: when for the first time, and whether again.
struct Question {
    first: u64,
    again: bool,
}

impl Doubts {
    /// Takes in what somebody asks who is doubted; whether he is.
    pub(super) fn take(&mut self, asker: IpAddr, asked: &Asked, event: &RstEvent) -> bool {
        let doubt = self.0.get_mut(&(asker, asked.server.port));
        doubt.map(|doubt| doubt.take(asked, event)).is_some()
    }

    /// Doubts somebody for what he asked until `now`.
    pub(super) fn begin<'a>(
        &mut self,
        (asker, port): (IpAddr, u16),
        now: u64,
        asked: impl Iterator<Item = &'a Asked>,
        event: &RstEvent,
    ) {
        if self.0.len() >= MOST {
            return;
        }
        let mut doubt = Doubt {
            since: now,
            began: now,
            seen: 0,
            scan: Scan::default(),
            questions: BTreeMap::new(),
        };
        asked.filter(|asked| asked.server.port == port).for_each(|asked| doubt.take(asked, event));
        self.0.insert((asker, port), doubt);
    }

    /// Those who asked few of the services again until `now`, when all doubts of before `until` end.
    pub(super) fn settle(&mut self, until: u64) -> Vec<(IpAddr, Doubt)> {
        let due = |doubt: &Doubt| doubt.since.saturating_add(DOUBT) <= until;
        let due = self.0.extract_if(.., |_, doubt| due(doubt));
        due.filter(|(_, doubt)| doubt.is_scan()).map(|((asker, _), doubt)| (asker, doubt)).collect()
    }
}

impl Doubt {
    fn take(&mut self, asked: &Asked, event: &RstEvent) {
        self.scan.take(event, asked);
        self.began = self.began.min(asked.time);
        self.seen = self.seen.max(asked.time);
        let room = self.questions.len() < MOST_QUESTIONS;
        if room || self.questions.contains_key(&asked.server) {
            let new = Question { first: asked.first, again: false };
            let question = self.questions.entry(asked.server).or_insert(new);
            question.again |= asked.time >= question.first.saturating_add(AGAIN);
        }
    }

    fn is_scan(&self) -> bool {
        let again = self.questions.values().filter(|question| question.again).count();
        again * 2 < self.questions.len()
    }
}
