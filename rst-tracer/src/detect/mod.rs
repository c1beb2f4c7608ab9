//! What shows only over many resets.
//!
//! In: counters and events, with their times. Out: findings. Pure: no clock, no I/O.
#![forbid(unsafe_code)]

pub mod flood;
