//! Shared by the integration tests: frames built by hand, and the kernel programs run on them.

pub mod frames;
pub mod kernel;
