//! Real servers and real clients: nginx, HAProxy, sshd, curl, Python and the like.

use rst_tracer::demo::scenarios::Listed;

pub(super) const LISTED: &[Listed] = &[];
