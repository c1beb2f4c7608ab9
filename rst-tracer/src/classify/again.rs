//! The same frame once more: a capture of all interfaces of a router, or of a port that is mirrored twice, shows it at
//! each place. That is no second reset, and has no cause of its own.
//!
//! In: a reset, and what the recorder holds. Out: whether the reset right before it is the same one.

use rst_tracer_common::{flow::Slot, wire::Flags};

use super::{Case, Form};

/// A frame takes no longer from one place to the next.
const MOMENT_NS: u64 = 2_000_000;

impl Case<'_> {
    /// Whether the reset in the same name right before it is this one, seen at another place. Answers to two segments
    /// have the same bytes; unless a router stands between the sightings, or all frames come twice, they are told as two.
    pub(super) fn is_seen_again(&self) -> bool {
        let (segment, Some(past)) = (self.segment(), self.past) else { return false };
        let is_same = |slot: &&Slot| {
            slot.seq == segment.tcp.seq
                && slot.ack == segment.tcp.ack
                && slot.flags == segment.tcp.flags
                && slot.window == segment.tcp.window
                && slot.ip_id == segment.ip_id
        };
        let before = past.my_slots().rfind(|slot| slot.flags.has(Flags::RST)).filter(is_same);
        let Some(before) = before.filter(|slot| self.since(slot) < MOMENT_NS) else { return false };
        if self.forgery().proven || before.ttl < segment.ttl {
            return false;
        }
        // A socket is aborted once, and numbers what it sends.
        let is_one = segment.ip_id != 0 || self.form == Form::Active;
        let times = past.my_slots().filter(is_same).count();
        is_one || before.ttl > segment.ttl || times % 2 == 1 && self.came_twice()
    }

    /// Whether what it answers was seen twice in one moment, as nobody repeats it.
    fn came_twice(&self) -> bool {
        let Some((past, trigger)) = self.past.zip(self.trigger()) else { return false };
        past.their_slots().any(|slot| {
            let apart = slot.time_ns.abs_diff(trigger.time_ns);
            let one = Slot { time_ns: 0, traits: 0, ttl: 0, ..*slot };
            !std::ptr::eq(slot, trigger)
                && apart < MOMENT_NS
                && one == Slot { time_ns: 0, traits: 0, ttl: 0, ..*trigger }
        })
    }
}
