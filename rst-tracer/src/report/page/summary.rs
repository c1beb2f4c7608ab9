//! The head of the page: what happened in a paragraph, how severe it is, and whether anything is missing.

use std::cmp::Reverse;

use maud::{Markup, html};

use super::{length, moment, of, section, told};
use crate::{
    digest::{grouped, percent},
    event::Severity,
    report::{digest::Digest, input::Account, losses::Sums},
};

/// Hosts that are named.
const HOSTS: usize = 5;

/// The page in a few words.
pub(super) fn title(digest: &Digest) -> String {
    format!("{} at {}", of(digest.resets, "reset"), hosts(digest))
}

/// What happened.
pub(super) fn head(digest: &Digest) -> Markup {
    html! {
        header {
            h1 { "TCP resets at " (hosts(digest)) }
            @if let Some([first, last]) = digest.span {
                p.span { (moment(first)) " to " (moment(last)) ", " (length(last.0 - first.0)) }
            }
        }
        section id="summary" aria-label="Summary" {
            p.lead { (paragraph(digest)) }
            @if digest.resets > 0 { (tiles(digest)) }
        }
    }
}

fn tiles(digest: &Digest) -> Markup {
    let words = |severity| match severity {
        Severity::High => "something is wrong now, or somebody is hostile",
        Severity::Medium => "something went wrong",
        Severity::Low => "worth a look when it repeats",
        Severity::Info => "benign, as most resets are",
    };
    html! {
        dl.tiles {
            @for &severity in Severity::ALL.iter().rev() {
                div class=(severity.id()) {
                    dt { (severity.id()) }
                    dd {
                        strong { (grouped(digest.of_severity(severity))) } " "
                        span { (words(severity)) }
                    }
                }
            }
        }
    }
}

fn paragraph(digest: &Digest) -> String {
    if digest.resets == 0 {
        return "No reset in these files.".to_owned();
    }
    let matters = digest.of_severity(Severity::High) + digest.of_severity(Severity::Medium);
    let benign = digest.of_severity(Severity::Info);
    let matter = match matters {
        0 => "none matters (severity high or medium)".to_owned(),
        n => format!(
            "{} {} ({} severity high, {} medium)",
            of_all(n, digest.resets),
            if n == 1 { "matters" } else { "matter" },
            grouped(digest.of_severity(Severity::High)),
            grouped(digest.of_severity(Severity::Medium)),
        ),
    };
    let mut text = format!(
        "{} seen: {matter}; benign: {}.",
        of(digest.resets, "reset"),
        of_all(benign, digest.resets)
    );
    if let Some((cause, tally)) = digest.causes().first() {
        text += &format!(
            " The commonest cause is “{}” ({}).",
            cause.words(),
            percent(tally.resets, digest.resets)
        );
    }
    let worst =
        digest.causes().into_iter().filter(|(_, tally)| tally.worst >= Some(Severity::Medium));
    if let Some((cause, tally)) = worst.max_by_key(|(_, tally)| (tally.worst, tally.resets)) {
        text += &format!(" Look first at “{}” ({}", cause.words(), of(tally.resets, "reset"));
        let is_it = |causes: &[(_, _)]| causes.iter().any(|(other, _)| *other == cause);
        let pairs = digest.pairs.sorted_by(|row| Reverse(row.value.worst));
        let count = |causes: Vec<(_, u64)>| {
            causes.iter().find(|(other, _)| *other == cause).map_or(0, |(_, n)| *n)
        };
        let pair = pairs.iter().filter(|(_, row)| is_it(&row.value.causes()));
        if let Some((pair, row)) = pair.max_by_key(|(_, row)| count(row.value.causes())) {
            text += &format!(
                ", {} of them between {} and {}",
                grouped(count(row.value.causes())),
                pair.from,
                pair.target()
            );
        }
        text += ").";
    }
    if digest.repeats > 0 {
        text += &format!(" {} more repeat these on the same connections.", grouped(digest.repeats));
    }
    let findings = digest.findings.len() as u64 + digest.more_findings;
    if findings > 0 {
        text += &format!(" {} over many resets, below.", of(findings, "finding"));
    }
    text
}

/// A count and its share.
fn of_all(part: u64, whole: u64) -> String {
    format!("{} ({})", grouped(part), percent(part, whole))
}

fn hosts(digest: &Digest) -> String {
    let names = digest.losses.hosts();
    let mut text = names.iter().take(HOSTS).map(|name| told(name)).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => text.push_str("no host"),
        more if more > HOSTS => text += &format!(" and {} more", more - HOSTS),
        _ => {}
    }
    text
}

/// Is anything missing?
pub(super) fn losses(digest: &Digest, files: &[Account]) -> Markup {
    let sums = digest.losses.sums();
    let (bad, good) = statements(&sums, digest.losses.unwatched(), files);
    let content = html! {
        @if bad.is_empty() {
            p.good { strong { "Nothing is missing that these lines could tell of." } }
        }
        ul.plain {
            @for line in &bad { li.bad { (line) } }
            @for line in &good { li { (line) } }
        }
    };
    section("missing", "Is anything missing?", &content)
}

/// What is missing, and what is known not to be.
fn statements(sums: &Sums, unwatched: u64, files: &[Account]) -> (Vec<String>, Vec<String>) {
    let (mut bad, mut good) = (Vec::new(), Vec::new());
    let mut tell = |n: u64, line: String| {
        if n > 0 {
            bad.push(line)
        }
    };
    let Sums { missing, gaps, before, again, unnumbered, lost, suppressed, dropped, .. } = *sums;
    tell(
        missing,
        format!(
            "{} missing in {}, by their numbers (seq): lost on the way here, or filtered out of the file.",
            are(missing, "line"),
            of(gaps, "gap")
        ),
    );
    tell(
        before,
        format!("{} of a run before the first one here: in an older file.", are(before, "line")),
    );
    tell(
        lost,
        format!(
            "{} found the tracer's ring buffer full: no line tells of them (--ring-size).",
            of(lost, "reset")
        ),
    );
    tell(
        suppressed,
        format!(
            "{} only counted, because there were too many (--no-flow-rate).",
            were(suppressed, "reset")
        ),
    );
    tell(
        dropped,
        format!(
            "{} found no room in the queue of an output (--output-queue).",
            of(dropped, "line")
        ),
    );
    let skipped: u64 = files.iter().map(Account::skipped).sum();
    tell(
        skipped,
        format!("{} not an event of this version and left out (see Files).", were(skipped, "line")),
    );
    tell(
        again,
        format!(
            "{} came twice or out of order: a collector that sends again, or two tracers of one host. They are counted.",
            of(again, "line")
        ),
    );
    tell(
        unnumbered,
        format!("{} no number: whether any is missing cannot be told.", have(unnumbered, "line")),
    );
    tell(unwatched, format!("{} of more hosts than are told apart here.", are(unwatched, "line")));
    if missing == 0 && sums.runs > 0 {
        good.push(format!(
            "The numbers of the lines have no gap ({}, {}).",
            of(sums.lines, "line"),
            of(sums.runs, "run")
        ));
    }
    match sums.stats {
        0 => good.push(
            "No stats line is here, so what the tracer itself lost is not told (--heartbeat 60s, replay --stats).".into(),
        ),
        _ => good.push(format!(
            "By the last stats line of each run, {} seen by the tracer, further sightings included.",
            were(sums.rsts, "reset")
        )),
    }
    (bad, good)
}

fn are(n: u64, what: &str) -> String {
    format!("{} {}", of(n, what), if n == 1 { "is" } else { "are" })
}

fn were(n: u64, what: &str) -> String {
    format!("{} {}", of(n, what), if n == 1 { "was" } else { "were" })
}

fn have(n: u64, what: &str) -> String {
    format!("{} {}", of(n, what), if n == 1 { "has" } else { "have" })
}
