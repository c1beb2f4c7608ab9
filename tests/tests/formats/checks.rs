//! The formats, and what holds their lines against the schemas.

use rst_tracer::{
    event::Event,
    sink::{DocumentSink, Host, LINE_LIMIT, Marks, Sink},
};
use rst_tracer_tests::ecs;
use serde_json::Value;

use super::ocsf;

/// A format with its schema.
pub(super) struct Format {
    /// As `--format` takes it.
    pub name: &'static str,
    sink: fn(Vec<Event>, &mut Vec<u8>),
    complaints: fn(&Value) -> Vec<String>,
}

fn write(mut sink: impl Sink, events: Vec<Event>) {
    events.iter().for_each(|event| sink.write(event).expect("memory takes it"));
    sink.flush().expect("memory takes it");
}

/// A host of which everything is known, and as much is to be said as may be.
fn host() -> Host {
    let id = Some("8a2c1d0e9f8b4c7d8e6f5a4b3c2d1e0f".to_owned());
    let labels = ["a", "B_2", "c-d"].map(|key| (key.to_owned(), "x".repeat(30)));
    let marks = Marks::new(vec!["\\".repeat(60); 1], labels.to_vec()).expect("they are allowed");
    Host { id, kernel: Some("6.18.5-amd64".to_owned()), marks, ..Host::default() }
}

pub(super) const FORMATS: [Format; 2] = [
    Format {
        name: "ecs",
        sink: |events, out| write(DocumentSink::ecs(out).on(host()), events),
        complaints: ecs::complaints,
    },
    Format {
        name: "ocsf",
        sink: |events, out| write(DocumentSink::ocsf(out).on(host()), events),
        complaints: ocsf::complaints,
    },
];

impl Format {
    /// Writes the events and returns the lines.
    pub(super) fn lines(&self, events: Vec<Event>) -> Vec<String> {
        let mut out = Vec::new();
        (self.sink)(events, &mut out);
        let text = String::from_utf8(out).expect("UTF-8");
        // Not `lines()`, which would hide a carriage return.
        text.split_terminator('\n').map(str::to_owned).collect()
    }

    /// What is wrong with a line.
    pub(super) fn complaints(&self, line: &str) -> Vec<String> {
        let mut found = Vec::new();
        if line.len() + 1 >= LINE_LIMIT {
            found.push(format!("{} bytes", line.len()));
        }
        if line.contains(|c: char| c < ' ') {
            found.push("a control character".to_owned());
        }
        match serde_json::from_str(line) {
            Ok(document) => found.extend((self.complaints)(&document)),
            Err(error) => found.push(error.to_string()),
        }
        found
    }
}
