//! Packet filters on a host and on the way, and what they do to connections.

use rst_tracer::demo::scenarios::Listed;

pub(super) const LISTED: &[Listed] = &[];
