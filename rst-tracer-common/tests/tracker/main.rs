//! The flow tracker: what a connection's segments make of its state, and who keeps a place.

mod handshake;
mod home;
mod keys;
mod lifecycle;
mod resets;
mod reuse;
mod room;
mod servers;
mod stamps;
mod words;
mod world;
