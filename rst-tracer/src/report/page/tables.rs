//! The tables: causes, pairs, processes, files.

use maud::{Markup, html};

use super::{badge, moment, number, of, told};
use crate::{
    causes,
    digest::{Heavy, Pair, grouped, percent},
    event::{Cause, Origin, PolicyVerdict, SentBy},
    report::{
        digest::{Digest, Mix},
        input::Account,
    },
};

/// Rows of a table.
const ROWS: usize = 50;
/// Causes that are named in a row.
const CAUSES: usize = 3;

/// Every cause there was, with its page.
pub(super) fn causes(digest: &Digest) -> Markup {
    html! {
        div.wide { table.sortable {
            thead { tr {
                (title("Cause")) (title("Class")) (title("Worst")) (title("Resets")) (title("Share"))
                (title("Median confidence"))
            } }
            tbody {
                @for (cause, tally) in digest.causes() {
                    @let [what, remedy] = causes::advice(cause);
                    tr {
                        td { details {
                            summary { (cause.words()) " " code { (cause.id()) } }
                            p { (what) }
                            p { strong { "What to do. " } (remedy) }
                        } }
                        td { (cause.class().words()) }
                        td data-sort=(tally.worst.map_or(0, |worst| worst as u64)) { @if let Some(worst) = tally.worst { (badge(worst)) } }
                        (number(tally.resets))
                        td.number data-sort=(tally.resets) { (percent(tally.resets, digest.resets)) }
                        td.number data-sort=(tally.median_confidence()) { (tally.median_confidence()) "%" }
                    }
                }
            }
        } }
    }
}

/// Between whom, the most first.
pub(super) fn pairs(digest: &Digest) -> Markup {
    let rows = digest.pairs.sorted();
    html! {
        (filter("pairs-table", "Filter by address, port or cause"))
        div.wide { table.sortable id="pairs-table" {
            thead { tr {
                (title("Client")) (title("Server")) (title("Who resets")) (title("Causes")) (title("Worst")) (title("Resets"))
            } }
            tbody {
                @for (pair, row) in rows.iter().take(ROWS) {
                    tr {
                        td { (pair.from) @if pair.port.is_none() { span.dim { " (source)" } } }
                        td { (pair.target()) @if pair.port.is_none() { span.dim { " (destination)" } } }
                        td { (who(pair)) }
                        (mix(&row.value))
                        (number(row.count))
                    }
                }
            }
        } }
        (rest(rows.len(), &digest.pairs))
    }
}

/// The processes that connections belong to.
pub(super) fn owners(digest: &Digest) -> Markup {
    let rows = digest.owners.sorted();
    html! {
        @if rows.is_empty() {
            p { "No reset names a process: none was on a host that was traced live, or the owner is not certain." }
        } @else {
            div.wide { table.sortable {
                thead { tr {
                    (title("Process")) (title("User")) (title("Container")) (title("Causes")) (title("Worst")) (title("Resets"))
                } }
                tbody {
                    @for (owner, row) in rows.iter().take(ROWS) {
                        tr {
                            td {
                                (told(&owner.name))
                                @if let Some(pid) = row.value.pid { span.dim { " for example " (pid) } }
                            }
                            td { @if let Some(uid) = owner.uid { (uid) } }
                            td { @if let Some(id) = owner.container() { code { (told(id)) } } }
                            (mix(&row.value))
                            (number(row.count))
                        }
                    }
                }
            } }
            (rest(rows.len(), &digest.owners))
        }
    }
}

/// What each rule of the policy matched.
pub(super) fn rules(digest: &Digest) -> Markup {
    html! {
        div.wide { table.sortable {
            thead { tr {
                (title("Rule")) (title("Expects")) (title("Resets"))
                @for verdict in PolicyVerdict::ALL { (title(verdict.words())) }
                (title("Last"))
            } }
            tbody {
                @for rule in digest.rules.sorted() {
                    tr {
                        td { (told(&rule.rule)) }
                        td { (rule.expect.words()) }
                        (number(rule.rsts))
                        @for (_, n) in rule.verdicts() { (number(n)) }
                        td { @match rule.last { Some(last) => { (moment(last)) }, None => { "never matched" } } }
                    }
                }
            }
        } }
    }
}

/// What was read.
pub(super) fn files(files: &[Account]) -> Markup {
    html! {
        div.wide { table {
            thead { tr { th { "File" } th.number { "Lines" } th.number { "Left out" } th { "Why" } } }
            tbody {
                @for file in files {
                    tr {
                        td { (told(&file.name)) }
                        (number(file.lines))
                        (number(file.skipped()))
                        td { @if let Some((line, why)) = &file.trouble {
                            "line " (line) ": " @if file.is_cut_off && file.skipped() == 1 { "cut off" } @else { (told(why)) }
                        } }
                    }
                }
            }
        } }
    }
}

fn title(text: &str) -> Markup {
    html! { th scope="col" { (text) } }
}

/// A field that a script shows.
fn filter(table: &str, label: &str) -> Markup {
    html! { label.filter hidden { (label) " " input type="search" data-table=(table); } }
}

/// Causes and the worst severity.
fn mix(mix: &Mix) -> Markup {
    let causes: Vec<(Cause, u64)> = mix.causes();
    html! {
        td {
            @for (at, (cause, n)) in causes.iter().take(CAUSES).enumerate() {
                @if at > 0 { ", " }
                (cause.words()) @if causes.len() > 1 { span.dim { " " (grouped(*n)) } }
            }
            @if causes.len() > CAUSES { ", …" }
        }
        td data-sort=(mix.worst.map_or(0, |worst| worst as u64)) { @if let Some(worst) = mix.worst { (badge(worst)) } }
    }
}

fn who(pair: &Pair) -> String {
    let side = match pair.sent_by {
        SentBy::Client => "client",
        SentBy::Server => "server",
        SentBy::Unknown => "not known",
    };
    match pair.origin {
        Origin::Endpoint | Origin::Unknown => side.into(),
        Origin::HostFirewall => format!("packet filter of the {side}"),
        Origin::MiddleboxSuspected => format!("{side}, probably forged"),
        Origin::MiddleboxProven => format!("forged in the name of the {side}"),
    }
}

/// What a table does not show, and how exact it is.
fn rest<K: Eq + std::hash::Hash + Ord, V: Default>(len: usize, table: &Heavy<K, V>) -> Markup {
    html! {
        @if len > ROWS { p.dim { (of((len - ROWS) as u64, "more row")) " not shown." } }
        @if table.forgotten() > 0 {
            p.dim {
                "There were more of them than are counted at a time: " (of(table.forgotten(), "reset"))
                " of rare ones are not in the table, and a count may be too low by " (grouped(table.short_by())) " at most."
            }
        }
    }
}
