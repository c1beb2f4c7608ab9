//! A port that this host hands on to another one (REDIRECT): the socket has one number, the segments have the other.

use std::{
    io::{ErrorKind, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
};

use rst_tracer::demo::{
    lab::{Lab, Place},
    sockets,
    truth::Family,
};
use rst_tracer_tests::{skip::skipped, tracer::Tracer};
use serde_json::Value;

// What is asked, what serves it, and a port that leads to one that nobody serves.
const ASKED: u16 = 7080;
const SERVED: u16 = 7081;
const IN_VAIN: u16 = 7082;
const NOBODYS: u16 = 7083;

#[test]
fn what_the_kernel_says_of_a_redirected_port_is_about_its_resets() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("needs root for a laboratory of network namespaces");
    }
    let lab = Lab::new().expect("a laboratory");
    let listener = lab.server.run(|| {
        redirect(ASKED, SERVED);
        redirect(IN_VAIN, NOBODYS);
        Ok(TcpListener::bind(SocketAddr::new(Place::Server.ip(Family::V4), SERVED))?)
    });
    let listener = listener.expect("a listener");
    let tracer = lab.server.run(|| Ok(Tracer::trace(&["--settle", "0s"]))).expect("it traces");
    let call = |port| {
        let address = SocketAddr::new(Place::Server.ip(Family::V4), port);
        lab.client.run(|| Ok(TcpStream::connect(address)))
    };
    let mut client = call(ASKED).expect("the namespace").expect("served");
    let server = sockets::accept(&listener).expect("a connection");
    client.write_all(b"never read").expect("sent");
    sockets::await_unread(&server).expect("it came");
    drop(server);
    let refused = call(IN_VAIN).expect("the namespace").expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

    let events: Vec<Value> = tracer
        .out
        .await_count(2)
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let of = |port| events.iter().find(|event| event["src"]["port"] == port).expect("an event");
    let (closed, refused) = (of(ASKED), of(IN_VAIN));
    assert_eq!(closed["kernel"]["reason"], "TCP_ABORT_ON_CLOSE", "{closed:#}");
    assert_eq!(closed["cause"], "closed_with_unread_data", "{closed:#}");
    assert_eq!(closed["process"]["pid"], std::process::id(), "{closed:#}");
    assert_eq!(refused["kernel"]["reason"], "NO_SOCKET", "{refused:#}");
    assert_eq!(refused["cause"], "closed_port", "{refused:#}");
    tracer.interrupt().assert_code(0);
}

/// The calling thread's namespace serves what comes for one port at another one.
fn redirect(from: u16, to: u16) {
    let rule = format!("-t nat -A PREROUTING -p tcp --dport {from} -j REDIRECT --to-ports {to}");
    let done = Command::new("iptables").args(rule.split(' ')).status();
    assert!(done.expect("it starts").success(), "iptables {rule}");
}
