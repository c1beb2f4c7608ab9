//! Every capture at hand through the built program, in each format: as many lines as with
//! `--format json`, and each says the same.
//!
//! The captures are those of `tests/cases`, and the shared set in `../shared/captures` beside the
//! repository or where `RST_TRACER_CAPTURES` says.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rst_tracer_tests::capture::Folder;
use rst_tracer_tests::skip::skipped;
use rst_tracer_tests::tracer::run;
use serde_json::Value;

use super::{cef, eve, otlp, pcapng};

/// Complains about a line that stands for an event.
type Check = fn(&str, &Value) -> Vec<String>;

const FORMATS: [(&str, Check); 3] =
    [("eve", eve::complaints), ("cef", cef::complaints), ("otlp", otlp::complaints)];

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files.extend(files_under(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

fn captures() -> Vec<PathBuf> {
    let cases = files_under(concat!(env!("CARGO_MANIFEST_DIR"), "/cases").as_ref()).into_iter();
    let is_capture =
        |path: &PathBuf| path.extension().is_some_and(|e| e == "pcap" || e == "pcapng");
    let mut captures: Vec<_> = cases.filter(is_capture).collect();
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/captures");
    let root = env::var_os("RST_TRACER_CAPTURES").map_or_else(|| beside.into(), PathBuf::from);
    if !root.is_dir() {
        skipped(&format!(
            "no captures in {}; set RST_TRACER_CAPTURES to the folder of the shared set",
            root.display()
        ));
    }
    for part in ["pcaps", "negatives", "hostile"].map(|part| root.join(part)) {
        if part.is_dir() {
            captures.extend(files_under(&part));
        }
    }
    captures
}

/// What a replay writes, and its exit code. All but the lines that others are held against have something to say
/// beside.
fn replay(capture: &Path, format: &str, folder: &Folder) -> (i32, Vec<u8>) {
    let out = folder.path(&format!("out.{format}"));
    let to = out.to_str().expect("UTF-8");
    let capture = capture.to_str().expect("UTF-8");
    let marks = ["--tag", "edge", "--tag", "eu west", "--label", "env=prod"];
    let marks = if format == "json" { &[][..] } else { &marks };
    let ended = run(&[&["replay", capture, "--format", format, "--output", to], marks].concat());
    (ended.code(), fs::read(&out).unwrap_or_default())
}

fn lines(bytes: Vec<u8>) -> Result<Vec<String>, String> {
    let text = String::from_utf8(bytes).map_err(|e| e.to_string())?;
    let Some(text) = text.strip_suffix('\n') else {
        return if text.is_empty() { Ok(Vec::new()) } else { Err("no last line feed".into()) };
    };
    Ok(text.split('\n').map(str::to_owned).collect())
}

#[derive(Default)]
struct Counts {
    resets: AtomicUsize,
    truncated: AtomicUsize,
    lines: [AtomicUsize; FORMATS.len()],
}

/// The events of a capture and its pcapng, after the lines of the other formats were checked.
fn check(capture: &Path, counts: &Counts) -> Result<(Vec<Value>, Vec<u8>), Vec<String>> {
    let folder = Folder::new();
    let (code, json) = replay(capture, "json", &folder);
    let json = lines(json).map_err(|e| vec![e])?;
    let events: Vec<Value> =
        json.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let resets = events.iter().filter(|event| event["type"] == "rst");
    counts.resets.fetch_add(resets.count(), Ordering::Relaxed);
    let truncated = events.iter().filter(|event| event["truncated"] == true);
    counts.truncated.fetch_add(truncated.count(), Ordering::Relaxed);
    let mut found = Vec::new();
    for (n, (format, complaints)) in FORMATS.iter().enumerate() {
        let (its_code, written) = replay(capture, format, &folder);
        let lines = lines(written).map_err(|e| vec![e])?;
        if its_code != code || lines.len() != events.len() {
            let (is, should) = (lines.len(), events.len());
            found.push(format!("{format}: {is} lines, not {should}; exit {its_code}, not {code}"));
        }
        counts.lines[n].fetch_add(lines.len(), Ordering::Relaxed);
        let pairs = lines.iter().zip(&events);
        let of_lines = pairs.flat_map(|(line, event)| complaints(line, event));
        found.extend(of_lines.map(|what| format!("{format}: {what}")));
    }
    let (its_code, packets) = replay(capture, "pcapng", &folder);
    if its_code != code {
        found.push(format!("pcapng: exit {its_code}, not {code}"));
    }
    if found.is_empty() { Ok((events, packets)) } else { Err(found) }
}

#[test]
fn the_events_of_every_capture_are_read_as_they_are() {
    let captures = captures();
    let (next, counts) = (AtomicUsize::new(0), Counts::default());
    let found = Mutex::new(Vec::new());
    let checked = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(capture) = captures.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match check(capture, &counts) {
                        Ok(result) => checked.lock().expect("no panic").push(result),
                        Err(what) => found.lock().expect("no panic").extend(
                            what.into_iter().map(|what| format!("{}: {what}", capture.display())),
                        ),
                    }
                }
            });
        }
    });
    let mut found = found.into_inner().expect("no panic");
    let frames = pcapng_of(&checked.into_inner().expect("no panic"), &mut found);
    assert!(found.is_empty(), "{}", found[..found.len().min(40)].join("\n"));
    let written = counts.lines.map(AtomicUsize::into_inner);
    eprintln!(
        "{} captures, {} resets; lines of eve, cef and otlp: {written:?}; {frames} frames of \
         pcapng; {} lines of JSON had to be shortened",
        captures.len(),
        counts.resets.into_inner(),
        counts.truncated.into_inner()
    );
}

/// One pcapng of all, its sections one after the other, before tshark. How many frames it sees.
fn pcapng_of(checked: &[(Vec<Value>, Vec<u8>)], found: &mut Vec<String>) -> usize {
    if !pcapng::is_installed() {
        return 0;
    }
    let folder = Folder::new();
    let events: Vec<Value> = checked.iter().flat_map(|(events, _)| events).cloned().collect();
    let sections: Vec<u8> = checked.iter().flat_map(|(_, packets)| packets).copied().collect();
    let file = folder.file("all.pcapng", &sections);
    match pcapng::read(file.as_ref()) {
        Ok(frames) => {
            let complaints = pcapng::complaints(&frames, &events);
            found.extend(complaints.into_iter().map(|what| format!("pcapng: {what}")));
            frames.len()
        }
        Err(said) => {
            found.push(format!("pcapng: {said}"));
            0
        }
    }
}
