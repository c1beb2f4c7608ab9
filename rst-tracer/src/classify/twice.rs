//! Words that came twice, from two distances: somebody on the path spoke in a side's name.
//!
//! In: what the recorder holds of the receiver's side. Out: the two segments, and a sentence. A forged answer that wins
//! the race (QUANTUM INSERT; Fox-IT, "Deep dive into QUANTUM INSERT", 2015) is followed by the real one with
//! the same sequence number; the victim, which has closed by then, resets that.

use rst_tracer_common::flow::Slot;

use super::{Case, opinion::reason};
use crate::event::Evidence;

impl Case<'_> {
    /// What the receiver's side said twice: first and second segment from the same number on, of different lengths and
    /// with different times to live. A retransmission is cut anew at times, but comes the same way.
    pub(super) fn said_twice(&self) -> Option<[&Slot; 2]> {
        let past = self.past?;
        let second = past.their_last_data()?;
        let first = past.their_slots().find(|first| {
            first.len > 0
                && first.time_ns < second.time_ns
                && first.seq == second.seq
                && first.len != second.len
                && first.ttl != second.ttl
        })?;
        Some([first, second])
    }

    /// The same in words.
    pub(super) fn said_twice_in_words(&self) -> Option<Evidence> {
        let [first, second] = self.said_twice()?;
        let text = format!(
            "{} said something else from the same sequence number on before: {} bytes with TTL {}, then {} bytes with \
             TTL {}; something on the path may have answered first",
            self.receiver(),
            first.len,
            first.ttl,
            second.len,
            second.ttl
        );
        Some(reason("said_twice", 1.0, text))
    }
}
