//! JSON Lines: the event contract itself, one object a line.
//!
//! Written by hand because it takes half the time of serde (1.2 against 2.4 µs for 1,618 bytes);
//! a test proves that the bytes are those of `serde_json` on the same types.

mod body;
mod write;

use std::io::{self, Write};

use bytes::BytesMut;

use super::lines::Lines;
use super::{Sink, fit};
use crate::event::Event;

/// Writes events as JSON Lines.
#[derive(Debug)]
pub struct JsonSink<W> {
    lines: Lines<W>,
}

impl<W: Write> JsonSink<W> {
    /// A sink before this output.
    pub fn new(out: W) -> Self {
        Self { lines: Lines::new(out) }
    }
}

impl<W: Write> Sink for JsonSink<W> {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        self.lines.push(|out| line(event, out))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }
}

/// Appends the event and a line feed.
fn line(event: &Event, out: &mut BytesMut) {
    fit::line(event, out, body::event);
}

#[cfg(test)]
mod tests;
