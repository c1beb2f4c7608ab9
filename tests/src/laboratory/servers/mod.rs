//! Scenarios with real servers and real tools.
//!
//! In: programs of the machine, if they are installed. Out: scenarios in which they are the
//! client, the server or the router's firewall; each truth is what was done to or by a program
//! that nobody wrote for this laboratory.

mod nginx;
mod program;

use rst_tracer::demo::scenarios::Listed;

/// Those scenarios, by family of files.
pub const LISTED: &[&[Listed]] = &[nginx::LISTED];

const UNREAD: (&str, &str) = ("application_error", "closed_with_unread_data");

/// The head of an upload that promises much, and the first `length` bytes of it.
fn upload(length: usize) -> Vec<u8> {
    let mut upload = b"POST /upload HTTP/1.1\r\nHost: server.lab\r\n".to_vec();
    upload.extend(b"Content-Length: 100000\r\n\r\n");
    upload.extend(vec![b'u'; length]);
    upload
}
