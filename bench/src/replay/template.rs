//! Frames of the generated capture whose headers are there, up to what differs from frame to frame.

use rst_tracer_tests::frames::{Tcp, V4, V6, tcp};

/// Which options a header has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Options {
    None,
    Stamped,
    Opening,
}

impl Options {
    pub(super) const ALL: [Self; 3] = [Self::None, Self::Stamped, Self::Opening];

    const fn bytes(self) -> &'static [u8] {
        match self {
            Self::None => &[],
            // No-operations, then timestamps (RFC 7323).
            Self::Stamped => &[1, 1, 8, 10, 0, 0, 1, 0, 0, 0, 2, 0],
            // As Linux writes them: MSS, SACK permitted, timestamps, window scale.
            Self::Opening => &[2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 1, 0, 0, 0, 0, 0, 1, 3, 3, 10],
        }
    }
}

/// The headers of a frame, into which the rest is written.
pub(super) struct Template {
    pub(super) bytes: Vec<u8>,
    /// Where the TCP header begins.
    pub(super) tcp: usize,
    pub(super) is_v6: bool,
}

impl Template {
    pub(super) fn new(is_v6: bool, options: Options) -> Self {
        let segment = Tcp { options: options.bytes().to_vec(), ..Tcp::default() };
        let (bytes, tcp) = if is_v6 {
            (tcp(segment).in_v6(V6::default()).frame(), 54)
        } else {
            (tcp(segment).in_v4(V4::default()).frame(), 34)
        };
        Self { bytes, tcp, is_v6 }
    }

    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }
}
