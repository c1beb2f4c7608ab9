//! Capture files as other programs write them: pcap and pcapng, either byte order.
//!
//! In: frames with time and original length. Out: the bytes of the file.

/// A frame as a capture keeps it.
#[derive(Clone, Debug)]
pub struct Frame {
    pub time_ns: u64,
    /// Which interface of a pcapng file saw it, from 0.
    pub interface: u32,
    /// Length on the wire, which exceeds `bytes` when the snaplen was short.
    pub wire_len: u32,
    pub bytes: Vec<u8>,
}

/// The order in which numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, n: u16) -> [u8; 2] {
        if self == Self::Big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    fn u32(self, n: u32) -> [u8; 4] {
        if self == Self::Big { n.to_be_bytes() } else { n.to_le_bytes() }
    }
}

/// How finely a pcap file tells time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    Microseconds,
    Nanoseconds,
}

/// A pcap file.
pub fn pcap(link: u32, order: Order, clock: Clock, frames: &[Frame]) -> Vec<u8> {
    let (magic, unit_ns) = match clock {
        Clock::Microseconds => (0xa1b2_c3d4, 1000),
        Clock::Nanoseconds => (0xa1b2_3c4d, 1),
    };
    let mut file = Vec::new();
    file.extend(order.u32(magic));
    file.extend(order.u16(2));
    file.extend(order.u16(4));
    for field in [0, 0, 262_144, link] {
        file.extend(order.u32(field));
    }
    for frame in frames {
        let seconds = (frame.time_ns / 1_000_000_000) as u32;
        let fraction = (frame.time_ns % 1_000_000_000 / unit_ns) as u32;
        for field in [seconds, fraction, frame.bytes.len() as u32, frame.wire_len] {
            file.extend(order.u32(field));
        }
        file.extend(&frame.bytes);
    }
    file
}

/// A pcapng file with these interfaces (name and link type), times in nanoseconds.
pub fn pcapng(interfaces: &[(&str, u16)], order: Order, frames: &[Frame]) -> Vec<u8> {
    let mut section = Vec::new();
    section.extend(order.u32(0x1a2b_3c4d));
    section.extend(order.u16(1));
    section.extend(order.u16(0));
    section.extend([0xff; 8]); // Section length: not said.
    let mut file = block(order, 0x0a0d_0d0a, &section);
    for (name, link) in interfaces {
        let mut body = Vec::new();
        body.extend(order.u16(*link));
        body.extend([0, 0]);
        body.extend(order.u32(262_144));
        body.extend(option(order, 2, name.as_bytes())); // if_name
        body.extend(option(order, 9, &[9])); // if_tsresol: 10^-9
        body.extend(option(order, 0, &[]));
        file.extend(block(order, 1, &body));
    }
    for frame in frames {
        let mut body = Vec::new();
        let (high, low) = ((frame.time_ns >> 32) as u32, frame.time_ns as u32);
        for field in [frame.interface, high, low, frame.bytes.len() as u32, frame.wire_len] {
            body.extend(order.u32(field));
        }
        body.extend(&frame.bytes);
        file.extend(block(order, 6, &body));
    }
    file
}

fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padding = body.len().next_multiple_of(4) - body.len();
    let total = order.u32((12 + body.len() + padding) as u32);
    let mut bytes = order.u32(kind).to_vec();
    bytes.extend(total);
    bytes.extend(body);
    bytes.extend(&[0; 3][..padding]);
    bytes.extend(total);
    bytes
}

fn option(order: Order, code: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = order.u16(code).to_vec();
    bytes.extend(order.u16(value.len() as u16));
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
