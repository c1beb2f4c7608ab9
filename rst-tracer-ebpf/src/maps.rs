//! The maps, the numbers set at load, and the flow table over both.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    helpers::{bpf_jiffies64, bpf_ktime_get_ns},
    macros::map,
    maps::{Array, LruHashMap, PerCpuArray},
};
use rst_tracer_common::{
    event::{Counters, Hook},
    flow::{
        self, Bucket, Entry, Flow, Hot, Identity, Keys, Memory, Recorder, SERVERS as MOST_SERVERS,
        Server, WAYS, slot_trait,
    },
    notice::{Point, Statements, Task},
    places::{Arguments, Drops, Places},
    wanted::Wanted,
    wire::{Endpoint, Segment},
};

/// Hot entries, eight to a bucket. Resized at load, as the two below.
#[map]
static BUCKETS: Array<Bucket> = Array::with_max_entries(1 << 13, BPF_F_MMAPABLE);

/// The flows, in the order of the hot entries.
#[map]
static FLOWS: Array<Flow> = Array::with_max_entries(1 << 16, BPF_F_MMAPABLE);

/// The flight recorders, in the same order.
#[map]
static RECORDERS: Array<Recorder> = Array::with_max_entries(1 << 16, BPF_F_MMAPABLE);

/// Endpoints that were seen to accept connections.
#[map]
static SERVERS: Array<Server> = Array::with_max_entries(MOST_SERVERS, BPF_F_MMAPABLE);

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

/// Where the running kernel keeps what is read.
#[unsafe(no_mangle)]
pub static PLACES: Places = Places::UNSET;

/// Which drops are reported.
#[unsafe(no_mangle)]
static DROPS: Drops = Drops::UNSET;

/// Where arguments lie that not every kernel has.
#[unsafe(no_mangle)]
static ARGUMENTS: Arguments = Arguments::UNSET;

/// The network namespace whose statements are wanted; 0: those of all.
#[unsafe(no_mangle)]
static NETNS: u32 = 0;

/// Secret keys of the flow identity.
#[unsafe(no_mangle)]
static KEYS: [u32; 6] = [0; 6];

/// One less than the number of buckets.
#[unsafe(no_mangle)]
static MASK: u32 = (1 << 13) - 1;

/// 1 when one level of encapsulation is looked into.
#[unsafe(no_mangle)]
static TUNNELS: u32 = 1;

/// 1 when every segment is to have an exact time.
#[unsafe(no_mangle)]
static FINE_CLOCK: u32 = 0;

/// 1 when not all resets are wanted.
#[unsafe(no_mangle)]
static HAS_FILTER: u32 = 0;

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

/// The time for a segment amid a connection: exact when it is the first that this CPU sees in the current tick
/// of the kernel, else that one's. Reading the clock costs more than all the rest that such a segment needs.
#[inline(always)]
pub fn clock() -> (u64, u8) {
    let tick = if set_at_load!(FINE_CLOCK) != 0 { None } else { CLOCK.get_ptr_mut(0) };
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
    if set_at_load!(HAS_FILTER) == 0 {
        return true;
    }
    // SAFETY: written once, before the programs are attached.
    WANTED.get_ptr(0).is_none_or(|wanted| unsafe { &*wanted }.lets_pass(src, dst))
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

/// An offset in a struct of the kernel.
macro_rules! place {
    ($name:ident) => {
        // SAFETY: as in `set_at_load`.
        unsafe { core::ptr::read_volatile(&raw const $crate::maps::PLACES.$name) }
    };
}
pub(crate) use place;

/// Which drops are reported.
#[inline(always)]
pub fn drops() -> Drops {
    set_at_load!(DROPS)
}

/// Where arguments lie that not every kernel has.
#[inline(always)]
pub fn arguments() -> Arguments {
    set_at_load!(ARGUMENTS)
}

/// Whether statements of this network namespace are wanted.
#[inline(always)]
pub fn is_wanted(netns: u32) -> bool {
    let wanted = set_at_load!(NETNS);
    wanted == 0 || wanted == netns
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
                listing: &mut *(&raw mut (*bucket).listings[way as usize]),
                hot: &mut *(&raw mut (*bucket).hot[way as usize]),
                flow: &mut *flow,
                recorder: &mut *recorder,
            })
        }
    }

    #[inline(always)]
    fn known(&mut self, id: &Identity) -> Option<(&mut Hot, &mut Recorder)> {
        let index = id.bucket(self.mask());
        let bucket = BUCKETS.get_ptr_mut(index)?;
        // SAFETY: as above. The reference ends before those below begin.
        let way = flow::find_known(unsafe { &*bucket }, id)?;
        let recorder = RECORDERS.get_ptr_mut(index * WAYS + way)?;
        // SAFETY: as above; `way` is within the bucket.
        unsafe { Some((&mut (*bucket).hot[(way & (WAYS - 1)) as usize], &mut *recorder)) }
    }

    #[inline(always)]
    fn server(&mut self, slot: u32) -> Option<&mut Server> {
        // SAFETY: as above.
        SERVERS.get_ptr_mut(slot).map(|p| unsafe { &mut *p })
    }
}
