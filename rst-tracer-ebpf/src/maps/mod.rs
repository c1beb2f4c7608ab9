//! The maps, the numbers set at load, and the flow table over both.

mod evidence;
mod set;
mod table;

use aya_ebpf::{
    helpers::{bpf_jiffies64, bpf_ktime_get_ns},
    macros::map,
    maps::{Array, PerCpuArray},
};
use rst_tracer_common::{
    event::{Counters, Hook},
    flow::slot_trait,
    wanted::Wanted,
    wire::{Endpoint, Segment},
};

pub use evidence::{Closed, OWNERS, answered, count_statement, note_answer};
pub(crate) use set::place;
pub use set::{PLACES, arguments, drops, has_buff_len, is_wanted, keys, looks_into_tunnels};
pub use table::Table;

/// What each hook counted.
#[map]
static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(Hook::COUNT as u32, 0);

/// The segment at hand: larger than what the stack has left. Programs on one CPU do not interrupt
/// each other: XDP and TC run with bottom halves disabled.
#[map]
static SEGMENT: PerCpuArray<Segment> = PerCpuArray::with_max_entries(1, 0);

/// The time of this CPU's current tick.
#[map]
static CLOCK: PerCpuArray<Tick> = PerCpuArray::with_max_entries(1, 0);

/// Which resets are wanted, if not all.
#[map]
static WANTED: Array<Wanted> = Array::with_max_entries(1, 0);

/// A tick of the kernel's timer, and when it was first asked for.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Tick {
    /// Its number.
    jiffies: u64,
    /// By CLOCK_MONOTONIC.
    time_ns: u64,
}

/// The time for a segment amid a connection: exact when it is the first that this CPU sees in the current tick
/// of the kernel, else that one's. Reading the clock costs more than all the rest that such a segment needs.
#[inline(always)]
pub fn clock() -> (u64, u8) {
    let tick = if set::wants_fine_clock() { None } else { CLOCK.get_ptr_mut(0) };
    // SAFETY: the helper has no preconditions.
    let Some(tick) = tick else { return (unsafe { bpf_ktime_get_ns() }, 0) };
    // SAFETY: per CPU, see `SEGMENT`; likewise.
    let (tick, now) = unsafe { (&mut *tick, bpf_jiffies64()) };
    if tick.jiffies == now {
        return (tick.time_ns, slot_trait::COARSE);
    }
    tick.jiffies = now;
    // SAFETY: likewise.
    tick.time_ns = unsafe { bpf_ktime_get_ns() };
    (tick.time_ns, 0)
}

/// Whether a reset between these ends is wanted.
#[inline(always)]
pub fn wants(src: &Endpoint, dst: &Endpoint) -> bool {
    if !set::has_filter() {
        return true;
    }
    // SAFETY: written once, before the programs are attached.
    WANTED.get_ptr(0).is_none_or(|wanted| unsafe { &*wanted }.lets_pass(src, dst))
}

/// This CPU's counters of a hook.
#[inline(always)]
pub fn counters(hook: Hook) -> Option<&'static mut Counters> {
    let counters = COUNTERS.get_ptr_mut(u32::from(hook.0))?;
    // SAFETY: a per-CPU value is written by the program running on this CPU; a nested run on the
    // same CPU may lose a count, as any per-CPU counter in a program.
    Some(unsafe { &mut *counters })
}

/// This CPU's place for the segment at hand.
#[inline(always)]
pub fn segment() -> Option<&'static mut Segment> {
    // SAFETY: per CPU, see the map.
    SEGMENT.get_ptr_mut(0).map(|p| unsafe { &mut *p })
}
