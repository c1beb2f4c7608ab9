//! Prevention systems, content filters and censors that write resets into connections.

use rst_tracer::demo::scenarios::Listed;

pub(super) const LISTED: &[Listed] = &[];
