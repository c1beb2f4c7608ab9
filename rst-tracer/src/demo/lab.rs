//! The laboratory: client, router and server, cabled, addressed, and watched at every interface.
//!
//! ```text
//!   client eth0 ────── c0 router s0 ────── eth0 server
//!      10.1.0.2   10.1.0.1     10.2.0.1   10.2.0.2
//!     fd00:1::2   fd00:1::1   fd00:2::1   fd00:2::2
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;

use super::netns::Netns;
use super::sniffer::Sniffer;
use super::topology::{Prefixed, await_carrier, connect, raise, route_by_default};
use super::truth::{Family, Side};
use crate::exit::{Code, Failure};

/// The four interfaces, each watched by a [`Sniffer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// `eth0` of the client.
    Client,
    /// `c0` of the router, towards the client.
    RouterClientSide,
    /// `s0` of the router, towards the server.
    RouterServerSide,
    /// `eth0` of the server.
    Server,
}

impl Place {
    /// All four, from the client to the server.
    pub const ALL: [Self; 4] =
        [Self::Client, Self::RouterClientSide, Self::RouterServerSide, Self::Server];

    /// The name of the interface in its namespace.
    pub fn interface(self) -> &'static str {
        match self {
            Self::Client | Self::Server => "eth0",
            Self::RouterClientSide => "c0",
            Self::RouterServerSide => "s0",
        }
    }

    /// Number 0 is the interface's own, others are those of one scenario each.
    fn addresses(self, number: u16) -> [Prefixed; 2] {
        let (net, host) = match self {
            Self::Client => (1, 2),
            Self::RouterClientSide => (1, 1),
            Self::RouterServerSide => (2, 1),
            Self::Server => (2, 2),
        };
        let [high, low] = number.to_be_bytes();
        let v4 = match number {
            0 => Ipv4Addr::new(10, net, 0, host),
            _ => Ipv4Addr::new(10, net, high + 1, low),
        };
        let v6 = Ipv6Addr::new(0xfd00, net.into(), 0, 0, 0, 0, number, host.into());
        [(v4.into(), 16), (v6.into(), 64)]
    }

    /// The address of this interface.
    pub fn ip(self, family: Family) -> IpAddr {
        self.ip_of(family, 0)
    }

    /// The address that a scenario has here: the client and the server have many, so that what
    /// happened to one scenario says nothing about another.
    pub(super) fn ip_of(self, family: Family, number: u16) -> IpAddr {
        let number = match self {
            Self::Client | Self::Server => number,
            Self::RouterClientSide | Self::RouterServerSide => 0,
        };
        match (family, self.addresses(number)) {
            (Family::V4, [v4, _]) => v4.0,
            (Family::V6, [_, v6]) => v6.0,
        }
    }
}

/// Three hosts on one kernel. Dropping it (or ending the process in any way) removes all of it.
#[derive(Debug)]
pub struct Lab {
    sniffers: [Sniffer; 4],
    /// Where connections begin.
    pub client: Netns,
    /// Between the two.
    pub router: Netns,
    /// Where connections go.
    pub server: Netns,
    ipv6: bool,
    /// How many scenarios can have addresses of their own, and how many have them.
    room: u16,
    taken: AtomicU16,
    /// Settings that hold for a whole host are changed by one scenario at a time.
    settings: Mutex<()>,
}

impl Lab {
    /// Builds the hosts and waits until they can reach each other.
    ///
    /// # Errors
    /// Without the needed privileges, or where the kernel has no network namespaces or no veth;
    /// the error's exit code ([`crate::exit::code_of`]) tells the two apart.
    pub fn new() -> Result<Self> {
        Self::with_room(0)
    }

    /// The same, with addresses for so many scenarios on the client and on the server.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_room(room: u16) -> Result<Self> {
        Self::cabled(room, connect)
    }

    /// The same, over cables that `lay` lays between two interfaces: the client's and the router's, the router's and the
    /// server's.
    ///
    /// # Errors
    /// As [`new`](Self::new), and whatever `lay` returns.
    pub fn cabled(
        room: u16,
        mut lay: impl FnMut((&Netns, &str), (&Netns, &str)) -> Result<()>,
    ) -> Result<Self> {
        let (client, router, server) =
            (Netns::new("client")?, Netns::new("router")?, Netns::new("server")?);
        let ipv6 = Path::new("/proc/sys/net/ipv6").exists();
        for host in [&client, &router, &server] {
            prepare(host, ipv6)?;
        }
        router.set_sysctl("net/ipv4/ip_forward", "1")?;
        if ipv6 {
            router.set_sysctl("net/ipv6/conf/all/forwarding", "1")?;
        }
        lay((&client, "eth0"), (&router, "c0"))?;
        lay((&router, "s0"), (&server, "eth0"))?;

        let host_at = |place| match place {
            Place::Client => &client,
            Place::RouterClientSide | Place::RouterServerSide => &router,
            Place::Server => &server,
        };
        let families = if ipv6 { 2 } else { 1 };
        for place in Place::ALL {
            let numbers = match place {
                Place::Client | Place::Server => 0..=room,
                Place::RouterClientSide | Place::RouterServerSide => 0..=0,
            };
            let all: Vec<Prefixed> =
                numbers.flat_map(|n| place.addresses(n)[..families].to_vec()).collect();
            raise(host_at(place), place.interface(), &all)?;
        }
        for place in Place::ALL {
            await_carrier(host_at(place), place.interface(), ipv6)?;
        }
        for (host, router_side) in
            [(&client, Place::RouterClientSide), (&server, Place::RouterServerSide)]
        {
            for (gateway, _) in &router_side.addresses(0)[..families] {
                route_by_default(host, *gateway)?;
            }
        }
        let [a, b, c, d] = Place::ALL.map(|at| Sniffer::start(host_at(at), at.interface()));
        let sniffers = [a?, b?, c?, d?];
        let (taken, settings) = (AtomicU16::new(0), Mutex::new(()));
        Ok(Self { sniffers, client, router, server, ipv6, room, taken, settings })
    }

    /// The number of the next scenario's own addresses; 0, which all share, when there is no room.
    pub(super) fn next_number(&self) -> u16 {
        let next = |taken: u16| (taken < self.room).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).map_or(0, |n| n + 1)
    }

    /// The namespace of a side.
    pub fn host(&self, side: Side) -> &Netns {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    /// The witness at an interface.
    pub fn sniffer(&self, place: Place) -> &Sniffer {
        &self.sniffers[place as usize]
    }

    /// Says no, with the reason, if the laboratory cannot speak `family`.
    ///
    /// # Errors
    /// [`Code::UNAVAILABLE`] for IPv6 on a kernel without it.
    pub fn require(&self, family: Family) -> Result<()> {
        if family == Family::V6 && !self.ipv6 {
            let message = "this kernel has no IPv6; boot without ipv6.disable=1 to have it";
            return Err(Failure::new(Code::UNAVAILABLE, message).into());
        }
        Ok(())
    }

    /// Sets network sysctls of a host until the guard is dropped, then puts back what was there.
    /// Whoever wants to do the same meanwhile waits.
    ///
    /// # Errors
    /// [`Code::UNAVAILABLE`] if this kernel does not have the sysctl; if it refuses the value.
    pub fn set_for_now<'a>(
        &'a self,
        host: &'a Netns,
        settings: &[(&'static str, &str)],
    ) -> Result<Settings<'a>> {
        let turn = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Settings { host, before: Vec::new(), _turn: turn };
        for &(key, now) in settings {
            let before = host.sysctl(key).map_err(|error| {
                Failure::new(Code::UNAVAILABLE, format!("this kernel has no {key}: {error:#}"))
            })?;
            changed.before.push((key, before));
            host.set_sysctl(key, now)?;
        }
        Ok(changed)
    }
}

/// Sysctls that are different for a while.
#[derive(Debug)]
pub struct Settings<'a> {
    host: &'a Netns,
    before: Vec<(&'static str, String)>,
    _turn: MutexGuard<'a, ()>,
}

impl Drop for Settings<'_> {
    fn drop(&mut self) {
        for (key, before) in self.before.iter().rev() {
            if let Err(error) = self.host.set_sysctl(key, before) {
                log::warn!("{key} of the {} stays changed: {error:#}", self.host.name());
            }
        }
    }
}

/// What every host needs before its interfaces come up. A namespace may have inherited settings
/// from the machine (net.core.devconf_inherit_init_net), so all that matter are written.
fn prepare(host: &Netns, ipv6: bool) -> Result<()> {
    raise(host, "lo", &[])?;
    // A socket that its process left keeps the namespace alive until it has given up on its peer:
    // with the default of 8 retransmissions for more than a minute, with 1 for less than a second.
    host.set_sysctl("net/ipv4/tcp_orphan_retries", "1")?;
    host.set_sysctl("net/ipv4/conf/all/rp_filter", "0")?;
    host.set_sysctl("net/ipv4/conf/default/rp_filter", "0")?;
    if ipv6 {
        host.set_sysctl("net/ipv6/conf/all/disable_ipv6", "0")?;
        host.set_sysctl("net/ipv6/conf/default/disable_ipv6", "0")?;
        // No duplicate address detection: addresses are usable at once.
        host.set_sysctl("net/ipv6/conf/default/accept_dad", "0")?;
        host.set_sysctl("net/ipv6/conf/default/router_solicitations", "0")?;
    }
    Ok(())
}
