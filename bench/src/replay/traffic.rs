//! A capture as a busy server's network would write it: connections that open, talk in turns and end.
//!
//! In: how many segments, in how many connections. Out: a pcap file, and how many resets are in it.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context, Result};
use rst_tracer_tests::frames::flags;

use super::template::{Options, Template};
use crate::random::Random;

/// How large a capture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) segments: u32,
    pub(crate) flows: u32,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) segments: u32,
    pub(crate) flows: u32,
    pub(crate) resets: u32,
    pub(crate) bytes: u64,
}

/// Writes a capture to a file.
pub(crate) fn write(path: &Path, size: Size) -> Result<Written> {
    let context = || format!("writing {}", path.display());
    let file = File::create(path).with_context(context)?;
    let mut traffic = Traffic::new(BufWriter::with_capacity(1 << 20, file), size)?;
    traffic.run().with_context(context)?;
    let file = traffic.out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    // What is still on its way to the disk would disturb what is measured.
    file.sync_all().with_context(context)?;
    Ok(traffic.written)
}

/// A connection.
#[derive(Clone, Copy, Debug)]
struct Conversation {
    client: u32,
    server: u32,
    port: u16,
    is_v6: bool,
    /// Whether segments carry timestamps.
    is_stamped: bool,
    /// Whether responses begin as HTTP in plain text does, and not as TLS.
    is_plain: bool,
    /// What each side sends next: client, server.
    next: [u32; 2],
    /// Requests that are still to come.
    requests: u32,
    /// Segments of the response to the last one that are still to come.
    response: u32,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Opening,
    Talking,
    Over,
}

/// Who sends a segment.
const CLIENT: usize = 0;
const SERVER: usize = 1;
/// A full segment over Ethernet with timestamps.
const FULL: u32 = 1448;
/// Segments that a connection has beside its requests and what comes back: two handshakes.
const FRAME_OF_A_FLOW: u32 = 6;
/// Segments of a request with its response and what acknowledges it, about.
const EXCHANGE: u32 = 6;

struct Traffic<W> {
    out: W,
    size: Size,
    random: Random,
    templates: Vec<Template>,
    words: [Vec<u8>; 3],
    live: Vec<Conversation>,
    time_us: u64,
    written: Written,
}

impl<W: Write> Traffic<W> {
    fn new(mut out: W, size: Size) -> Result<Self> {
        out.write_all(&0xa1b2_c3d4_u32.to_le_bytes())?;
        out.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
        out.write_all(&262_144_u32.to_le_bytes())?;
        out.write_all(&1_u32.to_le_bytes())?;
        let families = [false, true];
        let templates = families.iter().flat_map(|v6| Options::ALL.map(|o| Template::new(*v6, o)));
        let words = [&b"GET /index.html HTTP/1.1\r\n"[..], b"HTTP/1.1 200 OK\r\n", b"\x17\x03\x03"];
        let words = words.map(|first| {
            let mut bytes = vec![b'.'; FULL as usize];
            bytes[..first.len()].copy_from_slice(first);
            bytes
        });
        let mut traffic = Self {
            out,
            size,
            random: Random::new(0x6a09_e667_f3bc_c908),
            templates: templates.collect(),
            words,
            live: Vec::new(),
            time_us: 1_700_000_000_000_000,
            written: Written { bytes: 24, ..Written::default() },
        };
        for _ in 0..(size.flows / 8).max(1) {
            let begun = traffic.begin();
            traffic.live.push(begun);
        }
        Ok(traffic)
    }

    /// Connections take turns until there are enough segments.
    fn run(&mut self) -> std::io::Result<()> {
        while self.written.segments < self.size.segments {
            let at = self.random.below(self.live.len() as u32) as usize;
            let mut one = self.live[at];
            self.take_turn(&mut one)?;
            self.live[at] = if one.phase == Phase::Over { self.begin() } else { one };
        }
        Ok(())
    }

    fn begin(&mut self) -> Conversation {
        let number = self.written.flows;
        self.written.flows += 1;
        let a_flow = self.size.segments / self.size.flows;
        let mean = (a_flow.saturating_sub(FRAME_OF_A_FLOW) / EXCHANGE).max(1);
        let random = &mut self.random;
        let is_plain = random.percent(30);
        Conversation {
            client: 0x0a01_0000 + number % 20_000,
            server: 0x0a02_0000 + random.below(200),
            port: (1024 + number / 20_000 + random.below(64) * 900) as u16,
            is_v6: random.percent(25),
            is_stamped: random.percent(85),
            is_plain,
            next: [random.next() as u32, random.next() as u32],
            // Most connections are short and some long.
            requests: random.below(mean + 1) + if random.percent(10) { mean * 4 } else { 0 },
            response: 0,
            phase: Phase::Opening,
        }
    }

    fn take_turn(&mut self, one: &mut Conversation) -> std::io::Result<()> {
        match one.phase {
            Phase::Opening => self.open(one),
            Phase::Talking if one.response > 0 => self.respond(one),
            Phase::Talking if one.requests > 0 => self.ask(one),
            _ => self.end(one),
        }
    }

    fn open(&mut self, one: &mut Conversation) -> std::io::Result<()> {
        self.send(one, CLIENT, flags::SYN, Options::Opening, 0)?;
        one.next[CLIENT] = one.next[CLIENT].wrapping_add(1);
        if self.random.percent(3) {
            self.send(one, SERVER, flags::RST | flags::ACK, Options::None, 0)?;
            one.phase = Phase::Over;
            return Ok(());
        }
        self.send(one, SERVER, flags::SYN | flags::ACK, Options::Opening, 0)?;
        one.next[SERVER] = one.next[SERVER].wrapping_add(1);
        one.phase = Phase::Talking;
        self.send(one, CLIENT, flags::ACK, Options::Stamped, 0)
    }

    fn ask(&mut self, one: &mut Conversation) -> std::io::Result<()> {
        one.requests -= 1;
        one.response = 1 + self.random.below(4);
        let len = 60 + self.random.below(400);
        self.send(one, CLIENT, flags::PSH | flags::ACK, Options::Stamped, len)?;
        self.send(one, SERVER, flags::ACK, Options::Stamped, 0)
    }

    /// Two segments and what acknowledges them.
    fn respond(&mut self, one: &mut Conversation) -> std::io::Result<()> {
        for _ in 0..one.response.min(2) {
            one.response -= 1;
            let len = if self.random.percent(15) { FULL } else { 20 + self.random.below(300) };
            self.send(one, SERVER, flags::PSH | flags::ACK, Options::Stamped, len)?;
        }
        self.send(one, CLIENT, flags::ACK, Options::Stamped, 0)
    }

    /// One in eight is reset, the others are closed.
    fn end(&mut self, one: &mut Conversation) -> std::io::Result<()> {
        one.phase = Phase::Over;
        if self.random.percent(12) {
            return self.send(one, CLIENT, flags::RST | flags::ACK, Options::None, 0);
        }
        for side in [CLIENT, SERVER] {
            self.send(one, side, flags::FIN | flags::ACK, Options::Stamped, 0)?;
            one.next[side] = one.next[side].wrapping_add(1);
        }
        self.send(one, CLIENT, flags::ACK, Options::Stamped, 0)
    }

    fn send(
        &mut self,
        one: &mut Conversation,
        side: usize,
        bits: u8,
        options: Options,
        len: u32,
    ) -> std::io::Result<()> {
        let options = match options {
            Options::Stamped if !one.is_stamped => Options::None,
            options => options,
        };
        let words = match (side, one.is_plain) {
            (_, false) => 2,
            (side, true) => side,
        };
        let template = &mut self.templates[usize::from(one.is_v6) * 3 + options as usize];
        let total = template.bytes.len() as u32 + len;
        let server_port = if one.is_plain { 80 } else { 443 };
        let mut ends = [(one.client, one.port), (one.server, server_port)];
        if side == SERVER {
            ends.reverse();
        }
        if template.is_v6 {
            template.put(18, &((total - 54) as u16).to_be_bytes());
            template.put(34, &ends[0].0.to_be_bytes());
            template.put(50, &ends[1].0.to_be_bytes());
        } else {
            template.put(16, &((total - 14) as u16).to_be_bytes());
            template.put(18, &(self.written.segments as u16).to_be_bytes());
            template.put(26, &ends[0].0.to_be_bytes());
            template.put(30, &ends[1].0.to_be_bytes());
        }
        let at = template.tcp;
        template.put(at, &ends[0].1.to_be_bytes());
        template.put(at + 2, &ends[1].1.to_be_bytes());
        template.put(at + 4, &one.next[side].to_be_bytes());
        let ack = if bits & flags::ACK == 0 { 0 } else { one.next[side ^ 1] };
        template.put(at + 8, &ack.to_be_bytes());
        template.put(at + 13, &[bits]);
        if options == Options::Stamped {
            template.put(at + 24, &((self.time_us / 1_000) as u32).to_be_bytes());
        }
        one.next[side] = one.next[side].wrapping_add(len);
        // A hundred thousand a second.
        self.time_us += u64::from(self.random.below(21));
        let header =
            [(self.time_us / 1_000_000) as u32, (self.time_us % 1_000_000) as u32, total, total];
        for field in header {
            self.out.write_all(&field.to_le_bytes())?;
        }
        self.out.write_all(&self.templates[usize::from(one.is_v6) * 3 + options as usize].bytes)?;
        self.out.write_all(&self.words[words][..len as usize])?;
        self.written.segments += 1;
        self.written.resets += u32::from(bits & flags::RST != 0);
        self.written.bytes += 16 + u64::from(total);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rst_tracer::source::{Record, replay::Replay};
    use rst_tracer_common::flow::Keys;

    use super::*;

    #[test]
    fn it_has_what_was_asked_for_and_every_segment_belongs_to_its_connection() {
        let size = Size { segments: 50_000, flows: 1_000 };
        let mut traffic = Traffic::new(Vec::new(), size).expect("memory");
        traffic.run().expect("memory");
        let written = traffic.written;
        assert_eq!(traffic.out.len() as u64, written.bytes);
        assert!(written.segments >= size.segments && written.flows >= size.flows, "{written:?}");
        let mut replay = Replay::new(1 << 16, true, Keys([1, 2, 3, 4, 5, 6])).expect("memory");
        let mut resets = 0;
        let read = replay.read(
            &"it".into(),
            &traffic.out[..],
            |_| {},
            |_, record| {
                resets += u32::from(matches!(record, Some(Record::Reset(_))));
                std::ops::ControlFlow::Continue(())
            },
        );
        assert!(read.is_ok_and(|end| end.is_continue()));
        assert_eq!(resets, written.resets);
        assert!(resets > written.flows / 20, "{resets} of {written:?}");
        let counters = replay.counters();
        assert_eq!(counters.segments, u64::from(written.segments));
        // Those that were never begun had no turn yet.
        assert!(counters.flows <= u64::from(written.flows), "{counters:?}");
        assert_eq!(counters.tracked + counters.rsts, counters.segments, "{counters:?}");
    }
}
