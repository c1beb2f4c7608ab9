//! Abortive ends that are nobody's mistake, and data for a side that has closed.

use rst_tracer::demo::scenarios::Listed;

pub(super) const LISTED: &[Listed] = &[];
