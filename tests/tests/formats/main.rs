//! The formats of others: every line obeys the schema that its format names.
//!
//! Events of every kind (arbitrary ones, hostile ones, too long ones) through the sinks, and every capture at hand
//! through the program. What each document says is tested beside the sinks.

mod captures;
mod checks;
mod every_event;
mod ocsf;

/// The events that the unit tests of the agent are made of.
#[allow(dead_code, reason = "not all of them are of use here")]
#[path = "../../../rst-tracer/src/event/samples.rs"]
mod samples;

// What the samples find in the module above them.
use rst_tracer::event::*;
