//! What the memory options cost on this host, with what `trace` takes when nothing is said.

use rst_tracer_common::flow::{Bucket, Flow, Recorder, WAYS};
use serde::Serialize;

use crate::{
    cli::{FLOWS, RING_SIZE},
    source::live::rings::Cut,
};

/// What the memory of a tracer is spent on.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// The connection table.
    pub table: TableCost,
    /// The ring buffers.
    pub rings: RingsCost,
}

/// The connection table (`--flows`).
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct TableCost {
    /// Connections that it has room for.
    pub flows: u32,
    /// What one takes.
    pub bytes_each: u32,
    /// What all take.
    pub bytes: u64,
}

/// The ring buffers (`--ring-size`).
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct RingsCost {
    /// What was asked for, all of them together.
    pub asked_bytes: u64,
    /// How many there are: one a CPU.
    pub count: u32,
    /// What one takes: a power of two, and not less than hundreds of resets need.
    pub bytes_each: u32,
    /// What all take.
    pub bytes: u64,
}

/// What the options cost here when nothing else is said.
pub(super) fn describe() -> Memory {
    cost(FLOWS, RING_SIZE << 20, Cut::for_this_host(RING_SIZE << 20))
}

/// What they cost for so many connections, and rings cut like this of what was asked for, in bytes.
pub(super) fn cost(flows: u32, asked: u32, cut: Cut) -> Memory {
    let hot = size_of::<Bucket>() / WAYS as usize;
    let bytes_each = (hot + size_of::<Flow>() + size_of::<Recorder>()) as u32;
    let times = |count: u32, each: u32| u64::from(count) * u64::from(each);
    Memory {
        table: TableCost { flows, bytes_each, bytes: times(flows, bytes_each) },
        rings: RingsCost {
            asked_bytes: asked.into(),
            count: cut.count,
            bytes_each: cut.bytes,
            bytes: times(cut.count, cut.bytes),
        },
    }
}

impl Memory {
    /// A line for each, for people.
    pub(super) fn lines(&self) -> [String; 2] {
        let Self { table, rings } = self;
        let table = format!(
            "{:>9}  to remember {} connections, {} bytes each (--flows {})",
            amount(table.bytes),
            table.flows,
            table.bytes_each,
            table.flows
        );
        let buffers = match rings.count {
            1 => "in one buffer".to_owned(),
            count => {
                format!("in {count} buffers, one a CPU, of {}", amount(rings.bytes_each.into()))
            }
        };
        let more = if rings.bytes > rings.asked_bytes { ": none can be smaller" } else { "" };
        let asked = rings.asked_bytes >> 20;
        let rings = format!(
            "{:>9}  for resets on their way from the kernel, {buffers} (--ring-size {asked}{more})",
            amount(rings.bytes)
        );
        [table, rings]
    }
}

fn amount(bytes: u64) -> String {
    if bytes < 1 << 20 {
        format!("{} KiB", bytes >> 10)
    } else {
        format!("{} MiB", (bytes + (1 << 19)) >> 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_shared() {
        let memory = cost(65_536, 8 << 20, Cut { count: 4, bytes: 2 << 20 });
        assert_eq!(memory.table.bytes, 63_438_848);
        assert_eq!(
            memory.lines(),
            [
                "   61 MiB  to remember 65536 connections, 968 bytes each (--flows 65536)",
                "    8 MiB  for resets on their way from the kernel, in 4 buffers, one a CPU, of 2 MiB \
                 (--ring-size 8)",
            ]
        );
    }

    #[test]
    fn many_cpus_take_more_than_was_asked_for() {
        let memory = cost(8, 8 << 20, Cut { count: 128, bytes: 1 << 18 });
        assert_eq!(memory.rings.bytes, 32 << 20);
        assert!(memory.lines()[1].contains("of 256 KiB (--ring-size 8: none can be smaller)"));
        let one = cost(8, 1 << 20, Cut::one(1 << 20));
        assert!(one.lines()[1].contains("in one buffer (--ring-size 1)"));
    }
}
