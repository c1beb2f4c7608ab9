//! What became of every segment and reset: the numbers behind the summary and stats events.

use std::fmt;

use rst_tracer_common::{
    event::{Counters, Hook},
    notice::{Point, Statements},
    wire::{Malformed, NotOurs},
};

use crate::{
    event::{self, HookStats, OutputStats, RuleStats, StatsEvent, Text, Timestamp},
    sink::words,
};

/// What the agent did with the resets it was handed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events written.
    pub events: u64,
    /// Left out by the filters.
    pub filtered: u64,
    /// Resets that the events stand for in their `repeats`.
    pub repeated: u64,
    /// Further sightings of a reset already known.
    pub merged: u64,
    /// Still waiting.
    pub pending: u64,
}

/// The numbers of a whole run.
#[derive(Clone, Debug)]
pub struct Summary {
    /// What the agent did.
    pub tally: Tally,
    /// What each hook counted.
    pub hooks: [Counters; Hook::COUNT],
    /// What became of the kernel's statements.
    pub statements: Statements,
    /// Whether VLAN tags are taken out of frames before they are seen.
    pub hides_vlan: bool,
    /// What became of the lines at each output.
    pub outputs: Vec<OutputStats>,
    /// What each rule of the policy matched.
    pub policy: Vec<RuleStats>,
    /// Nothing more is read or written: what waits by now will not be told.
    pub is_over: bool,
}

impl Summary {
    /// All hooks together.
    pub fn total(&self) -> Counters {
        let mut total = Counters::default();
        self.hooks.iter().for_each(|hook| total.add(hook));
        total
    }

    /// As a stats event.
    pub fn to_event(&self, time: Timestamp, host: &str) -> StatsEvent {
        let total = self.total();
        let evictions = total.evicted_finished + total.evicted_half_open;
        StatsEvent {
            time,
            seq: 0,
            host: host.to_owned(),
            segments: total.segments,
            rsts: total.rsts,
            events: self.tally.events,
            merged: self.tally.merged,
            repeated: self.tally.repeated,
            filtered: self.filtered(&total),
            pending: self.pending(),
            suppressed: self.suppressed(&total),
            lost: total.ring_full,
            malformed: total.malformed.iter().sum(),
            flows: total.flows.saturating_sub(evictions),
            evictions,
            vlan_visible: self.hides_vlan.then_some(false),
            outputs: self.outputs.clone(),
            policy: self.policy.clone(),
            hooks: self.hooks.iter().enumerate().filter_map(hook_stats).collect(),
            truncated: false,
        }
    }

    /// Left out by the filters, here or in the kernel.
    pub const fn filtered(&self, total: &Counters) -> u64 {
        self.tally.filtered + total.filtered
    }

    /// Resets of which it is not yet said what became of them: in the ring buffer, or awaiting more.
    pub fn pending(&self) -> u64 {
        self.tally.pending + self.in_transit(&self.total())
    }

    /// Only counted by the kernel, and told by no event.
    fn suppressed(&self, total: &Counters) -> u64 {
        total.all_suppressed().saturating_sub(self.tally.repeated)
    }

    /// Handed over by the kernel but not yet read: they lie in the ring buffer.
    fn in_transit(&self, total: &Counters) -> u64 {
        let Tally { events, filtered, merged, pending, .. } = self.tally;
        total.delivered.saturating_sub(events + filtered + merged + pending)
    }
}

/// TCP segments that updated no connection, by reason: with those that did, they are all there were.
pub fn untracked(counters: &Counters) -> [(&'static str, u64); 3] {
    [
        ("reset", counters.rsts),
        ("second_sighting", counters.second_sightings),
        ("table_full", counters.table_full),
    ]
}

/// Frames that may hold TCP in what is not looked into, by what it is.
pub fn skipped(counters: &Counters) -> impl Iterator<Item = (&'static str, u64)> {
    NotOurs::NAMES.into_iter().zip(counters.not_ours).skip(NotOurs::SKIPPED)
}

fn hook_stats((index, counters): (usize, &Counters)) -> Option<HookStats> {
    if counters.frames == 0 {
        return None;
    }
    let hook = [event::Hook::Xdp, event::Hook::TcIngress, event::Hook::TcEgress, event::Hook::Pcap];
    let some = |(name, n): (&'static str, u64)| (n > 0).then_some((Text::Borrowed(name), n));
    let malformed = Malformed::NAMES.into_iter().zip(counters.malformed);
    Some(HookStats {
        hook: *hook.get(index)?,
        interface: None,
        segments: counters.segments,
        tracked: counters.tracked,
        untracked: untracked(counters).into_iter().filter_map(some).collect(),
        malformed: malformed.filter_map(some).collect(),
        skipped: skipped(counters).filter_map(some).collect(),
    })
}

/// Names and numbers of what there was.
fn by_kind(counts: impl Iterator<Item = (&'static str, u64)>) -> String {
    let told = |(name, n)| format!("{name} {n}");
    counts.filter(|(_, n)| *n > 0).map(told).collect::<Vec<String>>().join(", ")
}

impl fmt::Display for Summary {
    /// Two or three lines for people, one more for each output that has something to tell, and for each rule.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        let Tally { events, repeated, merged, .. } = self.tally;
        let filtered = self.filtered(&total);
        let evicted = total.evicted_finished + total.evicted_half_open;
        let malformed: u64 = total.malformed.iter().sum();
        write!(
            f,
            "summary: {} segments, {} resets: {events} events, {repeated} repeated, {merged} further \
             sightings, {filtered} filtered, {} suppressed, {} lost",
            total.segments,
            total.rsts,
            self.suppressed(&total),
            total.ring_full
        )?;
        let unread = self.pending();
        if unread > 0 {
            let what = if self.is_over { "not written" } else { "pending" };
            write!(f, ", {unread} {what}")?;
        }
        let untracked: u64 = untracked(&total).iter().map(|(_, n)| n).sum();
        write!(
            f,
            "\nsummary: {} flows, {evicted} evicted, {} segments found no room; {} segments tracked, {untracked} \
             untracked; {malformed} malformed frames",
            total.flows, total.table_full, total.tracked
        )?;
        if malformed > 0 {
            write!(f, " ({})", by_kind(Malformed::NAMES.into_iter().zip(total.malformed)))?;
        }
        let later = total.not_ours[NotOurs::LaterFragment as usize];
        if later > 0 {
            write!(f, "; {later} later fragments")?;
        }
        let not_looked_into: u64 = skipped(&total).map(|(_, n)| n).sum();
        if not_looked_into > 0 {
            let kinds = by_kind(skipped(&total));
            write!(f, "; {not_looked_into} frames not looked into ({kinds})")?;
        }
        if total.ring_full > 0 {
            f.write_str("; what was lost found the ring buffer full: see --ring-size")?;
        }
        if total.aftermath_lost > 0 {
            write!(f, "; {} segments after a reset lost", total.aftermath_lost)?;
        }
        let lost = by_kind(Point::NAMES.into_iter().zip(self.statements.lost));
        if !lost.is_empty() {
            write!(f, "; statements of the kernel lost: {lost}")?;
        }
        // One that took everything has nothing to tell that is not said above.
        let is_alone = self.outputs.len() == 1;
        for output in
            self.outputs.iter().filter(|output| !is_alone || output.dropped + output.waiting > 0)
        {
            let OutputStats { output, written, waiting, dropped } = output;
            write!(f, "\nsummary: output {output}: {written} lines written, {dropped} dropped")?;
            if *waiting > 0 {
                write!(f, ", {waiting} waiting")?;
            }
        }
        let mut rules = self.policy.iter();
        rules.try_for_each(|rule| write!(f, "\nsummary: policy {}", words::rule(rule)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight resets at one hook: three told, two waiting, one in the ring, two lost.
    fn summary() -> Summary {
        let mut hooks = [Counters::default(); Hook::COUNT];
        (hooks[0].rsts, hooks[0].delivered, hooks[0].ring_full) = (8, 6, 2);
        let output =
            OutputStats { output: "json:-".into(), written: 1, waiting: 2, ..Default::default() };
        Summary {
            tally: Tally { events: 3, pending: 2, ..Tally::default() },
            hooks,
            statements: Statements::default(),
            hides_vlan: false,
            outputs: vec![output],
            policy: Vec::new(),
            is_over: false,
        }
    }

    #[test]
    fn what_waits_is_not_lost_until_the_end() {
        let running = summary();
        assert!(running.to_string().contains("2 lost, 3 pending\n"), "{running}");
        let ended = Summary { is_over: true, ..running };
        assert!(ended.to_string().contains("2 lost, 3 not written\n"), "{ended}");
    }

    #[test]
    fn who_lost_is_told_what_helps() {
        let mut summary = summary();
        assert!(summary.to_string().contains("ring buffer full: see --ring-size"), "{summary}");
        summary.hooks[0].ring_full = 0;
        assert!(!summary.to_string().contains("--ring-size"), "{summary}");
    }

    #[test]
    fn every_segment_was_tracked_or_not() {
        let mut summary = summary();
        let hook = &mut summary.hooks[0];
        (hook.segments, hook.tracked, hook.second_sightings, hook.table_full) = (100, 80, 7, 5);
        let told = "; 80 segments tracked, 20 untracked; 0 malformed frames";
        assert!(summary.to_string().contains(told), "{summary}");
    }

    #[test]
    fn what_was_not_looked_into_is_told_by_kind() {
        let mut summary = summary();
        assert!(!summary.to_string().contains("looked into"), "{summary}");
        summary.hooks[0].not_ours[NotOurs::NotTcp as usize] = 70;
        summary.hooks[0].not_ours[NotOurs::Erspan as usize] = 5;
        summary.hooks[2].not_ours[NotOurs::GtpU as usize] = 2;
        let told = "; 7 frames not looked into (erspan 5, gtp_u 2)";
        assert!(summary.to_string().contains(told), "{summary}");
        summary.hooks[0].frames = 75;
        let stats = summary.to_event(Timestamp(0), "web-1");
        assert_eq!(stats.hooks[0].skipped, [("erspan".into(), 5)].into());
    }

    #[test]
    fn lines_that_wait_for_an_output_are_told() {
        let mut summary = summary();
        let told = "\nsummary: output json:-: 1 lines written, 0 dropped, 2 waiting";
        assert!(summary.to_string().ends_with(told), "{summary}");
        summary.outputs[0].waiting = 0;
        assert!(!summary.to_string().contains("json:-"), "alone, with nothing to tell");
    }
}
