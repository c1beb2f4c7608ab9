//! The tracer in operation: the built program in namespaces of its own, with real resets. Needs
//! root.

mod cpus;
mod decoys;
mod elsewhere;
mod findings;
mod flood;
mod foreign;
mod identity;
mod interfaces;
mod leftovers;
mod metrics;
#[path = "../attach/lab.rs"]
#[expect(dead_code, reason = "the tests of attaching use more of it")]
mod net;
mod outputs;
mod own_filter;
mod pair;
mod policy;
mod privileges;
mod recorder;
mod resets;
mod service;
mod sightings;
mod signals;
mod soak;
mod stalled;
mod syn_flood;
mod translated;
