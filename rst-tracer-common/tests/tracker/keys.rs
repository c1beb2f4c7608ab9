//! Whoever knew the keys of the hash could fill one bucket. What somebody prepared against guessed keys is no use
//! against those of this boot.

use rst_tracer_common::{
    flow::{Identity, Keys},
    wire::{Address, Endpoint},
};

const BUCKETS: usize = 256;
const ATTACK: usize = 4096;

fn v4(n: u32) -> Endpoint {
    Endpoint { address: Address::v4(0x0b00_0000 + (n >> 8)), port: 1024 + (n & 0xff) }
}

fn v6(n: u32) -> Endpoint {
    let address = Address([0x2001_0db8, n >> 20, n >> 8 & 0xfff, 1]);
    Endpoint { address, port: 1024 + (n & 0xff) }
}

#[test]
fn connections_that_collide_under_one_key_spread_under_another() {
    let mask = BUCKETS as u32 - 1;
    let guessed = Keys([11, 12, 13, 14, 15, 17]);
    let drawn = Keys([0x9e37_79b9, 0x85eb_ca6b, 0xc2b2_ae35, 0x27d4_eb2f, 0x1656_67b1, 77]);
    let target = v4(0xff);
    for attacker in [v4, v6] {
        let bucket = |keys, n| Identity::of(&attacker(n), &target, keys).bucket(mask) as usize;
        let colliding: Vec<u32> =
            (1 << 16..).filter(|&n| bucket(&guessed, n) == 0).take(ATTACK).collect();
        let mut filled = [0_usize; BUCKETS];
        colliding.iter().for_each(|&n| filled[bucket(&drawn, n)] += 1);
        // 16 each, and Poisson's spread around it: 48 comes once in 10^10.
        assert!(filled.iter().all(|&n| n < 48), "{filled:?}");
        assert!(filled.iter().filter(|&&n| n == 0).count() < 4, "{filled:?}");
    }
}
