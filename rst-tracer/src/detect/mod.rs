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
    event::{Endpoint, Finding, Process, RstEvent},
};

/// Watches for findings of one kind.
trait Detector {
    /// Takes an event in that was seen by `now`.
    fn see(&mut self, event: &RstEvent, now: u64, out: &mut Vec<Finding>);

    /// From `since` on resets would have been seen.
    fn begin(&mut self, _since: u64) {}

    /// A service accepted a connection at `time`.
    fn accepts(&mut self, _server: Endpoint, _time: u64) {}

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
    /// Whether it is known since when resets would have been seen.
    began: bool,
    /// An event that is far ahead of all others, until another one says that its clock was right.
    ahead: Option<Box<RstEvent>>,
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
        Self { detectors, now: 0, looked: 0, began: false, ahead: None }
    }
}

impl Watch {
    /// A trace or a capture begins at `now`: from here on resets would be seen.
    pub fn begin(&mut self, now: u64) -> Vec<Finding> {
        let out = self.turn_to(now);
        if !std::mem::replace(&mut self.began, true) {
            self.detectors.iter_mut().for_each(|detector| detector.begin(now));
        }
        self.now = self.now.max(now);
        out
    }

    /// A service was seen to accept a connection at `time`. Said before the event that shows it.
    pub fn accepts(&mut self, server: Endpoint, time: u64) {
        self.detectors.iter_mut().for_each(|detector| detector.accepts(server, time));
    }

    /// Takes an event in, and says what there is to tell by now; the host is left open.
    pub fn see(&mut self, event: &RstEvent) -> Vec<Finding> {
        let mut out = Vec::new();
        let time = event.time.0;
        if let Some(ahead) = self.ahead.take()
            && time.saturating_add(ANOTHER_TIME) >= ahead.time.0
        {
            self.take(&ahead, &mut out);
        }
        if self.now > 0 && time > self.now.saturating_add(ANOTHER_TIME) {
            // A frame with a wrong clock would end everything and begin it again.
            self.ahead = Some(Box::new(event.clone()));
        } else {
            self.take(event, &mut out);
        }
        out
    }

    fn take(&mut self, event: &RstEvent, out: &mut Vec<Finding>) {
        let time = event.time.0;
        out.extend(self.turn_to(time));
        if !self.began {
            out.extend(self.begin(time));
        }
        self.now = self.now.max(time);
        if self.now.saturating_sub(self.looked) >= spell::SECOND {
            self.look_round(out);
        }
        for detector in &mut self.detectors {
            detector.see(event, self.now, out);
        }
    }

    /// Ends what is about later times, if another capture begins at `time`.
    fn turn_to(&mut self, time: u64) -> Vec<Finding> {
        let is_another = time.saturating_add(ANOTHER_TIME) < self.now;
        if is_another { self.end() } else { Vec::new() }
    }

    /// Says what there is to tell at `now`, though nothing happened.
    pub fn look(&mut self, now: u64) -> Vec<Finding> {
        let mut out = Vec::new();
        if !self.began {
            out.extend(self.begin(now));
        }
        if let Some(ahead) = self.ahead.take_if(|ahead| ahead.time.0 <= now) {
            self.take(&ahead, &mut out);
        }
        self.now = self.now.max(now);
        self.look_round(&mut out);
        out
    }

    fn look_round(&mut self, out: &mut Vec<Finding>) {
        self.looked = self.now;
        for detector in &mut self.detectors {
            detector.ongoing().look(self.now, out);
        }
    }

    /// Ends what goes on: there are no more events of this time. All is forgotten.
    pub fn end(&mut self) -> Vec<Finding> {
        let mut out = Vec::new();
        if let Some(ahead) = self.ahead.take() {
            self.take(&ahead, &mut out);
        }
        let ended = std::mem::take(self);
        for mut detector in ended.detectors {
            detector.ongoing().end(ended.now, &mut out);
        }
        out
    }
}
