//! The agent: sources of reset records, the engine that explains them, and the sinks.
//!
//! One reset, straight through: `source` decodes a record, `correlate` joins what belongs to it,
//! `classify` explains it, a `sink` writes one line.

pub mod capabilities;
pub mod causes;
pub mod classify;
pub mod cli;
pub mod clock;
pub mod config;
pub mod correlate;
pub mod demo;
pub mod detect;
pub mod digest;
pub mod doctor;
pub mod event;
pub mod exit;
pub mod links;
pub mod manual;
pub mod metrics;
pub mod netns;
pub mod privileges;
pub mod processes;
pub mod report;
pub mod run;
pub mod sink;
pub mod source;
pub mod top;
pub mod version;
