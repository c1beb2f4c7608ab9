//! Scenarios with real servers and real tools.

use rst_tracer::demo::scenarios::Listed;

/// Those scenarios, by family of files.
pub const LISTED: &[&[Listed]] = &[];
