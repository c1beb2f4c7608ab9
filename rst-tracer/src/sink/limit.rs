//! Keeps a line short: leaves out, in a fixed order, what can be spared most.
//!
//! In: an event too long for its format. Out: the same event with `truncated` set.

use std::ops::Deref;

use crate::event::{Event, Finding, RstEvent, StatsEvent};

/// A line has fewer bytes than this, its line feed included.
pub const LINE_LIMIT: usize = 4096;

/// The event without what `fits` finds too much.
///
/// Of a reset go, in this order: what is beyond 512 bytes of each string; the older half of the
/// recorded segments, one by one; what is beyond 64 bytes of each string, the weaker half of the
/// evidence, all but three alternatives and four sightings; all segments; nearly everything else
/// that is not a number or a fixed word. The result fits 4 KiB of JSON whatever the event held,
/// as long as `id` and `community_id`, which are the tracer's own, are no longer than 64 bytes.
pub fn shorten(event: &Event, mut fits: impl FnMut(&Event) -> bool) -> Event {
    let mut event = event.clone();
    for step in 0.. {
        let more = match &mut event {
            Event::Rst(rst) => shorten_rst(rst, step),
            Event::Finding(finding) => shorten_finding(finding, step),
            Event::Stats(stats) => shorten_stats(stats, step),
        };
        if !more || fits(&event) {
            break;
        }
    }
    event
}

/// Takes one step; false when there is none left.
fn shorten_rst(event: &mut RstEvent, step: usize) -> bool {
    event.truncated = true;
    match step {
        0 => cut_strings(event, 512),
        1..=8 => {
            let spare = event.recent.len().saturating_sub(16 - step);
            event.recent.drain(..spare);
        }
        9 => {
            cut_strings(event, 64);
            keep(event, 6, 3, 4);
        }
        10 => event.recent.clear(),
        11 => {
            cut_strings(event, 32);
            keep(event, 3, 1, 0);
        }
        // For formats that say things twice.
        12 => {
            cut_strings(event, 16);
            keep(event, 1, 0, 0);
            if let Some(process) = &mut event.process {
                (process.executable, process.start, process.entity_id) = (None, None, None);
                (process.container_runtime, process.pod_uid) = (None, None);
            }
        }
        // For lines that say tags and labels beside it: of these texts little is left anyway.
        13 => {
            (event.payload_text, event.mptcp_reason, event.signature) = (None, None, None);
            event.history = None;
            // Some say it five times.
            cut(&mut event.host, 32);
            event.policy.iter_mut().for_each(|policy| policy.text = None);
            if let Some(process) = &mut event.process {
                (process.cgroup, process.container_id) = (None, None);
            }
        }
        _ => return false,
    }
    true
}

fn shorten_finding(finding: &mut Finding, step: usize) -> bool {
    finding.truncated = true;
    match step {
        0 => {
            cut(&mut finding.text, 1024);
            finding.rule.iter_mut().for_each(|rule| cut(rule, 64));
        }
        1..=9 => finding.sources.truncate(256 >> step),
        10 => {
            let spare = finding.counts.len().saturating_sub(16);
            (0..spare).for_each(|_| drop(finding.counts.pop_last()));
            cut(&mut finding.host, 64);
        }
        _ => return false,
    }
    true
}

fn shorten_stats(stats: &mut StatsEvent, step: usize) -> bool {
    stats.truncated = true;
    match step {
        0 => cut(&mut stats.host, 64),
        _ => return stats.policy.pop().is_some() || stats.hooks.pop().is_some(),
    }
    true
}

/// Keeps the strongest evidence, the likeliest alternatives, the first sightings.
fn keep(event: &mut RstEvent, evidence: usize, alternatives: usize, sightings: usize) {
    event.evidence.truncate(evidence);
    event.alternatives.truncate(alternatives);
    event.sightings.truncate(sightings);
    event.vlan.truncate(2);
}

fn cut_strings(event: &mut RstEvent, limit: usize) {
    cut(&mut event.host, limit.max(64));
    let owned = [&mut event.interface, &mut event.file, &mut event.history];
    owned.into_iter().chain([&mut event.payload_text]).flatten().for_each(|s| cut(s, limit));
    let texts = [&mut event.signature, &mut event.mptcp_reason, &mut event.tunnel];
    texts.into_iter().flatten().for_each(|s| cut(s, limit));
    cut(&mut event.app, limit);
    for evidence in &mut event.evidence {
        cut(&mut evidence.id, limit);
        cut(&mut evidence.text, limit);
    }
    if let Some(process) = &mut event.process {
        cut(&mut process.name, limit);
        let strings = [&mut process.cgroup, &mut process.container_id, &mut process.executable];
        strings.into_iter().flatten().for_each(|s| cut(s, limit));
        // A part of them names nothing.
        let ids = [&mut process.pod_uid, &mut process.entity_id];
        ids.into_iter().flatten().for_each(|s| cut(s, limit.max(64)));
        process.container_runtime.iter_mut().for_each(|s| cut(s, limit));
    }
    if let Some(kernel) = &mut event.kernel {
        let strings = [&mut kernel.reason, &mut kernel.state];
        strings.into_iter().flatten().for_each(|s| cut(s, limit));
    }
    if let Some(policy) = &mut event.policy {
        // A part of its name is no rule.
        cut(&mut policy.rule, limit.max(64));
        policy.text.iter_mut().for_each(|s| cut(s, limit));
    }
    event.sightings.iter_mut().filter_map(|s| s.interface.as_mut()).for_each(|s| cut(s, limit));
}

/// Leaves at most `limit` bytes of JSON of a string, an ellipsis for the rest.
fn cut<S: Deref<Target = str> + From<String>>(text: &mut S, limit: usize) {
    const ELLIPSIS: &str = "…";
    let (mut used, mut end) = (0, 0);
    for (at, c) in text.char_indices() {
        used += escaped_len(c);
        if used + ELLIPSIS.len() <= limit {
            end = at + c.len_utf8();
        }
        if used > limit {
            *text = format!("{}{ELLIPSIS}", &text[..end]).into();
            return;
        }
    }
}

/// Bytes of this character in a JSON string.
fn escaped_len(c: char) -> usize {
    match c {
        '"' | '\\' | '\u{8}' | '\t' | '\n' | '\u{c}' | '\r' => 2,
        '\0'..'\u{20}' => 6,
        _ => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_to(text: &str, limit: usize) -> String {
        let mut text = text.to_owned();
        cut(&mut text, limit);
        text
    }

    #[test]
    fn a_cut_string_fits_as_json_and_says_that_it_was_cut() {
        assert_eq!(cut_to("nginx", 5), "nginx");
        assert_eq!(cut_to("nginx-worker", 8), "nginx…");
        assert_eq!(cut_to("\u{1}\u{1}\u{1}", 12), "\u{1}…");
        assert_eq!(cut_to("ééé", 5), "é…");
    }
}
