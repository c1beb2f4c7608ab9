//! Exit codes (sysexits-flavoured) and the error that carries one.
//!
//! 0 done, stopped by INT or TERM, closed pipe, count reached; 1 runtime failure; 2 usage;
//! 69 the kernel lacks something; 75 interface busy; 77 a capability is missing; 78 bad config.

use std::fmt;

/// A process exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub u8);

impl Code {
    /// Done, or stopped on request.
    pub const OK: Self = Self(0);
    /// Something failed at run time.
    pub const FAILURE: Self = Self(1);
    /// The command line is wrong.
    pub const USAGE: Self = Self(2);
    /// The kernel lacks a feature that tracing needs.
    pub const UNAVAILABLE: Self = Self(69);
    /// An interface is busy; trying later may work.
    pub const BUSY: Self = Self(75);
    /// A capability is missing.
    pub const NO_PERMISSION: Self = Self(77);
    /// The configuration is wrong.
    pub const CONFIG: Self = Self(78);
}

/// An error that says what to do and which exit code it means.
#[derive(Debug)]
pub struct Failure {
    /// What the process exits with.
    pub code: Code,
    /// What happened and the remedy, in words.
    pub message: String,
}

impl Failure {
    /// A failure with this exit code and message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The exit code that an error chain asks for: that of the first [`Failure`] in it, else 1.
pub fn code_of(error: &anyhow::Error) -> Code {
    error.chain().find_map(|e| e.downcast_ref::<Failure>()).map_or(Code::FAILURE, |f| f.code)
}
