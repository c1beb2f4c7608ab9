//! Listening sockets that open and close.

use std::net::{SocketAddr, TcpListener};

use rst_tracer::{demo::truth::Side, source::live::evidence::Scope};
use rst_tracer_common::{
    notice::{Point, notice_trait},
    wire::Endpoint,
};

use crate::{ear::Ear, in_laboratory, on_server};

#[test]
fn listeners_are_told_when_they_open_and_when_they_close() {
    in_laboratory(|lab| {
        let ear = Ear::open(lab.host(Side::Server), Scope::Netns);
        // Ports of our choice, and ports that the kernel chooses and takes back at the end.
        let bound = ["127.0.0.1:7001", "[::1]:7001", "0.0.0.0:7002", "[::]:7003", "127.0.0.1:0"];
        let addresses: Vec<SocketAddr> = on_server(lab, || {
            let open = |at: &&str| TcpListener::bind(*at).expect("a listener");
            let listeners: Vec<TcpListener> = bound.iter().map(open).collect();
            listeners.iter().map(|one| one.local_addr().expect("an address")).collect()
        });
        let heard = ear.close();
        assert_eq!(heard.of(Point::LISTENER).count(), 2 * bound.len());
        for address in addresses {
            let end = Endpoint::from_socket(address);
            let of_it: Vec<_> =
                heard.of(Point::LISTENER).filter(|notice| notice.wire.src == end).collect();
            let [opened, closed] = of_it.as_slice() else { panic!("{address}: {of_it:#?}") };
            assert!(opened.is_in("LISTEN"), "{opened:#?}");
            assert_eq!(opened.state_before.as_deref(), Some("CLOSE"));
            assert!(closed.is_in("CLOSE"), "{closed:#?}");
            assert_eq!(closed.state_before.as_deref(), Some("LISTEN"));
            for notice in of_it {
                assert_eq!(notice.wire.flow_hash, 0);
                assert!(notice.has(notice_trait::OWNER), "{notice:#?}");
                assert_eq!(notice.wire.owner.pid, std::process::id());
                assert_ne!(notice.wire.inode, 0);
            }
        }
    });
}
