//! What the two sides spoke, in the words of firewall logs.
//!
//! In: the first 16 payload bytes each way. Out: a protocol, or one of `incomplete`,
//! `insufficient-data`, `unknown-tcp`, `not-applicable`. Ports do not count: a name is given only to
//! what no other protocol is likely to begin with.

mod data;
mod der;
mod greetings;
mod hosts;
#[cfg(test)]
mod tests;
mod web;

use std::borrow::Cow;

use super::roles::Roles;
use crate::{
    classify::Past,
    event::{Class, Stage, Text},
};

/// What each side said first; empty where it said nothing.
#[derive(Clone, Copy, Debug)]
struct Talk<'a> {
    client: &'a [u8],
    server: &'a [u8],
}

/// A protocol: its name, and whether a talk is one in it.
type Row = (&'static str, fn(&Talk<'_>) -> bool);

/// The protocols, one file per kind. The first that fits names the talk; where the sides speak
/// different ones, what the client speaks comes first.
const KINDS: [&[Row]; 4] = [web::ROWS, greetings::ROWS, data::ROWS, hosts::ROWS];

/// The value of the key `app`.
pub(super) fn of(past: Option<&Past<'_>>, roles: &Roles, stage: Stage, class: Class) -> Text {
    let Some(past) = past else { return Cow::Borrowed("incomplete") };
    if class == Class::PolicyEnforcement && stage == Stage::PostSyn {
        return Cow::Borrowed("not-applicable");
    }
    if past.mine().bytes + past.theirs().bytes == 0 {
        return Cow::Borrowed("incomplete");
    }
    let heads = [past.my_facts(), past.their_facts()]
        .map(|facts| &facts.head[..usize::from(facts.head_len).min(facts.head.len())]);
    let [mine, theirs] = heads;
    let found = match roles.src_opened {
        Some(true) => protocol(mine, theirs),
        Some(false) => protocol(theirs, mine),
        None => protocol(mine, theirs).or_else(|| protocol(theirs, mine)),
    };
    let said = u32::from(past.mine().data_segments) + u32::from(past.theirs().data_segments);
    Cow::Borrowed(found.unwrap_or(if said > 1 { "unknown-tcp" } else { "insufficient-data" }))
}

fn protocol(client: &[u8], server: &[u8]) -> Option<&'static str> {
    let talk = Talk { client, server };
    KINDS.iter().copied().flatten().find(|(_, fits)| fits(&talk)).map(|(name, _)| *name)
}

/// The protocols of a client and a server that each spoke another one, by the first bytes of both.
pub(crate) fn at_odds(client: &[u8], server: &[u8]) -> Option<(&'static str, &'static str)> {
    let greeting = greetings::is_of_mail_or_files(server).then_some("smtp");
    let (client, server) = protocol(client, &[]).zip(protocol(&[], server).or(greeting))?;
    let alike = client == server || [client, server].iter().all(|it| ["smtp", "ftp"].contains(it));
    (!alike).then_some((client, server))
}

/// Whether these are the first words of a server that speaks before its client.
pub(crate) fn greets(server: &[u8]) -> bool {
    let talk = Talk { client: &[], server };
    greetings::is_of_mail_or_files(server) || greetings::ROWS.iter().any(|(_, fits)| fits(&talk))
}

/// Whether it begins with one of these words, in whatever case.
fn begins(head: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| {
        head.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
    })
}

/// Whether these words stand somewhere in it, in whatever case.
fn contains(head: &[u8], word: &str) -> bool {
    head.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

/// A 16-bit number in network order.
fn u16_at(head: &[u8], at: usize) -> Option<u16> {
    let bytes = head.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_be_bytes(bytes))
}

/// A 32-bit number in network order.
fn u32_at(head: &[u8], at: usize) -> Option<u32> {
    let bytes = head.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(bytes))
}
