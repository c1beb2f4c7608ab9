//! Flow identity: a keyed, symmetric 64-bit hash of the two endpoints.
//!
//! In: a segment's endpoints and the secret keys. Out: the bucket, the tag and which side spoke.
//! IPv4 and IPv6 cost the same, both directions meet in one entry, and no full key is built on the
//! fast path: the whole tuple is kept in the flow and checked when a reset is reported.

use super::WAYS;
use crate::{bits, wire::Endpoint};

/// Secret keys, drawn at start-up, so that collisions cannot be provoked from outside.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys(pub [u32; 6]);

/// Which flow a segment belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The whole hash; names the flow in records.
    pub hash: u64,
    /// The hash of the end that spoke.
    pub source: u64,
    /// Which of the two ends spoke: 0 or 1, stable for the life of the keys.
    pub side: u32,
}

impl Identity {
    /// The identity of a segment from `src` to `dst`.
    #[inline(always)]
    pub fn of(src: &Endpoint, dst: &Endpoint, keys: &Keys) -> Self {
        let (from, to) = (mix(src, keys), mix(dst, keys));
        let side = bits::less_wide(to, from);
        // Both are mixed: their sum is as good a hash as either, and needs no more mixing.
        Self { hash: from.wrapping_add(to), source: from, side }
    }

    /// What is compared within a bucket; never 0, which marks an empty entry.
    #[inline(always)]
    pub const fn tag(&self) -> u32 {
        self.hash as u32 | 1
    }

    /// The bucket, for a table of `mask + 1` buckets.
    #[inline(always)]
    pub const fn bucket(&self, mask: u32) -> u32 {
        (self.hash >> 32) as u32 & mask
    }

    /// The way that the search in the bucket looks at after `distance` others.
    #[inline(always)]
    pub const fn way(&self, distance: u32) -> u32 {
        ((self.hash >> 29) as u32).wrapping_add(distance) % WAYS
    }
}

/// NH, the universal hash of UMAC (RFC 4418 section 5.2): two different endpoints collide with
/// probability 2^-32 whatever they are, as long as the keys are unknown. Then a public bijection: sums of bare
/// ones would stay when the two ends exchange their ports, or one counts up while the other counts down.
#[inline(always)]
fn mix(end: &Endpoint, keys: &Keys) -> u64 {
    let k = &keys.0;
    let [a, b, c, d] = end.address.0;
    let pair = |x: u32, y: u32| u64::from(x).wrapping_mul(u64::from(y));
    finish(
        pair(a.wrapping_add(k[0]), b.wrapping_add(k[1]))
            .wrapping_add(pair(c.wrapping_add(k[2]), d.wrapping_add(k[3])))
            .wrapping_add(pair(end.port.wrapping_add(k[4]), k[5] | 1)),
    )
}

/// The finaliser of MurmurHash3, a bijection on 64 bits.
#[inline(always)]
const fn finish(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^= x >> 33;
    x = x.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ x >> 33
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Address;

    fn end(ip: u32, port: u32) -> Endpoint {
        Endpoint { address: Address::v4(ip), port }
    }

    #[test]
    fn both_directions_meet_and_the_sides_differ() {
        let keys = Keys([1, 2, 3, 4, 5, 6]);
        let (a, b) = (end(0x0a00_0001, 443), end(0x0a00_0002, 50_000));
        let (there, back) = (Identity::of(&a, &b, &keys), Identity::of(&b, &a, &keys));
        assert_eq!(there.hash, back.hash);
        assert_ne!(there.side, back.side);
    }

    #[test]
    fn other_keys_give_another_place() {
        let (a, b) = (end(0x0a00_0001, 443), end(0x0a00_0002, 50_000));
        let one = Identity::of(&a, &b, &Keys([1, 2, 3, 4, 5, 6]));
        let two = Identity::of(&a, &b, &Keys([7, 8, 9, 10, 11, 12]));
        assert_ne!(one.hash, two.hash);
    }

    #[test]
    fn ports_that_count_against_each_other_spread_over_buckets() {
        let keys = Keys([0x9e37_79b9, 0x85eb_ca6b, 0xc2b2_ae35, 0x27d4_eb2f, 0x1656_67b1, 77]);
        let mut buckets = [0_u32; 64];
        for port in 1024..9216 {
            let id = Identity::of(&end(1, port), &end(2, 20_000 - port), &keys);
            buckets[id.bucket(63) as usize] += 1;
        }
        assert!(buckets.iter().all(|&n| (64..256).contains(&n)), "{buckets:?}");
        let [one, other] =
            [(1, 2), (2, 1)].map(|(a, b)| Identity::of(&end(7, a), &end(8, b), &keys).hash);
        assert_ne!(one, other, "the ends exchanged their ports");
    }

    #[test]
    fn neighbouring_ports_spread_over_buckets() {
        let keys = Keys([0x9e37_79b9, 0x85eb_ca6b, 0xc2b2_ae35, 0x27d4_eb2f, 0x1656_67b1, 77]);
        let mut buckets = [0_u32; 64];
        for port in 1024..9216 {
            let id = Identity::of(&end(1, port), &end(2, 80), &keys);
            buckets[id.bucket(63) as usize] += 1;
        }
        assert!(buckets.iter().all(|&n| (64..256).contains(&n)), "{buckets:?}");
    }
}
