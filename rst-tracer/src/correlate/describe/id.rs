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
    let mut hash = Sha1::new();
    hash.update(reset.time.0.to_be_bytes());
    for end in [segment.src, segment.dst] {
        end.address.0.iter().for_each(|word| hash.update(word.to_be_bytes()));
        hash.update(end.port.to_be_bytes());
    }
    for number in [tcp.seq.0, tcp.ack.0, u32::from(tcp.flags.0), u32::from(segment.ip_id)] {
        hash.update(number.to_be_bytes());
    }
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
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
