//! What people are told: lines on standard error, which may be closed.

use std::{
    fmt::Display,
    io::{self, Write},
};

/// Writes a line to standard error. That nobody reads it is no reason to stop tracing, and
/// `eprintln!` would panic.
pub fn tell(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
