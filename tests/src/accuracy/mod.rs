//! How often the engine is right: the laboratory's scenarios, judged from three points of view.
//!
//! In: scenarios whose truth is known from how they were made. Out: per reset and point of view,
//! what was expected and what was concluded, and the sums over them.

pub mod goals;
pub mod judge;
pub mod play;
mod reasons;
pub mod report;
pub mod sums;

/// Where a verdict was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Viewpoint {
    /// On the host that put the reset on the wire: packets and the host's kernel.
    Sender,
    /// On the host that the reset was for: packets and the host's kernel.
    Receiver,
    /// From a capture that was taken at the router between the two: packets only.
    Capture,
}

impl Viewpoint {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Sender, Self::Receiver, Self::Capture];

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Sender => "sender's host",
            Self::Receiver => "receiver's host",
            Self::Capture => "capture at the router",
        }
    }
}

/// Whether a scenario was kept aside: its results never served to choose a rule, a threshold or a
/// probability.
///
/// A third of the scenarios, drawn by a hash of the name alone (FNV-1a), so that neither the draw
/// nor what is drawn later can be bent.
pub fn is_held_out(id: &str) -> bool {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in id.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    (hash >> 32).is_multiple_of(3)
}
