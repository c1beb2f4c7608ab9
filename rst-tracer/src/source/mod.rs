//! Where records come from: the running kernel or capture files.

pub mod capture;
pub mod live;
pub mod table;
