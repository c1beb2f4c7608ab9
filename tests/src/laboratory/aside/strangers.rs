//! Blind resets, backscatter, scanners and other things that strangers send.

use rst_tracer::demo::scenarios::Listed;

pub(super) const LISTED: &[Listed] = &[];
