//! The rules, each on a connection told segment by segment.

mod aborts;
mod answers;
mod consequences;
mod context;
mod corners;
mod crossing;
mod distance;
mod drains;
mod forged;
mod genuine;
mod habits;
mod handshake;
mod honest;
mod payloads;
mod peers;
mod proofs;
mod scans;
mod signatures;
mod silences;
mod stopped;
mod strangers;
mod told;
mod unrecorded;

use crate::correlate::{Joined, Scene, describe, story::Story};
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

/// The event of the first reset, with more facts than a story tells.
fn with(story: &mut Story, facts: impl FnOnce(&mut Joined)) -> RstEvent {
    let mut joined = story.joined();
    facts(&mut joined);
    sane(describe(&joined, &Scene { host: "here".into(), ..Scene::default() }))
}

/// Whether a piece of evidence was given.
fn gives(event: &RstEvent, id: &str) -> bool {
    event.evidence.iter().any(|evidence| evidence.id == id)
}
