//! Segments that the other side does not know: restarts, timeouts, reused ports, lost memory.

use rst_tracer::demo::scenarios::Listed;

pub(super) const LISTED: &[Listed] = &[];
