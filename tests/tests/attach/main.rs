//! Attaching to real interfaces in namespaces of their own: what is chosen, what is said, and
//! that nothing is left behind or taken from others. Needs root.

mod clsact;
mod doctor;
mod inventory;
mod killed;
mod lab;
mod modes;
