//! However the tracer ends, it leaves no program, filter or queueing discipline behind.

use aya::programs::TcAttachType;
use futures_util::TryStreamExt;
use nix::sys::signal::Signal;
use rst_tracer::demo::wait;
use rst_tracer_tests::tracer::Tracer;
use rtnetlink::packet_route::{
    link::{LinkAttribute, LinkXdp, XdpAttached},
    tc::TcAttribute,
};

use crate::net::{filters, in_namespace, link, netlink, tcx, veth};

/// What hangs on the interfaces of this namespace: a line each, in no matter which order.
fn hanging() -> Vec<String> {
    let mut found = netlink(async |handle| {
        let mut found = Vec::new();
        let mut links = handle.link().get().execute();
        while let Some(message) = links.try_next().await? {
            let index = message.header.index;
            for attribute in message.attributes {
                let LinkAttribute::Xdp(xdp) = attribute else { continue };
                let is_none = |x: &LinkXdp| *x == LinkXdp::Attached(XdpAttached::None);
                if !xdp.iter().any(is_none) {
                    found.push(format!("XDP on {index}"));
                }
            }
        }
        let mut disciplines = handle.qdisc().get().execute();
        while let Some(message) = disciplines.try_next().await? {
            for attribute in message.attributes {
                if let TcAttribute::Kind(kind) = attribute {
                    found.push(format!("discipline {kind} on {}", message.header.index));
                }
            }
        }
        Ok(found)
    });
    for name in ["lo", "v0", "v1"] {
        for side in [TcAttachType::Ingress, TcAttachType::Egress] {
            found.extend(tcx(name, side).into_iter().map(|program| format!("{program} on {name}")));
        }
        found
            .extend(filters(&link(name)).into_iter().map(|filter| format!("{filter:?} on {name}")));
    }
    found.sort();
    found
}

#[test]
fn nothing_is_left_after_int_term_or_kill() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        for mode in ["native", "generic", "off"] {
            in_namespace(move || {
                veth("v0", "v1");
                let before = hanging();
                let tracer = Tracer::trace(&["--xdp-mode", mode]);
                let meanwhile = hanging();
                // In and out of each end of the pair, and out of loopback.
                assert_eq!(meanwhile.len(), before.len() + 5, "{mode}: {meanwhile:?}");
                tracer.signal(signal);
                let ended = tracer.wait();
                let killed = signal == Signal::SIGKILL;
                assert_eq!(ended.status.code(), (!killed).then_some(0), "{ended:#?}");
                if killed {
                    // The kernel may take its time to close what a dead process had open.
                    let gone = || Ok(hanging() == before);
                    wait::until("the kernel to detach", gone).expect("detached");
                }
                assert_eq!(hanging(), before, "after {signal} with XDP {mode}");
            });
        }
    }
}
