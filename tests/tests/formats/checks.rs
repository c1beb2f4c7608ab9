//! The formats, and what holds their lines against the schemas.

use rst_tracer::{
    event::Event,
    sink::{DocumentSink, LINE_LIMIT, Sink},
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

pub(super) const FORMATS: [Format; 2] = [
    Format {
        name: "ecs",
        sink: |events, out| write(DocumentSink::ecs(out), events),
        complaints: ecs::complaints,
    },
    Format {
        name: "ocsf",
        sink: |events, out| write(DocumentSink::ocsf(out), events),
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
