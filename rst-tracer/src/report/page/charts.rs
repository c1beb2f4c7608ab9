//! Charts as inline SVG: causes over time, and two bars of shares.
//!
//! Colours are classes of the style sheet, each named in a legend in the same order; every part has a title.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{length, of};
use crate::{
    digest::{grouped, percent},
    event::{AtFault, Cause, Origin, SentBy, Timestamp},
    report::digest::Digest,
};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 22.0;
const TOP: f64 = 8.0;
/// Causes that have a colour of their own; the rest share the last one.
const COLOURS: usize = 7;
/// Steps that there is room for at least, so that a single one is no wall.
const FEWEST: usize = 30;
/// Times under the chart.
const TICKS: usize = 6;

/// How many resets of each cause there were, step by step.
pub(super) fn over_time(digest: &Digest) -> Markup {
    let causes = digest.causes();
    let shown: Vec<Cause> = causes.iter().take(COLOURS).map(|(cause, _)| *cause).collect();
    let steps = digest.timeline.steps();
    let sum = |counts: &BTreeMap<Cause, u64>| counts.values().sum::<u64>();
    let most = steps.iter().map(|(_, counts)| sum(counts)).max().unwrap_or(1);
    let scale = nice(most);
    let step = (WIDTH - LEFT) / steps.len().max(FEWEST) as f64;
    let width_ns = digest.timeline.width_ns();
    let others: u64 = causes.iter().skip(COLOURS).map(|(_, of)| of.resets).sum();
    html! {
        figure {
            figcaption { "Resets in steps of " (length(width_ns)) }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img"
                aria-label={ "Resets over time: at most " (grouped(most)) " in " (length(width_ns)) } {
                @for line in [0, scale / 2, scale] {
                    @let y = height(line, scale);
                    @if line == 0 || line * 2 == scale || line == scale {
                        line.grid x1=(LEFT) x2=(WIDTH) y1=(px(y)) y2=(px(y)) {}
                        text.axis x=(LEFT - 6.0) y=(px(y + 4.0)) text-anchor="end" { (grouped(line)) }
                    }
                }
                @for (at, (time, counts)) in steps.iter().enumerate() {
                    (bar(LEFT + step * at as f64, step, *time, &stack(counts, &shown), scale))
                }
                @for at in (0..steps.len()).step_by(steps.len().max(FEWEST).div_ceil(TICKS)) {
                    text.axis x=(px(LEFT + step * at as f64)) y=(HEIGHT - 6.0) {
                        (tick(steps[at].0, width_ns, width_ns.saturating_mul(steps.len() as u64)))
                    }
                }
            }
            ul.legend {
                @for (at, (cause, tally)) in causes.iter().take(COLOURS).enumerate() {
                    li { (swatch(at)) (cause.words()) " " span.dim { (grouped(tally.resets)) } }
                }
                @if others > 0 { li { (swatch(COLOURS)) "other causes " span.dim { (grouped(others)) } } }
            }
        }
    }
}

/// Counts in the order of the colours, with their names.
fn stack(counts: &BTreeMap<Cause, u64>, shown: &[Cause]) -> Vec<(usize, &'static str, u64)> {
    let own = |(at, cause): (usize, &Cause)| {
        (at, cause.words(), counts.get(cause).copied().unwrap_or_default())
    };
    let mut stack: Vec<_> = shown.iter().enumerate().map(own).collect();
    let rest = counts.iter().filter(|(cause, _)| !shown.contains(cause)).map(|(_, n)| n).sum();
    stack.push((COLOURS, "other causes", rest));
    stack
}

fn bar(x: f64, step: f64, time: Timestamp, stack: &[(usize, &str, u64)], scale: u64) -> Markup {
    let gap = if step > 3.0 { 1.0 } else { 0.0 };
    html! {
        @for (below, (colour, name, n)) in one_on_another(stack) {
            @let (base, top) = (height(below, scale), height(below + n, scale));
            rect class={ "k" (colour) } x=(px(x)) y=(px(top)) width=(px(step - gap)) height=(px(base - top)) {
                title { (super::moment(time)) ": " (name) ", " (of(*n, "reset")) }
            }
        }
    }
}

/// The parts that are there, each with the sum of those before it.
fn one_on_another<T, U>(parts: &[(T, U, u64)]) -> impl Iterator<Item = (u64, &(T, U, u64))> {
    let add = |sum: &mut u64, part| {
        let (.., n): &(T, U, u64) = part;
        let below = *sum;
        *sum += n;
        Some((below, part))
    };
    parts.iter().scan(0, add).filter(|(_, (.., n))| *n > 0)
}

/// Where a count is on the chart, from above.
fn height(n: u64, scale: u64) -> f64 {
    let share = n as f64 / scale.max(1) as f64;
    TOP + (HEIGHT - BOTTOM - TOP) * (1.0 - share)
}

/// The next of 1, 2, 5, 10, 20, 50, …
fn nice(most: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for step in [1, 2, 5] {
            let nice = power.saturating_mul(step);
            if nice >= most {
                return nice;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// A time under the chart, as exact as the chart is.
fn tick(time: Timestamp, width_ns: u64, span_ns: u64) -> String {
    const DAY: u64 = 86_400_000_000_000;
    let text = time.to_string();
    match () {
        () if width_ns >= DAY => text[..10].to_owned(),
        () if span_ns >= DAY => text[5..16].replace('T', " "),
        () if width_ns < 1_000_000_000 => text[11..23].to_owned(),
        () if width_ns < 60_000_000_000 => text[11..19].to_owned(),
        () => text[11..16].to_owned(),
    }
}

/// Who sent them, and who is at fault.
pub(super) fn splits(digest: &Digest) -> Markup {
    let mut senders: Vec<(String, u64)> = Vec::new();
    for ((origin, sent_by), n) in &digest.senders {
        let name = sender(*origin, *sent_by);
        match senders.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += n,
            None => senders.push((name, *n)),
        }
    }
    senders.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let fault = |(at_fault, n): (&AtFault, &u64)| (place(*at_fault).to_owned(), *n);
    let mut faults: Vec<_> = digest.at_fault.iter().map(fault).collect();
    faults.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    html! {
        (shares("What really sent them", &senders, digest.resets))
        (shares("Where to look for the fault", &faults, digest.resets))
    }
}

fn sender(origin: Origin, sent_by: SentBy) -> String {
    let side = match sent_by {
        SentBy::Client => "the client",
        SentBy::Server => "the server",
        SentBy::Unknown => "a side (which is not known)",
    };
    match origin {
        Origin::Endpoint => format!("{side}’s TCP"),
        Origin::HostFirewall => format!("a packet filter on the host of {side}"),
        Origin::MiddleboxSuspected => "probably a box on the path".into(),
        Origin::MiddleboxProven => "a box on the path (proven)".into(),
        Origin::Unknown => format!("not known; in the name of {side}"),
    }
}

const fn place(at_fault: AtFault) -> &'static str {
    match at_fault {
        AtFault::Client => "the client",
        AtFault::Server => "the server",
        AtFault::Network => "the network between them",
        AtFault::Nobody => "nowhere: nothing is wrong",
        AtFault::Unknown => "not known",
    }
}

/// One bar, parted.
fn shares(title: &str, parts: &[(String, u64)], whole: u64) -> Markup {
    let shown = &parts[..parts.len().min(COLOURS)];
    let rest = whole - shown.iter().map(|(_, n)| n).sum::<u64>();
    let mut all: Vec<(usize, &str, u64)> =
        shown.iter().enumerate().map(|(at, (name, n))| (at, name.as_str(), *n)).collect();
    if rest > 0 {
        all.push((COLOURS, "others", rest));
    }
    html! {
        figure.shares {
            figcaption { (title) }
            svg viewBox={ "0 0 " (WIDTH) " 22" } preserveAspectRatio="none" role="img" aria-label=(title) {
                @for (before, (colour, name, n)) in one_on_another(&all) {
                    @let (x, width) = (WIDTH * before as f64 / whole as f64, WIDTH * *n as f64 / whole as f64);
                    rect class={ "k" (colour) } x=(px(x)) y="0" width=(px(width)) height="22" {
                        title { (name) ", " (of(*n, "reset")) }
                    }
                }
            }
            ul.legend {
                @for (colour, name, n) in &all {
                    li { (swatch(*colour)) (name) " " span.dim { (grouped(*n)) " (" (percent(*n, whole)) ")" } }
                }
            }
        }
    }
}

fn swatch(colour: usize) -> Markup {
    html! { svg.swatch viewBox="0 0 10 10" aria-hidden="true" { rect class={ "k" (colour) } width="10" height="10" {} } }
}

/// A length in the chart, no longer than it need be.
fn px(length: f64) -> String {
    let text = format!("{length:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_is_a_round_number_that_holds_all() {
        let pairs = [(0, 1), (1, 1), (3, 5), (11, 20), (501, 1_000), (u64::MAX, u64::MAX)];
        pairs.into_iter().for_each(|(most, scale)| assert_eq!(nice(most), scale));
    }
}
