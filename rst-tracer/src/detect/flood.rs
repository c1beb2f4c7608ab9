//! Floods: more resets than are told one by one.
//!
//! In: what was counted so far, about once a second. Out: when one begins, at growing intervals while it lasts,
//! and when it is over, what there is to tell about it.

use std::{borrow::Cow, collections::BTreeMap};

use super::spell::{SECOND, SOURCES, Spell};
use crate::event::{Finding, FindingKind, FindingState, Severity, Source, Timestamp};

/// Resets in a second that were not told one by one, from which on it is a flood.
const LEAST: u64 = 100;
/// Quiet for so long, it is over.
const QUIET: u64 = 3 * SECOND;
/// Resets since the start of the trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// All of them.
    pub rsts: u64,
    /// Those that the kernel programs only counted.
    pub suppressed: u64,
    /// Those that found no room on their way to the agent.
    pub lost: u64,
}

impl Counted {
    const fn since(self, before: Self) -> Self {
        Self {
            rsts: self.rsts.saturating_sub(before.rsts),
            suppressed: self.suppressed.saturating_sub(before.suppressed),
            lost: self.lost.saturating_sub(before.lost),
        }
    }

    const fn untold(self) -> u64 {
        self.suppressed + self.lost
    }
}

/// Watches the counters.
#[derive(Debug, Default)]
pub struct Watch {
    last: Option<(u64, Counted)>,
    flood: Option<Ongoing>,
}

#[derive(Debug)]
struct Ongoing {
    spell: Spell,
    /// What had been counted before it.
    before: Counted,
    /// What had been counted when it was last seen to go on.
    counted: Counted,
}

/// What there is to tell about a flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flood {
    /// When it began, on the clock that the watch was given.
    pub began_ns: u64,
    /// How long ago that is.
    pub age_ns: u64,
    /// How long it has lasted.
    pub lasted_ns: u64,
    /// Resets in that time.
    pub counted: Counted,
    /// How far it has come.
    pub state: FindingState,
}

impl Watch {
    /// Looks at what was counted until `now_ns`.
    pub fn look(&mut self, now_ns: u64, counted: Counted) -> Option<Flood> {
        let (then_ns, before) = self.last.replace((now_ns, counted)).unwrap_or((now_ns, counted));
        let grown = counted.since(before).untold();
        let elapsed = now_ns.saturating_sub(then_ns).max(SECOND / 10);
        let is_much =
            u128::from(grown) * u128::from(SECOND) >= u128::from(LEAST) * u128::from(elapsed);
        match &mut self.flood {
            None if is_much => {
                let spell = Spell::new(then_ns, now_ns);
                let flood = self.flood.insert(Ongoing { spell, before, counted });
                Some(flood.told(now_ns, FindingState::Begins))
            }
            None => None,
            Some(flood) => {
                if is_much {
                    flood.spell.go_on(now_ns);
                    flood.counted = counted;
                }
                match flood.spell.look(now_ns, QUIET)? {
                    FindingState::Over => self.end(),
                    state => Some(flood.told(now_ns, state)),
                }
            }
        }
    }

    /// Whether no flood goes on.
    pub fn is_calm(&self) -> bool {
        self.flood.is_none()
    }

    /// Ends a flood that goes on: nobody will look any more.
    pub fn end(&mut self) -> Option<Flood> {
        let now_ns = self.last.map_or(0, |(then_ns, _)| then_ns);
        self.flood.take().map(|flood| flood.told(now_ns, FindingState::Over))
    }
}

impl Ongoing {
    fn told(&self, now_ns: u64, state: FindingState) -> Flood {
        Flood {
            began_ns: self.spell.began,
            age_ns: now_ns.saturating_sub(self.spell.began),
            lasted_ns: self.spell.lasted(),
            counted: self.counted.since(self.before),
            state,
        }
    }
}

impl Flood {
    /// As a finding of this `time`. `sources`: who is known to have sent how many of those that were only counted.
    pub fn finding(&self, time: Timestamp, host: &str, mut sources: Vec<Source>) -> Finding {
        sources.sort_by_key(|source| (std::cmp::Reverse(source.resets), source.ip));
        let named = sources.iter().map(|source| source.resets).sum();
        sources.truncate(SOURCES);
        let Counted { rsts, suppressed, lost } = self.counted;
        let counts = [
            ("duration_ms", self.lasted_ns / 1_000_000),
            ("rsts", rsts),
            ("suppressed", suppressed),
            ("lost", lost),
        ];
        let start = Timestamp(time.0.saturating_sub(self.age_ns));
        Finding {
            seq: 0,
            id: format!("rst_flood-{:x}", self.began_ns),
            time,
            host: host.to_owned(),
            kind: FindingKind::RstFlood,
            state: self.state,
            rule: None,
            start,
            end: Timestamp(start.0.saturating_add(self.lasted_ns).min(time.0)),
            // What is lost may have been somebody's only trace.
            severity: if lost > 0 { Severity::High } else { Severity::Medium },
            text: Cow::Owned(self.text(&sources, named)),
            counts: counts
                .map(|(name, n)| (Cow::Borrowed(name), n))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
            sources,
            truncated: false,
        }
    }

    fn text(&self, sources: &[Source], named: u64) -> String {
        let Counted { rsts, suppressed, lost } = self.counted;
        let seconds = self.lasted_ns as f64 / SECOND as f64;
        let mut text =
            format!("{rsts} resets in {seconds:.1} s, {suppressed} of them only counted");
        if lost > 0 {
            text += &format!(" and {lost} lost, because the ring buffer was full (--ring-size)");
        }
        text += &format!("; {}", self.state.words());
        // What a source is known to have sent is less than what it did, and less so the more there are.
        let share = |n: u64| n.saturating_mul(100) / suppressed.max(1);
        match sources.first() {
            Some(first) if share(first.resets) >= 10 => {
                text += &format!(
                    "; at least {} % of those counted came in the name of {}",
                    share(first.resets).min(100),
                    first.ip
                );
            }
            _ if suppressed > 0 && share(named) < 50 => {
                text += "; they came in the names of many addresses, which are probably forged";
            }
            _ => {}
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1 << 50;

    fn counted(suppressed: u64) -> Counted {
        Counted { rsts: suppressed + 10, suppressed, lost: 0 }
    }

    /// Looks once a second; `growth` says how much is suppressed in each.
    fn watched(growth: impl Fn(u64) -> u64, seconds: u64) -> Vec<(u64, Flood)> {
        let mut watch = Watch::default();
        let mut sum = 0;
        let mut told = Vec::new();
        for second in 0..seconds {
            sum += growth(second);
            let flood = watch.look(START + second * SECOND, counted(sum));
            told.extend(flood.map(|flood| (second, flood)));
        }
        told
    }

    #[test]
    fn some_that_are_only_counted_make_no_flood() {
        assert_eq!(watched(|_| 99, 60), []);
    }

    #[test]
    fn a_flood_is_told_when_it_begins_and_when_it_is_over() {
        let told = watched(|second| if (5..8).contains(&second) { 50_000 } else { 0 }, 20);
        let [(5, first), (10, last)] = &told[..] else { panic!("{told:?}") };
        assert_eq!((first.state, last.state), (FindingState::Begins, FindingState::Over));
        assert_eq!((first.counted.suppressed, last.counted.suppressed), (50_000, 150_000));
        assert_eq!(last.lasted_ns, 3 * SECOND);
        assert_eq!(first.began_ns, last.began_ns);
    }

    #[test]
    fn a_long_one_is_told_less_and_less_often() {
        let told = watched(|_| 1_000, 200);
        let times: Vec<u64> = told.iter().map(|(second, _)| *second).collect();
        assert_eq!(times, [1, 11, 31, 71, 151]);
        assert!(told.iter().all(|(_, flood)| flood.state != FindingState::Over));
    }

    #[test]
    fn what_was_counted_before_the_first_look_is_no_flood() {
        let mut watch = Watch::default();
        assert_eq!(watch.look(START, counted(1_000_000)), None);
        assert_eq!(watch.look(START + SECOND, counted(1_000_001)), None);
    }

    #[test]
    fn the_end_of_the_trace_ends_it() {
        let mut watch = Watch::default();
        watch.look(START, counted(0));
        watch.look(START + SECOND, counted(5_000)).expect("a flood");
        let last = watch.end().expect("its end");
        assert_eq!(last.state, FindingState::Over);
        assert_eq!(watch.end(), None);
    }

    fn flood(suppressed: u64, lost: u64) -> Flood {
        let counted = Counted { rsts: suppressed + lost + 50, suppressed, lost };
        Flood {
            began_ns: 255,
            age_ns: 5 * SECOND,
            lasted_ns: 2 * SECOND,
            counted,
            state: FindingState::Over,
        }
    }

    fn source(last: u8, resets: u64) -> Source {
        Source { ip: [10, 0, 0, last].into(), port: None, resets }
    }

    #[test]
    fn the_busiest_source_is_named_with_its_share() {
        let finding = flood(1_000, 0).finding(
            Timestamp(9 * SECOND),
            "h",
            vec![source(1, 20), source(2, 700)],
        );
        assert_eq!((finding.start, finding.end), (Timestamp(4 * SECOND), Timestamp(6 * SECOND)));
        assert_eq!(finding.sources, [source(2, 700), source(1, 20)]);
        assert_eq!(
            finding.text,
            "1050 resets in 2.0 s, 1000 of them only counted; it is over; at least 70 % of those \
             counted came in the name of 10.0.0.2"
        );
        assert_eq!((finding.id.as_str(), finding.severity), ("rst_flood-ff", Severity::Medium));
        assert_eq!(finding.counts["suppressed"], 1_000);
    }

    #[test]
    fn many_sources_are_told_from_one_and_a_loss_is_grave() {
        let all: Vec<Source> = (0..100).map(|i| source(i, 1)).collect();
        let finding = flood(1_000, 5).finding(Timestamp(1), "h", all);
        assert!(finding.text.contains("5 lost") && finding.text.ends_with("probably forged"));
        assert_eq!((finding.sources.len(), finding.severity), (SOURCES, Severity::High));
    }
}
