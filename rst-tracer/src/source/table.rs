//! The flow table in plain memory: what the kernel keeps in maps, for capture files.

use rst_tracer_common::flow::{
    self, Bucket, Entry, Flow, Identity, Memory, RESET_BUDGET, Recorder, SERVERS, SLOTS, Server,
    WAYS,
};
use zerocopy::{FromBytes, FromZeros};

use super::foresee::fetch;

/// A value that begins where a cache line does, so that as few as possible are touched.
#[derive(FromBytes)]
#[repr(C, align(64))]
struct Aligned<T>(T);

/// A flow table of a fixed number of places. Memory is touched only as flows come.
pub struct Table {
    mask: u32,
    reset_budget: u16,
    buckets: Box<[Aligned<Bucket>]>,
    flows: Box<[Aligned<Flow>]>,
    recorders: Box<[Aligned<Recorder>]>,
    servers: Box<[Server]>,
}

impl Table {
    /// A table with room for at least `flows` connections; the number is rounded up to a power of
    /// two. One place takes 928 bytes.
    ///
    /// # Errors
    /// Fails when there is not that much memory.
    pub fn with_room_for(flows: u32) -> anyhow::Result<Self> {
        let buckets = flows.div_ceil(WAYS).max(1).next_power_of_two();
        let places = (buckets * WAYS) as usize;
        let no_memory = |_| {
            anyhow::anyhow!(
                "not enough memory for a table of {places} flows; ask for fewer (--flows)"
            )
        };
        Ok(Self {
            mask: buckets - 1,
            reset_budget: RESET_BUDGET,
            buckets: FromZeros::new_box_zeroed_with_elems(buckets as usize).map_err(no_memory)?,
            flows: FromZeros::new_box_zeroed_with_elems(places).map_err(no_memory)?,
            recorders: FromZeros::new_box_zeroed_with_elems(places).map_err(no_memory)?,
            servers: <[Server]>::new_box_zeroed_with_elems(SERVERS as usize).map_err(no_memory)?,
        })
    }

    /// Reports every reset one by one: a file cannot flood anybody.
    pub fn reporting_every_reset(mut self) -> Self {
        self.reset_budget = u16::MAX;
        self
    }

    /// Fetches what a search for this flow reads first into the cache.
    #[inline]
    pub(super) fn foresee_search(&self, id: &Identity) {
        if let Some(Aligned(bucket)) = self.buckets.get(id.bucket(self.mask) as usize) {
            fetch(&bucket.hot[id.way(0) as usize]);
        }
    }

    /// Fetches what the next segment of this flow writes into the cache, if the flow is known.
    #[inline]
    pub(super) fn foresee_segment(&self, id: &Identity) {
        let index = id.bucket(self.mask);
        let Some(Aligned(bucket)) = self.buckets.get(index as usize) else { return };
        let Some(way) = flow::find(bucket, id) else { return };
        let place = (index * WAYS + way) as usize;
        let slot = usize::from(bucket.hot[way as usize].recorded) % SLOTS as usize;
        if let (Some(flow), Some(recorder)) = (self.flows.get(place), self.recorders.get(place)) {
            fetch(&flow.0.sides);
            fetch(&recorder.0.slots[slot]);
        }
    }
}

impl Memory for Table {
    fn reset_budget(&self) -> u16 {
        self.reset_budget
    }

    fn mask(&self) -> u32 {
        self.mask
    }

    fn bucket(&mut self, bucket: u32) -> Option<&mut Bucket> {
        Some(&mut self.buckets.get_mut(bucket as usize)?.0)
    }

    fn entry(&mut self, bucket: u32, way: u32) -> Option<Entry<'_>> {
        let place = (bucket * WAYS + way) as usize;
        Some(Entry {
            hot: self.buckets.get_mut(bucket as usize)?.0.hot.get_mut(way as usize)?,
            flow: &mut self.flows.get_mut(place)?.0,
            recorder: &mut self.recorders.get_mut(place)?.0,
        })
    }

    fn server(&mut self, slot: u32) -> Option<&mut Server> {
        self.servers.get_mut(slot as usize)
    }
}
