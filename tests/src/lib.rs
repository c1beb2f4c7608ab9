//! Shared by the integration tests: frames and captures built by hand, the golden cases, the
//! kernel programs run on frames, and the real binary with what it prints.

pub mod accuracy;
pub mod bytes;
pub mod cable;
pub mod capture;
pub mod capture_file;
pub mod cases;
pub mod ecs;
pub mod frames;
pub mod inherited;
pub mod kernel;
pub mod laboratory;
pub mod scrape;
pub mod shared_captures;
pub mod skip;
pub mod story;
pub mod summary;
pub mod tap;
pub mod tracer;
