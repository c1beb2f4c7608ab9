//! What shows only over many resets.
//!
//! In: counters and events, with their times. Out: findings. Pure: no clock, no I/O. What is remembered is bounded:
//! the addresses and services that nobody asked about for longest are forgotten first.
#![forbid(unsafe_code)]

pub mod flood;
mod idle;
mod injection;
mod overflow;
pub mod policy;
mod restart;
mod scan;
mod spell;
mod surge;
#[cfg(test)]
mod tests;
mod window;

use self::spell::Spells;
use crate::{
    correlate::Bounded,
    event::{Finding, Process, RstEvent},
};

/// Watches for findings of one kind.
trait Detector {
    /// Takes an event in that was seen by `now`.
    fn see(&mut self, event: &RstEvent, now: u64, out: &mut Vec<Finding>);

    /// What goes on.
    fn ongoing(&mut self) -> &mut dyn Spells;
}

/// A process in the text of a finding.
fn named(process: &Process) -> String {
    format!("{}[{}]", process.name, process.pid)
}

/// Watches the events that are written. Its time is theirs: nanoseconds since the epoch.
pub struct Watch {
    detectors: [Box<dyn Detector>; 7],
    now: u64,
    /// When it was last looked for what is due.
    looked: u64,
}

/// Events come a little out of order, as they are settled. Further back begins another capture.
const ANOTHER_TIME: u64 = 60 * spell::SECOND;

impl Default for Watch {
    fn default() -> Self {
        let detectors: [Box<dyn Detector>; 7] = [
            Box::<scan::Scans>::default(),
            Box::<surge::Surges>::default(),
            Box::<injection::Injections>::default(),
            Box::<idle::Idles>::default(),
            Box::<overflow::Overflows>::default(),
            Box::<restart::Restarts>::default(),
            Box::<policy::violations::Violations>::default(),
        ];
        Self { detectors, now: 0, looked: 0 }
    }
}

impl Watch {
    /// Takes an event in, and says what there is to tell by now; the host is left open.
    pub fn see(&mut self, event: &RstEvent) -> Vec<Finding> {
        let mut out = Vec::new();
        let time = event.time.0;
        if time.saturating_add(ANOTHER_TIME) < self.now {
            out = self.end();
        }
        self.now = self.now.max(time);
        if self.now.saturating_sub(self.looked) >= spell::SECOND {
            out.extend(self.look(time));
        }
        for detector in &mut self.detectors {
            detector.see(event, self.now, &mut out);
        }
        out
    }

    /// Says what there is to tell at `now`, though nothing happened.
    pub fn look(&mut self, now: u64) -> Vec<Finding> {
        let mut out = Vec::new();
        self.now = self.now.max(now);
        self.looked = self.now;
        for detector in &mut self.detectors {
            detector.ongoing().look(self.now, &mut out);
        }
        out
    }

    /// Ends what goes on: there are no more events of this time. All is forgotten.
    pub fn end(&mut self) -> Vec<Finding> {
        let mut out = Vec::new();
        let ended = std::mem::take(self);
        for mut detector in ended.detectors {
            detector.ongoing().end(ended.now, &mut out);
        }
        out
    }
}
