//! Which interfaces to trace: by name, by glob, or all that make sense.
//!
//! Pure: the wish and the inventory in, the chosen and the skipped out, each with its reason.

use anyhow::Result;

use super::{Layer, Link};
use crate::exit::{Code, Failure};

/// Masters whose own hooks see what their ports carry. A VRF is not one of them: packets do not
/// pass the traffic control hooks of the VRF device itself.
const CARRYING_MASTERS: [&str; 3] = ["bond", "bridge", "team"];

/// Which interfaces are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Names and globs; empty for every interface that is up.
    pub patterns: Vec<String>,
    /// Names and globs of what is left out whatever else is said.
    pub excluded: Vec<String>,
    /// Whether a name that there is not is an error beside others that there are.
    pub strict: bool,
}

impl Choice {
    /// Whether an interface of this name is left out.
    pub fn excludes(&self, name: &str) -> bool {
        self.excluded.iter().any(|pattern| glob_match::glob_match(pattern, name))
    }
}

/// An interface and why it was chosen or skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The interface.
    pub link: Link,
    /// In words, to be read after the name.
    pub reason: String,
}

/// The outcome of [`select`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// To be traced, in the order of the inventory.
    pub chosen: Vec<Chosen>,
    /// Interfaces that a pattern (or the default) meant but that are better left out.
    pub skipped: Vec<Chosen>,
    /// What is said of names that there are not.
    pub unknown: Vec<String>,
}

/// Chooses among `links`.
///
/// A name chooses that interface whatever its state. A glob, or no pattern at all (meaning every
/// interface that is up), leaves out what would show each packet twice: ports whose master is
/// chosen and VLANs whose parent is chosen.
///
/// # Errors
/// A [`Failure`] with exit code 1 when nothing at all is chosen, or a name is unknown where the choice is strict; it
/// names the interfaces that exist.
pub fn select(choice: &Choice, links: &[Link]) -> Result<Selection> {
    let patterns = &choice.patterns;
    let named = |link: &Link| patterns.contains(&link.name) && !choice.excludes(&link.name);
    let matching =
        |link: &Link| patterns.iter().find(|p| is_glob(p) && glob_match::glob_match(p, &link.name));
    let is_unknown = |p: &&String| !is_glob(p) && !links.iter().any(|link| link.name == **p);
    let unknown = patterns.iter().filter(is_unknown).map(|name| unknown_name(name, links));
    let mut selection = Selection { unknown: unknown.collect(), ..Selection::default() };

    let readable = |link: &Link| !matches!(link.layer, Layer::Unsupported(_));
    let asked = |link: &Link| {
        let is_meant = matching(link).is_some() || patterns.is_empty() && link.up;
        is_meant && !choice.excludes(&link.name)
    };
    let meant = |link: &Link| named(link) || asked(link) && readable(link);

    for link in links {
        let because = |reason: String| Chosen { link: link.clone(), reason };
        if named(link) {
            selection.chosen.push(because("asked for by name".into()));
        } else if !asked(link) {
            continue;
        } else if let Layer::Unsupported(arphrd) = link.layer {
            let reason = format!("its link layer (ARPHRD {arphrd}) carries no IP we can read");
            selection.skipped.push(because(reason));
        } else if let Some(reason) = redundant(link, links, meant) {
            selection.skipped.push(because(reason));
        } else {
            let reason = matching(link).map_or("it is up".into(), |p| format!("matches {p}"));
            selection.chosen.push(because(reason));
        }
    }
    let fails = choice.strict || selection.chosen.is_empty();
    match selection.unknown.first() {
        Some(unknown) if fails => Err(Failure::new(Code::FAILURE, unknown).into()),
        None if selection.chosen.is_empty() => Err(nothing_chosen(choice, links).into()),
        _ => Ok(selection),
    }
}

/// Why this interface would only repeat what another chosen one shows.
fn redundant(link: &Link, links: &[Link], meant: impl Fn(&Link) -> bool) -> Option<String> {
    let by_index = |index: u32| links.iter().find(|l| l.index == index);
    let master = link.master.and_then(by_index).filter(|m| {
        m.up && meant(m) && m.kind.as_deref().is_some_and(|k| CARRYING_MASTERS.contains(&k))
    });
    if let Some(master) = master {
        let name = &master.name;
        return Some(match master.kind.as_deref() {
            // What one port sends to another never reaches the bridge device itself, nor does what
            // br_netfilter has nf_reject answer by the port that the rejected frame came in by.
            Some("bridge") => format!(
                "port of {name}, which is traced; traffic between ports of the same bridge, and with \
                 br_netfilter what this host's packet filter rejects, is only seen with -i {}",
                link.name
            ),
            _ => format!("port of {name}, which is traced and sees the same packets"),
        });
    }
    let parent = link.parent.and_then(by_index).filter(|p| meant(p) && p.up);
    parent
        .filter(|_| link.kind.as_deref() == Some("vlan"))
        .map(|parent| format!("its frames are seen on its parent {}", parent.name))
}

fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?', '[', '{'])
}

fn unknown_name(name: &str, links: &[Link]) -> String {
    let nearest = links
        .iter()
        .map(|link| (distance(name, &link.name), &link.name))
        .filter(|&(distance, _)| distance <= 2)
        .min();
    let hint = nearest.map_or(String::new(), |(_, near)| format!("; did you mean {near}?"));
    format!("no interface {name}{hint} ({})", existing(links))
}

fn nothing_chosen(choice: &Choice, links: &[Link]) -> Failure {
    let what = match choice.patterns.as_slice() {
        _ if links.iter().any(|link| choice.excludes(&link.name)) => {
            format!("no interface is left beside --exclude {}", choice.excluded.join(", "))
        }
        [] => "no interface is up; set one up or name one with -i".into(),
        patterns => format!("no interface matches {}", patterns.join(", ")),
    };
    Failure::new(Code::FAILURE, format!("{what} ({})", existing(links)))
}

/// The names there are, at most a dozen: a container host has thousands.
fn existing(links: &[Link]) -> String {
    const SHOWN: usize = 12;
    let names: Vec<&str> = links.iter().take(SHOWN).map(|link| link.name.as_str()).collect();
    match links.len().saturating_sub(SHOWN) {
        _ if names.is_empty() => "this network namespace has none".into(),
        0 => format!("there are: {}", names.join(", ")),
        more => format!("there are: {} and {more} more", names.join(", ")),
    }
}

/// Edit distance between two names.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
