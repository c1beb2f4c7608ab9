//! Shared by the integration tests.

pub mod capture_file;
pub mod cases;
pub mod frames;
pub mod story;
