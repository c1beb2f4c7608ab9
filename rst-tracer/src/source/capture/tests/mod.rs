//! What the capture reader promises, on small files built in memory in both byte orders.
//!
//! Each test is one sentence of the promise; `build` writes the files, `read` drains them.

mod build;
mod content;
mod damage;
mod mutation;
mod pcap;
mod pcapng;

use std::io::Read;

use rst_tracer_common::wire::LinkType;

use super::{Capture, CaptureError, Frame};

/// A frame that outlives the capture.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    number: u64,
    time_ns: u64,
    link: LinkType,
    original_len: u32,
    data: Vec<u8>,
    interface: Option<u32>,
}

impl From<Frame<'_>> for Kept {
    fn from(frame: Frame<'_>) -> Self {
        let Frame { number, time_ns, link, original_len, data, interface } = frame;
        Self { number, time_ns, link, original_len, data: data.to_vec(), interface }
    }
}

/// All frames, and the error that ended them; after it there must be nothing.
fn read(reader: impl Read) -> (Vec<Kept>, Option<CaptureError>) {
    let mut capture = match Capture::open(reader) {
        Ok(capture) => capture,
        Err(e) => return (Vec::new(), Some(e)),
    };
    let mut frames = Vec::new();
    loop {
        match capture.next() {
            Ok(Some(frame)) => frames.push(frame.into()),
            Ok(None) => return (frames, None),
            Err(e) => {
                assert!(matches!(capture.next(), Ok(None)), "frames after {e}");
                return (frames, Some(e));
            }
        }
    }
}

/// The same, several at a time.
fn read_at_hand(reader: impl Read, most: usize) -> (Vec<Kept>, Option<CaptureError>) {
    let mut capture = match Capture::open(reader) {
        Ok(capture) => capture,
        Err(e) => return (Vec::new(), Some(e)),
    };
    let mut frames: Vec<Kept> = Vec::new();
    loop {
        match capture.next_at_hand(most) {
            Ok(at_hand) if at_hand.is_empty() => return (frames, None),
            Ok(at_hand) => {
                assert!(at_hand.frames().len() <= most);
                frames.extend(at_hand.frames().map(Kept::from));
            }
            Err(e) => {
                assert!(capture.next_at_hand(most).is_ok_and(|rest| rest.is_empty()));
                return (frames, Some(e));
            }
        }
    }
}

/// Reading several at a time and one by one is the same, to the last error.
fn assert_same_at_hand(file: &[u8]) {
    let said = |(frames, error): (Vec<Kept>, Option<CaptureError>)| {
        (frames, error.map(|error| error.to_string()))
    };
    let one_by_one = said(read(file));
    for most in [1, 2, 32] {
        assert_eq!(said(read_at_hand(file, most)), one_by_one);
    }
    assert_eq!(said(read_at_hand(Trickle(file), 32)), one_by_one);
}

/// The frames of a file that must be sound.
fn frames(file: &[u8]) -> Vec<Kept> {
    let (frames, error) = read(file);
    assert!(error.is_none(), "{error:?}");
    assert_same_at_hand(file);
    frames
}

/// What is wrong with a malformed file, and the frame after which.
fn complaint(file: &[u8]) -> (u64, String) {
    assert_same_at_hand(file);
    match read(file).1 {
        Some(CaptureError::Malformed { after_frame, what, .. }) => (after_frame, what),
        other => panic!("not malformed: {other:?}"),
    }
}

/// Gives what it holds one byte at a time, as the slowest of pipes would.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let step = into.len().min(1);
        self.0.read(&mut into[..step])
    }
}
