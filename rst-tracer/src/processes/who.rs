//! Whom a statement of the kernel names as the one who closed the socket.
//!
//! The task on the CPU means something only where the kernel acts on its behalf. A reset that answers
//! a segment, and one that a timer sends, go out in softirq: then the task is whoever was interrupted.

use rst_tracer_common::notice::{Point, Task, notice_trait};

use crate::source::Notice;

/// What `tcp_abort` says for a socket that is destroyed from outside (`ss -K`), and what a timer says
/// for an orphan in FIN_WAIT2.
const STATE: &str = "TCP_STATE";
/// Reasons of timers, whatever the state.
const TIMERS: [&str; 1] = ["TCP_KEEPALIVE_TIMEOUT"];

/// The task that closed the socket, if the statement proves it.
///
/// Sockets that a task closes are in CLOSE when their reset goes out (net/ipv4/tcp.c `__tcp_close`,
/// `tcp_disconnect`). Only `tcp_abort` keeps the state, and says TCP_STATE (from Linux 6.12); so does
/// the timer of FIN_WAIT2, where nobody is named.
pub(super) fn closer(notice: &Notice) -> Option<&Task> {
    let said = &notice.wire;
    let is_active = said.point == Point::SEND_RESET && !notice.has_trigger();
    if !is_active || said.task.pid == 0 || notice.has(notice_trait::KERNEL_THREAD) {
        return None;
    }
    if TIMERS.iter().any(|reason| notice.is_because(reason)) {
        return None;
    }
    let is_closed = notice.is_in("CLOSE");
    let is_aborted =
        notice.is_because(STATE) && notice.state.is_some() && !notice.is_in("FIN_WAIT2");
    (is_closed || is_aborted).then_some(&said.task)
}

/// The task that opened the socket, if it was seen.
pub(super) fn owner(notice: &Notice) -> Option<&Task> {
    (notice.has(notice_trait::OWNER) && notice.wire.owner.pid != 0).then_some(&notice.wire.owner)
}

#[cfg(test)]
mod tests {
    use rst_tracer_common::notice;

    use super::*;
    use crate::event::Timestamp;

    fn names(reason: &'static str, state: &'static str, traits: u8) -> bool {
        let task = Task { pid: 7, ..Default::default() };
        let wire = notice::Notice { point: Point::SEND_RESET, task, traits, ..Default::default() };
        let text = |name: &'static str| (!name.is_empty()).then_some(name.into());
        let (reason, state) = (text(reason), text(state));
        let notice = Notice { time: Timestamp(0), wire, reason, state, state_before: None };
        closer(&notice).is_some()
    }

    #[test]
    fn the_task_that_closes_is_named() {
        for reason in ["TCP_ABORT_ON_CLOSE", "TCP_STATE", "TCP_ABORT_ON_MEMORY", ""] {
            assert!(names(reason, "CLOSE", 0), "{reason}");
        }
    }

    #[test]
    fn whoever_destroys_a_socket_from_outside_is_named() {
        assert!(names("TCP_STATE", "ESTABLISHED", 0));
    }

    #[test]
    fn timers_interrupt_anybody() {
        assert!(!names("TCP_KEEPALIVE_TIMEOUT", "ESTABLISHED", 0));
        assert!(!names("TCP_ABORT_ON_MEMORY", "FIN_WAIT1", 0));
        assert!(!names("TCP_STATE", "FIN_WAIT2", 0));
        assert!(!names("", "ESTABLISHED", 0));
        assert!(!names("", "", 0));
    }

    #[test]
    fn an_answer_to_a_segment_names_nobody_nor_does_a_thread_of_the_kernel() {
        assert!(!names("TCP_ABORT_ON_DATA", "CLOSE", notice_trait::TRIGGER));
        assert!(!names("TCP_ABORT_ON_CLOSE", "CLOSE", notice_trait::KERNEL_THREAD));
    }
}
