//! The resets that are shown in full: of each cause the most severe, each between other hosts.
//!
//! In: every reset. Out: a few of each cause, so that one that happens all the time hides no other.

use std::collections::BTreeMap;

use crate::{
    digest::Pair,
    event::{Cause, RstEvent, Severity},
};

/// Of each cause.
const EACH: usize = 3;

#[derive(Debug, Default)]
pub(super) struct Examples(BTreeMap<Cause, Vec<RstEvent>>);

impl Examples {
    pub(super) fn take(&mut self, event: RstEvent) {
        let shown = self.0.entry(event.cause).or_default();
        let same = shown.iter().position(|other| Pair::of(other) == Pair::of(&event));
        let least = (0..shown.len()).min_by_key(|at| worth(&shown[*at]));
        match (same, least) {
            (Some(at), _) if worth(&event) > worth(&shown[at]) => shown[at] = event,
            (Some(_), _) => {}
            (None, _) if shown.len() < EACH => shown.push(event),
            (None, Some(at)) if worth(&event) > worth(&shown[at]) => shown[at] = event,
            (None, _) => {}
        }
    }

    /// Those of at least this severity and those below, the most severe first.
    pub(super) fn parted(&self, at: Severity) -> [Vec<&RstEvent>; 2] {
        let mut all: Vec<&RstEvent> = self.0.values().flatten().collect();
        all.sort_by_key(|event| (std::cmp::Reverse(worth(event)), event.time));
        let end = all.partition_point(|event| event.severity >= at);
        let below = all.split_off(end);
        [all, below]
    }
}

/// What makes one better to look at than another.
fn worth(event: &RstEvent) -> impl Ord + use<> {
    (event.severity, event.confidence, event.process.is_some(), event.evidence.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Confidence, Endpoint, Event, samples::unread_data};

    fn reset(host: u8, severity: Severity, confidence: f64) -> RstEvent {
        let Event::Rst(mut event) = unread_data() else { panic!("a reset") };
        event.server = Some(Endpoint { ip: [10, 0, 0, host].into(), port: 443 });
        (event.severity, event.confidence) = (severity, Confidence::new(confidence));
        *event
    }

    #[test]
    fn the_most_severe_of_each_cause_stay_and_each_is_between_other_hosts() {
        let mut examples = Examples::default();
        for n in 0..50 {
            examples.take(reset(1, Severity::Low, 0.5));
            examples.take(reset(n, Severity::Info, 0.9));
        }
        examples.take(reset(7, Severity::High, 0.4));
        let mut other = reset(7, Severity::Info, 0.4);
        other.cause = Cause::ClosedPort;
        examples.take(other);
        let [notable, benign] = examples.parted(Severity::Low);
        let told = |events: &[&RstEvent]| -> Vec<_> {
            events.iter().map(|e| (e.cause, e.severity)).collect()
        };
        let cause = Cause::ClosedWithUnreadData;
        assert_eq!(told(&notable), [(cause, Severity::High), (cause, Severity::Low)]);
        assert_eq!(told(&benign), [(cause, Severity::Info), (Cause::ClosedPort, Severity::Info)]);
    }
}
