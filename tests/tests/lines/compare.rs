//! What readers and `--format json` say of one event, to be compared.

use std::collections::BTreeMap;
use std::fmt::Debug;

use rst_tracer::event::Timestamp;
use serde_json::Value;

/// Complains about each key that is missing, too much or has another value.
pub(super) fn differences<V: Debug + PartialEq>(
    actual: &BTreeMap<String, V>,
    expected: &BTreeMap<String, V>,
) -> Vec<String> {
    let mut found = Vec::new();
    for (key, expected) in expected {
        match actual.get(key) {
            None => found.push(format!("{key} is missing, not {expected:?}")),
            Some(actual) if actual != expected => {
                found.push(format!("{key} is {actual:?}, not {expected:?}"));
            }
            Some(_) => {}
        }
    }
    let extra = actual.iter().filter(|(key, _)| !expected.contains_key(*key));
    found.extend(extra.map(|(key, value)| format!("{key} is {value:?}, and should not be")));
    found
}

/// Nanoseconds since the epoch.
pub(super) fn nanoseconds(time: &Value) -> u64 {
    let time: Timestamp = serde_json::from_value(time.clone()).expect("a time of the contract");
    time.0
}

/// The flags byte that letters stand for.
pub(super) fn flags(letters: &Value) -> u8 {
    let letters = letters.as_str().expect("letters");
    letters.chars().map(|letter| 1 << "FSRPAUEC".find(letter).expect("a flag")).sum()
}

/// Whether something was left out of the event to keep its line short.
pub(super) fn is_truncated(event: &Value) -> bool {
    event["truncated"] == true
}

/// An evidence's weight: `+3.0`, `-0.5`.
pub(super) fn weight(evidence: &Value) -> String {
    format!("{:+.1}", evidence["weight"].as_f64().expect("a weight"))
}

/// The verdict in a sentence must name the source and, when there is a cause, how sure it is.
pub(super) fn is_verdict(text: &str, event: &Value) -> bool {
    let percent = (event["confidence"].as_f64().expect("a confidence") * 100.0).round();
    let is_known = event["class"] != "unknown";
    let ip = event["src"]["ip"].as_str().expect("an address");
    text.contains(ip)
        && text.contains(&format!(":{}", event["src"]["port"]))
        && is_known == text.contains(&format!("{percent}% sure"))
}
