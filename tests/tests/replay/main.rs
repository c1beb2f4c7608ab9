//! `rst-tracer replay` on captures: cases made here, and files that others wrote.
//!
//! Every event must be as the case or the oracle of the shared set says, none may be missing and
//! none too many; where tshark is installed it must see the same resets between the same ends.

mod findings;
mod golden;
mod ordinary;
mod policy;
mod run;
mod shared;
mod skipped;
mod tshark;
