//! The numbers that the agent sets when it loads the object.

use rst_tracer_common::{
    flow::Keys,
    places::{Arguments, Drops, Places},
};

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

/// 1 when segments amid a connection are recorded.
#[unsafe(no_mangle)]
static RECORDER: u32 = 1;

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

/// One less than the number of buckets.
#[inline(always)]
pub fn mask() -> u32 {
    set_at_load!(MASK)
}

/// Whether every segment is to have an exact time.
#[inline(always)]
pub fn wants_fine_clock() -> bool {
    set_at_load!(FINE_CLOCK) != 0
}

/// Whether segments amid a connection are recorded.
#[inline(always)]
pub fn records() -> bool {
    set_at_load!(RECORDER) != 0
}

/// Whether not all resets are wanted.
#[inline(always)]
pub fn has_filter() -> bool {
    set_at_load!(HAS_FILTER) != 0
}

/// Whether the length of a multi-buffer frame can be asked for.
#[inline(always)]
pub fn has_buff_len() -> bool {
    set_at_load!(HAS_BUFF_LEN) != 0
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
