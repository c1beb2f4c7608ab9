//! Lines that are never too long, for the formats of one line an event.

use bytes::{BufMut, BytesMut};

use super::{LINE_LIMIT, shorten};
use crate::event::Event;

/// Appends what `write` makes of the event and a line feed, less than [`LINE_LIMIT`] bytes
/// together: of an event that is too long for that, what [`shorten`] leaves.
pub(super) fn line(event: &Event, out: &mut BytesMut, write: impl Fn(&Event, &mut BytesMut)) {
    line_below(LINE_LIMIT, event, out, write);
}

/// The same for a format with another limit, no smaller than [`LINE_LIMIT`].
pub(super) fn line_below(
    limit: usize,
    event: &Event,
    out: &mut BytesMut,
    write: impl Fn(&Event, &mut BytesMut),
) {
    let start = out.len();
    write(event, out);
    if out.len() - start + 1 >= limit {
        out.truncate(start);
        let mut scratch = BytesMut::with_capacity(limit);
        let short = shorten(event, |event| {
            scratch.clear();
            write(event, &mut scratch);
            scratch.len() + 1 < limit
        });
        write(&short, out);
    }
    out.put_u8(b'\n');
}
