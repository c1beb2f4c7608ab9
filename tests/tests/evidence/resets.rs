//! Resets that TCP sends and believes.

use std::{
    net::{SocketAddr, TcpStream},
    os::fd::AsRawFd,
};

use rst_tracer::{
    demo::{diag, sockets, truth::Side},
    source::{Notice, live::evidence::Scope},
};
use rst_tracer_common::{
    notice::{Point, notice_trait},
    wire::{Endpoint, Flags},
};

use crate::{LOOPBACKS, Pair, ear::Ear, in_laboratory, listener, on_server, pair};

/// Asserts what is the same for every socket that this process aborts.
fn is_our_abort(notice: &Notice, reason: &str, state: &str, hears_all: bool) {
    assert!(!notice.has_trigger() && notice.has(notice_trait::SOCKET), "{notice:#?}");
    assert!(notice.is_in(state), "{notice:#?}");
    assert_eq!(notice.wire.task.pid, std::process::id());
    assert_eq!(notice.wire.task.uid, 0);
    assert!(!notice.has(notice_trait::KERNEL_THREAD | notice_trait::EXITING));
    assert_ne!(notice.wire.flow_hash, 0);
    if hears_all && notice.reason.as_deref() != Some("NOT_SPECIFIED") {
        assert!(notice.is_because(reason), "{notice:#?}");
    }
}

#[test]
fn a_closed_port_answers_without_a_socket() {
    in_laboratory(|lab| {
        let ear = Ear::open(lab.host(Side::Server), Scope::Netns);
        let hears_all = ear.hears_all();
        let ends = on_server(lab, || {
            LOOPBACKS.map(|ip| {
                let (client, own) = sockets::bound(ip).expect("a socket");
                let closed = SocketAddr::new(ip, 9);
                sockets::connect(&client, closed).expect_err("nobody listens");
                [own, closed].map(Endpoint::from_socket)
            })
        });
        let heard = ear.close();
        for [client, closed] in ends {
            assert!(heard.resets().any(|reset| reset.rst.head.segment.src == closed));
            let all = || heard.of(Point::SEND_RESET).filter(|notice| notice.wire.src == closed);
            if !hears_all {
                assert_eq!(all().count(), 0, "before 6.10 nothing is told without a socket");
                continue;
            }
            let told = heard.only(Point::SEND_RESET, closed, client);
            assert!(told.is_because("NO_SOCKET") && told.has_trigger(), "{told:#?}");
            assert_eq!(told.wire.trigger_flags.0 & 0x3f, Flags::SYN.0);
            assert!(!told.has(notice_trait::SOCKET) && !told.has(notice_trait::OWNER));
            assert_eq!(told.wire.netns, lab.host(Side::Server).inode() as u32);
            let on_wire = heard.resets().find(|reset| reset.rst.head.segment.src == closed);
            let head = &on_wire.expect("the reset").rst.head;
            assert_eq!(head.flow_hash, told.wire.flow_hash);
            assert_eq!(head.side, told.wire.side);
            assert_eq!(head.segment.tcp.ack.since(told.wire.trigger_seq), 1);
            // The client was told that it is refused, in its own SYN_SENT.
            let believed = heard.only(Point::RECEIVE_RESET, closed, client);
            assert!(believed.is_in("SYN_SENT"), "{believed:#?}");
            assert!(believed.has(notice_trait::OWNER));
            assert_eq!(believed.wire.owner.pid, std::process::id());
        }
        assert_eq!(heard.statements.lost, [0; Point::COUNT]);
    });
}

/// Aborts one side of a connection in a way, and gives back the ends, client first, and the inode of
/// the socket that was aborted.
fn aborted(
    lab: &rst_tracer::demo::lab::Lab,
    abort: impl Fn(Pair) + Sync,
) -> Vec<([Endpoint; 2], [u64; 2])> {
    on_server(lab, || {
        LOOPBACKS
            .map(|ip| {
                let pair = pair(&listener(ip));
                let (at, inodes) = (pair.at, [&pair.client, &pair.server].map(inode));
                abort(pair);
                (at, inodes)
            })
            .to_vec()
    })
}

fn inode(stream: &TcpStream) -> u64 {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", stream.as_raw_fd()));
    let link = link.expect("an open descriptor").to_string_lossy().into_owned();
    link.trim_start_matches("socket:[").trim_end_matches(']').parse().expect("an inode")
}

#[test]
fn a_close_with_unread_data_names_the_closer_and_the_state_before() {
    in_laboratory(|lab| {
        let ear = Ear::open(lab.host(Side::Server), Scope::Netns);
        let hears_all = ear.hears_all();
        let done = aborted(lab, |Pair { client, server, .. }| {
            sockets::say(&client, b"nobody reads this").expect("to send");
            sockets::await_unread(&server).expect("to arrive");
            drop(server);
            sockets::await_end(&client).ok();
        });
        let heard = ear.close();
        for ([client, server], [client_inode, server_inode]) in done {
            let told = heard.only(Point::SEND_RESET, server, client);
            is_our_abort(told, "TCP_ABORT_ON_CLOSE", "CLOSE", hears_all);
            assert_eq!(told.state_before.as_deref(), Some("ESTABLISHED"));
            assert_eq!(told.wire.inode, server_inode);
            assert!(!told.has(notice_trait::OWNER), "nobody opened an accepted socket");
            let believed = heard.only(Point::RECEIVE_RESET, server, client);
            assert!(believed.is_in("ESTABLISHED"), "{believed:#?}");
            assert_eq!(believed.wire.inode, client_inode);
        }
    });
}

#[test]
fn linger_0_of_a_client_names_who_connected() {
    in_laboratory(|lab| {
        let ear = Ear::open(lab.host(Side::Server), Scope::Netns);
        let hears_all = ear.hears_all();
        let done = aborted(lab, |Pair { client, server, .. }| {
            sockets::abort(client).expect("to abort");
            sockets::await_end(&server).ok();
        });
        let heard = ear.close();
        for ([client, server], _) in done {
            // The port was the kernel's choice: it is given back before the reset goes out.
            let told = heard.only(Point::SEND_RESET, client, server);
            is_our_abort(told, "TCP_STATE", "CLOSE", hears_all);
            assert_eq!(told.state_before.as_deref(), Some("ESTABLISHED"));
            assert!(told.has(notice_trait::OWNER));
            assert_eq!(told.wire.owner.pid, std::process::id());
        }
    });
}

#[test]
fn a_socket_that_is_destroyed_keeps_its_state() {
    in_laboratory(|lab| {
        let ear = Ear::open(lab.host(Side::Server), Scope::Netns);
        let hears_all = ear.hears_all();
        let done = aborted(lab, |Pair { client, server, at: [_, local] }| {
            let remote = client.local_addr().expect("an address");
            let netns = lab.host(Side::Server);
            diag::destroy(netns, local.to_socket(), remote).expect("to be destroyed");
            drop((client, server));
        });
        let heard = ear.close();
        for ([client, server], _) in done {
            let told = heard.only(Point::SEND_RESET, server, client);
            is_our_abort(told, "TCP_STATE", "ESTABLISHED", hears_all);
            assert!(!told.has(notice_trait::STATE_BEFORE));
        }
    });
}

#[test]
fn a_mapped_address_is_one_of_ipv4() {
    in_laboratory(|lab| {
        let ear = Ear::open(lab.host(Side::Server), Scope::Netns);
        let (client, server) = on_server(lab, || {
            // Bound to ::, connected to over IPv4: an IPv6 socket with mapped addresses.
            let wild = std::net::TcpListener::bind("[::]:0").expect("a listener");
            let port = wild.local_addr().expect("an address").port();
            let at = SocketAddr::new(LOOPBACKS[0], port);
            let client = TcpStream::connect(at).expect("a connection");
            let server = sockets::accept(&wild).expect("the connection");
            let own = client.local_addr().expect("an address");
            sockets::abort(server).expect("to abort");
            sockets::await_end(&client).ok();
            (Endpoint::from_socket(own), Endpoint::from_socket(at))
        });
        let heard = ear.close();
        let told = heard.only(Point::SEND_RESET, server, client);
        assert!(told.wire.src.address.is_v4());
        heard.only(Point::RECEIVE_RESET, server, client);
    });
}

#[test]
fn no_statement_of_another_namespace_is_heard_unless_it_is_asked_for() {
    in_laboratory(|lab| {
        let [server, client] = [Side::Server, Side::Client].map(|side| lab.host(side));
        let (own, all) = (Ear::open(server, Scope::Netns), Ear::open(server, Scope::Host));
        let hears_all = own.hears_all();
        // Everything that the tracepoints speak of happens on the client alone.
        let act = || {
            for ip in LOOPBACKS {
                let listener = listener(ip);
                let (one, other) = (pair(&listener), pair(&listener));
                sockets::abort(one.client).expect("to abort");
                sockets::abort(other.server).expect("to abort");
                TcpStream::connect(SocketAddr::new(ip, 9)).expect_err("nobody listens");
            }
            Ok(())
        };
        client.run(act).expect("the client's namespace");
        let (own, all) = (own.close(), all.close());
        for point in [Point::SEND_RESET, Point::RECEIVE_RESET, Point::LISTENER, Point::DROP] {
            assert_eq!(own.of(point).count(), 0, "the server hears the client's {}", point.0);
        }
        assert_eq!(own.statements.told, [0; Point::COUNT]);
        let theirs = |point| {
            let is_theirs = |n: &&Notice| u64::from(n.wire.netns) == client.inode();
            all.of(point).filter(is_theirs).count()
        };
        assert_eq!(theirs(Point::SEND_RESET), if hears_all { 6 } else { 4 });
        assert_eq!(theirs(Point::RECEIVE_RESET), 6);
        assert_eq!(theirs(Point::LISTENER), 4);
    });
}
