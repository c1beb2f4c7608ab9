//! What people look at: the HTML report, and the live screen in a terminal of its own. The screen needs root.

mod files;
#[path = "../attach/lab.rs"]
#[expect(dead_code, reason = "the tests of attaching use more of it")]
mod net;
mod page;
mod pty;
mod replay;
mod report;
mod top;
