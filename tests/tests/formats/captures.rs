//! Every capture at hand through the program: as many valid lines as of our own JSON.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rst_tracer_tests::{
    shared_captures::{files_under, root},
    tracer::{Ended, run},
};
use serde_json::Value;

use super::checks::{FORMATS, Format};

fn own_captures() -> Vec<PathBuf> {
    let mut files = files_under(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/cases")));
    files.retain(|path| path.extension().is_some_and(|e| e == "pcap" || e == "pcapng"));
    assert!(files.len() > 40, "{} captures only", files.len());
    files
}

fn replay(path: &Path, format: &str) -> Ended {
    // A file that was cut off ends with 1, in every format.
    run(&["replay", path.to_str().expect("UTF-8"), "--stats", "--format", format])
}

/// What each format has in the place of these values of ours.
fn disagreements(format: &Format, line: &str, json: &str) -> Vec<String> {
    let [line, json]: [Value; 2] = [line, json].map(|text| serde_json::from_str(text).unwrap());
    if json["type"] != "rst" {
        return Vec::new();
    }
    let pairs: &[(&str, &str)] = match format.name {
        "ecs" => &[
            ("/source/ip", "/src/ip"),
            ("/source/port", "/src/port"),
            ("/destination/ip", "/dst/ip"),
            ("/event/id", "/id"),
            ("/@timestamp", "/time"),
            ("/network/community_id", "/community_id"),
            ("/Rst/tcp/flags", "/segment/flags"),
            ("/Rst/cause", "/cause"),
        ],
        _ => &[
            ("/metadata/uid", "/id"),
            ("/time_dt", "/time"),
            ("/connection_info/community_uid", "/community_id"),
            ("/unmapped/tcp/seq", "/segment/seq"),
            ("/status_code", "/cause"),
        ],
    };
    let differ = pairs.iter().filter(|(theirs, ours)| line.pointer(theirs) != json.pointer(ours));
    differ.map(|(theirs, ours)| format!("{theirs} is not {ours}: {line}")).collect()
}

/// Replays the files in every format and counts the lines.
fn validate(files: &[PathBuf]) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for path in files {
        let json = replay(path, "json");
        for format in &FORMATS {
            let ended = replay(path, format.name);
            assert_eq!(ended.code(), json.code(), "{}: {ended:#?}", path.display());
            assert_eq!(ended.out.len(), json.out.len(), "{}: {}", format.name, path.display());
            for (line, own) in ended.out.iter().zip(&json.out) {
                let mut found = format.complaints(line);
                found.extend(disagreements(format, line, own));
                assert!(
                    found.is_empty(),
                    "{}: {}: {found:#?}\n{line}",
                    format.name,
                    path.display()
                );
                let kind = if line.contains("\"truncated\":true") { "truncated" } else { "whole" };
                *counts.entry(format!("{} {kind}", format.name)).or_default() += 1;
            }
        }
        let own = json.out.iter().filter(|line| line.contains("\"truncated\":true")).count();
        *counts.entry("json truncated".to_owned()).or_default() += own;
        *counts.entry("json whole".to_owned()).or_default() += json.out.len() - own;
    }
    // A line of statistics at least from each file that can be read.
    assert!(counts["json whole"] * 2 >= files.len(), "{counts:?}");
    counts
}

#[test]
fn every_event_of_our_own_captures_is_a_valid_line() {
    let files = own_captures();
    eprintln!("{} files: {:?}", files.len(), validate(&files));
}

#[test]
fn every_event_of_the_shared_captures_is_a_valid_line() {
    let Some(root) = root() else { return };
    let files = ["pcaps", "hostile"].map(|folder| files_under(&root.join(folder))).concat();
    eprintln!("{} files: {:?}", files.len(), validate(&files));
}
