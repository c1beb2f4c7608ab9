//! What the kernel's tracepoints tell, on the running kernel: every statement against what was really
//! done with real sockets. Needs root.

mod drops;
mod ear;
mod listeners;
mod owners;
mod resets;
mod scattered;
mod split;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use rst_tracer::demo::{lab::Lab, sockets, truth::Side};
use rst_tracer_common::wire::Endpoint;
use rst_tracer_tests::skip::skipped;

/// Both families' loopback.
const LOOPBACKS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Does `test` with the laboratory, or says why not.
fn in_laboratory(test: impl FnOnce(&Lab)) {
    if !nix::unistd::geteuid().is_root() {
        return skipped("the kernel's evidence needs root for namespaces and BPF");
    }
    test(&Lab::new().expect("the laboratory"));
}

/// A connection within a host: the client's end, the server's, and their addresses.
struct Pair {
    client: TcpStream,
    server: TcpStream,
    at: [Endpoint; 2],
}

/// Connects to a listener in the calling thread's namespace.
fn pair(listener: &TcpListener) -> Pair {
    let address = listener.local_addr().expect("an address");
    let client = TcpStream::connect(address).expect("a connection");
    let server = sockets::accept(listener).expect("the connection");
    let own = client.local_addr().expect("an address");
    Pair { client, server, at: [Endpoint::from_socket(own), Endpoint::from_socket(address)] }
}

/// A listener at a port that the kernel chooses.
fn listener(ip: IpAddr) -> TcpListener {
    TcpListener::bind(SocketAddr::new(ip, 0)).expect("a listener")
}

/// Works on the server's host.
fn on_server<R: Send>(lab: &Lab, work: impl FnOnce() -> R + Send) -> R {
    lab.host(Side::Server).run(|| Ok(work())).expect("the server's namespace")
}
