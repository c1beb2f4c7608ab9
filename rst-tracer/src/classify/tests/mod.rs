//! The rules, each on a connection told segment by segment.

mod aborts;
mod answers;
mod forged;
mod handshake;

use crate::correlate::story::Story;
use crate::event::{Cause, RstEvent};

/// What holds for every verdict: classes fit causes, shares add up, reasons are given.
fn sane(event: RstEvent) -> RstEvent {
    assert_eq!(event.class, event.cause.class());
    let others: u32 = event.alternatives.iter().map(|a| u32::from(a.confidence.percent())).sum();
    // Each share is rounded to a hundredth.
    assert!(u32::from(event.confidence.percent()) + others <= 102, "{event:?}");
    assert!(event.alternatives.iter().all(|a| a.cause != event.cause));
    assert!(event.alternatives.is_sorted_by(|a, b| a.confidence >= b.confidence));
    let is_explained = !event.evidence.is_empty();
    assert_eq!(is_explained, event.confidence.percent() > 0, "{event:?}");
    event
}

/// The first event of a story, and that its cause is the one expected.
#[track_caller]
fn expect(story: &mut Story, cause: Cause) -> RstEvent {
    let event = sane(story.first());
    assert_eq!(event.cause, cause, "{:#?} {:#?}", event.evidence, event.alternatives);
    event
}

/// How likely the event takes a cause to be, as verdict or alternative, in percent.
fn share(event: &RstEvent, cause: Cause) -> u8 {
    if event.cause == cause {
        return event.confidence.percent();
    }
    let other = event.alternatives.iter().find(|other| other.cause == cause);
    other.map_or(0, |other| other.confidence.percent())
}

/// The story in both families.
fn both() -> [Story; 2] {
    [Story::v4(), Story::v6()]
}
