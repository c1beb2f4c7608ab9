//! The ring buffers that the kernel's records come by, one a CPU.
//!
//! In: how many, and how large. Out: records, and when there are some.

use std::{
    os::fd::{AsFd, AsRawFd, RawFd},
    panic::resume_unwind,
    thread::{self, ScopedJoinHandle},
};

use anyhow::{Context, Result};
use aya::{
    Ebpf,
    maps::{ArrayOfMaps, Map, MapData, RingBuf, ring_buf::RingBufItem},
    util::online_cpus,
};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use super::{kernel::not_ours, object};

/// The most rings that are made: more CPUs share them.
const MOST: u32 = 128;
/// Rings that are handed over at once, each by a thread: a service may have few.
const TOGETHER: usize = 16;
/// No ring is smaller, whatever its share of the whole: hundreds of resets fit in.
const LEAST_BYTES: u32 = 1 << 18;

/// How the memory for records on their way is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// How many rings there are.
    pub count: u32,
    /// Size of each in bytes: a power of two, and at least a page.
    pub bytes: u32,
}

impl Cut {
    /// One ring for all CPUs.
    pub const fn one(bytes: u32) -> Self {
        Self { count: 1, bytes }
    }

    /// About so many bytes for all CPUs of this host, one ring for each.
    pub fn for_this_host(bytes: u32) -> Self {
        let cpus = online_cpus().ok().and_then(|cpus| cpus.into_iter().max());
        Self::among(cpus.map_or(1, |last| last + 1), bytes)
    }

    fn among(cpus: u32, bytes: u32) -> Self {
        let count = cpus.clamp(1, MOST);
        Self { count, bytes: (bytes / count).max(LEAST_BYTES).next_power_of_two() }
    }
}

/// The rings.
pub struct Rings {
    rings: Vec<RingBuf<MapData>>,
    /// Readable while one of them is.
    any: Epoll,
    /// Programs that are loaded later look for it by its descriptor.
    _outer: MapData,
}

impl Rings {
    /// Makes the rings and gives them to the programs.
    ///
    /// # Errors
    /// A [`Failure`](crate::exit::Failure) in the chain when the object is not ours or there is no memory.
    pub fn make(ebpf: &mut Ebpf, cut: Cut) -> Result<Self> {
        let Some(Map::ArrayOfMaps(outer)) = ebpf.take_map("RINGS") else {
            return Err(not_ours("RINGS").into());
        };
        let maps = (0..cut.count).map(|_| object::make_ring(cut.bytes));
        let maps: Vec<MapData> = maps.collect::<Result<_, _>>()?;
        hand_over(&outer, &maps).context("handing the ring buffers to the programs")?;
        let any = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("epoll_create1")?;
        let mut rings = Vec::new();
        for (index, map) in (0..).zip(maps) {
            let ring = RingBuf::try_from(Map::RingBuf(map))?;
            any.add(&ring, EpollEvent::new(EpollFlags::EPOLLIN, index)).context("epoll_ctl")?;
            rings.push(ring);
        }
        Ok(Self { rings, any, _outer: outer })
    }

    /// Hands over up to `most` records of each ring, ring after ring; `each` answers with a record's time. Where
    /// a ring may have more: the time from which on they are.
    pub fn drain(&mut self, most: usize, mut each: impl FnMut(&[u8]) -> u64) -> Option<u64> {
        let mut more_from = None;
        for ring in &mut self.rings {
            let (mut count, mut last) = (0, 0);
            while count < most
                && let Some(item) = ring.next()
            {
                last = each(&item);
                count += 1;
            }
            if count == most {
                more_from = Some(more_from.map_or(last, |from: u64| from.min(last)));
            }
        }
        more_from
    }

    /// The next record of the first ring that has one.
    pub fn take_one(&mut self) -> Option<RingBufItem<'_>> {
        self.rings.iter_mut().find_map(RingBuf::next)
    }
}

/// Puts each ring into its place. The kernel waits for its readers (RCU) after each, many milliseconds: several places
/// wait together.
fn hand_over(outer: &MapData, rings: &[MapData]) -> Result<()> {
    let put = |index, ring| -> Result<()> {
        let outer = MapData::from_fd(outer.fd().as_fd().try_clone_to_owned()?)?;
        let mut outer = ArrayOfMaps::<MapData, MapData>::try_from(Map::ArrayOfMaps(outer))?;
        Ok(outer.set(index, ring, 0)?)
    };
    let all: Vec<_> = (0..).zip(rings).collect();
    all.chunks(TOGETHER).try_for_each(|some| {
        thread::scope(|scope| {
            let start = |&(index, ring)| scope.spawn(move || put(index, ring));
            let waits: Vec<_> = some.iter().map(start).collect();
            let mut ends = waits.into_iter().map(ScopedJoinHandle::join);
            ends.try_for_each(|end| end.unwrap_or_else(|panic| resume_unwind(panic)))
        })
    })
}

impl AsRawFd for Rings {
    fn as_raw_fd(&self) -> RawFd {
        self.any.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rings_share_what_is_asked_for() {
        assert_eq!(Cut::among(1, 8 << 20), Cut { count: 1, bytes: 8 << 20 });
        assert_eq!(Cut::among(2, 8 << 20), Cut { count: 2, bytes: 4 << 20 });
        assert_eq!(Cut::among(6, 8 << 20), Cut { count: 6, bytes: 2 << 20 });
        assert_eq!(Cut::among(1_000, 8 << 20), Cut { count: 128, bytes: 1 << 18 });
    }
}
