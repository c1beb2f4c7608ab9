//! Shared by the integration tests: frames and captures built by hand, the golden cases, and the
//! kernel programs run on frames.

pub mod bytes;
pub mod capture_file;
pub mod cases;
pub mod frames;
pub mod kernel;
pub mod story;
