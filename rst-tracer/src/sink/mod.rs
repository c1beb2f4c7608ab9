//! Where events go: one file per output format, all behind one trait.
//!
//! In: [`Event`]s. Out: whole lines, buffered; when to flush is the caller's choice.

mod cef;
mod eve;
mod explain;
mod fit;
mod json;
mod ladder;
mod limit;
mod lines;
mod otlp;
mod paint;
mod pcapng;
#[cfg(test)]
mod samples;
mod schema;
mod text;
mod words;

use std::io;

use crate::event::Event;

pub use cef::CefSink;
pub use eve::EveSink;
pub use json::JsonSink;
pub use limit::{LINE_LIMIT, shorten};
pub use otlp::OtlpSink;
pub use paint::Style;
pub use pcapng::PcapNgSink;
pub use schema::schema;
pub use text::TextSink;

/// Writes events in one format.
///
/// # Errors
/// Those of the output. [`io::ErrorKind::BrokenPipe`] means that the reader has gone, which is
/// how a pipeline ends and no failure.
pub trait Sink {
    /// Takes one event. After an error the event was not taken, and nothing is torn: what was
    /// buffered before is kept, and the next call goes on where the output stopped.
    fn write(&mut self, event: &Event) -> io::Result<()>;

    /// Hands everything taken so far to the output.
    fn flush(&mut self) -> io::Result<()>;
}
