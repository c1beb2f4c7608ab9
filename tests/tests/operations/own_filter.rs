//! A host whose own packet filter rejects what it sends: the reset is written here, in the server's name, and
//! never leaves.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    time::Duration,
};

use rst_tracer::demo::{
    lab::{Lab, Place},
    sockets,
    truth::Family,
};
use rst_tracer_tests::{skip::skipped, tracer::Tracer};
use serde_json::Value;

use crate::net::set_up;

const PORT: u16 = 7007;

#[test]
fn what_this_hosts_own_filter_rejects_is_its_own_fault_and_not_the_networks() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("needs root for a laboratory of network namespaces");
    }
    let lab = Lab::new().expect("a laboratory");
    let listening = |family| {
        let address = SocketAddr::new(Place::Server.ip(family), PORT);
        lab.server.run(|| Ok(TcpListener::bind(address)?))
    };
    let listeners = [Family::V4, Family::V6].map(|family| listening(family).expect("a listener"));
    lab.client
        .run(|| {
            set_up("lo");
            let tracer = Tracer::trace(&["--settle", "0s"]);
            for (listener, filter) in listeners.iter().zip(["iptables", "ip6tables"]) {
                let address = listener.local_addr()?;
                let mut living = TcpStream::connect(address)?;
                let _server = sockets::accept(listener)?;
                reject_on_the_way_out(filter);
                TcpStream::connect_timeout(&address, Duration::from_secs(5)).expect_err("rejected");
                living.write_all(b"nor this")?;
            }
            let lines = tracer.out.await_count(4);
            for line in &lines {
                let event: Value = serde_json::from_str(line)?;
                assert_eq!(event["cause"], "host_firewall_reject", "{event:#}");
                assert_eq!(event["origin"], "host_firewall", "{event:#}");
                assert_eq!(event["sent_by"], "server", "{event:#}");
                assert_eq!(event["at_fault"], "client", "{event:#}");
                assert_eq!(event["src"]["port"], PORT, "{event:#}");
            }
            tracer.interrupt().assert_code(0);
            Ok(())
        })
        .expect("traced");
}

/// The calling thread's namespace rejects all that it would send to the port.
fn reject_on_the_way_out(filter: &str) {
    let rule = format!("-A OUTPUT -p tcp --dport {PORT} -j REJECT --reject-with tcp-reset");
    let done = Command::new(filter).args(rule.split(' ')).status();
    assert!(done.expect("it starts").success(), "{filter} {rule}");
}
