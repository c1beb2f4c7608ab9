//! A window that slides over the byte stream: frames are borrowed from it, never copied out.
//!
//! It reads large pieces, grows only as bytes arrive (a claimed length allocates nothing), needs
//! no seeking, and knows the place in the file for errors and progress.

use std::io::{self, ErrorKind, Read};
use std::ops::Range;

use super::CaptureError;
use super::order::Order;

/// Large enough that system calls do not matter, small enough to stay in the second-level cache.
const INITIAL: usize = 256 * 1024;

/// The part of the stream that is in memory, and how far reading has come.
#[derive(Debug)]
pub(super) struct Input<R> {
    reader: R,
    buffer: Vec<u8>,
    /// The bytes read and not yet consumed.
    unread: Range<usize>,
    /// The offset in the stream of the first unread byte.
    offset: u64,
    /// How many frames have been counted.
    pub(super) frames: u64,
}

impl<R> Input<R> {
    /// The offset of the first unread byte from the start of the stream.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// What is in memory and not consumed.
    #[inline]
    pub(super) fn unread(&self) -> &[u8] {
        &self.buffer[self.unread.clone()]
    }

    /// Bytes at positions that [`Input::consume`] gave, valid until the next read.
    #[inline]
    pub(super) fn slice(&self, at: Range<usize>) -> &[u8] {
        &self.buffer[at]
    }

    /// Moves past this many unread bytes and says where in memory they lie.
    #[inline]
    pub(super) fn consume(&mut self, length: usize) -> Range<usize> {
        let length = length.min(self.unread.len());
        let at = self.unread.start..self.unread.start + length;
        self.unread.start = at.end;
        self.offset += length as u64;
        at
    }
}

impl<R: Read> Input<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, buffer: vec![0; INITIAL], unread: 0..0, offset: 0, frames: 0 }
    }

    /// Reads until this many bytes are unread; false when the stream ends before.
    #[inline]
    pub(super) fn has(&mut self, wanted: usize) -> io::Result<bool> {
        if self.unread.len() >= wanted { Ok(true) } else { self.fill(wanted) }
    }

    /// Like [`Input::has`], for the record at this offset, which is cut off if the stream ends.
    #[inline]
    pub(super) fn require(&mut self, wanted: usize, record: u64) -> Result<(), CaptureError> {
        if self.has(wanted)? { Ok(()) } else { Err(self.cut_off(record)) }
    }

    /// The number at this place of the record at this offset, which is the next to be consumed.
    #[inline]
    pub(super) fn u32(
        &mut self,
        order: Order,
        at: usize,
        record: u64,
    ) -> Result<u32, CaptureError> {
        self.require(at + 4, record)?;
        order.u32(self.unread(), at).ok_or_else(|| self.cut_off(record))
    }

    #[cold]
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        while self.unread.end < wanted {
            if self.unread.end == self.buffer.len() {
                let larger = (self.buffer.len() * 2).min(wanted);
                self.buffer.reserve_exact(larger - self.buffer.len());
                self.buffer.resize(larger, 0);
            }
            match self.reader.read(&mut self.buffer[self.unread.end..]) {
                Ok(0) => return Ok(false),
                Ok(read) => self.unread.end += read,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    /// Moves past bytes that nobody wants to see, without keeping them.
    pub(super) fn skip(&mut self, length: usize, record: u64) -> Result<(), CaptureError> {
        let mut left = length;
        while left > 0 {
            self.require(1, record)?;
            left -= self.consume(left).len();
        }
        Ok(())
    }

    pub(super) fn cut_off(&self, record: u64) -> CaptureError {
        CaptureError::CutOff { after_frame: self.frames, offset: record }
    }

    pub(super) fn malformed(&self, record: u64, what: impl Into<String>) -> CaptureError {
        CaptureError::Malformed { after_frame: self.frames, offset: record, what: what.into() }
    }

    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.buffer.capacity()
    }
}
