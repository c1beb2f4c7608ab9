//! The listening sockets of this host.
//!
//! In: those found at the start, and every one that opens or closes later. Out: the one that a
//! connection to an address and port belongs to.

use std::collections::HashMap;

use rst_tracer_common::wire::{Address, Endpoint};

use crate::{correlate::is_bound, event::Process};

/// A listening socket.
#[derive(Clone, Debug)]
pub(super) struct Listener {
    pub(super) address: Address,
    pub(super) v6_only: bool,
    pub(super) inode: u64,
    /// Who called listen(2), or held it at the start.
    pub(super) process: Option<Process>,
    /// When that was so, by CLOCK_MONOTONIC.
    pub(super) since_ns: u64,
    /// When it closed, by CLOCK_MONOTONIC.
    pub(super) closed_ns: Option<u64>,
}

/// How long a closed one is remembered: its connections live on.
const REMEMBERED_NS: u64 = 60_000_000_000;
/// Ports and namespaces that are remembered at most; and sockets of each.
const MOST_PORTS: usize = 1 << 14;
const MOST_OF_PORT: usize = 64;

/// All of them, by network namespace and port.
#[derive(Default)]
pub(super) struct Listeners {
    of_port: HashMap<(u32, u32), Vec<Listener>>,
}

impl Listeners {
    /// Takes one in that is open.
    pub(super) fn open(&mut self, netns: u32, port: u32, listener: Listener) {
        let key = (netns, port);
        if self.of_port.len() >= MOST_PORTS && !self.of_port.contains_key(&key) {
            self.of_port.retain(|_, all| all.iter().any(|one| one.closed_ns.is_none()));
            if self.of_port.len() >= MOST_PORTS {
                return;
            }
        }
        let all = self.of_port.entry(key).or_default();
        all.retain(|one| {
            let is_known = listener.inode != 0 && one.inode == listener.inode;
            !is_known && (one.closed_ns.is_none() || one.address != listener.address)
        });
        if all.len() < MOST_OF_PORT {
            all.push(listener);
        }
    }

    /// One closes.
    pub(super) fn close(&mut self, netns: u32, end: Endpoint, inode: u64, now: u64) {
        let Some(all) = self.of_port.get_mut(&(netns, end.port)) else { return };
        all.retain(|one| one.closed_ns.is_none_or(|then| now.saturating_sub(then) < REMEMBERED_NS));
        let open = |one: &&mut Listener| one.address == end.address && one.closed_ns.is_none();
        // Several sockets may share an address (SO_REUSEPORT).
        let same = all.iter().position(|one| inode != 0 && one.inode == inode);
        let found = match same {
            Some(at) => all.get_mut(at),
            None => all.iter_mut().find(open),
        };
        if let Some(listener) = found {
            listener.closed_ns = Some(now);
        }
    }

    /// The one that takes connections to this end: of several the most specific, and one that is
    /// open before one that was.
    pub(super) fn at(&self, netns: u32, end: Endpoint, now: u64) -> Option<&Listener> {
        let all = self.of_port.get(&(netns, end.port))?;
        let fits = |one: &&Listener| {
            let is_known =
                one.closed_ns.is_none_or(|then| now.saturating_sub(then) < REMEMBERED_NS);
            is_known && takes(one, end.address)
        };
        let rank = |one: &&Listener| (one.closed_ns.is_none(), one.address == end.address);
        all.iter().filter(fits).max_by_key(rank)
    }
}

/// Whether a connection to the address is one of the listener's.
fn takes(listener: &Listener, address: Address) -> bool {
    is_bound(listener.address, address) && !(listener.v6_only && address.is_v4())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str) -> Endpoint {
        Endpoint::from_socket(text.parse().unwrap())
    }

    fn with(addresses: &[(&str, bool)]) -> Listeners {
        let mut all = Listeners::default();
        for (inode, (text, v6_only)) in addresses.iter().enumerate() {
            let (end, inode) = (end(text), inode as u64 + 1);
            let listener = Listener {
                address: end.address,
                v6_only: *v6_only,
                inode,
                process: None,
                since_ns: 0,
                closed_ns: None,
            };
            all.open(1, end.port, listener);
        }
        all
    }

    fn found(all: &Listeners, text: &str) -> u64 {
        all.at(1, end(text), 0).map_or(0, |one| one.inode)
    }

    #[test]
    fn the_exact_address_goes_before_any() {
        let all = with(&[("0.0.0.0:80", false), ("10.0.0.9:80", false)]);
        assert_eq!((found(&all, "10.0.0.9:80"), found(&all, "10.0.0.8:80")), (2, 1));
        assert_eq!(found(&all, "10.0.0.9:81"), 0);
    }

    #[test]
    fn any_of_ipv6_takes_ipv4_unless_told_not_to() {
        assert_eq!(found(&with(&[("[::]:80", false)]), "10.0.0.9:80"), 1);
        assert_eq!(found(&with(&[("[::]:80", true)]), "10.0.0.9:80"), 0);
        assert_eq!(found(&with(&[("[::]:80", true)]), "[2001:db8::9]:80"), 1);
        assert_eq!(found(&with(&[("0.0.0.0:80", false)]), "[2001:db8::9]:80"), 0);
    }

    #[test]
    fn another_namespace_is_another_host() {
        let all = with(&[("0.0.0.0:80", false)]);
        assert!(all.at(2, end("10.0.0.9:80"), 0).is_none());
    }

    #[test]
    fn a_closed_one_is_remembered_for_a_while_and_yields_to_an_open_one() {
        let mut all = with(&[("10.0.0.9:80", false), ("0.0.0.0:80", false)]);
        all.close(1, end("10.0.0.9:80"), 1, 5);
        assert_eq!(found(&all, "10.0.0.9:80"), 2);
        all.close(1, end("0.0.0.0:80"), 0, 5);
        assert_eq!(found(&all, "10.0.0.9:80"), 1);
        assert!(all.at(1, end("10.0.0.9:80"), REMEMBERED_NS + 5).is_none());
    }
}
