//! A fourth host behind the router, on no path between client and server, that claims to be one
//! of the two. A test tool; what it writes goes to the laboratory's router only.

use std::os::fd::AsRawFd;

use anyhow::{Context, Result};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{MsgFlags, recv};
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::packet;
use rst_tracer::demo::scenarios::Scene;
use rst_tracer::demo::topology;
use rst_tracer::demo::wait;

/// The host, as long as the value lives.
pub(in crate::laboratory) struct Stranger {
    host: Netns,
    macs: ([u8; 6], [u8; 6]),
}

impl Stranger {
    /// Plugs the host into a port of the router of its own.
    pub(in crate::laboratory) fn arrive(scene: &Scene<'_>) -> Result<Self> {
        let host = Netns::new("stranger")?;
        let router = &scene.lab.router;
        let port = format!("x{}", scene.server.port());
        topology::connect((&host, "eth0"), (router, &port))?;
        for (at, interface) in [(&host, "eth0"), (router, port.as_str())] {
            topology::raise(at, interface, &[])?;
        }
        for (at, interface) in [(&host, "eth0"), (router, port.as_str())] {
            topology::await_carrier(at, interface, false)?;
        }
        let macs = (mac(&host, "eth0")?, mac(router, &port)?);
        await_passage((&host, "eth0"), (router, &port), macs)?;
        Ok(Self { host, macs })
    }

    /// Sends a segment to the router, which forwards it like any other.
    pub(in crate::laboratory) fn send(&self, segment: &Forgery) -> Result<()> {
        let framed = Forgery { macs: self.macs, ..segment.clone() };
        packet::inject(&self.host, "eth0", &framed.to_frame())
    }
}

/// Waits until a frame passes the cable. An interface counts as running a moment before its queue
/// is there (`linkwatch_do_dev` in the kernel's net/core/link_watch.c); until then it silently
/// drops what it is to send (`noop_enqueue`).
fn await_passage(
    (host, from): (&Netns, &str),
    (router, to): (&Netns, &str),
    macs: ([u8; 6], [u8; 6]),
) -> Result<()> {
    /// For local experiments (IEEE 802).
    const EXPERIMENTAL: u16 = 0x88b5;
    let arrivals = router.run(|| packet::open(to, EXPERIMENTAL))?;
    let mut frame = [macs.1, macs.0].concat();
    frame.extend(EXPERIMENTAL.to_be_bytes());
    frame.resize(60, 0);
    wait::until("a frame to pass the stranger's cable", || {
        packet::inject(host, from, &frame)?;
        Ok(recv(arrivals.as_raw_fd(), &mut [0; 60], MsgFlags::MSG_DONTWAIT).is_ok())
    })
}

fn mac(host: &Netns, interface: &str) -> Result<[u8; 6]> {
    host.run(|| {
        let mut all = getifaddrs().context("listing interfaces")?;
        let found = all.find_map(|one| {
            let link = *one.address.as_ref()?.as_link_addr()?;
            (one.interface_name == interface).then(|| link.addr())?
        });
        found.with_context(|| format!("the address of {interface}"))
    })
}
