//! JSON Lines: the event contract itself, one object a line.
//!
//! Written by hand because it takes half the time of serde (1.2 against 2.4 µs for 1,618 bytes);
//! a test proves that the bytes are those of `serde_json` on the same types.

mod body;
mod write;

use std::io::{self, Write};

use bytes::{BufMut, BytesMut};

use super::lines::Lines;
use super::{LINE_LIMIT, Sink, shorten};
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

/// Appends the event and a line feed, less than [`LINE_LIMIT`] bytes together.
fn line(event: &Event, out: &mut BytesMut) {
    let start = out.len();
    body::event(event, out);
    if out.len() - start + 1 >= LINE_LIMIT {
        out.truncate(start);
        let mut scratch = BytesMut::with_capacity(LINE_LIMIT);
        let short = shorten(event, |event| {
            scratch.clear();
            body::event(event, &mut scratch);
            scratch.len() + 1 < LINE_LIMIT
        });
        body::event(&short, out);
    }
    out.put_u8(b'\n');
}

#[cfg(test)]
mod tests;
