//! Connections in full swing: what the short way takes in, and all that looks nearly like it.
//!
//! In: a number that decides everything. Out: frames of one connection, most of them data and ACKs, seen where a
//! server's host sees them.

use rst_tracer_tests::{
    frames::{Tcp, V4, V6, ether, flags, padded, tcp},
    kernel::Program,
};

use crate::script::Action;

/// Segments behind the handshake.
const SEGMENTS: u32 = 200;
/// NOP NOP TIMESTAMPS, whose value is put in.
const STAMPS: [u8; 12] = [1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 9];

/// xorshift64* (Vigna, 2016).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        ((high * u64::from(bound)) >> 32) as u32
    }

    /// One time in so many.
    fn rarely(&mut self, times: u32) -> bool {
        self.below(times) == 0
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u32) as usize]
    }
}

/// What a connection looks like from end to end.
struct Swing {
    dice: Dice,
    is_v6: bool,
    is_stamped: bool,
    is_tagged: bool,
    /// The next sequence numbers: the client's, the server's.
    next: [u32; 2],
    clock: u32,
}

/// The frames of connection number `seed`.
pub(crate) fn connection(seed: u64) -> Vec<Action> {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let starts = [u32::MAX - 70_000, 0x7fff_0000, 1, 4_000_000_000];
    let mut swing = Swing {
        is_v6: dice.rarely(3),
        is_stamped: !dice.rarely(3),
        is_tagged: dice.rarely(6),
        next: [dice.one_of(&starts), dice.one_of(&starts)],
        clock: 77,
        dice,
    };
    let mut actions = vec![];
    // Some are older than the tracer.
    let handshake = [(0, flags::SYN), (1, flags::SYN | flags::ACK), (0, flags::ACK)];
    let is_older = seed.is_multiple_of(3);
    for (me, bits) in handshake.into_iter().skip(if is_older { 3 } else { 0 }) {
        actions.push(swing.segment(me, bits, 0, 0));
        swing.next[me] = swing.next[me].wrapping_add(u32::from(bits & flags::SYN != 0));
    }
    // In some, one side speaks for long: its segments take the slots of the other one's last.
    let turns = swing.dice.one_of(&[2, 2, 30]);
    let mut me = 0;
    for _ in 0..SEGMENTS {
        me ^= usize::from(swing.dice.rarely(turns));
        actions.push(swing.step(me));
    }
    actions
}

impl Swing {
    /// One segment of a side.
    fn step(&mut self, me: usize) -> Action {
        const ACK: u8 = flags::ACK;
        match self.dice.below(100) {
            0..55 => {
                let len = self.dice.one_of(&[1, 2, 7, 64, 536, 1448]);
                let push = self.dice.one_of(&[0, flags::PSH]);
                let action = self.segment(me, ACK | push, 0, len);
                self.next[me] = self.next[me].wrapping_add(len as u32);
                action
            }
            55..80 => self.segment(me, ACK, 0, 0),
            // Said before, at once or long ago; a probe; beyond what was said.
            80..84 => {
                let back = self.dice.one_of(&[1, 64, 1448, 1 << 20]);
                let len = self.dice.one_of(&[0, 1, 64]);
                self.segment(me, ACK, -back, len)
            }
            84..86 => {
                let gap = self.dice.one_of(&[1, 5_000, 1 << 30, i32::MAX]);
                let len = self.dice.one_of(&[0, 64]);
                self.segment(me, ACK, gap, len)
            }
            86..90 => {
                // ECE, CWR, URG, and what no segment amid a connection has.
                let bits = self.dice.one_of(&[0x50, 0x90, 0x30, 0x18 | 0x40, 0, flags::SYN]);
                self.segment(me, bits, 0, 64)
            }
            90..99 => {
                let len = self.dice.one_of(&[0, 100]);
                let action = self.segment(me, ACK, 0, len);
                self.next[me] = self.next[me].wrapping_add(len as u32);
                action
            }
            _ if self.dice.rarely(4) => self.segment(me, ACK | flags::FIN, 0, 0),
            _ if self.dice.rarely(4) => self.segment(me, flags::RST, 0, 0),
            _ => self.segment(me, ACK, 0, 0),
        }
    }

    /// A segment `off` bytes from where the side stands, with odd things about it now and then.
    fn segment(&mut self, me: usize, bits: u8, off: i32, len: usize) -> Action {
        self.clock += self.dice.below(3);
        let mut payload = vec![b'.'; len];
        if let Some(first) = payload.first_mut() {
            // Words that may be the last begin so: an alert, a status line.
            *first = self.dice.one_of(&[b'.', b'.', b'.', b'.', 21, b'H']);
        }
        if payload.len() >= 64 && self.dice.rarely(8) {
            payload[..9].copy_from_slice(b"HTTP/1.1 ");
        }
        let mut options = if self.is_stamped { STAMPS.to_vec() } else { vec![] };
        if self.is_stamped {
            options[4..8].copy_from_slice(&self.clock.to_be_bytes());
        }
        if self.dice.rarely(30) {
            // SACK, timestamps in another order, a broken option, padding.
            let sack = [1, 1, 5, 10, 0, 0, 1, 0, 0, 0, 2, 0];
            let other = [8, 10, 0, 0, 0, 9, 0, 0, 0, 9, 1, 1];
            options = self.dice.one_of(&[sack, other, [9; 12], [1; 12]]).to_vec();
        }
        let acked = self.next[me ^ 1].wrapping_sub(if self.dice.rarely(9) { 3_000 } else { 0 });
        let segment = Tcp {
            flags: bits,
            seq: self.next[me].wrapping_add_signed(off),
            ack: acked,
            window: if self.dice.rarely(40) { 0 } else { 500 + self.dice.below(2) as u16 },
            reserved: if self.dice.rarely(60) { 1 } else { 0 },
            words: self.dice.rarely(80).then_some(4),
            options,
            payload,
            ..Tcp::default()
        };
        let frame = self.wrapped(me, segment);
        // Now and then at another place of the host.
        let at = if self.dice.rarely(50) { me ^ 1 } else { me };
        Action::Frame([Program::XdpIngress, Program::TcEgress][at], frame)
    }

    fn wrapped(&mut self, me: usize, segment: Tcp) -> Vec<u8> {
        let ttl = if self.dice.rarely(50) { 57 } else { 64 };
        let tos = if self.dice.rarely(20) { 0x10 } else { 0 };
        let is_back = me == 1;
        let segment = if is_back { segment.back() } else { segment };
        let layer = if self.is_v6 {
            let header = V6 { ttl, tos, ..V6::default() };
            tcp(segment).in_v6(if is_back { header.back() } else { header })
        } else {
            let header = V4 {
                ttl,
                tos,
                id: self.dice.below(65_536) as u16,
                fragment: self.dice.one_of(&[0x4000, 0x4000, 0x4000, 0, 0x2000]),
                options: if self.dice.rarely(60) { vec![1; 4] } else { vec![] },
                total_len: self.dice.rarely(80).then_some(41),
                ..V4::default()
            };
            tcp(segment).in_v4(if is_back { header.back() } else { header })
        };
        let layer = if self.is_tagged { layer.tagged(ether::VLAN, 10) } else { layer };
        if self.dice.rarely(40) { padded(layer.frame(), 6) } else { layer.frame() }
    }
}
