//! What the kernel drops: told where it explains a reset, and not otherwise.

use std::net::SocketAddr;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};
use rst_tracer::{
    correlate::Rules,
    demo::{
        lab::Lab,
        nft::{Hook, Only, Port, Rule, Table, Verdict},
        scenarios::catalogue,
        sockets,
        truth::{Family, Side},
        watch::Watching,
    },
    event::{Cause, KnownBy, RstEvent},
    source::live::{attach::XdpMode, evidence::Scope},
};
use rst_tracer_common::{
    notice::Point,
    wire::{Endpoint, Flags},
};
use std::os::fd::AsRawFd;

use crate::{
    LOOPBACKS,
    ear::{Ear, options},
    in_laboratory, on_server,
};

fn rule(lab: &Lab, ip: std::net::IpAddr, port: u16, verdict: Verdict) -> Table {
    let family = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
    let rule = Rule { family, port: Port::To(port), only: Only::Any, verdict };
    Table::install(lab.host(Side::Server), "evidence", Hook::Input, &[rule]).expect("a rule")
}

#[test]
fn a_rejected_segment_is_told_and_tcp_is_silent() {
    in_laboratory(|lab| {
        for (ip, port) in LOOPBACKS.into_iter().zip([7101, 7102]) {
            let table = rule(lab, ip, port, Verdict::Reject);
            let ear = Ear::open(lab.host(Side::Server), Scope::Netns);
            if !ear.witnesses.drops {
                return rst_tracer_tests::skip::skipped("this kernel's drops carry no reason");
            }
            let [client, server] = on_server(lab, || {
                let (client, own) = sockets::bound(ip).expect("a socket");
                let rejected = SocketAddr::new(ip, port);
                sockets::connect(&client, rejected).expect_err("the filter rejects");
                [own, rejected].map(Endpoint::from_socket)
            });
            drop(table);
            let heard = ear.close();
            let told = heard.only(Point::DROP, client, server);
            assert!(told.is_because("NETFILTER_DROP"), "{told:#?}");
            assert_eq!(told.wire.trigger_flags.0 & 0x3f, Flags::SYN.0);
            assert_eq!(heard.of(Point::SEND_RESET).count(), 0);
            assert_eq!(heard.resets().count(), 1, "on loopback it is seen once");
        }
    });
}

#[test]
fn a_flood_of_drops_is_no_flood_of_statements() {
    in_laboratory(|lab| {
        let _table = rule(lab, LOOPBACKS[0], 7103, Verdict::Drop);
        let ear = Ear::open(lab.host(Side::Server), Scope::Netns);
        on_server(lab, || {
            let to = SockaddrStorage::from(SocketAddr::new(LOOPBACKS[0], 7103));
            for number in 0..2000 {
                let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
                let syn = socket(AddressFamily::Inet, SockType::Stream, flags, None);
                // Its SYN is dropped, and so is the socket.
                connect(syn.expect("a socket").as_raw_fd(), &to).expect_err("in progress");
                if number % 100 == 0 {
                    // A reset on the same CPU a moment before does not make a drop its trigger.
                    let closed = SocketAddr::new(LOOPBACKS[0], 9);
                    std::net::TcpStream::connect(closed).expect_err("nobody listens");
                }
            }
        });
        let heard = ear.close();
        assert_eq!(heard.of(Point::DROP).count(), 0);
        assert_eq!(heard.statements.told[usize::from(Point::DROP.0)], 0);
        assert_eq!(heard.resets().count(), 20);
    });
}

#[test]
fn a_datagram_to_a_closed_port_is_no_reset_that_was_dropped() {
    in_laboratory(|lab| {
        let ear = Ear::open(lab.host(Side::Server), Scope::Netns);
        on_server(lab, || {
            for ip in LOOPBACKS {
                let socket = std::net::UdpSocket::bind((ip, 0)).expect("a socket");
                for number in 0..50 {
                    // Where TCP has its control bits this has those of a reset.
                    let payload = [7, 7, 7, 7, number, Flags::RST.0, 7, 7, 7, 7, 7, 7, 7, 7];
                    socket.send_to(&payload, (ip, 7104)).expect("sent");
                }
            }
        });
        let heard = ear.close();
        assert_eq!(heard.of(Point::DROP).count(), 0);
        assert_eq!(heard.statements.told[usize::from(Point::DROP.0)], 0);
    });
}

/// The client's events of one scenario of the demo, IPv4.
fn at_client(lab: &Lab, id: &str) -> Vec<RstEvent> {
    let options = options(&[], XdpMode::Auto, Scope::Netns);
    let watching = Watching::start(lab.host(Side::Client), options, Rules::default());
    let watching = watching.expect("a tracer");
    let all = catalogue();
    let scenario = all.iter().find(|one| one.id == id && one.family == Family::V4);
    scenario.expect("the scenario").run(lab).expect("it plays");
    watching.finish().expect("the tracer ends well").events
}

#[test]
fn a_caller_that_gave_up_is_still_known_when_the_answer_comes() {
    in_laboratory(|lab| {
        let events = at_client(lab, "client_gave_up");
        let [event] = events.as_slice() else { panic!("{events:#?}") };
        if event.kernel.is_none() {
            return rst_tracer_tests::skip::skipped("this kernel tells no reset without a socket");
        }
        assert_eq!(event.cause, Cause::ClientGaveUp, "{event:#?}");
        assert!(event.confidence.percent() >= 95, "{event:#?}");
        let process = event.process.as_ref().expect("the one that had called");
        assert_eq!((process.pid, process.known_by), (std::process::id(), KnownBy::SocketOwner));
        // A SYN that no socket sent has none to be remembered.
        let events = at_client(lab, "half_open_scan");
        let [event] = events.as_slice() else { panic!("{events:#?}") };
        assert_eq!((event.cause, &event.process), (Cause::ScannerProbe, &None), "{event:#?}");
    });
}

#[test]
fn a_reset_that_tcp_drops_is_told_with_the_reason() {
    in_laboratory(|lab| {
        for (id, reason) in [
            ("forged_rst_in_window", "TCP_RESET"),
            ("forged_rst_out_of_window", "TCP_INVALID_SEQUENCE"),
        ] {
            let events = at_client(lab, id);
            let [event] = events.as_slice() else { panic!("{id}: {events:#?}") };
            let told = event.kernel.as_ref().and_then(|kernel| kernel.reason.as_deref());
            assert_eq!(told, Some(reason), "{id}: {event:#?}");
        }
    });
}
