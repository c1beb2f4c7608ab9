//! Resets made on purpose in the calling thread's namespace.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, TcpStream},
};

use rst_tracer::demo::{netns::Netns, packet};
use rst_tracer_tests::capture::refused;

/// Connects over loopback to a port on which nothing listens: one reset each.
pub(crate) fn refuse_on_loopback(count: usize) {
    for _ in 0..count {
        let error = TcpStream::connect((Ipv4Addr::LOCALHOST, 1)).expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}

/// Sends the SYN and the RST of a refused connection out of an interface, as frames.
pub(crate) fn refuse_through(interface: &str, client_port: u16) {
    let here = Netns::open("test", "/proc/thread-self/ns/net").expect("this namespace");
    for segment in refused(&format!("192.0.2.1:{client_port}"), "192.0.2.2:443") {
        packet::inject(&here, interface, &segment.to_frame()).expect("sent");
    }
}
