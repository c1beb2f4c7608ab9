//! Joins what belongs to one reset: its sightings at several hooks, and what the flow did after it.
//!
//! In: records in the order of the source, and the time. Out: [`Joined`] resets, each once, when
//! nothing more is awaited for it, and the event that describes each. No clock: replay passes
//! capture time.

mod describe;
mod pending;
#[cfg(test)]
pub(crate) mod story;

pub use describe::{Scene, describe};
pub use pending::{Correlator, Rules};

use crate::source::{After, Reset};

/// One reset with everything that belongs to it.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The first sighting.
    pub reset: Reset,
    /// Further sightings of the same RST at other hooks of this host.
    pub sightings: Vec<Reset>,
    /// Segments of the same flow after it, in order.
    pub aftermath: Vec<After>,
    /// Resets of the same flow that came after it.
    pub later_resets: Vec<Reset>,
}
