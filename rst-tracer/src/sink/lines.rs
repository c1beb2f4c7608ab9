//! The buffer under every sink: collects whole lines and hands them to the output in large writes.

use std::io::{self, ErrorKind, Write};

use bytes::{Buf, BytesMut};

/// With this many bytes waiting they are handed on before another line is taken.
const FULL: usize = 64 * 1024;

/// Whole lines on their way to an output.
#[derive(Debug)]
pub(super) struct Lines<W> {
    out: W,
    waiting: BytesMut,
}

impl<W: Write> Lines<W> {
    /// An empty buffer before this output.
    pub(super) fn new(out: W) -> Self {
        Self { out, waiting: BytesMut::with_capacity(FULL + super::LINE_LIMIT) }
    }

    /// Lets `append` add whole lines. On an error `append` was not called.
    pub(super) fn push(&mut self, append: impl FnOnce(&mut BytesMut)) -> io::Result<()> {
        if self.waiting.len() >= FULL {
            self.drain()?;
        }
        append(&mut self.waiting);
        Ok(())
    }

    /// Whether all that waits is handed on before more is taken.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= FULL
    }

    /// Hands on all that waits.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.drain()?;
        self.out.flush()
    }

    /// Drops what the output has accepted and nothing else, so that a later try goes on there.
    fn drain(&mut self) -> io::Result<()> {
        while self.waiting.has_remaining() {
            match self.out.write(&self.waiting) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(taken) => self.waiting.advance(taken),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.waiting.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes three bytes, then fails once, and so on.
    #[derive(Default)]
    struct Stubborn {
        taken: Vec<u8>,
        turn: usize,
    }

    impl Write for Stubborn {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.turn += 1;
            match self.turn % 3 {
                0 => Err(ErrorKind::WouldBlock.into()),
                1 => Err(ErrorKind::Interrupted.into()),
                _ => {
                    let n = bytes.len().min(3);
                    self.taken.extend_from_slice(&bytes[..n]);
                    Ok(n)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_failing_output_neither_tears_nor_doubles_a_line() {
        let mut lines = Lines::new(Stubborn::default());
        for line in ["first\n", "second\n"] {
            lines.push(|out| out.extend_from_slice(line.as_bytes())).unwrap();
        }
        let failures = std::iter::from_fn(|| lines.flush().err()).count();
        assert!(failures > 0);
        assert_eq!(lines.out.taken, b"first\nsecond\n");
    }

    #[test]
    fn a_closed_pipe_is_reported_and_no_more_is_taken() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut lines = Lines::new(Closed);
        lines.push(|out| out.resize(FULL, b'x')).unwrap();
        let error = lines.push(|_| panic!("must not be called")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}
