//! The page: one HTML file that needs nothing else.
//!
//! In: a digest and what became of the files. Out: HTML. All text is escaped where it is written (maud), and what
//! would hide or reorder text is shown as an escape; the policy in the head lets nothing run or load but the one style
//! and the one script that are here, by their hashes.

mod charts;
mod resets;
mod summary;
mod tables;

use base64::{Engine, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::{digest::Digest, input::Account};
use crate::{
    digest::grouped,
    event::{Severity, Timestamp},
    sink::words::clean,
};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// What a page is made of.
pub(super) struct Subject<'a> {
    pub(super) digest: &'a Digest,
    pub(super) files: &'a [Account],
    /// When the page is made.
    pub(super) now: Timestamp,
}

/// Makes the page.
pub(super) fn make(subject: &Subject<'_>) -> String {
    let Subject { digest, files, now } = subject;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { "TCP resets: " (summary::title(digest)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (summary::head(digest))
                    (summary::losses(digest, files))
                    @if digest.resets > 0 {
                        (section("time", "Causes over time", &charts::over_time(digest)))
                        (section("who", "Who sent them, and where to look", &charts::splits(digest)))
                        (section("causes", "Causes, and what to do", &tables::causes(digest)))
                        (section("pairs", "Between whom", &tables::pairs(digest)))
                        (section("processes", "Processes of the traced hosts", &tables::owners(digest)))
                    }
                    @if !digest.rules.sorted().is_empty() {
                        (section("policy", "Rules of the policy", &tables::rules(digest)))
                    }
                    (section("findings", "Findings over many resets", &resets::findings(digest)))
                    @if digest.resets > 0 {
                        (section("resets", "Resets to look at", &resets::examples(digest)))
                    }
                    (section("files", "Files", &tables::files(files)))
                }
                footer {
                    "Made " (moment(*now)) " by rst-tracer " (env!("CARGO_PKG_VERSION"))
                    ". All times are UTC. This page loads nothing and sends nothing."
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// Nothing but the style and the script of this page.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

fn section(id: &str, title: &str, content: &Markup) -> Markup {
    html! {
        section id=(id) aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { (title) }
            (content)
        }
    }
}

/// A severity as a word in its colour.
fn badge(severity: Severity) -> Markup {
    html! { span class={ "badge " (severity.id()) } { (severity.id()) } }
}

/// A count, right-aligned, that a script can sort by.
fn number(n: u64) -> Markup {
    html! { td.number data-sort=(n) { (grouped(n)) } }
}

/// A point in time to the second.
fn moment(time: Timestamp) -> String {
    format!("{}Z", time.to_string()[..19].replace('T', " "))
}

/// A length of time.
fn length(ns: u64) -> String {
    let seconds = ns as f64 / 1e9;
    match seconds {
        ..1.0 => format!("{:.0} ms", seconds * 1e3),
        ..120.0 => format!("{seconds:.0} s"),
        ..7_200.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.1} h", seconds / 3_600.0),
        _ => format!("{:.1} days", seconds / 86_400.0),
    }
}

/// A count and what is counted, which has an s when there are more or fewer than one.
fn of(n: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// A stranger's text, no longer than a page can bear.
fn told(text: &str) -> String {
    const MOST: usize = 300;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", clean(&text[..end])),
        None => clean(text).into_owned(),
    }
}
