//! Balancers, proxies, health checks, drains, administrators, multipath.

use rst_tracer::demo::scenarios::Listed;

pub(super) const LISTED: &[Listed] = &[];
