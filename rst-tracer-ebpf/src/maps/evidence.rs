//! What the tracepoint programs remember from one event to the next.

use core::mem::offset_of;

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, LruHashMap, PerCpuArray},
};
use rst_tracer_common::notice::{Point, Statements, Task};

/// Who opened a socket that lives: the task inside connect(2) or listen(2), by the socket's address.
/// The entry ends with the socket's last state, so that whoever gets the same address inherits nothing.
#[map]
pub static OWNERS: LruHashMap<u64, Task> = LruHashMap::with_max_entries(1 << 15, 0);

/// What a socket was that has just closed, by its address: the reset comes after that.
#[map]
static CLOSED: Array<Closed> = Array::with_max_entries(PLACES, BPF_F_MMAPABLE);

/// Callers that gave up before they were answered, by the hash of the flow: the answer comes later, to
/// no socket.
#[map]
static GAVE_UP: Array<Closed> = Array::with_max_entries(PLACES, BPF_F_MMAPABLE);

/// How many of either are remembered at most. Each has one place, which whoever comes later takes: every connection
/// of the host closes, and an entry in a map that keeps order (LRU) takes ten times as long.
const PLACES: u32 = 1 << PLACES_LOG2;
const PLACES_LOG2: u32 = 13;

/// The reset that this CPU sent last: what is dropped next may be what it answers.
#[map]
static ANSWERED: PerCpuArray<Answered> = PerCpuArray::with_max_entries(1, 0);

/// What became of the statements.
#[map]
static STATEMENTS: PerCpuArray<Statements> = PerCpuArray::with_max_entries(1, 0);

/// A socket that has closed. A cache line: the memory of its map begins at a page.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Closed {
    /// Whose place it is.
    key: u64,
    /// When, by CLOCK_MONOTONIC.
    pub time_ns: u64,
    /// The state that it left.
    pub state: u32,
    /// 1 when its owner is known.
    pub is_owned: u32,
    /// Who opened it.
    pub owner: Task,
    /// All the rest, eight bytes after the other, by XOR: what two CPUs wrote at once is nobody's.
    seal: u64,
}

const WORDS: usize = size_of::<Closed>() / 8;
const _: () = assert!(WORDS == 8 && offset_of!(Closed, seal) == 56);

impl Closed {
    /// One that closes in that state, with nobody known for it.
    #[inline(always)]
    pub fn now(time_ns: u64, state: u32) -> Self {
        let owner = Task { cgroup: 0, pid: 0, uid: 0, comm: [0; 16] };
        Self { key: 0, time_ns, state, is_owned: 0, owner, seal: 0 }
    }

    /// Remembers that this socket closed.
    #[inline(always)]
    pub fn note_socket(&mut self, socket: u64) {
        self.note(&CLOSED, socket);
    }

    /// Remembers that the caller of this flow gave up.
    #[inline(always)]
    pub fn note_caller(&mut self, flow_hash: u64) {
        self.note(&GAVE_UP, flow_hash);
    }

    /// How this socket closed, if it is the last one that had this place.
    #[inline(always)]
    pub fn socket(socket: u64) -> Option<Self> {
        Self::of(&CLOSED, socket)
    }

    /// How the caller of this flow gave up, likewise.
    #[inline(always)]
    pub fn caller(flow_hash: u64) -> Option<Self> {
        Self::of(&GAVE_UP, flow_hash)
    }

    #[inline(always)]
    fn note(&mut self, map: &Array<Self>, key: u64) {
        let Some(place) = map.get_ptr_mut(place_of(key)) else { return };
        self.key = key;
        self.seal = 0;
        self.seal = xor(&self.words());
        // SAFETY: the map's value; whoever writes it at the same time is found out by the seal.
        unsafe { place.write(*self) };
    }

    #[inline(always)]
    fn of(map: &Array<Self>, key: u64) -> Option<Self> {
        let place = map.get_ptr(place_of(key))?;
        // SAFETY: as above. Volatile, so that what was looked at is what is used.
        let closed = unsafe { place.read_volatile() };
        (closed.key == key && xor(&closed.words()) == 0).then_some(closed)
    }

    #[inline(always)]
    fn words(&self) -> [u64; WORDS] {
        // SAFETY: plain integers without padding, as long as that.
        unsafe { core::ptr::from_ref(self).cast::<[u64; WORDS]>().read() }
    }
}

#[inline(always)]
fn place_of(key: u64) -> u32 {
    // Fibonacci hashing: addresses of sockets differ in the middle, hashes everywhere.
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - PLACES_LOG2)) as u32
}

#[inline(always)]
fn xor(words: &[u64; WORDS]) -> u64 {
    let [a, b, c, d, e, f, g, h] = *words;
    a ^ b ^ c ^ d ^ e ^ f ^ g ^ h
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
