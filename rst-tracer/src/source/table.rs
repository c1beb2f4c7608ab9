//! The flow table in plain memory: what the kernel keeps in maps, for capture files.

use rst_tracer_common::flow::{
    Bucket, Entry, Flow, Memory, RESET_BUDGET, Recorder, SERVERS, Server, WAYS,
};
use zerocopy::FromZeros;

/// A flow table of a fixed number of places. Memory is touched only as flows come.
pub struct Table {
    mask: u32,
    reset_budget: u16,
    buckets: Box<[Bucket]>,
    flows: Box<[Flow]>,
    recorders: Box<[Recorder]>,
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
            buckets: <[Bucket]>::new_box_zeroed_with_elems(buckets as usize).map_err(no_memory)?,
            flows: <[Flow]>::new_box_zeroed_with_elems(places).map_err(no_memory)?,
            recorders: <[Recorder]>::new_box_zeroed_with_elems(places).map_err(no_memory)?,
            servers: <[Server]>::new_box_zeroed_with_elems(SERVERS as usize).map_err(no_memory)?,
        })
    }

    /// Reports every reset one by one: a file cannot flood anybody.
    pub fn reporting_every_reset(mut self) -> Self {
        self.reset_budget = u16::MAX;
        self
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
        self.buckets.get_mut(bucket as usize)
    }

    fn entry(&mut self, bucket: u32, way: u32) -> Option<Entry<'_>> {
        let place = (bucket * WAYS + way) as usize;
        Some(Entry {
            hot: self.buckets.get_mut(bucket as usize)?.hot.get_mut(way as usize)?,
            flow: self.flows.get_mut(place)?,
            recorder: self.recorders.get_mut(place)?,
        })
    }

    fn server(&mut self, slot: u32) -> Option<&mut Server> {
        self.servers.get_mut(slot as usize)
    }
}
