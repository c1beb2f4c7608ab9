//! Why a capture cannot be read, or cannot be read any further.
//!
//! Every message says what is wrong, where, what was read all the same, and the remedy.

use std::{fmt, io};

use super::Content;

/// Why reading stopped. Frames delivered before the error are good.
#[derive(Debug)]
#[non_exhaustive]
pub enum CaptureError {
    /// Neither pcap nor pcapng.
    NotACapture(Content),
    /// The file ends inside a record, as it does when a capture was killed or copied while
    /// running. Every frame before the cut was delivered.
    CutOff {
        /// The number of the last frame before the cut; 0 if there was none.
        after_frame: u64,
        /// Where the incomplete record begins, in bytes from the start of the file.
        offset: u64,
    },
    /// A record contradicts the format, so that the place of the next one is unknown or what it
    /// means cannot be told.
    Malformed {
        /// The number of the last frame before the damage; 0 if there was none.
        after_frame: u64,
        /// Where the record begins, in bytes from the start of the file.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The operating system could not read on.
    Io(io::Error),
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotACapture(content) => write!(f, "not a capture: {content}"),
            Self::CutOff { after_frame, offset } => write!(
                f,
                "the capture ends inside the record that begins at byte {offset}, after frame \
                 {after_frame}; all frames before it were read. If it is still being written or \
                 was copied incompletely, wait or copy it again"
            ),
            Self::Malformed { after_frame, offset, what } => write!(
                f,
                "the capture is damaged at byte {offset}, after frame {after_frame}: {what}; all \
                 frames before it were read. To keep them alone: editcap -F pcapng FILE NEW.pcapng"
            ),
            Self::Io(e) => write!(f, "cannot read the capture: {e}"),
        }
    }
}

impl std::error::Error for CaptureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(e) => Some(e),
            _ => None,
        }
    }
}

impl From<io::Error> for CaptureError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
