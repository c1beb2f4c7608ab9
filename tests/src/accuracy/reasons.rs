//! Why a miss is a miss: where the bytes are the same, no engine can tell the causes apart.

use super::{Viewpoint, judge::Judged};

/// Causes that leave the same bytes on the wire. `tests/tests/twins.rs` plays them; what a proxy, a checker
/// or a balancer does for reasons of its own is one of the same calls.
struct Twins {
    causes: &'static [&'static str],
    form: &'static str,
}

const TWINS: [Twins; 3] = [
    Twins {
        causes: &[
            "closed_with_unread_data",
            "process_crash_or_kill",
            "linger0_close",
            "client_cancel",
            "admin_kill",
            "proxy_abort",
            "lb_health_check",
            "lb_drain",
            "restart_with_pending_connections",
        ],
        form: "one form: a live socket is aborted",
    },
    Twins {
        causes: &["closed_port", "host_firewall_reject", "listener_went_away", "scan_response"],
        form: "one form: a SYN is refused",
    },
    Twins {
        causes: &[
            "half_open_stale_state",
            "host_firewall_reject",
            "late_segment_after_timeout",
            "segment_after_reset",
            "idle_timeout_middlebox",
            "accept_queue_overflow",
            "stray_segment",
        ],
        form: "one form: a segment is answered as if there were no socket",
    },
];

/// Why `told` was taken for `truth`, as far as the kind of mistake says.
pub(super) fn reason(viewpoint: Viewpoint, truth: &str, told: &str) -> &'static str {
    let alike = |twins: &&Twins| twins.causes.contains(&truth) && twins.causes.contains(&told);
    match TWINS.iter().find(alike) {
        Some(twins) if viewpoint != Viewpoint::Sender => twins.form,
        _ => "",
    }
}

/// The twins among which the truth is, where only the wire tells: the group of those that look alike.
/// A packet filter refuses a SYN and rejects a segment in forms of its own kind.
pub(super) fn form(one: &Judged) -> Option<&'static str> {
    let event = one.event.as_ref().filter(|_| one.viewpoint != Viewpoint::Sender)?;
    let told = event.cause.id();
    let fits = |twins: &&Twins| {
        twins.causes.contains(&one.truth.cause)
            && (one.cause_is_right() || twins.causes.contains(&told))
    };
    TWINS.iter().find(fits).map(|twins| twins.form)
}
