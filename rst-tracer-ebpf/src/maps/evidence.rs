//! What the tracepoint programs remember from one event to the next.

use aya_ebpf::{
    macros::map,
    maps::{LruHashMap, PerCpuArray},
};
use rst_tracer_common::notice::{Point, Statements, Task};

/// Who opened a socket that lives: the task inside connect(2) or listen(2), by the socket's address.
/// The entry ends with the socket's last state, so that whoever gets the same address inherits nothing.
#[map]
pub static OWNERS: LruHashMap<u64, Task> = LruHashMap::with_max_entries(1 << 15, 0);

/// What a socket was that has just closed: the reset comes after that.
#[map]
pub static CLOSED: LruHashMap<u64, Closed> = LruHashMap::with_max_entries(1 << 12, 0);

/// Callers that gave up before they were answered, by the hash of the flow: the answer comes later, to
/// no socket.
#[map]
pub static GAVE_UP: LruHashMap<u64, Closed> = LruHashMap::with_max_entries(1 << 12, 0);

/// The reset that this CPU sent last: what is dropped next may be what it answers.
#[map]
static ANSWERED: PerCpuArray<Answered> = PerCpuArray::with_max_entries(1, 0);

/// What became of the statements.
#[map]
static STATEMENTS: PerCpuArray<Statements> = PerCpuArray::with_max_entries(1, 0);

/// A socket that has closed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Closed {
    /// When, by CLOCK_MONOTONIC.
    pub time_ns: u64,
    /// The state that it left.
    pub state: u32,
    /// 1 when its owner is known.
    pub is_owned: u32,
    /// Who opened it.
    pub owner: Task,
}

/// A reset that left.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Answered {
    /// When, by CLOCK_MONOTONIC.
    pub time_ns: u64,
    /// The hash of its flow.
    pub flow_hash: u64,
}

/// This CPU's last reset.
#[inline(always)]
pub fn answered() -> Option<&'static mut Answered> {
    // SAFETY: plain integers; a nested run on this CPU may overwrite them, and then a drop is not
    // told at worst.
    ANSWERED.get_ptr_mut(0).map(|p| unsafe { &mut *p })
}

/// Notes that this CPU sent a reset.
#[inline(always)]
pub fn note_answer(flow_hash: u64, time_ns: u64) {
    if let Some(answered) = answered() {
        answered.time_ns = time_ns;
        answered.flow_hash = flow_hash;
    }
}

/// Counts a statement that was handed over, or lost.
#[inline(always)]
pub fn count_statement(point: Point, is_told: bool) {
    let Some(statements) = STATEMENTS.get_ptr_mut(0) else { return };
    let at = usize::from(point.0) % Point::COUNT;
    // SAFETY: as any per-CPU counter; `at` is within both.
    unsafe {
        if is_told {
            (*statements).told[at] += 1;
        } else {
            (*statements).lost[at] += 1;
        }
    }
}
