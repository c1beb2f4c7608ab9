//! Injectors at work: volleys, windows copied from the other side, payloads known to be theirs.

use rst_tracer_common::{
    flow::Slot,
    wire::{Flags, Segment, Seq},
};

use super::{Case, Tells};
use crate::classify::{Past, Payload};

/// A volley is shot within so many nanoseconds.
const VOLLEY_NS: u64 = 50_000_000;

/// Bytes that only an injector writes into a reset.
pub(super) fn known_payload(case: &Case<'_>, tells: &mut Tells) {
    if let Payload::Injector(whose) = case.payload() {
        tells.prove("known_payload", 3.0, format!("its payload is that of {whose}"));
    }
}

pub(super) fn look(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    volley(case, past, tells);
    copied_window(case, past, tells);
    if case.crowd().reset_alike >= 3 {
        let text = format!(
            "{} connections to the same server were reset at the same stage within 180 s",
            case.crowd().reset_alike
        );
        tells.add("reset_alike", 1.0, text);
    }
}

/// What of an abort a volley varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::classify) struct Shot {
    pub(in crate::classify) time_ns: u64,
    pub(in crate::classify) seq: Seq,
    pub(in crate::classify) ack: Seq,
    pub(in crate::classify) window: u16,
    pub(in crate::classify) ttl: u8,
    ip_id: u16,
}

impl Shot {
    fn of_slot(slot: &Slot) -> Self {
        let Slot { time_ns, seq, ack, window, ttl, ip_id, .. } = *slot;
        Self { time_ns, seq, ack, window, ttl, ip_id }
    }

    fn of_segment(time_ns: u64, segment: &Segment) -> Self {
        let (tcp, Segment { ttl, ip_id, .. }) = (&segment.tcp, *segment);
        Self { time_ns, seq: tcp.seq, ack: tcp.ack, window: tcp.window, ttl, ip_id }
    }

    /// The same frame again: captured twice, or on both sides of a router.
    fn is_copy_of(&self, other: &Self) -> bool {
        let numbers = |shot: &Self| (shot.seq, shot.ack, shot.window, shot.ip_id);
        numbers(self) == numbers(other)
    }
}

/// The resets of the same kind (with or without ACK flag) around this one, itself included, oldest
/// first and without copies.
pub(in crate::classify) fn shots(case: &Case<'_>, past: &Past<'_>) -> Vec<Shot> {
    let has_ack = case.segment().tcp.flags.has(Flags::ACK);
    let alike = |flags: Flags| flags.has(Flags::RST) && flags.has(Flags::ACK) == has_ack;
    let before = past
        .my_slots()
        .filter(|slot| alike(slot.flags) && case.since(slot) < VOLLEY_NS)
        .map(Shot::of_slot);
    let after = case
        .later_resets(VOLLEY_NS)
        .filter(|rst| alike(rst.head.segment.tcp.flags))
        .map(|rst| Shot::of_segment(rst.head.time_ns, &rst.head.segment));
    let this = Shot::of_segment(case.now_ns(), case.segment());
    let mut shots: Vec<Shot> = Vec::new();
    for shot in before.chain([this]).chain(after) {
        if !shots.iter().any(|known| known.is_copy_of(&shot)) {
            shots.push(shot);
        }
    }
    shots
}

/// Whether each is the one before it plus one.
fn counts_up(mut numbers: impl Iterator<Item = u32>) -> bool {
    let Some(mut last) = numbers.next() else { return false };
    numbers.all(|next| std::mem::replace(&mut last, next) + 1 == next)
}

/// A live socket is aborted once. Several aborts in a row are an injector's, but some boxes answer
/// each segment with one: only a counter in their windows or times to live is a proof (the Great
/// Firewall of 2023 and 2025: net4people/bbs 285 and 511).
fn volley(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    if !case.segment().tcp.flags.has(Flags::ACK) {
        return;
    }
    let shots = shots(case, past);
    let n = shots.len();
    if n < 2 {
        return;
    }
    let windows = counts_up(shots.iter().map(|shot| u32::from(shot.window)));
    let ttls = counts_up(shots.iter().map(|shot| u32::from(shot.ttl)));
    if windows && ttls || n > 2 && (windows || ttls) {
        let (first, last) = (shots[0], shots[n - 1]);
        let text = format!(
            "{n} of its kind came within {} ms with windows {} to {} and TTLs {} to {}, counted up \
             one by one: no TCP does that",
            last.time_ns.saturating_sub(first.time_ns) / 1_000_000,
            first.window,
            last.window,
            first.ttl,
            last.ttl
        );
        tells.prove("volley_counts_up", 3.0, text);
    } else if case.segment().tcp.seq != Seq(0) {
        let text = format!("{n} of its kind came within 50 ms; TCP sends one");
        tells.add("burst", 1.5, text);
    }
}

/// Suricata copies the window of the segment that made it act, which is the other side's.
fn copied_window(case: &Case<'_>, past: &Past<'_>, tells: &mut Tells) {
    /// Windows that many systems announce.
    const COMMON: [u16; 12] =
        [0, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65535, 64240, 29200, 5840];
    let tcp = &case.segment().tcp;
    let theirs = past.theirs().window;
    let copies = tcp.flags.has(Flags::ACK) && tcp.window == theirs && !COMMON.contains(&theirs);
    let own = past.my_slots().any(|slot| slot.window == theirs && !slot.flags.has(Flags::RST))
        || past.my_facts().first_window == theirs;
    if copies && !own && past.mine().packets > 0 && past.theirs().packets > 0 {
        let text = format!(
            "its window {theirs} is that of {}'s last segment, and never was its sender's",
            case.receiver()
        );
        tells.add("window_copied", 1.5, text);
    }
}
