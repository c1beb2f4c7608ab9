//! The way to the agent: a ring buffer per CPU, how many records may wake the reader, and how many resets of
//! no known connection are handed over.
//!
//! One ring for all CPUs is one lock for all of them: under a flood on four they hand over less than one alone.

use core::ptr::NonNull;

use aya_ebpf::{
    bindings::BPF_RB_NO_WAKEUP,
    btf_maps::{ArrayOfMaps, RingBuf},
    helpers::{bpf_get_smp_processor_id, bpf_ringbuf_reserve, bpf_ringbuf_submit},
    macros::{btf_map, map},
    maps::PerCpuArray,
};
use rst_tracer_common::{
    flood::{Budget, Source, Sources},
    wire::Endpoint,
};
use zerocopy::FromBytes;

/// A ring. The size is only that of the model which the kernel wants to see before it takes others.
type Ring = RingBuf<u64, 4096>;

/// The rings. As many as there are CPUs, at most; set at load.
#[btf_map]
static RINGS: ArrayOfMaps<Ring, 1> = ArrayOfMaps::new();

/// How many there are. Never 0.
#[unsafe(no_mangle)]
static RING_COUNT: u32 = 1;

/// Nanoseconds that a reset of no known connection takes from its CPU's budget; 0: there is none.
#[unsafe(no_mangle)]
static NO_FLOW_COST_NS: u64 = 0;

/// What a CPU may still hand over of them.
#[map]
static NO_FLOW: PerCpuArray<Budget> = PerCpuArray::with_max_entries(1, 0);

/// Which addresses were behind resets that were only counted.
#[map]
static SOURCES: PerCpuArray<Sources> = PerCpuArray::with_max_entries(1, 0);

/// How often this CPU woke the reader lately.
#[map]
static WAKES: PerCpuArray<Wakes> = PerCpuArray::with_max_entries(1, 0);

/// Records that may wake the reader within about a millisecond. Waking it costs more than writing the record;
/// under a load that needs more it comes by itself.
const WAKES_A_MILLISECOND: u64 = 4;

/// Wakes in the current unit of 2^20 ns.
#[repr(C)]
#[derive(Clone, Copy)]
struct Wakes {
    unit: u64,
    count: u64,
}

/// Room for a record, which must be handed over: the verifier sees to that.
#[must_use]
pub struct Slot<T>(NonNull<T>);

/// Room for a record, or `None` where the ring of this CPU is full. Not by the library's `reserve`, which is a
/// function that may panic and so no part of a program.
#[inline(always)]
pub fn reserve<T: FromBytes>() -> Option<Slot<T>> {
    const { assert!(8 % align_of::<T>() == 0) };
    // SAFETY: the helper has no preconditions; the number was set at load.
    let (cpu, count) =
        unsafe { (bpf_get_smp_processor_id(), core::ptr::read_volatile(&raw const RING_COUNT)) };
    let ring: *const Ring = RINGS.get((cpu as u32).checked_rem(count)?)?;
    // SAFETY: the map of a ring, as the helper wants it.
    let slot = unsafe { bpf_ringbuf_reserve(ring.cast_mut().cast(), size_of::<T>() as u64, 0) };
    NonNull::new(slot.cast()).map(Slot)
}

impl<T: FromBytes> Slot<T> {
    /// The record, to be written.
    #[inline(always)]
    pub fn record(&mut self) -> &mut T {
        // SAFETY: a reserved slot is readable and writable, aligned to eight bytes, and any bytes are a `T`.
        unsafe { self.0.as_mut() }
    }

    /// Hands the record over that was written at `now`.
    #[inline(always)]
    pub fn submit(self, now: u64) {
        // SAFETY: the slot was reserved and not handed over yet.
        unsafe { bpf_ringbuf_submit(self.0.as_ptr().cast(), wakes(now)) };
    }
}

/// The flags of a record: whether it may wake the reader. The kernel wakes it only if it has read everything.
#[inline(always)]
fn wakes(now: u64) -> u64 {
    let Some(wakes) = WAKES.get_ptr_mut(0) else { return 0 };
    // SAFETY: per CPU; a nested run may wake once more or less.
    let wakes = unsafe { &mut *wakes };
    if wakes.unit != now >> 20 {
        wakes.unit = now >> 20;
        wakes.count = 0;
    }
    wakes.count += 1;
    if wakes.count > WAKES_A_MILLISECOND { u64::from(BPF_RB_NO_WAKEUP) } else { 0 }
}

/// Whether another reset of no known connection may be handed over.
#[inline(always)]
pub fn lets_pass(now: u64) -> bool {
    // SAFETY: set at load.
    let cost = unsafe { core::ptr::read_volatile(&raw const NO_FLOW_COST_NS) };
    let Some(budget) = NO_FLOW.get_ptr_mut(0) else { return true };
    // SAFETY: per CPU.
    unsafe { (*budget).lets_pass(now, cost) }
}

/// Remembers who sent a reset that is only counted.
#[inline(always)]
pub fn note_source(src: &Endpoint, hash: u64) {
    let Some(sources) = SOURCES.get_ptr_mut(0) else { return };
    let at = Source::slot_of(hash);
    // SAFETY: per CPU; `at` is within the array.
    unsafe { (*sources).slots[at].note(src) };
}
