//! Feeds any bytes to the capture reader and drains it, at once and one byte at a time.
//!
//! No input may panic, hang or yield bytes that are not in the file, and how the bytes arrive
//! must make no difference.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use rst_tracer::source::capture::{Capture, CaptureError};

fuzz_target!(|file: &[u8]| {
    let at_once = drain(file);
    let trickled = drain(Trickle(file));
    assert_eq!(at_once, trickled);
    assert!(at_once.bytes <= file.len() as u64);
});

/// What reading to the end came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    frames: u64,
    bytes: u64,
    /// All that was said of all frames, folded.
    digest: u64,
    error: Option<String>,
}

fn drain(reader: impl Read) -> Outcome {
    let mut outcome = Outcome::default();
    if let Err(e) = read_frames(reader, &mut outcome) {
        outcome.error = Some(e.to_string());
    }
    outcome
}

fn read_frames(reader: impl Read, outcome: &mut Outcome) -> Result<(), CaptureError> {
    let mut capture = Capture::open(reader)?;
    while let Some(frame) = capture.next()? {
        outcome.frames += 1;
        outcome.bytes += frame.data.len() as u64;
        let facts = [
            frame.number,
            frame.time_ns,
            u64::from(frame.link.0),
            u64::from(frame.original_len),
            frame.interface.map_or(u64::MAX, u64::from),
        ];
        let bytes = frame.data.iter().map(|byte| u64::from(*byte));
        outcome.digest = facts
            .into_iter()
            .chain(bytes)
            .fold(outcome.digest, |digest, fact| digest.rotate_left(5).wrapping_add(fact));
        if let Some(interface) = frame.interface {
            assert!(capture.interface_name(interface).is_none_or(|name| name.len() <= 3 * 255));
        }
    }
    Ok(())
}

/// Gives what it holds one byte at a time.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let step = into.len().min(1);
        self.0.read(&mut into[..step])
    }
}
