//! Runs the replay verb as the command line does, and compares its events with what is expected.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{fs, thread};

use clap::Parser;
use rst_tracer::cli::{Cli, Command};
use rst_tracer::exit::Code;
use rst_tracer::run;
use serde_json::Value;

/// Far more than a file of this set takes.
const LIMIT: Duration = Duration::from_secs(60);

/// What a replay left behind.
pub(super) struct Outcome {
    /// Exit code.
    pub code: u8,
    /// Every event it wrote, in order.
    pub events: Vec<Value>,
    /// Every finding.
    pub findings: Vec<Value>,
}

/// Replays one file.
///
/// # Errors
/// When it does not end, panics, or cannot write.
pub(super) fn replay(path: &Path) -> Result<Outcome, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let lines = folder.path().join("events.jsonl");
    let cli = Cli::try_parse_from([
        "rst-tracer".as_ref(),
        "replay".as_ref(),
        "--format=json".as_ref(),
        "--output".as_ref(),
        lines.as_os_str(),
        path.as_os_str(),
    ]);
    let Some(Command::Replay(args)) = cli.map_err(|e| e.to_string())?.command else {
        return Err("replay is no verb".into());
    };
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(run::replay(&args)));
    let Code(code) = match receiver.recv_timeout(LIMIT) {
        Ok(result) => result.map_err(|e| format!("{e:#}"))?,
        Err(RecvTimeoutError::Timeout) => return Err(format!("no end in {LIMIT:?}")),
        Err(RecvTimeoutError::Disconnected) => return Err("it panicked".into()),
    };
    let text = fs::read_to_string(&lines).map_err(|e| e.to_string())?;
    let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
    let (findings, events) =
        lines.map_err(|e| e.to_string())?.into_iter().partition(|line| line["type"] == "finding");
    Ok(Outcome { code, events, findings })
}

/// Whether `actual` has every key of `expected` with its value.
pub(super) fn matches(actual: &Value, expected: &Value) -> bool {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => expected
            .iter()
            .all(|(key, value)| actual.get(key).is_some_and(|actual| matches(actual, value))),
        _ => actual == expected,
    }
}

/// The keys in which they differ, for messages.
pub(super) fn differences(actual: &Value, expected: &Value) -> Vec<String> {
    let expected = expected.as_object().into_iter().flatten();
    expected
        .filter(|(key, value)| !actual.get(key).is_some_and(|actual| matches(actual, value)))
        .map(|(key, value)| match actual.get(key) {
            Some(actual) => format!("{key} is {actual}, not {value}"),
            None => format!("{key} is missing, not {value}"),
        })
        .collect()
}
