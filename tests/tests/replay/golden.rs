//! The cases under `tests/cases`: a capture, what a replay must say of it, and what it must not.
//!
//! They are made by `tests/src/cases`; `RST_TRACER_BLESS=1` writes them anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::{env, fs};

use rst_tracer_tests::cases::{self, Case};
use serde_json::Value;

use super::run::{self, differences, matches};
use super::tshark::{self, Ends};

fn folder() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/cases").into()
}

/// The files of a case and what they hold.
fn files(case: &Case) -> [(&'static str, Vec<u8>); 3] {
    [
        (case.file_name, case.file.clone()),
        ("expect.json", case.expectation().into_bytes()),
        ("README", case.readme().into_bytes()),
    ]
}

/// Writes the directories anew if that is asked for, before anyone reads them.
static BLESSED: LazyLock<()> = LazyLock::new(|| {
    if env::var_os("RST_TRACER_BLESS").is_none_or(|value| value != "1") {
        return;
    }
    for case in cases::all() {
        let folder = folder().join(case.name);
        fs::create_dir_all(&folder).unwrap();
        for (name, content) in files(&case) {
            fs::write(folder.join(name), content).unwrap();
        }
    }
});

#[test]
fn the_directories_are_those_that_the_cases_make() {
    LazyLock::force(&BLESSED);
    let mut names = BTreeSet::new();
    for case in cases::all() {
        assert!(names.insert(case.name), "two cases are called {}", case.name);
        for (name, content) in files(&case) {
            let path = folder().join(case.name).join(name);
            assert!(
                fs::read(&path).unwrap_or_default() == content,
                "{} is not what its case makes; RST_TRACER_BLESS=1 writes it anew",
                path.display()
            );
        }
    }
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(name.as_str()), "no case makes tests/cases/{name}");
    }
}

/// A case as it stands in its directory.
struct Stored {
    capture: PathBuf,
    expect: Value,
}

fn stored() -> Vec<Stored> {
    LazyLock::force(&BLESSED);
    let mut all = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let folder = entry.unwrap().path();
        let expect = fs::read_to_string(folder.join("expect.json")).unwrap();
        let expect = serde_json::from_str(&expect).unwrap();
        let names = ["capture.pcap", "capture.pcapng"].map(|name| folder.join(name));
        let capture = names.into_iter().find(|path| path.exists()).expect("a capture");
        all.push(Stored { capture, expect });
    }
    all.sort_by(|a, b| a.capture.cmp(&b.capture));
    assert!(all.len() > 40, "{} cases only", all.len());
    all
}

#[test]
fn every_case_yields_its_events_and_no_others() {
    let complaints: Vec<_> = stored().iter().flat_map(complaints_about).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

fn complaints_about(case: &Stored) -> Vec<String> {
    let mut complaints = Vec::new();
    let outcome = match run::replay(&case.capture) {
        Ok(outcome) => outcome,
        Err(problem) => return vec![format!("{}: {problem}", case.capture.display())],
    };
    if case.expect["exit"] != outcome.code {
        complaints.push(format!("exit code {}", outcome.code));
    }
    let expected = case.expect["events"].as_array().expect("a list of events");
    if expected.len() != outcome.events.len() {
        complaints.push(format!("{} events, not {}", outcome.events.len(), expected.len()));
    }
    for (actual, expected) in outcome.events.iter().zip(expected) {
        let differences = differences(actual, expected);
        complaints.extend(differences.iter().map(|d| format!("frame {}: {d}", expected["frame"])));
    }
    for never in case.expect["not"].as_array().expect("a list of what must not be said") {
        if let Some(actual) = outcome.events.iter().find(|actual| matches(actual, never)) {
            complaints.push(format!("must not say {never}, but says so of {}", actual["frame"]));
        }
    }
    complaints.iter().map(|what| format!("{}: {what}", name(&case.capture))).collect()
}

fn name(capture: &Path) -> String {
    let folder = capture.parent().and_then(Path::file_name);
    folder.unwrap_or_default().to_string_lossy().into_owned()
}

#[test]
fn tshark_sees_the_resets_that_the_cases_expect() {
    if !tshark::is_installed() {
        return;
    }
    let mut resets = 0;
    for case in stored() {
        let expected: Vec<Ends> =
            case.expect["events"].as_array().unwrap().iter().map(Ends::of_event).collect();
        resets += expected.len();
        assert_eq!(tshark::resets(&case.capture), Ok(expected), "{}", name(&case.capture));
    }
    eprintln!("{resets} resets compared with tshark");
}
