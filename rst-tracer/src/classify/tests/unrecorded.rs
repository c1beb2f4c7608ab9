//! The recorder is off: what was not recorded is neither held against anybody nor taken as silence.

use rst_tracer_common::{
    event::RstWithFlow,
    flow::{Count, slot_trait},
    wire::Flags,
};

use super::{expect, gives, sane, share, with};
use crate::correlate::{
    Joined,
    story::{ACK, Client, Packet, RST, Server, Story},
};
use crate::event::{Cause, Effect};
use crate::source::Reset;

/// As if the last segments had been amid a connection in full swing, with the recorder off.
fn unrecorded(joined: &mut Joined) {
    reread(joined, |record| {
        record.hot.counts.iter_mut().for_each(|count| count.latest = Count::UNRECORDED);
    });
}

/// Reads the record once more, otherwise.
fn reread(joined: &mut Joined, otherwise: impl FnOnce(&mut RstWithFlow)) {
    let reset = &joined.reset;
    let state = reset.flow.as_deref().expect("a flow");
    let (rst, hot, flow, recorder) = (*reset.rst, state.hot, state.flow, state.recorder);
    let mut record = RstWithFlow { rst, hot, flow, recorder };
    otherwise(&mut record);
    joined.reset = Reset::of(&record, reset.time, reset.origin.clone());
}

/// A client asks and is answered, and then asks something that is never answered.
fn asked() -> Story {
    let mut story = Story::v4();
    story.handshake().exchange().say(Client, b"and now?");
    story
}

#[test]
fn the_verdict_is_less_sure_and_says_why() {
    let whole = expect(asked().wait(5).abort(Server), Cause::ClosedWithUnreadData);
    let event = with(asked().wait(5).abort(Server), unrecorded);
    assert!(event.recent.is_empty() && !whole.recent.is_empty());
    assert!(gives(&event, "unrecorded") && !gives(&whole, "unrecorded"), "{event:#?}");
    assert_eq!((event.cause, event.confidence.percent()), (Cause::Linger0Close, 40));
    let told = event.evidence.iter().any(|reason| reason.text.contains("recorded no more"));
    assert!(told && share(&event, Cause::ClosedWithUnreadData) > 10, "{event:#?}");
}

#[test]
fn a_reset_behind_data_that_is_not_acknowledged_yet_is_believed_all_the_same() {
    let event = with(asked().say(Server, b"at once").wait(5).abort(Server), unrecorded);
    let whole = sane(asked().say(Server, b"at once").wait(5).abort(Server).first());
    assert_eq!((event.effect, whole.effect), (Effect::Accepted, Effect::Accepted), "{event:#?}");
}

#[test]
fn silence_is_measured_from_the_last_segment_all_the_same() {
    let event = with(asked().wait(300_000).abort(Server), unrecorded);
    // In ticks of 2^20 ns.
    let idle_ms = event.flow.as_ref().expect("a flow").idle_ms;
    assert!((299_998..=300_002).contains(&idle_ms), "{idle_ms}");
}

#[test]
fn headers_are_not_held_against_what_nobody_remembers() {
    let odd = |story: &Story| Packet {
        window: 0,
        options: vec![],
        ip_id: 4711,
        df: false,
        tos: 0x20,
        ..story.packet(Server, RST | ACK)
    };
    let tells = ["tos_differs", "timestamp_missing", "timestamp_wild", "df_missing", "ip_id_gone"];
    let mut story = asked();
    let packet = odd(&story);
    let event = with(story.wait(5).send(packet), unrecorded);
    assert!(tells.iter().all(|tell| !gives(&event, tell)), "{event:#?}");
    let mut story = asked();
    let packet = odd(&story);
    let whole = sane(story.wait(5).send(packet).first());
    assert!(tells.iter().any(|tell| gives(&whole, tell)), "{whole:#?}");
}

#[test]
fn a_number_that_may_have_stood_in_a_segment_is_no_guess() {
    let story = |behind: u32| {
        let mut story = asked();
        story.wait(5).say(Server, b"that").wait(500);
        let usual = story.packet(Client, RST | ACK);
        let shot = Packet {
            seq: usual.seq.wrapping_sub(behind),
            window: 64,
            df: false,
            ip_id: 0,
            ..usual
        };
        story.send(shot).wait(5).say(Client, b"still here");
        story
    };
    let sure = share(&sane(story(3).first()), Cause::BlindResetAttempt);
    let event = with(&mut story(3), unrecorded);
    assert!(share(&event, Cause::BlindResetAttempt) < sure, "{sure} {event:#?}");
}

#[test]
fn what_was_recorded_behind_a_gap_counts() {
    let event = with(asked().wait(5).abort(Server), |joined| {
        reread(joined, |record| {
            let last = record.hot.recorded as usize - 1;
            record.recorder.slots[last].traits |= slot_trait::AFTER_GAP;
        });
    });
    assert_eq!(event.recent.len(), 1, "{:?}", event.recent);
    assert_eq!(event.recent[0].len, 8);
    assert!(!Flags(event.recent[0].flags.0).has(Flags::RST) && !gives(&event, "unrecorded"));
}
