//! How what goes on is told: when it begins, at growing intervals while it lasts, and when it is over. One line each
//! time, so that a storm of resets makes no storm of lines.

use std::{borrow::Cow, collections::BTreeMap, fmt::Display};

use sha1::{Digest, Sha1};

use crate::event::{Finding, FindingKind, FindingState, Severity, Source, Text, Timestamp};

pub(super) const SECOND: u64 = 1_000_000_000;
/// It is told again after this time, then after twice that, and so on.
const FIRST_INTERVAL: u64 = 10 * SECOND;
const LONGEST_INTERVAL: u64 = 600 * SECOND;
/// So many of a kind may go on at once; one more ends the one that has been quiet for longest.
const MOST: usize = 256;
/// How many addresses a finding names.
pub(super) const SOURCES: usize = 10;

/// The time through which something goes on; nanoseconds of any one clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spell {
    pub began: u64,
    /// When it was last seen to go on.
    pub seen: u64,
    told: u64,
    interval: u64,
}

impl Spell {
    /// What has gone on since `began` and is told for the first time.
    pub(super) const fn new(began: u64, now: u64) -> Self {
        Self { began, seen: now, told: now, interval: FIRST_INTERVAL }
    }

    /// It still goes on.
    pub(super) fn go_on(&mut self, now: u64) {
        self.seen = self.seen.max(now);
    }

    /// What there is to tell at `now` of what is over when nothing was seen of it for `quiet`.
    pub(super) fn look(&mut self, now: u64, quiet: u64) -> Option<FindingState> {
        if now.saturating_sub(self.seen) >= quiet {
            return Some(FindingState::Over);
        }
        if now.saturating_sub(self.told) < self.interval {
            return None;
        }
        self.told = now;
        self.interval = (self.interval * 2).min(LONGEST_INTERVAL);
        Some(FindingState::GoesOn)
    }

    /// How long it was seen to go on.
    pub(super) const fn lasted(&self) -> u64 {
        self.seen.saturating_sub(self.began)
    }
}

/// What one kind of finding is about, and what it says.
pub(super) trait Subject {
    /// What tells one from another.
    type Key: Clone + Ord + Display;
    const KIND: FindingKind;
    /// Nothing seen for so long, it is over.
    const QUIET: u64;

    /// The rule of the policy file that it is about.
    fn rule(&self, _: &Self::Key) -> Option<Text> {
        None
    }

    /// What there is to say now.
    fn say(&self, key: &Self::Key, spell: &Spell) -> Words;
}

/// What a finding says.
pub(super) struct Words {
    pub severity: Severity,
    pub text: String,
    pub counts: Vec<(&'static str, u64)>,
    pub sources: Vec<Source>,
}

/// Everything of one kind that goes on.
pub(super) struct Ongoing<S: Subject> {
    all: BTreeMap<S::Key, (Spell, S)>,
}

impl<S: Subject> Default for Ongoing<S> {
    fn default() -> Self {
        Self { all: BTreeMap::new() }
    }
}

impl<S: Subject> Ongoing<S> {
    /// What goes on under this key, which it is seen to do now.
    pub(super) fn go_on(&mut self, key: &S::Key, now: u64) -> Option<&mut S> {
        let (spell, subject) = self.all.get_mut(key)?;
        spell.go_on(now);
        Some(subject)
    }

    /// The same, without it being seen to go on.
    pub(super) fn get_mut(&mut self, key: &S::Key) -> Option<&mut S> {
        self.all.get_mut(key).map(|(_, subject)| subject)
    }

    /// What goes on under this key.
    pub(super) fn get(&self, key: &S::Key) -> Option<&S> {
        self.all.get(key).map(|(_, subject)| subject)
    }

    /// Something begins, and is told. `began` is when it had, before it was enough to be told.
    pub(super) fn begin(
        &mut self,
        key: S::Key,
        began: u64,
        now: u64,
        subject: S,
        out: &mut Vec<Finding>,
    ) {
        self.begin_late(key, (began, now), now, subject, out);
    }

    /// The same for what was last seen to go on before `now`.
    pub(super) fn begin_late(
        &mut self,
        key: S::Key,
        (began, seen): (u64, u64),
        now: u64,
        subject: S,
        out: &mut Vec<Finding>,
    ) {
        if self.all.len() >= MOST {
            let quietest = self.all.iter().min_by_key(|(_, (spell, _))| spell.seen);
            if let Some(key) = quietest.map(|(key, _)| key.clone())
                && let Some((spell, subject)) = self.all.remove(&key)
            {
                out.push(finding(&key, &spell, &subject, FindingState::Over, now));
            }
        }
        let spell = Spell { seen: seen.min(now), ..Spell::new(began.min(now), now) };
        out.push(finding(&key, &spell, &subject, FindingState::Begins, now));
        self.all.insert(key, (spell, subject));
    }
}

/// Everything of one kind that goes on, whatever it is.
pub(super) trait Spells {
    /// Tells what is due at `now`.
    fn look(&mut self, now: u64, out: &mut Vec<Finding>);

    /// Ends everything that goes on: nobody will look any more.
    fn end(&mut self, now: u64, out: &mut Vec<Finding>);
}

impl<S: Subject> Spells for Ongoing<S> {
    fn look(&mut self, now: u64, out: &mut Vec<Finding>) {
        self.all.retain(|key, (spell, subject)| {
            let state = spell.look(now, S::QUIET);
            out.extend(state.map(|state| finding(key, spell, subject, state, now)));
            state != Some(FindingState::Over)
        });
    }

    fn end(&mut self, now: u64, out: &mut Vec<Finding>) {
        for (key, (spell, subject)) in std::mem::take(&mut self.all) {
            out.push(finding(&key, &spell, &subject, FindingState::Over, now));
        }
    }
}

fn finding<S: Subject>(
    key: &S::Key,
    spell: &Spell,
    subject: &S,
    state: FindingState,
    now: u64,
) -> Finding {
    let Words { severity, text, counts, mut sources } = subject.say(key, spell);
    let time = match state {
        // It was over then, however late that is noticed.
        FindingState::Over => now.min(spell.seen.saturating_add(S::QUIET)),
        FindingState::Begins | FindingState::GoesOn => now,
    };
    sources.sort_by_key(|source| (std::cmp::Reverse(source.resets), source.ip, source.port));
    sources.truncate(SOURCES);
    Finding {
        id: id::<S>(key, spell),
        seq: 0,
        time: Timestamp(time),
        host: String::new(),
        kind: S::KIND,
        state,
        rule: subject.rule(key),
        start: Timestamp(spell.began),
        end: Timestamp(spell.seen),
        severity,
        text: format!("{text}; {}", state.words()).into(),
        counts: counts
            .into_iter()
            .map(|(name, n)| (Cow::Borrowed(name), n))
            .collect::<BTreeMap<Text, _>>(),
        sources,
        truncated: false,
    }
}

/// The same each time, and short: in CEF an id has forty characters at most.
fn id<S: Subject>(key: &S::Key, spell: &Spell) -> String {
    let hash = Sha1::digest(format!("{}-{key}", spell.began));
    let short: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{short}", S::KIND.id())
}

/// A length of time in words, from nanoseconds.
pub(super) fn span(ns: u64) -> String {
    match ns / 1_000_000 {
        0 => "a moment".to_owned(),
        ms @ 1..1_000 => format!("{ms} ms"),
        ms @ 1_000..100_000 => format!("{:.1} s", ms as f64 / 1e3),
        ms @ 100_000..7_200_000 => format!("{} s", ms / 1_000),
        ms => format!("{:.1} h", ms as f64 / 3.6e6),
    }
}

/// `3 ports`, `1 port`.
pub(super) fn some(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_one_is_told_less_and_less_often() {
        let mut spell = Spell::new(0, SECOND);
        let mut times = Vec::new();
        for second in 1..200 {
            spell.go_on(second * SECOND);
            times.extend(spell.look(second * SECOND, 3 * SECOND).map(|state| (second, state)));
        }
        let expected = [11, 31, 71, 151].map(|second| (second, FindingState::GoesOn));
        assert_eq!(times, expected);
    }

    #[test]
    fn what_is_quiet_is_over_and_lasted_until_it_was_last_seen() {
        let mut spell = Spell::new(0, SECOND);
        spell.go_on(2 * SECOND);
        spell.go_on(SECOND);
        assert_eq!(spell.look(4 * SECOND, 3 * SECOND), None);
        assert_eq!(spell.look(5 * SECOND, 3 * SECOND), Some(FindingState::Over));
        assert_eq!(spell.lasted(), 2 * SECOND);
    }

    struct Nothing;

    impl Subject for Nothing {
        type Key = u32;
        const KIND: FindingKind = FindingKind::Surge;
        const QUIET: u64 = SECOND;

        fn say(&self, key: &u32, _: &Spell) -> Words {
            Words {
                severity: Severity::Low,
                text: key.to_string(),
                counts: vec![],
                sources: vec![],
            }
        }
    }

    #[test]
    fn no_more_go_on_than_are_remembered_and_each_is_ended_once() {
        let (mut all, mut out) = (Ongoing::default(), Vec::new());
        for key in 0..1_000_u32 {
            all.begin(key, 0, u64::from(key), Nothing, &mut out);
            assert!(all.all.len() <= MOST);
        }
        all.end(1_000, &mut out);
        let told = |state| out.iter().filter(|finding| finding.state == state).count();
        assert_eq!((told(FindingState::Begins), told(FindingState::Over)), (1_000, 1_000));
        let ids: std::collections::BTreeSet<_> = out.iter().map(|finding| &finding.id).collect();
        assert_eq!(ids.len(), 1_000);
    }
}
