//! Where the table lives: what kernel maps and plain memory have in common.

use super::{Bucket, Entry, Hot, Identity, RESET_BUDGET, Recorder, Servers, find_known};

/// Where the table lives: kernel maps or plain memory.
pub trait Memory {
    /// One less than the number of buckets, which is a power of two.
    fn mask(&self) -> u32;
    /// How many resets of one flow are reported one by one within a second; `None`: all.
    fn reset_budget(&self) -> Option<u8> {
        Some(RESET_BUDGET)
    }
    /// A bucket.
    fn bucket(&mut self, bucket: u32) -> Option<&mut Bucket>;
    /// The parts of the flow in a way of a bucket.
    fn entry(&mut self, bucket: u32, way: u32) -> Option<Entry<'_>>;
    /// What a segment amid a connection writes, if its flow is known; no recorder where such segments are not recorded.
    #[inline(always)]
    fn known(&mut self, id: &Identity) -> Option<(&mut Hot, Option<&mut Recorder>)> {
        let index = id.bucket(self.mask());
        let way = find_known(self.bucket(index)?, id)?;
        let Entry { hot, recorder, .. } = self.entry(index, way)?;
        Some((hot, Some(recorder)))
    }
    /// A set of the table of servers, which has [`SERVER_SETS`](super::SERVER_SETS); `None` where
    /// none are remembered.
    fn servers(&mut self, _set: u32) -> Option<&mut Servers> {
        None
    }
}

/// Where a flow lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The bucket.
    pub bucket: u32,
    /// The way in it.
    pub way: u32,
}
