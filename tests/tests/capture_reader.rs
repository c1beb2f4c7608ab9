//! The capture reader on files that others wrote: real ones, odd ones and hostile ones.
//!
//! They lie in `../shared/captures` beside the repository, or where `RST_TRACER_CAPTURES` says.
//! tshark, where installed, must see the same frames: numbers, times, lengths, bytes.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{env, fs, thread};

use proptest::prelude::*;
use rst_tracer::source::capture::{Capture, CaptureError, Content};

/// More than a minute's work for files of at most some hundred kilobytes.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    number: u64,
    time_ns: u64,
    original_len: u32,
    data: Vec<u8>,
    /// Where the record ends in the file.
    end: u64,
}

fn read(file: &[u8]) -> (Vec<Seen>, Result<(), CaptureError>) {
    let mut frames = Vec::new();
    let result = read_into(file, &mut frames);
    (frames, result)
}

fn read_into(file: &[u8], frames: &mut Vec<Seen>) -> Result<(), CaptureError> {
    let mut capture = Capture::open(file)?;
    while let Some(frame) = capture.next()? {
        let mut seen = Seen {
            number: frame.number,
            time_ns: frame.time_ns,
            original_len: frame.original_len,
            data: frame.data.to_vec(),
            end: 0,
        };
        seen.end = capture.bytes_read();
        frames.push(seen);
    }
    Ok(())
}

/// The captures in these parts of the set, or a loud word why there are none.
fn captures(parts: &[&str]) -> Vec<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/captures");
    let root = env::var_os("RST_TRACER_CAPTURES").map_or_else(|| beside.into(), PathBuf::from);
    if !root.is_dir() {
        eprintln!(
            "SKIPPED: no captures in {}; set RST_TRACER_CAPTURES to the folder of the shared set",
            root.display()
        );
        return Vec::new();
    }
    let mut files = Vec::new();
    for part in parts {
        let before = files.len();
        collect_files(&root.join(part), &mut files);
        assert!(files.len() > before, "{part} of the shared set is empty");
    }
    files.sort();
    files
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect_files(&path, files) } else { files.push(path) }
    }
}

#[test]
fn real_captures_yield_frames_and_no_error_but_a_cut() {
    for path in captures(&["pcaps", "negatives"]) {
        let (frames, result) = read(&fs::read(&path).unwrap());
        assert!(!frames.is_empty(), "{}", path.display());
        assert!(
            matches!(result, Ok(()) | Err(CaptureError::CutOff { .. })),
            "{}: {result:?}",
            path.display()
        );
    }
}

#[test]
fn hostile_captures_end_in_time_and_in_words() {
    for path in captures(&["hostile"]) {
        let file = fs::read(&path).unwrap();
        let length = file.len();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(read(&file)));
        match receiver.recv_timeout(LIMIT) {
            Ok((frames, result)) => {
                let kept: usize = frames.iter().map(|f| f.data.len()).sum();
                assert!(kept <= length, "{}: bytes from nowhere", path.display());
                if let Err(e) = result {
                    assert!(!e.to_string().is_empty());
                }
            }
            Err(RecvTimeoutError::Timeout) => panic!("{}: no end in {LIMIT:?}", path.display()),
            Err(RecvTimeoutError::Disconnected) => panic!("{}: it panicked", path.display()),
        }
    }
}

#[test]
fn files_that_are_no_captures_are_named() {
    let content = |bytes: &[u8]| match read(bytes).1 {
        Err(CaptureError::NotACapture(content)) => content,
        other => panic!("{other:?}"),
    };
    assert_eq!(content(include_bytes!("../Cargo.toml")), Content::Text);
    let program = fs::read(env::current_exe().unwrap()).unwrap();
    assert_eq!(content(&program), Content::Unknown(*b"\x7fELF"));
    for (name, expected) in [
        ("README.md", Content::Text),
        ("MANIFEST.tsv", Content::Text),
        ("oracle.jsonl", Content::Json),
    ] {
        for path in captures(&["."]).iter().filter(|path| path.ends_with(name)) {
            assert_eq!(content(&fs::read(path).unwrap()), expected, "{name}");
        }
    }
}

#[test]
fn tshark_sees_the_same_frames() {
    let paths = captures(&["pcaps", "negatives", "hostile"]);
    match Command::new("tshark").arg("--version").output() {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            eprintln!("SKIPPED: tshark is not installed, so nobody checks the frames");
            return;
        }
        other => assert!(other.unwrap().status.success(), "tshark --version"),
    }
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    verdicts.lock().unwrap().push(compare_with_tshark(path));
                }
            });
        }
    });
    let verdicts = verdicts.into_inner().unwrap();
    let differences: Vec<_> = verdicts.iter().filter_map(|v| v.as_ref().err()).collect();
    assert!(differences.is_empty(), "{differences:#?}");
    let refused = verdicts.iter().filter(|v| matches!(v, Ok(Verdict::Refused))).count();
    eprintln!("{} files compared, {refused} that tshark refuses to open", paths.len() - refused);
    assert!(refused * 10 <= paths.len(), "{refused} files were not compared");
}

/// Files on which tshark is no judge, and why.
const EXEMPT: [(&str, &str); 2] = [
    ("atm-heapoverflow.pcap", "tshark takes the four bytes of SunATM off every packet"),
    (
        "clusterfuzz-testcase-minimized-FuzzTarget-5766899836387328",
        "lengths swapped as in version 2.3: libpcap reads the packet, tshark sees a cut",
    ),
];

enum Verdict {
    Same,
    /// tshark does not open such files.
    Refused,
}

/// Says where tshark and the reader differ.
fn compare_with_tshark(path: &Path) -> Result<Verdict, String> {
    if let Some((name, why)) = EXEMPT.iter().find(|(name, _)| path.ends_with(name)) {
        eprintln!("SKIPPED: {name}: {why}");
        return Ok(Verdict::Refused);
    }
    let output = Command::new("tshark")
        .args(["-n", "-T", "ek", "-x", "-J", "frame", "-r"])
        .arg(path)
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    if complaint.contains("doesn't support") {
        return Ok(Verdict::Refused);
    }
    let theirs: Vec<Theirs> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.starts_with("{\"timestamp\""))
        .filter_map(Theirs::parse)
        .collect();
    let (ours, result) = read(&fs::read(path).unwrap());
    let difference = |what: String| Err(format!("{}: {what}", path.display()));
    if !ours.iter().map(|f| f.number).eq(theirs.iter().map(|f| f.number)) {
        let (ours, theirs) = (ours.len(), theirs.len());
        return difference(format!("{ours} frames, {result:?}; tshark {theirs}, {complaint}"));
    }
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let number = ours.number;
        // tshark keeps this length in 31 bits.
        if ours.original_len.min(i32::MAX as u32) != theirs.original_len {
            let (ours, theirs) = (ours.original_len, theirs.original_len);
            return difference(format!("frame {number} had {ours} bytes; tshark {theirs}"));
        }
        if theirs.data.as_ref().is_some_and(|theirs| *theirs != ours.data) {
            return difference(format!("frame {number} has other bytes"));
        }
        // tshark counts the nanoseconds of a fraction of more than a second in 32 bits.
        if theirs.time_ns.is_some_and(|ns| (i128::from(ours.time_ns) - ns) % (1 << 32) != 0) {
            let (ours, theirs) = (ours.time_ns, theirs.time_ns);
            return difference(format!("frame {number} at {ours} ns; tshark {theirs:?}"));
        }
    }
    Ok(Verdict::Same)
}

/// A packet as tshark reports it.
struct Theirs {
    number: u64,
    time_ns: Option<i128>,
    original_len: u32,
    data: Option<Vec<u8>>,
}

impl Theirs {
    /// Reads a line of `-T ek`; `None` for records that are no packets.
    fn parse(line: &str) -> Option<Self> {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let layers = &record["layers"];
        let text = |key: &str| layers["frame"][key].as_str();
        text("frame_frame_encap_type")?;
        let hex = layers["frame_raw"].as_str().unwrap_or_default();
        Some(Self {
            number: text("frame_frame_number")?.parse().unwrap(),
            time_ns: text("frame_frame_time_epoch").map(nanoseconds),
            original_len: text("frame_frame_len")?.parse().unwrap(),
            data: bytes_of(hex),
        })
    }
}

/// Bytes from hexadecimal; `None` where tshark calls the "field length invalid!", as it does for
/// a packet with more captured bytes than it had.
fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<_> = hex.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    Some(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, d| byte << 4 | *d as u8)).collect())
}

/// Nanoseconds from seconds with a fraction, whose sign tshark writes before the seconds.
fn nanoseconds(text: &str) -> i128 {
    let (seconds, fraction) = text.split_once('.').unwrap();
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let seconds: i128 = seconds.trim_start_matches('-').parse().unwrap();
    seconds * 1_000_000_000 + sign * fraction.parse::<i128>().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_real_capture_cut_anywhere_yields_the_frames_before_the_cut(
        file in real_capture(),
        cut in any::<prop::sample::Index>(),
    ) {
        let Some(file) = file else { return Ok(()) };
        let (whole, _) = read(&file);
        let cut = cut.index(file.len());
        let (frames, result) = read(&file[..cut]);
        let before = whole.iter().take_while(|f| f.end <= cut as u64).count();
        prop_assert_eq!(&frames, &whole[..before]);
        let clean = matches!(
            result,
            Ok(()) | Err(CaptureError::CutOff { .. } | CaptureError::NotACapture(_))
        );
        prop_assert!(clean, "{result:?}");
    }

    #[test]
    fn a_real_capture_changed_anywhere_keeps_the_frames_before_the_change(
        file in real_capture(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let Some(file) = file else { return Ok(()) };
        let (whole, _) = read(&file);
        let mut changed = file.clone();
        let mut first = file.len();
        for (at, value) in changes {
            let at = at.index(file.len());
            first = first.min(at);
            changed[at] = value;
        }
        let (frames, _) = read(&changed);
        let before = whole.iter().take_while(|f| f.end <= first as u64).count();
        prop_assert!(frames.len() >= before);
        prop_assert_eq!(&frames[..before], &whole[..before]);
        prop_assert!(frames.iter().map(|f| f.data.len()).sum::<usize>() <= file.len());
    }
}

/// Some file of the set, or none if there is no set.
fn real_capture() -> impl Strategy<Value = Option<Vec<u8>>> {
    let paths = captures(&["pcaps", "negatives"]);
    any::<prop::sample::Index>()
        .prop_map(move |which| (!paths.is_empty()).then(|| fs::read(which.get(&paths)).unwrap()))
}
