//! The shared set of captures that others wrote: every RST of the oracle is one event, and no more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use rst_tracer_tests::shared_captures::{files_under, root};
use serde_json::Value;

use super::run::replay;
use super::tshark;

/// Files of the set in which the oracle sees more than we do, and why.
const NOT_FOLLOWED: [(&str, &str); 1] =
    [("tunnels/gre-aruba.pcap", "802.11 frames in GRE, an encapsulation of one vendor")];

fn why_not_followed(file: &str) -> Option<&'static str> {
    NOT_FOLLOWED.iter().find(|(name, _)| file.ends_with(name)).map(|(_, why)| *why)
}

/// What `check` complains about, over all files, on all cores.
fn complaints(files: &[PathBuf], check: impl Fn(&Path) -> Vec<String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = check(path);
                    let found = found.iter().map(|what| format!("{}: {what}", path.display()));
                    all.lock().unwrap().extend(found);
                }
            });
        }
    });
    all.into_inner().unwrap()
}

/// What the oracle and an event say of a reset's own headers, to be compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Headers {
    frame: u64,
    src: (String, u64),
    dst: (String, u64),
    flags: String,
    seq: u64,
    ack: u64,
    ttl: u64,
    payload_len: u64,
    vlan: Vec<u64>,
}

fn numbers(list: &Value) -> Vec<u64> {
    list.as_array().into_iter().flatten().map(|n| n.as_u64().unwrap()).collect()
}

impl Headers {
    fn of_event(event: &Value) -> Self {
        let end = |key: &str| {
            let end = &event[key];
            (end["ip"].as_str().unwrap().to_owned(), end["port"].as_u64().unwrap())
        };
        let number = |key: &str| event["segment"][key].as_u64().unwrap();
        Self {
            frame: event["frame"].as_u64().unwrap(),
            src: end("src"),
            dst: end("dst"),
            flags: event["segment"]["flags"].as_str().unwrap().to_owned(),
            seq: number("seq"),
            ack: number("ack"),
            ttl: number("ttl"),
            payload_len: number("payload_len"),
            vlan: numbers(&event["vlan"]),
        }
    }

    fn of_oracle(line: &Value) -> Self {
        let number = |key: &str| line[key].as_u64().unwrap();
        let end = |ip: &str, port| (line[ip].as_str().unwrap().to_owned(), number(port));
        let flags = line["flags"].as_str().unwrap().trim_start_matches("0x");
        let flags = u16::from_str_radix(flags, 16).unwrap();
        let letters = "FSRPAUEC".char_indices().filter(|(bit, _)| flags >> bit & 1 == 1);
        Self {
            frame: number("frame"),
            src: end("src", "sport"),
            dst: end("dst", "dport"),
            flags: letters.map(|(_, letter)| letter).collect(),
            seq: number("seq"),
            ack: number("ack"),
            ttl: number("ttl"),
            payload_len: number("payload_len"),
            vlan: numbers(&line["vlan_ids"]),
        }
    }
}

/// The oracle's lines by file.
fn oracle(root: &Path) -> BTreeMap<String, Vec<Value>> {
    let mut by_file: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in fs::read_to_string(root.join("oracle.jsonl")).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        by_file.entry(line["file"].as_str().unwrap().to_owned()).or_default().push(line);
    }
    by_file
}

#[test]
fn every_reset_of_the_oracle_is_one_event_and_no_other_is_reported() {
    let Some(root) = root() else { return };
    let oracle = oracle(&root);
    let folder = root.join("pcaps");
    let files = files_under(&folder);
    let agreement = Mutex::new(BTreeMap::new());
    let compared = AtomicUsize::new(0);
    let complaints = complaints(&files, |path| {
        let file = path.strip_prefix(&folder).unwrap().to_str().unwrap();
        let Some(lines) = oracle.get(file) else { return vec!["not in the oracle".into()] };
        let events = match replay(path) {
            Ok(outcome) if outcome.code == 0 => outcome.events,
            Ok(outcome) => return vec![format!("exit code {}", outcome.code)],
            Err(problem) => return vec![problem],
        };
        if let Some(why) = why_not_followed(file) {
            eprintln!("{file}: {} resets not seen: {why}", lines.len());
            let followed = !events.is_empty();
            return followed.then(|| "is followed after all".into()).into_iter().collect();
        }
        compared.fetch_add(lines.len(), Ordering::Relaxed);
        let mut found = differences(&events, lines);
        if found.is_empty() {
            found = disagreements(&events, lines, &mut agreement.lock().unwrap());
        }
        found
    });
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    for ((initiator, ours, theirs), count) in agreement.into_inner().unwrap() {
        eprintln!("{count:5} resets: initiator {initiator}: {ours}; the oracle: {theirs}");
    }
    let unseen: usize = oracle
        .iter()
        .filter(|(file, _)| why_not_followed(file).is_some())
        .map(|(_, lines)| lines.len())
        .sum();
    let all: usize = oracle.values().map(Vec::len).sum();
    assert_eq!(compared.into_inner(), all - unseen, "files of the oracle are missing");
}

fn differences(events: &[Value], lines: &[Value]) -> Vec<String> {
    let sorted = |mut headers: Vec<Headers>| {
        headers.sort();
        headers
    };
    let ours = sorted(events.iter().map(Headers::of_event).collect());
    let theirs = sorted(lines.iter().map(Headers::of_oracle).collect());
    let missing = theirs.iter().filter(|h| !ours.contains(h)).map(|h| format!("missing {h:?}"));
    let extra = ours.iter().filter(|h| !theirs.contains(h)).map(|h| format!("extra {h:?}"));
    let mut found: Vec<_> = missing.chain(extra).take(6).collect();
    if ours.len() != theirs.len() {
        found.push(format!("{} events for {} resets", ours.len(), theirs.len()));
    }
    found
}

/// How often which initiator, side of ours and side of the oracle came together.
type Agreement = BTreeMap<(String, String, String), usize>;

/// Who sent the reset: what a handshake proves must agree with the oracle; what ports suggest is
/// only counted.
fn disagreements(events: &[Value], lines: &[Value], agreement: &mut Agreement) -> Vec<String> {
    let by_frame: BTreeMap<_, _> = lines.iter().map(|l| (l["frame"].as_u64(), l)).collect();
    let mut found = Vec::new();
    for event in events {
        let line = by_frame[&event["frame"].as_u64()];
        let initiator = event["initiator"].as_str().unwrap();
        let ours = event["sent_by"].as_str().unwrap();
        let theirs = match line["rst_from_at_rst"].as_str() {
            Some("initiator") => "client",
            Some("responder") => "server",
            _ => "unknown",
        };
        let key = (initiator.to_owned(), ours.to_owned(), theirs.to_owned());
        *agreement.entry(key).or_default() += 1;
        let is_proof = ["syn", "syn_ack"].contains(&initiator);
        if is_proof && theirs != "unknown" && ours != theirs {
            found.push(format!("frame {}: {ours} by {initiator}, not {theirs}", event["frame"]));
        }
        let basis = line["initiator_at_rst_basis"].as_str().unwrap_or_default();
        if ["syn", "synack", "syn_ack", "syn-ack"].contains(&basis) && !is_proof {
            found.push(format!(
                "frame {}: {initiator}, though the {basis} was seen",
                event["frame"]
            ));
        }
    }
    found
}

#[test]
fn captures_without_resets_yield_no_event() {
    let Some(root) = root() else { return };
    let files = files_under(&root.join("negatives"));
    assert!(!files.is_empty(), "the set has no negatives");
    let complaints = complaints(&files, |path| match replay(path) {
        Ok(outcome) if outcome.events.is_empty() && outcome.code == 0 => Vec::new(),
        Ok(outcome) => vec![format!("exit code {}, {:?}", outcome.code, outcome.events)],
        Err(problem) => vec![problem],
    });
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn hostile_captures_end_and_yield_nothing_that_tshark_does_not_see() {
    let Some(root) = root() else { return };
    let has_tshark = tshark::is_installed();
    let files = files_under(&root.join("hostile"));
    assert!(!files.is_empty(), "the set has no hostile files");
    let resets = AtomicUsize::new(0);
    let complaints = complaints(&files, |path| {
        let outcome = match replay(path) {
            Ok(outcome) => outcome,
            Err(problem) => return vec![problem],
        };
        let ours: Vec<_> = outcome.events.iter().map(tshark::Ends::of_event).collect();
        resets.fetch_add(ours.len(), Ordering::Relaxed);
        // What tshark refuses to open it does not see either.
        let Ok(theirs) = tshark::resets(path) else { return Vec::new() };
        let extra = ours.iter().filter(|ends| has_tshark && !theirs.contains(ends));
        extra.map(|ends| format!("tshark sees no {ends:?}")).collect()
    });
    eprintln!("{} hostile files, {} resets in them", files.len(), resets.into_inner());
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
