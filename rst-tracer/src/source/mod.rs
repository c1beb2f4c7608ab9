//! Where records come from: the running kernel or capture files. Both yield the same [`Record`]s.

pub mod capture;
mod foresee;
pub mod live;
mod notice;
mod record;
pub mod replay;
pub mod table;
mod zeroed;

pub use notice::Notice;
pub use record::{After, FlowState, Origin, Record, Reset};
