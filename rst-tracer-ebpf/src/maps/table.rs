//! The flow table over its maps.

use aya_ebpf::{bindings::BPF_F_MMAPABLE, macros::map, maps::Array};
use rst_tracer_common::flow::{
    self, Bucket, Entry, Flow, Hot, Identity, Memory, Recorder, SERVER_SETS, Servers, WAYS,
};

use super::set;

/// Hot entries, eight to a bucket. Resized at load, as the two below.
#[map]
static BUCKETS: Array<Bucket> = Array::with_max_entries(1 << 13, BPF_F_MMAPABLE);

/// The flows, in the order of the hot entries.
#[map]
static FLOWS: Array<Flow> = Array::with_max_entries(1 << 16, BPF_F_MMAPABLE);

/// The flight recorders, in the same order.
#[map]
static RECORDERS: Array<Recorder> = Array::with_max_entries(1 << 16, BPF_F_MMAPABLE);

/// Endpoints that were seen to accept connections. Its memory begins at a page, and so each set with a cache line.
#[map]
static SERVERS: Array<Servers> = Array::with_max_entries(SERVER_SETS, BPF_F_MMAPABLE);

/// The flow table in its three maps.
pub struct Table;

impl Memory for Table {
    #[inline(always)]
    fn mask(&self) -> u32 {
        set::mask()
    }

    #[inline(always)]
    fn bucket(&mut self, bucket: u32) -> Option<&mut Bucket> {
        // SAFETY: map values live as long as the program. Other CPUs may write the same entry: all
        // bytes are valid for these plain-integer types, and a race costs a count at worst.
        BUCKETS.get_ptr_mut(bucket).map(|p| unsafe { &mut *p })
    }

    #[inline(always)]
    fn entry(&mut self, bucket: u32, way: u32) -> Option<Entry<'_>> {
        let way = way & (WAYS - 1);
        let slot = bucket * WAYS + way;
        let bucket = BUCKETS.get_ptr_mut(bucket)?;
        let flow = FLOWS.get_ptr_mut(slot)?;
        let recorder = RECORDERS.get_ptr_mut(slot)?;
        // SAFETY: as above; `way` is within the bucket.
        unsafe {
            Some(Entry {
                listing: &mut *(&raw mut (*bucket).listings[way as usize]),
                hot: &mut *(&raw mut (*bucket).hot[way as usize]),
                flow: &mut *flow,
                recorder: &mut *recorder,
            })
        }
    }

    #[inline(always)]
    fn known(&mut self, id: &Identity) -> Option<(&mut Hot, Option<&mut Recorder>)> {
        let index = id.bucket(self.mask());
        let bucket = BUCKETS.get_ptr_mut(index)?;
        // SAFETY: as above. The reference ends before those below begin.
        let way = flow::find_known(unsafe { &*bucket }, id)?;
        // SAFETY: as above; `way` is within the bucket.
        let hot = unsafe { &mut (*bucket).hot[(way & (WAYS - 1)) as usize] };
        if !set::records() {
            return Some((hot, None));
        }
        // SAFETY: as above.
        RECORDERS.get_ptr_mut(index * WAYS + way).map(|p| (hot, Some(unsafe { &mut *p })))
    }

    #[inline(always)]
    fn servers(&mut self, set: u32) -> Option<&mut Servers> {
        // SAFETY: as above.
        SERVERS.get_ptr_mut(set).map(|p| unsafe { &mut *p })
    }
}
