//! What the clocks of this host show, in nanoseconds.

use nix::time::{ClockId, clock_gettime};

/// Since the host started, sleep not counted: the clock of the kernel's records. Nobody sets it.
pub fn monotonic_ns() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Since the host started.
pub fn boot_ns() -> u64 {
    read(ClockId::CLOCK_BOOTTIME)
}

/// Since the Unix epoch.
pub fn epoch_ns() -> u64 {
    read(ClockId::CLOCK_REALTIME)
}

fn read(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |t| t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64)
}
