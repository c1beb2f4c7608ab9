//! Flow tracking: the state of one connection, and the bounded set-associative table it lives in.
//!
//! In: segments, with who saw them where and when. Out: per segment, whether it was tracked and
//! whether it must be reported. Pure and shared: kernel maps and plain vectors both implement
//! [`Memory`].

use crate::verifier;

mod history;
mod home;
mod identity;
mod layout;
mod memory;
mod payload;
mod room;
mod servers;
mod side;
mod stage;
mod step;
mod table;
mod usual;

pub use history::Letter;
pub use home::Port;
pub use identity::{Identity, Keys};
pub use layout::{
    Bucket, Count, Facts, Flow, HEAD, HISTORY, Hot, Listing, OpenedBy, Recorder, SLOTS, Slot, WAYS,
    flag, ns_of_ticks, slot_trait, ticks, ticks_of_secs,
};
pub use memory::{Memory, Place};
pub use payload::note_payload;
pub use room::{Began, find, find_known};
pub use servers::{SERVER_SETS, SERVER_WAYS, Server, Servers, accepted_ago, note_server};
pub use side::{Side, side_trait};
pub use stage::Stage;
pub use table::{ENDING_BUDGET, Observed, RESET_BUDGET, Tracked, note_reset, observe};
pub use usual::take_usual;

/// The parts of one flow, wherever they live.
pub struct Entry<'a> {
    /// What its bucket says of it.
    pub listing: &'a mut Listing,
    /// What every segment writes.
    pub hot: &'a mut Hot,
    /// The rest of the state.
    pub flow: &'a mut Flow,
    /// The last segments.
    pub recorder: &'a mut Recorder,
}

impl Entry<'_> {
    /// Leaves the entry in memory (see [`verifier::in_memory`]).
    #[inline(always)]
    fn in_memory(&mut self) -> Entry<'_> {
        Entry {
            listing: verifier::in_memory(self.listing),
            hot: verifier::in_memory(self.hot),
            flow: verifier::in_memory(self.flow),
            recorder: verifier::in_memory(self.recorder),
        }
    }
}
