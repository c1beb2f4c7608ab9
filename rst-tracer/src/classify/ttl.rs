//! Times to live: with what they begin, and how far a segment has come.
//!
//! Linux, macOS and most others begin with 64, Windows with 128, network equipment with 255 (p0f's p0fr.fp).

/// What segments begin with.
const INITIAL: [u8; 3] = [64, 128, 255];

/// Whether no router has counted it down.
pub(super) fn is_fresh(ttl: u8) -> bool {
    INITIAL.contains(&ttl)
}

/// The initial value that it was counted down from.
pub(super) fn initial(ttl: u8) -> u8 {
    INITIAL.into_iter().find(|&initial| initial >= ttl).unwrap_or(u8::MAX)
}

/// How many routers a segment has passed.
pub(super) fn hops(ttl: u8) -> u8 {
    initial(ttl) - ttl
}

/// By how many routers the way between two hosts may change.
pub(super) const OTHER_WAY: u8 = 2;

/// Whether two are too far apart for one sender.
pub(super) const fn are_apart(a: u8, b: u8) -> bool {
    a.abs_diff(b) > OTHER_WAY
}
