//! Talkers: a few pairs of ends that say plausible things, and sometimes implausible ones.
//!
//! A move is abstract ("the client of pair 3 acknowledges"), its numbers follow from what was said
//! before: so connections get deep, and stay so when a script is shrunk.

use proptest::{collection::vec, prelude::*};
use rst_tracer_tests::frames::{
    Layer, Tcp, V4, V6,
    flags::{ACK, FIN, PSH, RST, SYN},
};

/// Pairs of ends; more than the table has room for.
const PAIRS: usize = 24;
/// Most moves are those of the first few pairs.
const REGULARS: usize = 7;

/// What one side of a pair does.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    pair: usize,
    pub(crate) by_client: bool,
    says: Says,
    options: Vec<u8>,
    ttl: u8,
    window: u16,
}

#[derive(Clone, Debug)]
enum Says {
    /// SYN, with another initial number than before or the same.
    Syn {
        renewed: bool,
        isn: u32,
    },
    SynAck,
    Ack,
    Data(Vec<u8>),
    /// The last data once more.
    Again,
    /// One before the next number.
    Probe,
    Fin,
    /// The very next number, or so far off.
    Rst {
        off: u32,
        ack: bool,
    },
    /// Anything.
    Noise {
        flags: u8,
        seq: u32,
        ack: u32,
        len: usize,
        relative: bool,
    },
}

pub(crate) fn moves() -> impl Strategy<Value = Move> {
    let pair = prop_oneof![3 => 0..REGULARS, 1 => 0..PAIRS];
    let window = prop_oneof![5 => Just(502), 1 => Just(0), 1 => any::<u16>()];
    let ttl = prop_oneof![9 => Just(64), 1 => any::<u8>()];
    (pair, any::<bool>(), says(), options(), ttl, window).prop_map(
        |(pair, by_client, says, options, ttl, window)| Move {
            pair,
            by_client,
            says,
            options,
            ttl,
            window,
        },
    )
}

fn says() -> impl Strategy<Value = Says> {
    let isn = prop_oneof![any::<u32>(), Just(u32::MAX - 3), Just(0)];
    let payload = prop_oneof![
        4 => vec(any::<u8>(), 1..24),
        1 => vec(any::<u8>(), 60..200),
        1 => telling_words(),
    ];
    let off = prop_oneof![3 => Just(0), 1 => 0_u32..70_000, 1 => any::<u32>()];
    let flags = prop_oneof![any::<u8>(), Just(SYN | FIN), Just(SYN | RST), Just(0)];
    let near = prop_oneof![0_u32..4000, any::<u32>()];
    prop_oneof![
        4 => (prop::bool::weighted(0.5), isn).prop_map(|(renewed, isn)| Says::Syn { renewed, isn }),
        4 => Just(Says::SynAck),
        8 => Just(Says::Ack),
        8 => payload.prop_map(Says::Data),
        2 => Just(Says::Again),
        1 => Just(Says::Probe),
        1 => Just(Says::Fin),
        3 => (off, any::<bool>()).prop_map(|(off, ack)| Says::Rst { off, ack }),
        1 => (flags, near.clone(), near, 0_usize..80, any::<bool>()).prop_map(
            |(flags, seq, ack, len, relative)| Says::Noise { flags, seq, ack, len, relative }
        ),
    ]
}

/// What may be last words, whole or cut, and what only begins like them.
fn telling_words() -> impl Strategy<Value = Vec<u8>> {
    let words: [&[u8]; 5] = [
        &[21, 3, 3, 0, 2, 2, 40],
        &[21, 3, 1, 0, 26, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"HELO mail.example",
        &[21, 2, 0, 0, 0, 0, 0],
    ];
    let words = proptest::sample::select(words.map(<[u8]>::to_vec).to_vec());
    let cut = prop_oneof![3 => Just(usize::MAX), 1 => 1_usize..18];
    (words, cut).prop_map(|(mut words, cut)| {
        words.truncate(cut);
        words
    })
}

/// No options, the usual ones, any bytes.
fn options() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        &[1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 8][..],
        &[2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7],
        &[1, 1, 5, 10, 0, 0, 1, 0, 0, 0, 2, 0],
        &[1, 1, 5, 18, 0, 0, 1, 0, 0, 0, 2, 0, 255, 0, 0, 0, 255, 255, 0, 0],
        &[30, 4, 0x80, 2],
        &[30, 8, 0x20, 0, 0, 0, 0, 0, 30, 4, 0x80, 1],
        &[34, 6, 1, 2, 3, 4, 1, 1],
        &[3, 0, 0, 0],
    ];
    let known = proptest::sample::select(known.map(<[u8]>::to_vec).to_vec());
    // Bytes that are likely kinds and lengths.
    let byte = prop_oneof![3 => 0_u8..12, 1 => any::<u8>()];
    let any = vec(byte, 0..=40).prop_map(|mut bytes| {
        bytes.truncate(bytes.len() / 4 * 4);
        bytes
    });
    prop_oneof![3 => Just(Vec::new()), 3 => known, 1 => any]
}

/// What has been said so far.
pub(crate) struct Talkers(Vec<Pair>);

/// Next sequence number of each side; the client stands first.
#[derive(Clone, Copy)]
struct Pair {
    next: [u32; 2],
    isn: [u32; 2],
}

impl Default for Talkers {
    fn default() -> Self {
        let pair = |i: usize| {
            let isn = [0x1000_0000_u32.wrapping_mul(i as u32), u32::MAX - 40 * i as u32];
            Pair { next: isn.map(|isn| isn.wrapping_add(1)), isn }
        };
        Self((0..PAIRS).map(pair).collect())
    }
}

impl Talkers {
    /// The packet of a move, up to its IP header.
    pub(crate) fn say(&mut self, step: &Move) -> Layer {
        let segment = self.segment(step);
        address(step, segment)
    }

    fn segment(&mut self, step: &Move) -> Tcp {
        let pair = &mut self.0[step.pair];
        let (me, peer) = if step.by_client { (0, 1) } else { (1, 0) };
        let (next, ack) = (pair.next[me], pair.next[peer]);
        let with = |flags, seq, ack, payload| Tcp {
            flags,
            seq,
            ack,
            payload,
            window: step.window,
            options: step.options.clone(),
            ..Tcp::default()
        };
        let moved = |pair: &mut Pair, by: usize| {
            pair.next[me] = next.wrapping_add(by as u32);
        };
        match &step.says {
            Says::Syn { renewed, isn } => {
                if *renewed {
                    pair.isn[me] = *isn;
                    pair.next[me] = isn.wrapping_add(1);
                }
                with(SYN, pair.isn[me], 0, Vec::new())
            }
            Says::SynAck => with(SYN | ACK, pair.isn[me], ack, Vec::new()),
            Says::Ack => with(ACK, next, ack, Vec::new()),
            Says::Data(payload) => {
                moved(pair, payload.len());
                with(PSH | ACK, next, ack, payload.clone())
            }
            Says::Again => with(PSH | ACK, next.wrapping_sub(5), ack, vec![7; 5]),
            Says::Probe => with(ACK, next.wrapping_sub(1), ack, Vec::new()),
            Says::Fin => {
                moved(pair, 1);
                with(FIN | ACK, next, ack, Vec::new())
            }
            Says::Rst { off, ack: with_ack } => {
                let (flags, ack) = if *with_ack { (RST | ACK, ack) } else { (RST, 0) };
                with(flags, next.wrapping_add(*off), ack, Vec::new())
            }
            Says::Noise { flags, seq, ack: noise, len, relative } => {
                let base = if *relative { [next, ack] } else { [0, 0] };
                let numbers = [base[0].wrapping_add(*seq), base[1].wrapping_add(*noise)];
                with(*flags, numbers[0], numbers[1], vec![9; *len])
            }
        }
    }
}

/// Puts a segment between the ends of its pair: every third pair speaks IPv6.
fn address(step: &Move, segment: Tcp) -> Layer {
    let number = step.pair as u8;
    let ports = Tcp { from: 30_000 + u16::from(number), to: 80, ..segment };
    let segment = if step.by_client { ports } else { ports.back() };
    let layer = segment.layer();
    if step.pair % 3 == 2 {
        let header = V6 { ttl: step.ttl, label: u32::from(number), ..V6::default() };
        layer.in_v6(if step.by_client { header } else { header.back() })
    } else {
        let id = u16::from(step.ttl) * 3;
        let header = V4 { ttl: step.ttl, id, from: [10, 0, 1, number], ..V4::default() };
        layer.in_v4(if step.by_client { header } else { header.back() })
    }
}
