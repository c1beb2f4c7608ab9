//! The maps, the numbers set at load, and the flow table over both.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, PerCpuArray, RingBuf},
};
use rst_tracer_common::{
    event::{Counters, Hook},
    flow::{Bucket, Entry, Flow, Keys, Memory, Recorder, SERVERS as PLACES, Server, WAYS},
    wire::Segment,
};

/// Records on their way to the agent. Resized at load.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(8 << 20, 0);

/// Hot entries, eight to a bucket. Resized at load, as the two below.
#[map]
static BUCKETS: Array<Bucket> = Array::with_max_entries(1 << 13, BPF_F_MMAPABLE);

/// The flows, in the order of their hot entries.
#[map]
static FLOWS: Array<Flow> = Array::with_max_entries(1 << 16, BPF_F_MMAPABLE);

/// The flight recorders, in the same order.
#[map]
static RECORDERS: Array<Recorder> = Array::with_max_entries(1 << 16, BPF_F_MMAPABLE);

/// Endpoints that were seen to accept connections.
#[map]
static SERVERS: Array<Server> = Array::with_max_entries(PLACES, BPF_F_MMAPABLE);

/// What each hook counted.
#[map]
static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(Hook::COUNT as u32, 0);

/// The segment at hand: larger than what the stack has left. Programs on one CPU do not interrupt
/// each other: XDP and TC run with bottom halves disabled.
#[map]
static SEGMENT: PerCpuArray<Segment> = PerCpuArray::with_max_entries(1, 0);

/// Secret keys of the flow identity.
#[unsafe(no_mangle)]
static KEYS: [u32; 6] = [0; 6];

/// One less than the number of buckets.
#[unsafe(no_mangle)]
static MASK: u32 = (1 << 13) - 1;

/// 1 when one level of encapsulation is looked into.
#[unsafe(no_mangle)]
static TUNNELS: u32 = 1;

/// 1 when the kernel has `bpf_xdp_get_buff_len` (5.18, commit 0165cc817075).
#[unsafe(no_mangle)]
static HAS_BUFF_LEN: u32 = 1;

/// Reads a number set at load. Volatile, or the compiler would fold the value it was built with.
macro_rules! set_at_load {
    ($name:ident) => {
        // SAFETY: the static is initialised and never written after load.
        unsafe { core::ptr::read_volatile(&raw const $name) }
    };
}

/// The secret keys.
#[inline(always)]
pub fn keys() -> Keys {
    Keys(set_at_load!(KEYS))
}

/// Whether one level of encapsulation is looked into.
#[inline(always)]
pub fn looks_into_tunnels() -> bool {
    set_at_load!(TUNNELS) != 0
}

/// Whether the length of a multi-buffer frame can be asked for.
#[inline(always)]
pub fn has_buff_len() -> bool {
    set_at_load!(HAS_BUFF_LEN) != 0
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

/// The flow table in its three maps.
pub struct Table;

impl Memory for Table {
    #[inline(always)]
    fn mask(&self) -> u32 {
        set_at_load!(MASK)
    }

    #[inline(always)]
    fn bucket(&mut self, bucket: u32) -> Option<&mut Bucket> {
        // SAFETY: map values live as long as the program. Other CPUs may write the same entry: all
        // bytes are valid for these plain-integer types, and a race costs a count at worst.
        BUCKETS.get_ptr_mut(bucket).map(|p| unsafe { &mut *p })
    }

    #[inline(always)]
    fn entry(&mut self, bucket: u32, way: u32) -> Option<Entry<'_>> {
        let way = way & (WAYS - 1);
        let slot = bucket * WAYS + way;
        let bucket = BUCKETS.get_ptr_mut(bucket)?;
        let flow = FLOWS.get_ptr_mut(slot)?;
        let recorder = RECORDERS.get_ptr_mut(slot)?;
        // SAFETY: as above; `way` is within the bucket.
        unsafe {
            Some(Entry {
                hot: &mut *(&raw mut (*bucket).hot[way as usize]),
                flow: &mut *flow,
                recorder: &mut *recorder,
            })
        }
    }

    #[inline(always)]
    fn server(&mut self, slot: u32) -> Option<&mut Server> {
        // SAFETY: as above.
        SERVERS.get_ptr_mut(slot).map(|p| unsafe { &mut *p })
    }
}
