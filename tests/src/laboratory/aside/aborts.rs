//! Connections that a program or its kernel aborts: unread data, SIGKILL, crashes, limits.

use rst_tracer::demo::scenarios::Listed;

pub(super) const LISTED: &[Listed] = &[];
