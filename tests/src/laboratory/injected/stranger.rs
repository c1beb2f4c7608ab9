//! A fourth host behind the router, on no path between client and server, that claims to be one
//! of the two. A test tool; what it writes goes to the laboratory's router only.

use anyhow::{Context, Result};
use nix::ifaddrs::getifaddrs;
use rst_tracer::demo::forge::Forgery;
use rst_tracer::demo::netns::Netns;
use rst_tracer::demo::packet;
use rst_tracer::demo::scenarios::Scene;
use rst_tracer::demo::topology;

/// The host, as long as the value lives.
pub(super) struct Stranger {
    host: Netns,
    macs: ([u8; 6], [u8; 6]),
}

impl Stranger {
    /// Plugs the host into a port of the router of its own.
    pub(super) fn arrive(scene: &Scene<'_>) -> Result<Self> {
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
        Ok(Self { host, macs })
    }

    /// Sends a segment to the router, which forwards it like any other.
    pub(super) fn send(&self, segment: &Forgery) -> Result<()> {
        let framed = Forgery { macs: self.macs, ..segment.clone() };
        packet::inject(&self.host, "eth0", &framed.to_frame())
    }
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
