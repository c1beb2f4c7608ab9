//! Lines in the schemas of others: a function from an event to a JSON document, and the sink around it.
//!
//! In: events. Out: one document a line, with the rules of our own JSON: nothing is null, integers are below
//! 2^53, a line is short. Built as [`Value`]s, which is slower than our JSON and easier to hold against a
//! schema.

mod ecs;
mod ocsf;
mod own;

use std::io::{self, Write};

use bytes::{BufMut, BytesMut};
use serde_json::Value;

use super::lines::Lines;
use super::{Host, Sink, fit};
use crate::clock::epoch_ns;
use crate::event::{Event, Initiator, MAX_INTEGER, Mac, RstEvent, SentBy, Side, Timestamp};

/// Writes events as documents of another schema.
#[derive(Debug)]
pub struct DocumentSink<W> {
    lines: Lines<W>,
    document: fn(&Event, &Host) -> Value,
    host: Host,
}

impl<W: Write> DocumentSink<W> {
    /// Elastic Common Schema.
    pub fn ecs(out: W) -> Self {
        Self::of(out, |event, host| ecs::document(event, Timestamp(epoch_ns()), host))
    }

    /// Open Cybersecurity Schema Framework.
    pub fn ocsf(out: W) -> Self {
        Self::of(out, ocsf::document)
    }

    /// `document` is told about the observing host, too.
    fn of(out: W, document: fn(&Event, &Host) -> Value) -> Self {
        Self { lines: Lines::new(out), document, host: Host::default() }
    }

    /// Tells of this host, too.
    pub fn on(self, host: Host) -> Self {
        Self { host, ..self }
    }
}

impl<W: Write> Sink for DocumentSink<W> {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        let document = self.document;
        self.lines.push(|out| line(event, |event| document(event, &self.host), out))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }
}

/// Appends the event's document and a line feed, no longer than a line may be.
fn line(event: &Event, document: impl Fn(&Event) -> Value, out: &mut BytesMut) {
    fit::line(event, out, |event, out| {
        let mut document = document(event);
        tidy(&mut document);
        out.put_slice(document.to_string().as_bytes());
    });
}

/// Removes what is null or empty, and bounds integers.
fn tidy(value: &mut Value) {
    let says_nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    };
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(tidy);
            items.retain(|item| !says_nothing(item));
        }
        Value::Object(object) => {
            object.values_mut().for_each(tidy);
            object.retain(|_, value| !says_nothing(value));
        }
        Value::Number(n) if n.as_u64().is_some_and(|n| n > MAX_INTEGER) => {
            *value = MAX_INTEGER.into();
        }
        _ => {}
    }
}

/// Whether a handshake or a listening socket told which side opened the connection. Ports alone are a guess:
/// `sent_by` and `initiator` say it, the fields of the schemas do not.
fn knows_sides(event: &RstEvent) -> bool {
    matches!(event.initiator, Initiator::Syn | Initiator::SynAck | Initiator::Listener)
        && event.client.is_some()
        && event.server.is_some()
        && event.sent_by != SentBy::Unknown
}

/// What the source and the destination of the reset had sent before it.
fn sides(event: &RstEvent) -> (Option<Side>, Option<Side>) {
    let Some(flow) = event.flow else { return (None, None) };
    match event.sent_by {
        SentBy::Client => (flow.client, flow.server),
        SentBy::Server => (flow.server, flow.client),
        SentBy::Unknown => (flow.src, flow.dst),
    }
}

/// What a link calls an end of the reset, with hyphens and in capitals: ECS demands it, OCSF takes it.
fn mac(of: Option<Mac>) -> Option<String> {
    Some(of?.with_hyphens().iter().map(|&byte| char::from(byte)).collect())
}

/// The protocol inside TCP, if it is known.
fn protocol(event: &RstEvent) -> Option<String> {
    let is_one = !matches!(
        &*event.app,
        "incomplete" | "insufficient-data" | "not-applicable" | "unknown-tcp"
    );
    is_one.then(|| event.app.to_lowercase())
}

#[cfg(test)]
mod tests;
