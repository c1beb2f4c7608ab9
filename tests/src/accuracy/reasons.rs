//! Why a miss is a miss: where the bytes are the same, no engine can tell the causes apart.

use super::Viewpoint;

/// Causes that leave the same bytes on the wire, by group; `docs/limits.md` has the proofs.
const SAME_BYTES: [(&[&str], &str); 3] = [
    (
        &[
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
        "one form: a live socket is aborted",
    ),
    (
        &["closed_port", "host_firewall_reject", "listener_went_away", "scan_response"],
        "one form: a SYN is refused",
    ),
    (
        &[
            "half_open_stale_state",
            "host_firewall_reject",
            "late_segment_after_timeout",
            "segment_after_reset",
            "idle_timeout_middlebox",
            "accept_queue_overflow",
            "stray_segment",
        ],
        "one form: a segment is answered as if there were no socket",
    ),
];

/// Why `told` was taken for `truth`, as far as the kind of mistake says.
pub(super) fn reason(viewpoint: Viewpoint, truth: &str, told: &str) -> &'static str {
    let alike =
        SAME_BYTES.iter().find(|(group, _)| group.contains(&truth) && group.contains(&told));
    match (viewpoint, alike) {
        (Viewpoint::Sender, _) | (_, None) => "",
        (_, Some((_, reason))) => reason,
    }
}
