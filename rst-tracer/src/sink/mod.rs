//! Where events go: one file per output format, all behind one trait.
//!
//! In: [`Event`]s. Out: whole lines, buffered; when to flush is the caller's choice.

mod cef;
mod document;
mod eve;
mod explain;
mod fit;
mod host;
mod internal;
mod json;
mod ladder;
mod limit;
mod lines;
mod marks;
mod otlp;
mod paint;
mod pcapng;
#[cfg(test)]
mod samples;
mod schema;
mod text;
pub(crate) mod words;

use std::{io, time::Duration};

use crate::event::{Event, OutputStats, RstEvent};

pub use cef::CefSink;
pub use document::DocumentSink;
pub use eve::EveSink;
pub use host::Host;
pub use internal::Internal;
pub use json::JsonSink;
pub use limit::{LINE_LIMIT, shorten};
pub use marks::Marks;
pub use otlp::OtlpSink;
pub use paint::Style;
pub use pcapng::PcapNgSink;
pub use schema::schema;
pub use text::TextSink;

/// The last segments before a reset, one a line, and the reset.
pub(crate) fn ladder(event: &RstEvent) -> String {
    let mut text = String::new();
    ladder::draw(event, Style::default(), &mut text);
    text
}

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

    /// How long it may go without a flush though nothing is written: by that it tells that it ended by itself.
    fn patience(&self) -> Option<Duration> {
        None
    }

    /// Starts what it needs threads for: not before the process has given up what it does not need, which a thread of
    /// its own would keep.
    ///
    /// # Errors
    /// When the system has no thread to give, or the place cannot be used.
    fn start(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    /// Closes every file and opens it anew, if there are files.
    fn reopen(&mut self) {}

    /// What became of the lines at each output, where nobody waits for them, or one failed.
    fn accounts(&self) -> Vec<OutputStats> {
        Vec::new()
    }

    /// How many resets the output has taken that took most, where it is waited for and that is known.
    fn resets_written(&self) -> Option<u64> {
        None
    }

    /// Waits until everything is written; nothing more comes.
    ///
    /// # Errors
    /// Names the output that could not be written in the end.
    fn finish(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}
