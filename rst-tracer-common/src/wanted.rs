//! Which resets are handed over at all, by their ends.
//!
//! In: the two ends of a reset. Out: yes or no, without a jump. What the agent's filters say of ports and networks is
//! decided here, before anything is written; the agent decides the rest, and what is too much for this.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{
    bits,
    wire::{Address, Endpoint},
};

/// How many ports, and how many networks.
pub const MOST: usize = 16;

/// A port that no segment has.
const NO_PORT: u32 = 1 << 16;

/// A network: an address is in it if it is the same where the mask has ones.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Net {
    address: [u32; 4],
    mask: [u32; 4],
}

impl Net {
    /// No address is in it.
    const EMPTY: Self = Self { address: [1, 0, 0, 0], mask: [0; 4] };

    /// Of so many leading bits of `address`: up to 32 of IPv4, up to 128 of IPv6.
    pub fn new(address: Address, prefix: u8) -> Self {
        let prefix = u32::from(prefix) + if address.is_v4() { 96 } else { 0 };
        let mask = core::array::from_fn(|word| {
            let ones = prefix.saturating_sub(32 * word as u32).min(32);
            u32::MAX.checked_shl(32 - ones).unwrap_or(0)
        });
        let address = core::array::from_fn(|word: usize| {
            let mask: &[u32; 4] = &mask;
            address.0[word] & mask[word]
        });
        Self { address, mask }
    }

    /// 0 if the address is in it.
    #[inline(always)]
    fn differs(&self, address: &Address) -> u32 {
        let ([a, b, c, d], [k, l, m, n], [w, x, y, z]) = (address.0, self.mask, self.address);
        ((a & k) ^ w) | ((b & l) ^ x) | ((c & m) ^ y) | ((d & n) ^ z)
    }
}

/// The ends of resets that are wanted: ports are alternatives, networks are alternatives, and both must hold.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Wanted {
    /// 1: whatever the ports are.
    any_port: u32,
    /// 1: whatever the addresses are.
    any_net: u32,
    ports: [u32; MOST],
    nets: [Net; MOST],
}

impl Wanted {
    /// Those with one of the ports and one of the networks at either end; where there are none of a kind, or more than
    /// [`MOST`], that kind lets everything pass. `None` if that leaves nothing to decide.
    pub fn new(ports: &[u16], nets: &[Net]) -> Option<Self> {
        let decides = |given: usize| (1..=MOST).contains(&given);
        let (by_port, by_net) = (decides(ports.len()), decides(nets.len()));
        (by_port || by_net).then(|| Self {
            any_port: u32::from(!by_port),
            any_net: u32::from(!by_net),
            ports: core::array::from_fn(|at| ports.get(at).map_or(NO_PORT, |&port| port.into())),
            nets: core::array::from_fn(|at| *nets.get(at).unwrap_or(&Net::EMPTY)),
        })
    }

    /// Whether a reset between these ends is handed over.
    #[inline(always)]
    pub fn lets_pass(&self, src: &Endpoint, dst: &Endpoint) -> bool {
        let (mut port, mut net) = (self.any_port, self.any_net);
        for wanted in &self.ports {
            port |= bits::less(wanted ^ src.port, 1) | bits::less(wanted ^ dst.port, 1);
        }
        for wanted in &self.nets {
            net |= bits::less(wanted.differs(&src.address), 1)
                | bits::less(wanted.differs(&dst.address), 1);
        }
        port & net != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(ip: &str, port: u16) -> Endpoint {
        Endpoint { address: Address::from_ip(ip.parse().unwrap()), port: port.into() }
    }

    fn net(ip: &str, prefix: u8) -> Net {
        Net::new(Address::from_ip(ip.parse().unwrap()), prefix)
    }

    fn passes(wanted: &Wanted, src: (&str, u16), dst: (&str, u16)) -> bool {
        wanted.lets_pass(&end(src.0, src.1), &end(dst.0, dst.1))
    }

    #[test]
    fn a_port_at_either_end_is_enough() {
        let wanted = Wanted::new(&[443, 0], &[]).unwrap();
        assert!(passes(&wanted, ("10.0.0.1", 443), ("10.0.0.2", 5)));
        assert!(passes(&wanted, ("10.0.0.1", 5), ("10.0.0.2", 443)));
        assert!(passes(&wanted, ("::1", 0), ("::2", 5)));
        assert!(!passes(&wanted, ("10.0.0.1", 5), ("10.0.0.2", 6)));
    }

    #[test]
    fn networks_are_of_either_family_and_any_length() {
        let nets = [net("10.1.0.0", 16), net("2001:db8::", 33), net("192.0.2.7", 32)];
        let wanted = Wanted::new(&[], &nets).unwrap();
        for (address, holds) in [
            ("10.1.255.255", true),
            ("10.2.0.0", false),
            ("192.0.2.7", true),
            ("192.0.2.6", false),
            ("2001:db8:7fff::1", true),
            ("2001:db8:8000::1", false),
            ("::10.1.0.1", false),
        ] {
            let other = if address.contains(':') { "fe80::1" } else { "172.16.0.1" };
            assert_eq!(passes(&wanted, (address, 1), (other, 2)), holds, "{address}");
            assert_eq!(passes(&wanted, (other, 1), (address, 2)), holds, "{address}");
        }
        let all = Wanted::new(&[], &[net("0.0.0.0", 0)]).unwrap();
        assert!(passes(&all, ("1.2.3.4", 1), ("5.6.7.8", 2)));
        assert!(!passes(&all, ("::1", 1), ("::2", 2)), "IPv6 is no part of 0.0.0.0/0");
    }

    #[test]
    fn both_kinds_must_hold_and_too_many_decide_nothing() {
        let wanted = Wanted::new(&[80], &[net("10.0.0.0", 8)]).unwrap();
        assert!(passes(&wanted, ("10.0.0.1", 80), ("172.16.0.1", 9)));
        assert!(!passes(&wanted, ("10.0.0.1", 81), ("172.16.0.1", 9)));
        assert!(!passes(&wanted, ("11.0.0.1", 80), ("172.16.0.1", 9)));
        let many: [u16; MOST + 1] = core::array::from_fn(|port| port as u16);
        assert_eq!(Wanted::new(&many, &[]), None);
        assert_eq!(Wanted::new(&[], &[]), None);
        let half = Wanted::new(&many, &[net("10.0.0.0", 8)]).unwrap();
        assert!(passes(&half, ("10.0.0.1", 999), ("172.16.0.1", 9)));
    }
}
