//! Tests that cannot run here say so.

use std::io::{self, Write};

/// Says loudly that a test did nothing; past the capture of the test harness, in one write, so
/// that tests on other threads cannot break the line.
pub fn skipped(why: &str) {
    io::stderr().write_all(format!("\nSKIPPED: {why}\n").as_bytes()).ok();
}
