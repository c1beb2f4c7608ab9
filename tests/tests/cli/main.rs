//! The command line as its users meet it: the built program, its options, streams and exit codes.
//!
//! What needs live traffic is in `operations`.

mod config;
mod failures;
mod filters;
mod help;
mod output;
mod readers;
mod replay;
mod signals;
mod texts;
