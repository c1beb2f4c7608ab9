//! The name of an event: a hash of what identifies its first sighting.
//!
//! Deterministic, so that the same capture replayed twice names its events the same and a
//! collector can drop what it has already.

use sha1::{Digest, Sha1};

use super::Scene;
use crate::source::Reset;

/// 32 hexadecimal digits.
pub(super) fn of(reset: &Reset, scene: &Scene) -> String {
    let head = &reset.rst.head;
    let (segment, tcp) = (&head.segment, &head.segment.tcp);
    let [[a, b, c, d], [e, f, g, h]] = [segment.src.address.0, segment.dst.address.0];
    #[rustfmt::skip]
    let numbers = [
        (reset.time.0 >> 32) as u32, reset.time.0 as u32,
        a, b, c, d, segment.src.port,
        e, f, g, h, segment.dst.port,
        tcp.seq.0, tcp.ack.0, tcp.flags.0.into(), segment.ip_id.into(),
    ];
    let mut hash = Sha1::new();
    hash.update(numbers.map(u32::to_be_bytes).as_flattened());
    match (&reset.origin.file, reset.origin.frame) {
        (Some(file), frame) => {
            hash.update(frame.unwrap_or_default().to_be_bytes());
            hash.update(file.as_bytes());
        }
        (None, _) => {
            hash.update(head.ifindex.to_be_bytes());
            hash.update([head.hook.0]);
            hash.update(scene.netns.unwrap_or_default().to_be_bytes());
            hash.update(scene.host.as_bytes());
        }
    }
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble & 15)]);
    hash.finalize()[..16].iter().flat_map(|&byte| [digit(byte >> 4), digit(byte)]).collect()
}
