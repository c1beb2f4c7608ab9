//! Capture files as a source: the same parser, tracker and records as in the kernel.
//!
//! In: capture files or a pipe. Out: [`Record`]s, with file and frame number.
