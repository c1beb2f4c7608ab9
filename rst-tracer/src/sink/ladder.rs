//! The last segments before a reset as a ladder: client on the left, server on the right.
//!
//! In: an event. Out: one rung a segment, the reset last and marked. Sequence numbers are
//! relative to the first one known of each side.

use std::fmt::Write as _;

use super::explain::WIDTH;
use super::paint::{Ink, Style};
use super::words::span;
use crate::event::{Flags, Recent, RstEvent, Speaker};

/// Columns before the left rail: the time and a space.
const TIME: usize = 16;
/// Columns between the rails; the rails and the mark after the right one take six.
const LANE: usize = WIDTH - TIME - 6;
/// A pause from which on it is drawn, in microseconds.
const SILENCE_US: u64 = 1_000_000;

/// A rung of the ladder.
struct Rung {
    ago_us: u64,
    side: Side,
    flags: Flags,
    seq: u32,
    ack: u32,
    len: u32,
    window: u16,
    ttl: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// Appends the ladder of an event.
pub(super) fn draw(event: &RstEvent, style: Style, out: &mut String) {
    let mut rungs: Vec<Rung> = event.recent.iter().map(rung).collect();
    rungs.push(reset(event));
    let zero = [Side::Left, Side::Right].map(|side| base(&rungs, side));
    rails(event, out);
    let mut before = None;
    for (i, rung) in rungs.iter().enumerate() {
        let pause = before.map_or(0, |before: u64| before.saturating_sub(rung.ago_us));
        if pause >= SILENCE_US {
            let text = format!("{} of silence", span(pause));
            let _ = writeln!(out, "{:TIME$}⋮{text:^LANE$}⋮", "");
        }
        before = Some(rung.ago_us);
        let _ = write!(out, "{:>width$} ", ago(rung.ago_us), width = TIME - 1);
        let last = i + 1 == rungs.len();
        let ink = if last { Ink::of(event.severity) } else { Ink::Plain };
        style.paint(ink, &arrow(rung, zero, if last { '━' } else { '─' }), out);
        out.push_str(if last { " RST\n" } else { "\n" });
    }
}

/// The names of both sides above their rails; on two lines when one is too narrow.
fn rails(event: &RstEvent, out: &mut String) {
    let (left, right) = match (event.client, event.server) {
        (Some(client), Some(server)) => (format!("client {client}"), format!("server {server}")),
        _ => (format!("src {}", event.src), format!("dst {}", event.dst)),
    };
    let width = LANE + 2;
    if left.len() + 2 + right.len() <= width {
        let gap = width - left.len();
        let _ = writeln!(out, "{:TIME$}{left}{right:>gap$}", "");
    } else {
        let _ = writeln!(out, "{:TIME$}{left}\n{:TIME$}{right:>width$}", "", "");
    }
}

fn rung(r: &Recent) -> Rung {
    let side = match r.from {
        Speaker::Client | Speaker::Src => Side::Left,
        Speaker::Server | Speaker::Dst => Side::Right,
    };
    let Recent { ago_us, flags, seq, ack, len, window, ttl, .. } = *r;
    Rung { ago_us, side, flags, seq, ack, len, window, ttl }
}

fn reset(event: &RstEvent) -> Rung {
    let from_left = event.client.is_none_or(|client| client == event.src);
    let s = event.segment;
    Rung {
        ago_us: 0,
        side: if from_left { Side::Left } else { Side::Right },
        flags: s.flags,
        seq: s.seq,
        ack: s.ack,
        len: s.payload_len,
        window: s.window,
        ttl: s.ttl,
    }
}

/// Where a side's sequence numbers are counted from: its first segment, else what the other side
/// first acknowledged of it.
fn base(rungs: &[Rung], side: Side) -> u32 {
    let (reset, before) =
        rungs.split_last().map_or((None, rungs), |(last, rest)| (Some(last), rest));
    let sent = |r: &&Rung| r.side == side;
    let acked = |r: &&Rung| r.side != side && r.flags.has(Flags::ACK);
    before
        .iter()
        .find(sent)
        .map(|r| r.seq)
        .or_else(|| before.iter().find(acked).map(|r| r.ack))
        .or_else(|| reset.filter(sent).map(|r| r.seq))
        .or_else(|| reset.filter(acked).map(|r| r.ack))
        .unwrap_or(0)
}

/// The distance of two sequence numbers, which wrap (RFC 9293 3.4).
fn relative(seq: u32, base: u32) -> i32 {
    seq.wrapping_sub(base).cast_signed()
}

/// How long before the reset.
fn ago(us: u64) -> String {
    match us {
        0 => "0".to_owned(),
        1..1_000_000 => format!("-{}.{:03} ms", us / 1000, us % 1000),
        1_000_000..10_000_000_000 => format!("-{}.{:03} s", us / 1_000_000, us / 1000 % 1000),
        10_000_000_000..1_000_000_000_000_000 => format!("-{} s", us / 1_000_000),
        _ => format!("-{} days", us / 86_400_000_000),
    }
}

/// Rail, shaft with its label at the sender's end, head, rail.
fn arrow(rung: &Rung, [left, right]: [u32; 2], shaft: char) -> String {
    let (own, other) = match rung.side {
        Side::Left => (left, right),
        Side::Right => (right, left),
    };
    let mut label = format!(" {} seq {}", rung.flags, relative(rung.seq, own));
    if rung.flags.has(Flags::ACK) {
        let _ = write!(label, " ack {}", relative(rung.ack, other));
    }
    let _ = write!(label, " len {} win {} ttl {} ", rung.len, rung.window, rung.ttl);
    let rest = LANE.saturating_sub(label.len() + 2);
    let line: String = std::iter::repeat_n(shaft, rest).collect();
    match rung.side {
        Side::Left => format!("│{shaft}{label}{line}>│"),
        Side::Right => format!("│<{line}{label}{shaft}│"),
    }
}
