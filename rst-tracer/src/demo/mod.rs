//! The laboratory: real network namespaces, real sockets, real resets, on an untouched machine.
//!
//! [`lab::Lab`] builds client, router and server; [`scenarios::catalogue`] lists what can be
//! provoked between them; each run returns a [`truth::GroundTruth`] to compare a verdict with.

pub mod compare;
pub mod diag;
pub mod forge;
pub mod frame;
pub mod lab;
pub mod netlink;
pub mod netns;
pub mod nft;
pub mod packet;
pub mod scenarios;
mod show;
pub mod sniffer;
pub mod sockets;
pub mod topology;
pub mod truth;
pub mod wait;
pub mod watch;

pub use show::{DemoArgs, run};
