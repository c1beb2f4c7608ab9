//! Where the running kernel is asked: loading, attaching, and what its BTF says.

pub mod attach;
pub mod btf;
pub mod kernel;
pub mod object;
