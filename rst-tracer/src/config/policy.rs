//! Rules from a policy file: TOML, a `[[rule]]` each.
//!
//! What is allowed and what is answered to a mistake is here; what rules mean is in `detect::policy`.

use std::{collections::BTreeMap, ops::RangeInclusive, path::Path, str::FromStr, time::Duration};

use anyhow::Result;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    file::values,
    nearest,
    setting::Origin,
    text::{self, Document},
    wrong,
};
use crate::{
    cli,
    detect::policy::{Expectation, Match, Rule},
    event::{Expect, UnknownName},
    sink::words::clean,
};

const KEYS: [&str; 5] = ["name", "match", "expect", "at_most", "within"];
const MATCHES: [&str; 11] = [
    "client",
    "server",
    "net",
    "port",
    "class",
    "cause",
    "sent_by",
    "origin",
    "process",
    "direction",
    "interface",
];
/// A limit is counted within this time when nothing is said.
const WITHIN: Duration = Duration::from_secs(60);
/// Whose times are remembered for a limit.
const MOST: usize = 100_000;
/// A name is a label, in formats and metrics.
const LONGEST_NAME: usize = 64;

/// A key, or what stands for it.
type Key<'i> = Spanned<std::borrow::Cow<'i, str>>;
type Item<'i> = Spanned<DeValue<'i>>;

/// Reads the file.
///
/// # Errors
/// Names the file, and the line where there is one.
pub fn read(path: &Path) -> Result<Vec<Rule>> {
    parse(&text::read(path)?, path)
}

/// Reads the text of the file.
///
/// # Errors
/// Names the file and the line.
pub(super) fn parse(text: &str, path: &Path) -> Result<Vec<Rule>> {
    let document = Document { text, path };
    let mut rules: Vec<Rule> = Vec::new();
    let mut lines: BTreeMap<String, Origin> = BTreeMap::new();
    for (key, value) in in_order(document.table()?) {
        let origin = document.at(key.span());
        if key.get_ref() != "rule" {
            return Err(unknown(&origin, key.get_ref(), &["rule"]));
        }
        let DeValue::Array(all) = value.into_inner() else {
            return Err(wrong(format_args!("{origin}: write [[rule]], for there may be several")));
        };
        for one in all {
            let origin = document.at(one.span());
            let DeValue::Table(table) = one.into_inner() else {
                return Err(wrong(format_args!(
                    "{origin}: a rule has keys; begin it with [[rule]]"
                )));
            };
            let rule = rule(&document, &origin, table)?;
            if let Some(all) = rules.iter().find(|before| before.matches == Match::default()) {
                return Err(wrong(format_args!(
                    "{origin}: the rule `{}` is never reached: `{}` before it has no match, and takes every reset; put that \
                     last",
                    rule.name, all.name
                )));
            }
            if let Some(before) = lines.insert(rule.name.clone(), origin.clone()) {
                return Err(wrong(format_args!(
                    "{origin}: there is a rule `{}` already ({before}); give each its own name",
                    rule.name
                )));
            }
            rules.push(rule);
        }
    }
    if rules.is_empty() {
        return Err(wrong(format_args!("{}: there is no [[rule]] in it", path.display())));
    }
    Ok(rules)
}

/// One rule; `origin` is where it begins.
fn rule(document: &Document<'_>, origin: &Origin, table: DeTable<'_>) -> Result<Rule> {
    let (mut name, mut matches, mut expect) = (None, Match::default(), None);
    let (mut at_most, mut within) = (None, None);
    for (key, value) in in_order(table) {
        let origin = document.at(key.span());
        match key.get_ref().as_ref() {
            "name" => name = Some(one(&origin, "name", &value, label)?),
            "match" => matches = conditions(document, &origin, value)?,
            "expect" => expect = Some(one(&origin, "expect", &value, expected)?),
            "at_most" => at_most = Some(one(&origin, "at_most", &value, limit)?),
            "within" => within = Some(one(&origin, "within", &value, time)?),
            other => return Err(unknown(&origin, other, &KEYS)),
        }
    }
    let Some(name) = name else {
        return Err(wrong(format_args!(
            "{origin}: the rule has no name; findings and metrics call it by one"
        )));
    };
    let complaint = |what: &str| Err(wrong(format_args!("{origin}: the rule `{name}` {what}")));
    let expects = match (expect, at_most) {
        (Some(_), Some(_)) => {
            return complaint("has both `expect` and `at_most`; it takes one of them");
        }
        (None, None) => {
            return complaint(
                "expects nothing; write expect = \"denied\", \"harmless\" or \"never\", or at_most = 10",
            );
        }
        (Some(_), None) if within.is_some() => {
            return complaint("has `within` without `at_most`; write at_most = 10, too");
        }
        (Some(expects), None) => expects,
        (None, Some(resets)) => Expectation::AtMost { resets, within: within.unwrap_or(WITHIN) },
    };
    Ok(Rule { name, matches, expects })
}

/// What must hold of a reset.
fn conditions(document: &Document<'_>, origin: &Origin, value: Item<'_>) -> Result<Match> {
    let DeValue::Table(table) = value.into_inner() else {
        let example = "match = { server = \"10.9.0.0/16\", port = 5432 }";
        return Err(wrong(format_args!("{origin}: match has keys of its own: {example}")));
    };
    let mut matches = Match::default();
    for (key, value) in in_order(table) {
        let origin = &document.at(key.span());
        let name = key.get_ref().as_ref();
        match name {
            "client" => matches.client = list(origin, name, &value, cli::network)?,
            "server" => matches.server = list(origin, name, &value, cli::network)?,
            "net" => matches.net = list(origin, name, &value, cli::network)?,
            "port" => matches.port = list(origin, name, &value, ports)?,
            "class" => matches.class = list(origin, name, &value, word)?,
            "cause" => matches.cause = list(origin, name, &value, word)?,
            "sent_by" => matches.sent_by = list(origin, name, &value, word)?,
            "origin" => matches.origin = list(origin, name, &value, word)?,
            "process" => matches.process = list(origin, name, &value, pattern)?,
            "direction" => matches.direction = list(origin, name, &value, word)?,
            "interface" => matches.interface = list(origin, name, &value, pattern)?,
            other => return Err(unknown(origin, other, &MATCHES)),
        }
    }
    Ok(matches)
}

/// The entries in the order of the file.
fn in_order<'i>(table: DeTable<'i>) -> Vec<(Key<'i>, Item<'i>)> {
    let mut entries: Vec<_> = table.into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// The values of a key that takes several.
fn list<T>(
    origin: &Origin,
    key: &str,
    value: &Item<'_>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>> {
    let Some(all) = values(value.get_ref()) else {
        return Err(wrong(format_args!(
            "{origin}: {key} takes a string, a number, or a list of those"
        )));
    };
    if all.is_empty() {
        return Err(wrong(format_args!(
            "{origin}: {key} is empty; leave it out to match everything"
        )));
    }
    let read = |value: &std::ffi::OsString| {
        read(&value.to_string_lossy()).map_err(|why| wrong(format_args!("{origin}: {key}: {why}")))
    };
    all.iter().map(read).collect()
}

/// The value of a key that takes one.
fn one<T>(
    origin: &Origin,
    key: &str,
    value: &Item<'_>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<T> {
    let mut all = list(origin, key, value, read)?;
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => Err(wrong(format_args!("{origin}: {key} takes one value"))),
    }
}

fn unknown(origin: &Origin, key: &str, known: &[&str]) -> anyhow::Error {
    let hint = match nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there is {}", known.join(", ")),
    };
    wrong(format_args!("{origin}: there is no key `{}` here; {hint}", clean(key)))
}

/// One of the words of events.
fn word<T: FromStr<Err = UnknownName>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: UnknownName| match nearest(text, error.known.iter().copied()) {
        Some(near) => format!("there is no `{}`; did you mean `{near}`?", clean(text)),
        None => error.to_string(),
    })
}

fn expected(text: &str) -> Result<Expectation, String> {
    match word(text)? {
        Expect::Denied => Ok(Expectation::Denied),
        Expect::Harmless => Ok(Expectation::Harmless),
        Expect::Never => Ok(Expectation::Never),
        Expect::AtMost => Err("a limit has a key of its own: at_most = 10".into()),
    }
}

fn label(text: &str) -> Result<String, String> {
    let is_fit = !text.trim().is_empty() && text.len() <= LONGEST_NAME && clean(text) == text;
    is_fit.then(|| text.to_owned()).ok_or_else(|| {
        format!("a name has 1 to {LONGEST_NAME} bytes, and none that control a terminal")
    })
}

fn pattern(text: &str) -> Result<String, String> {
    (!text.is_empty())
        .then(|| text.to_owned())
        .ok_or_else(|| "write a name, or a glob such as veth*".into())
}

fn limit(text: &str) -> Result<usize, String> {
    let told = || {
        format!(
            "`{}` is not a number from 1 to {MOST}; for none at all, write expect = \"never\"",
            clean(text)
        )
    };
    text.parse().ok().filter(|n| (1..=MOST).contains(n)).ok_or_else(told)
}

fn time(text: &str) -> Result<Duration, String> {
    let time = cli::duration(text)?;
    (!time.is_zero())
        .then_some(time)
        .ok_or_else(|| "nothing happens within no time; 60s is usual".into())
}

/// A port, or a range of them.
fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = first.trim().parse().ok().zip(last.trim().parse().ok());
    range
        .filter(|(first, last): &(u16, u16)| first <= last)
        .map(|(first, last)| first..=last)
        .ok_or_else(|| {
            format!("`{}` is neither a port nor a range of them such as \"8000-8099\"", clean(text))
        })
}

#[cfg(test)]
mod tests;
