//! Shared by the integration tests.

pub mod capture;
pub mod skip;
pub mod summary;
pub mod tracer;
