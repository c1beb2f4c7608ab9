//! The flow table in plain memory: what the kernel keeps in maps, for capture files.

use super::{foresee::fetch, zeroed::Zeroed};
use rst_tracer_common::flow::{
    self, Bucket, Entry, Flow, Identity, Memory, RESET_BUDGET, Recorder, SERVER_SETS, SLOTS,
    Servers, WAYS,
};

/// A flow table of a fixed number of places. Memory is touched only as flows come.
pub struct Table {
    mask: u32,
    reset_budget: Option<u8>,
    buckets: Zeroed<Bucket>,
    flows: Zeroed<Flow>,
    recorders: Zeroed<Recorder>,
    servers: Zeroed<Servers>,
}

impl Table {
    /// A table with room for at least `flows` connections; the number is rounded up to a power of
    /// two. One place takes 968 bytes.
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
            reset_budget: Some(RESET_BUDGET),
            buckets: Zeroed::new(buckets as usize).map_err(no_memory)?,
            flows: Zeroed::new(places).map_err(no_memory)?,
            recorders: Zeroed::new(places).map_err(no_memory)?,
            servers: Zeroed::new(SERVER_SETS as usize).map_err(no_memory)?,
        })
    }

    /// The same in large pages, while nothing is in it: soon all of its memory is taken then.
    pub fn in_large_pages(self) -> Self {
        Self {
            buckets: self.buckets.in_large_pages(),
            flows: self.flows.in_large_pages(),
            recorders: self.recorders.in_large_pages(),
            ..self
        }
    }

    /// How many bytes it takes when all of it is in use.
    pub fn bytes(&self) -> u64 {
        (size_of_val(&*self.buckets) + size_of_val(&*self.flows) + size_of_val(&*self.recorders))
            as u64
    }

    /// Reports every reset one by one: a file cannot flood anybody.
    pub fn reporting_every_reset(mut self) -> Self {
        self.reset_budget = None;
        self
    }

    /// Has what a search for this flow reads fetched into the cache: most are found in the first or the second way,
    /// and a processor has only so many lines on their way at once.
    #[inline]
    pub(super) fn foresee_search(&self, id: &Identity) {
        if let Some(bucket) = self.buckets.get(id.bucket(self.mask) as usize) {
            fetch(&bucket.listings);
            fetch(&bucket.hot[id.way(0) as usize]);
            fetch(&bucket.hot[id.way(1) as usize]);
        }
    }

    /// Has what the next segment of this flow reads and writes fetched into the cache, if the flow is known; if it is
    /// not, what it will write where the first way that it takes is empty.
    #[inline]
    pub(super) fn foresee_segment(&self, id: &Identity) {
        let index = id.bucket(self.mask);
        let Some(bucket) = self.buckets.get(index as usize) else { return };
        let known = flow::find_known(bucket, id);
        let way = known.unwrap_or(id.way(0));
        if known.is_none() && bucket.listings[way as usize].tag != 0 {
            return;
        }
        let place = (index * WAYS + way) as usize;
        let recorded = u32::from(bucket.hot[way as usize].recorded);
        if let (Some(flow), Some(recorder)) = (self.flows.get(place), self.recorders.get(place)) {
            fetch(&recorder.slots[(recorded % SLOTS) as usize]);
            if recorded < SLOTS {
                // Of a young connection everything is written.
                fetch(flow);
            }
        }
    }
}

impl Memory for Table {
    fn reset_budget(&self) -> Option<u8> {
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
        let bucket = self.buckets.get_mut(bucket as usize)?;
        Some(Entry {
            listing: bucket.listings.get_mut(way as usize)?,
            hot: bucket.hot.get_mut(way as usize)?,
            flow: self.flows.get_mut(place)?,
            recorder: self.recorders.get_mut(place)?,
        })
    }

    fn servers(&mut self, set: u32) -> Option<&mut Servers> {
        self.servers.get_mut(set as usize)
    }
}

#[cfg(test)]
mod tests {
    use rst_tracer_common::{
        flow::{Keys, Observed, Port},
        wire::{Address, Endpoint, Flags, Segment},
    };

    use super::*;

    #[test]
    fn every_reset_of_a_file_is_reported_however_many() {
        const MANY: u64 = 70_000;
        let mut table = Table::with_room_for(8).expect("memory").reporting_every_reset();
        let end = |port| Endpoint { address: Address::v4(0x0a00_0001), port };
        let mut segment = Segment { src: end(40_000), dst: end(443), ..Segment::default() };
        let id = Identity::of(&segment.src, &segment.dst, &Keys([7; 6]));
        let mut see = |flags, now| {
            segment.tcp.flags = flags;
            let port = Port::ingress(1);
            let observed = flow::observe(&mut table, &id, &segment, port, now);
            if let Observed::Reset(Some(place)) = observed {
                flow::note_reset(&mut table, place, id.side, &segment, port, now);
            }
            observed
        };
        see(Flags::ACK, 1);
        let reported = (2..MANY + 2).filter(|now| see(Flags::RST, *now) != Observed::Suppressed);
        assert_eq!(reported.count() as u64, MANY, "all within one second");
    }
}
