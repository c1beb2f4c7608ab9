//! Refusals of a SYN: nobody listens, a service that went away, a queue that is full.

use rst_tracer::demo::scenarios::Listed;

pub(super) const LISTED: &[Listed] = &[];
