//! One direction of a cable: which frame comes out when.
//!
//! In: frames with the moment at which they went in. Out: the same frames, each when it is due. No clock and no socket.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::ends::OFFLOAD_HEADER;

/// More than this is not under way at the same time: what goes in beyond it is lost.
const MOST_BYTES: usize = 64 << 20;

/// What a way does to frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conduct {
    /// How long every frame takes at least.
    pub delay: Duration,
    /// How much longer one may take; those behind it wait for it.
    pub jitter: Duration,
    /// Which TCP frame of each direction is lost, counted from 1.
    pub loses: Option<u64>,
    /// Which takes half the time, and comes out before what went in shortly before it.
    pub hurries: Option<u64>,
}

impl Conduct {
    /// Every frame takes so many milliseconds, no more and no less.
    pub fn of_ms(ms: u64) -> Self {
        Self { delay: Duration::from_millis(ms), ..Self::default() }
    }
}

/// The frames under way in one direction.
#[derive(Debug)]
pub(super) struct Line {
    conduct: Conduct,
    /// In the order in which they are due.
    under_way: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    /// When the last frame that kept the order is due.
    last_due: Option<Instant>,
    tcp_frames: u64,
    overflow: u64,
    dice: u64,
}

impl Line {
    pub(super) fn new(conduct: Conduct) -> Self {
        let under_way = VecDeque::new();
        let dice = 0x9e37_79b9_7f4a_7c15;
        Self { conduct, under_way, bytes: 0, last_due: None, tcp_frames: 0, overflow: 0, dice }
    }

    /// A frame, with its offload header, goes in.
    pub(super) fn take(&mut self, frame: Vec<u8>, now: Instant) {
        if self.bytes + frame.len() > MOST_BYTES {
            self.overflow += 1;
            return;
        }
        let mut due = now;
        // Neighbours are found on one's own link, which is short: else a handshake would be measured too long.
        if !is_neighbourly(&frame) {
            let number = is_tcp(&frame).then(|| {
                self.tcp_frames += 1;
                self.tcp_frames
            });
            if number.is_some() && number == self.conduct.loses {
                return;
            }
            if number.is_some() && number == self.conduct.hurries {
                due += self.conduct.delay / 2;
            } else {
                due += self.conduct.delay + self.roll();
                due = self.last_due.map_or(due, |last| last.max(due));
                self.last_due = Some(due);
            }
        }
        self.bytes += frame.len();
        let behind = self.under_way.partition_point(|(other, _)| *other <= due);
        self.under_way.insert(behind, (due, frame));
    }

    /// The next frame that is to come out by now.
    pub(super) fn give(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.next_due().filter(|due| *due <= now)?;
        let (_, frame) = self.under_way.pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
    }

    /// When the next frame is to come out.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.under_way.front().map(|(due, _)| *due)
    }

    /// How many frames found no room since the last call.
    pub(super) fn take_overflow(&mut self) -> u64 {
        std::mem::take(&mut self.overflow)
    }

    /// Between nothing and the jitter (Marsaglia's xorshift: the same in every run).
    fn roll(&mut self) -> Duration {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.conduct.jitter.mul_f64((self.dice >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// Of IPv4 or IPv6, without options before TCP, as the laboratory's frames are: the protocol and what follows.
fn transport(frame: &[u8]) -> Option<(u8, &[u8])> {
    let (kind, ip) = (frame.get(OFFLOAD_HEADER + 12..)?, frame.get(OFFLOAD_HEADER + 14..)?);
    match kind {
        [0x08, 0x00, ..] => {
            let length = usize::from(ip.first()? & 15) * 4;
            Some((*ip.get(9)?, ip.get(length..)?))
        }
        [0x86, 0xdd, ..] => Some((*ip.get(6)?, ip.get(40..)?)),
        _ => None,
    }
}

fn is_tcp(frame: &[u8]) -> bool {
    matches!(transport(frame), Some((6, _)))
}

/// ARP, or a message of neighbour discovery (RFC 4861: ICMPv6 types 133 to 137).
fn is_neighbourly(frame: &[u8]) -> bool {
    const ICMPV6: u8 = 58;
    match transport(frame) {
        Some((ICMPV6, message)) => matches!(message, [133..=137, ..]),
        Some(_) => false,
        None => frame.get(OFFLOAD_HEADER + 12..OFFLOAD_HEADER + 14) == Some(&[0x08, 0x06]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn tcp(name: u8) -> Vec<u8> {
        let mut frame = vec![0; OFFLOAD_HEADER + 14 + 20];
        frame[OFFLOAD_HEADER + 12..][..3].copy_from_slice(&[0x08, 0x00, 0x45]);
        frame[OFFLOAD_HEADER + 14 + 9] = 6;
        frame.push(name);
        frame
    }

    fn arp() -> Vec<u8> {
        let mut frame = vec![0; OFFLOAD_HEADER + 14];
        frame[OFFLOAD_HEADER + 12..].copy_from_slice(&[0x08, 0x06]);
        frame
    }

    /// In which order and after how long frames come out that go in one millisecond after the other.
    fn fares(conduct: Conduct, frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<(u8, Duration)> {
        let (mut line, start) = (Line::new(conduct), Instant::now());
        let mut went_in = Vec::new();
        for (frame, n) in frames.into_iter().zip(0..) {
            went_in.push(*frame.last().expect("a frame"));
            line.take(frame, start + MS * n);
        }
        let mut out = Vec::new();
        while let Some(due) = line.next_due() {
            assert_eq!(
                line.give(due - Duration::from_nanos(1)),
                None,
                "it comes out when it is due"
            );
            let name = *line.give(due).expect("it is due").last().expect("a frame");
            let n = went_in.iter().position(|one| *one == name).expect("it went in");
            out.push((name, due - (start + MS * n as u32)));
        }
        assert_eq!(line.bytes, 0);
        out
    }

    #[test]
    fn every_frame_takes_its_time_and_neighbours_take_none() {
        let out = fares(Conduct::of_ms(40), [tcp(1), arp(), tcp(2)]);
        assert_eq!(out, [(6, Duration::ZERO), (1, MS * 40), (2, MS * 40)]);
    }

    #[test]
    fn jitter_keeps_the_order_and_its_bound() {
        let conduct = Conduct { jitter: MS * 20, ..Conduct::of_ms(40) };
        let out = fares(conduct, (1..=100).map(tcp));
        assert!(out.is_sorted_by_key(|(name, _)| *name) && out.len() == 100);
        assert!(out.iter().all(|(_, took)| (MS * 40..MS * 60).contains(took)), "{out:?}");
        assert!(out.iter().any(|(_, took)| *took > MS * 50), "it never jittered: {out:?}");
    }

    #[test]
    fn one_is_lost_and_one_hurries() {
        let conduct = Conduct { loses: Some(2), hurries: Some(4), ..Conduct::of_ms(40) };
        let out = fares(conduct, [tcp(1), tcp(2), tcp(3), tcp(4), tcp(5)]);
        assert_eq!(out, [(4, MS * 20), (1, MS * 40), (3, MS * 40), (5, MS * 40)]);
    }

    #[test]
    fn what_is_under_way_is_bounded() {
        let (mut line, now) = (Line::new(Conduct::of_ms(40)), Instant::now());
        for _ in 0..MOST_BYTES / 65_536 + 2 {
            line.take(vec![0; 65_536], now);
        }
        assert_eq!((line.bytes, line.take_overflow(), line.take_overflow()), (MOST_BYTES, 2, 0));
    }
}
