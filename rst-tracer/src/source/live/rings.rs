//! The ring buffers that the kernel's records come by, one a CPU.
//!
//! In: how many, and how large. Out: records, and when there are some.

use std::os::fd::{AsRawFd, RawFd};

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
    _outer: ArrayOfMaps<MapData>,
}

impl Rings {
    /// Makes the rings and gives them to the programs.
    ///
    /// # Errors
    /// A [`Failure`](crate::exit::Failure) in the chain when the object is not ours or there is no memory.
    pub fn make(ebpf: &mut Ebpf, cut: Cut) -> Result<Self> {
        let outer = ebpf.take_map("RINGS").ok_or_else(|| not_ours("RINGS"))?;
        let mut outer = ArrayOfMaps::<MapData>::try_from(outer).map_err(|_| not_ours("RINGS"))?;
        let any = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("epoll_create1")?;
        let mut rings = Vec::new();
        for index in 0..cut.count {
            let map = object::make_ring(cut.bytes)?;
            outer.set(index, &map, 0).context("handing a ring buffer to the programs")?;
            let ring = RingBuf::try_from(Map::RingBuf(map))?;
            any.add(&ring, EpollEvent::new(EpollFlags::EPOLLIN, u64::from(index)))
                .context("epoll_ctl")?;
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
