//! pcapng before tshark, and against the events of `--format json`.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use rst_tracer::sink::PcapNgSink;
use rst_tracer_tests::capture::{Folder, many_refused, pcap};
use rst_tracer_tests::skip::skipped;
use rst_tracer_tests::tracer::run;
use serde_json::Value;

use super::compare::{flags, is_truncated, is_verdict, nanoseconds, weight};
use super::events;

/// What tshark is asked of each frame.
const FIELDS: [&str; 18] = [
    "frame.time_epoch",
    "frame.comment",
    "frame.len",
    "frame.cap_len",
    "frame.protocols",
    "frame.interface_name",
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "ip.ttl",
    "ipv6.hlim",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.flags",
    "tcp.seq",
    "tcp.ack",
    "tcp.window_size_value",
];

/// What must not be: complaints of dissectors, and checksums that are wrong.
const COMPLAINTS: [&str; 4] =
    ["_ws.malformed", "_ws.expert.message", "ip.checksum.status", "tcp.checksum.status"];

/// A frame as tshark sees it.
pub(super) struct Frame(Value);

impl Frame {
    fn text(&self, field: &str) -> &str {
        self.0[field][0].as_str().unwrap_or_default()
    }

    fn number(&self, field: &str) -> Option<u64> {
        self.text(field).parse().ok()
    }

    fn first(&self, fields: [&str; 2]) -> &str {
        let [one, other] = fields.map(|field| self.text(field));
        if one.is_empty() { other } else { one }
    }

    fn is_journal(&self) -> bool {
        self.text("frame.protocols").contains("systemd_journal")
    }

    /// What tshark finds wrong with it.
    fn complaints(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.0.get("_ws.malformed").is_some() {
            found.push("malformed".into());
        }
        let experts = self.0["_ws.expert.message"].as_array().into_iter().flatten();
        let experts = experts.filter_map(Value::as_str).map(str::to_lowercase);
        let wrong = ["checksum", "malformed", "bogus", "exceeds", "truncated"];
        found.extend(experts.filter(|said| wrong.iter().any(|word| said.contains(word))));
        // 0 is bad, 1 good, 2 unverified: the payload is not there.
        for field in ["ip.checksum.status", "tcp.checksum.status"] {
            if self.text(field) == "0" {
                found.push(format!("{field} is bad"));
            }
        }
        if !self.is_journal()
            && self.number("tcp.flags").is_none()
            && self.text("tcp.flags").is_empty()
        {
            found.push(format!("no TCP: {}", self.text("frame.protocols")));
        }
        found
    }
}

/// Whether there is a tshark; says loudly when not.
pub(super) fn is_installed() -> bool {
    match Command::new("tshark").arg("--version").output() {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            skipped("tshark is not installed, so nobody reads the pcapng");
            false
        }
        output => {
            assert!(output.expect("tshark runs").status.success(), "tshark --version");
            true
        }
    }
}

/// Every frame of a file.
///
/// # Errors
/// tshark's own words, if it does not read the file to its end.
pub(super) fn read(file: &Path) -> Result<Vec<Frame>, String> {
    let options = [
        "ip.check_checksum:TRUE",
        "tcp.check_checksum:TRUE",
        "tcp.relative_sequence_numbers:FALSE",
    ];
    let mut tshark = Command::new("tshark");
    tshark.arg("-n").arg("-r").arg(file).args(["-T", "json"]);
    tshark.args(options.iter().flat_map(|option| ["-o", option]));
    tshark.args(FIELDS.iter().chain(&COMPLAINTS).flat_map(|field| ["-e", field]));
    let output = tshark.output().map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<_> = said.lines().filter(|line| !line.starts_with("Running as user")).collect();
    if !output.status.success() || !said.is_empty() {
        return Err(format!("{}: {}", output.status, said.join("\n")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let frames: Vec<Value> = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    Ok(frames.into_iter().map(|mut frame| Frame(frame["_source"]["layers"].take())).collect())
}

/// Complains about the frames of a file; `events` are the same in `--format json`.
pub(super) fn complaints(frames: &[Frame], events: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for (n, frame) in frames.iter().enumerate() {
        found.extend(frame.complaints().into_iter().map(|what| format!("frame {}: {what}", n + 1)));
    }
    let mut rest = frames.iter();
    for event in events {
        let note = format!("flight recorder of {}", event["id"].as_str().unwrap_or_default());
        let mut recorded = Vec::new();
        let last = loop {
            match rest.next() {
                Some(frame) if event["type"] == "rst" && frame.text("frame.comment") == note => {
                    recorded.push(frame);
                }
                other => break other,
            }
        };
        let Some(last) = last else {
            found.push(format!("no frame of {event}"));
            break;
        };
        let of_event = match event["type"] == "rst" {
            true => reset(&recorded, last, event),
            false if last.is_journal() => time(last, nanoseconds(&event["time"]) / 1000 * 1000),
            false => vec![format!("{} is no journal", last.text("frame.protocols"))],
        };
        let id = event["id"].as_str().unwrap_or("stats");
        found.extend(of_event.iter().map(|what| format!("event {id}: {what}")));
    }
    let extra = rest.count();
    if extra > 0 {
        found.push(format!("{extra} frames of no event"));
    }
    found
}

fn time(frame: &Frame, nanoseconds: u64) -> Vec<String> {
    let expected = format!("{}.{:09}", nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    let actual = frame.text("frame.time_epoch");
    (actual != expected).then(|| format!("at {actual}, not {expected}")).into_iter().collect()
}

/// The frames of a reset.
fn reset(recorded: &[&Frame], last: &Frame, event: &Value) -> Vec<String> {
    let recent = event.get("recent").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut found = Vec::new();
    if recorded.len() != recent.len() && !(is_truncated(event) && recorded.len() > recent.len()) {
        found.push(format!("{} segments before it, not {}", recorded.len(), recent.len()));
    }
    let now = nanoseconds(&event["time"]);
    // A line that is too long loses its oldest segments.
    for (frame, recent) in recorded.iter().rev().zip(recent.iter().rev()) {
        let from = recent["from"].as_str().expect("a side");
        let ends = match event[from] == event["dst"] {
            true => ["dst", "src"],
            false => ["src", "dst"],
        };
        found.extend(segment(frame, recent, &recent["len"], ends.map(|end| &event[end])));
        let ago = recent["ago_us"].as_u64().expect("a number");
        found.extend(time(frame, now.saturating_sub(ago * 1000)));
    }
    let rst = &event["segment"];
    found.extend(segment(last, rst, &rst["payload_len"], ["src", "dst"].map(|end| &event[end])));
    found.extend(time(last, now));
    if !is_truncated(event) {
        found.extend(comment(last.text("frame.comment"), event));
    }
    found
}

fn segment(frame: &Frame, segment: &Value, len: &Value, [src, dst]: [&Value; 2]) -> Vec<String> {
    let is_v6 = [src, dst].iter().any(|end| end["ip"].as_str().expect("an IP").contains(':'));
    let headers = if is_v6 { 60 } else { 40 };
    let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
    let length = len.as_u64().expect("a number") + headers;
    let pairs = [
        ("source", frame.first(["ip.src", "ipv6.src"]).to_owned(), text(&src["ip"])),
        ("destination", frame.first(["ip.dst", "ipv6.dst"]).to_owned(), text(&dst["ip"])),
        ("source port", frame.text("tcp.srcport").to_owned(), text(&src["port"])),
        ("destination port", frame.text("tcp.dstport").to_owned(), text(&dst["port"])),
        ("TTL", frame.first(["ip.ttl", "ipv6.hlim"]).to_owned(), text(&segment["ttl"])),
        (
            "flags",
            frame.text("tcp.flags").to_owned(),
            format!("0x{:04x}", flags(&segment["flags"])),
        ),
        ("sequence number", frame.text("tcp.seq").to_owned(), text(&segment["seq"])),
        ("acknowledgement", frame.text("tcp.ack").to_owned(), text(&segment["ack"])),
        ("window", frame.text("tcp.window_size_value").to_owned(), text(&segment["window"])),
        ("length", frame.text("frame.len").to_owned(), length.to_string()),
        ("captured", frame.text("frame.cap_len").to_owned(), headers.to_string()),
    ];
    let wrong = pairs.into_iter().filter(|(_, actual, expected)| actual != expected);
    wrong.map(|(what, actual, expected)| format!("{what} is {actual}, not {expected}")).collect()
}

/// The comment must hold the verdict, each piece of evidence and what names the event.
fn comment(comment: &str, event: &Value) -> Vec<String> {
    let mut wanted = vec![
        format!("cause {}", event["cause"].as_str().expect("a cause")),
        format!("class {}", event["class"].as_str().expect("a class")),
        format!("id {}", event["id"].as_str().expect("an id")),
        format!("community {}", event["community_id"].as_str().expect("an id")),
    ];
    wanted.extend(event.get("seq").map(|number| format!(", seq {number}\n")));
    for evidence in event["evidence"].as_array().expect("a list") {
        let text = evidence["text"].as_str().expect("a text");
        // How strangers' characters are shown is for the unit tests.
        let shown = if text.is_ascii() && !text.contains(char::is_control) { text } else { "" };
        wanted.push(format!("\n{} {shown}", weight(evidence)));
    }
    let mut found: Vec<_> = wanted
        .iter()
        .filter(|word| !format!("{comment}\n").contains(word.as_str()))
        .map(|word| format!("{word:?} is not in {comment:?}"))
        .collect();
    if !is_verdict(comment, event) {
        found.push(format!("no verdict in {comment:?}"));
    }
    found
}

#[test]
fn events_of_every_kind_are_read_as_they_are() {
    if !is_installed() {
        return;
    }
    let all = events::all();
    let folder = Folder::new();
    let file = folder.file("all.pcapng", &events::written(&all, PcapNgSink::new));
    let frames = read(file.as_ref()).expect("tshark reads it");
    let complaints = complaints(&frames, &all);
    assert!(complaints.is_empty(), "{}", complaints[..complaints.len().min(9)].join("\n"));
    eprintln!("{} frames of {} events", frames.len(), all.len());
}

/// A capture of twenty refusals, and the folder it is in.
fn twenty_refused() -> (Folder, String) {
    let folder = Folder::new();
    let capture = folder.file("refused.pcap", &pcap(&many_refused(20)));
    (folder, capture)
}

#[test]
fn a_file_that_is_appended_to_stays_valid() {
    if !is_installed() {
        return;
    }
    let (folder, capture) = twenty_refused();
    let out = folder.path("evidence.pcapng");
    let to = out.to_str().expect("UTF-8");
    for runs in 1..=3 {
        run(&["replay", &capture, "--format", "pcapng", "--output", to]).assert_code(0);
        let frames = read(&out).expect("tshark reads it");
        assert_eq!(frames.len(), runs * 40, "a SYN and a RST each");
    }
    // What the tracer writes it reads, and comes to the same end.
    let ended = run(&["replay", to, "--format", "json"]);
    ended.assert_code(0);
    assert_eq!(ended.out.len(), 60);
}

#[test]
fn the_numbers_prove_that_nothing_is_missing() {
    if !is_installed() {
        return;
    }
    let (folder, capture) = twenty_refused();
    let out = folder.path("evidence.pcapng");
    let to = out.to_str().expect("UTF-8");
    run(&["replay", &capture, "--stats", "--format", "pcapng", "--output", to]).assert_code(0);
    let frames = read(&out).expect("tshark reads it");
    let number = |frame: &Frame| {
        let (_, number) = frame.text("frame.comment").rsplit_once(", seq ")?;
        Some(number.parse().expect("a number"))
    };
    let numbers: Vec<u64> = frames.iter().filter_map(number).collect();
    assert_eq!(numbers, Vec::from_iter(1..=20));
    // A journal entry holds the line of `--format json`, where the number is.
    let written = fs::read(&out).expect("it was written");
    let last = br#""seq":21"#;
    assert!(written.windows(last.len()).any(|bytes| bytes == last), "the counters come last");
}

#[test]
fn planted_errors_are_noticed() {
    if !is_installed() {
        return;
    }
    let events = events::all().split_off(2)[..1].to_vec();
    let right = events::written(&events, PcapNgSink::new);
    let folder = Folder::new();
    let complaints_about = |file: &[u8]| {
        let path = folder.file("planted.pcapng", file);
        match read(path.as_ref()) {
            Ok(frames) => complaints(&frames, &events),
            Err(said) => vec![said],
        }
    };
    assert_eq!(complaints_about(&right), [""; 0]);
    // The last segment of the recorder: its TTL, its window, its IP and TCP checksums.
    let packet = [0x45, 0, 0, 40, 0, 0, 0, 0, 255, 6];
    let at = right.windows(10).position(|window| window == packet).expect("a packet");
    for offset in [8, 10, 12, 21, 25, 29, 33, 35, 37] {
        let mut wrong = right.clone();
        wrong[at + offset] ^= 1;
        assert!(!complaints_about(&wrong).is_empty(), "byte {offset} is not checked");
    }
    for word in ["closed_port", "flight", "34 bytes", "97% sure", ", seq 3"] {
        let at = right.windows(word.len()).position(|w| w == word.as_bytes()).expect("the word");
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        assert!(!complaints_about(&wrong).is_empty(), "{word} is not checked");
    }
    let torn = &right[..right.len() - 4];
    assert!(!complaints_about(torn).is_empty());
    fs::remove_file(folder.path("planted.pcapng")).expect("it was there");
}
