//! The classic format: one file header, then records of one link type.
//!
//! In: the stream. Out: packets. Specification: draft-ietf-opsawg-pcap, pcap-savefile(5).

use std::io::Read;

use rst_tracer_common::wire::LinkType;

use super::CaptureError;
use super::input::Input;
use super::order::Order;
use super::packet::{Packet, longest_packet, without_fcs};

const FILE_HEADER: usize = 24;

/// What the magic number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flavour {
    order: Order,
    /// Nanoseconds in one unit of the fraction of a second.
    unit_ns: u64,
    record_header: usize,
}

impl Flavour {
    /// The flavour of pcap that begins with these four bytes.
    pub(super) fn of(magic: [u8; 4]) -> Option<Self> {
        let named = |order, number| {
            let (unit_ns, record_header) = match number {
                0xa1b2_c3d4 => (1_000, 16),
                0xa1b2_3c4d => (1, 16),
                // Kuznetzov's tcpdump: interface index, protocol and packet type follow.
                0xa1b2_cd34 => (1_000, 24),
                _ => return None,
            };
            Some(Self { order, unit_ns, record_header })
        };
        named(Order::Little, u32::from_le_bytes(magic))
            .or_else(|| named(Order::Big, u32::from_be_bytes(magic)))
    }
}

/// Before version 2.4 the two lengths of a record changed places once; libpcap tells the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    OriginalFirst,
    SmallerIsCaptured,
}

impl Lengths {
    fn of(major: u16, minor: u16) -> Self {
        match (major, minor) {
            (2, 0..=2) | (543, 0) => Self::OriginalFirst,
            (2, 3) => Self::SmallerIsCaptured,
            _ => Self::CapturedFirst,
        }
    }
}

/// A classic capture whose file header has been read.
#[derive(Debug)]
pub(super) struct Pcap {
    flavour: Flavour,
    lengths: Lengths,
    link: LinkType,
    fcs: u32,
    longest: u32,
}

impl Pcap {
    /// Reads the file header, which begins with the magic number of this flavour.
    pub(super) fn open<R: Read>(
        input: &mut Input<R>,
        flavour: Flavour,
    ) -> Result<Self, CaptureError> {
        input.require(FILE_HEADER, 0)?;
        let order = flavour.order;
        let version = |at| order.u16(input.unread(), at).ok_or_else(|| input.cut_off(0));
        let (major, minor) = (version(4)?, version(6)?);
        let snaplen = input.u32(order, 16, 0)?;
        let network = input.u32(order, 20, 0)?;
        if major < 2 {
            let what = format!("pcap version {major}.{minor}, and only 2.0 and later are known");
            return Err(input.malformed(0, what));
        }
        if network & 0x03ff_0000 != 0 {
            let what = format!("reserved bits of the link type are set: {network:#010x}");
            return Err(input.malformed(0, what));
        }
        // pcap-savefile(5): if bit 26 is set, the upper four bits count 16-bit units of FCS.
        let fcs = if network & 0x0400_0000 != 0 { (network >> 28) * 2 } else { 0 };
        input.consume(FILE_HEADER);
        Ok(Self {
            flavour,
            lengths: Lengths::of(major, minor),
            link: LinkType((network & 0xffff) as u16),
            fcs,
            longest: longest_packet(snaplen),
        })
    }

    /// The next packet, or `None` where the file ends between two records.
    #[inline]
    pub(super) fn next<R: Read>(
        &mut self,
        input: &mut Input<R>,
    ) -> Result<Option<Packet>, CaptureError> {
        if !input.has(1)? {
            return Ok(None);
        }
        let record = input.offset();
        let record_header = self.flavour.record_header;
        input.require(record_header, record)?;
        let header = self.header(input.unread()).ok_or_else(|| input.cut_off(record))?;
        let captured = header.captured;
        if captured > self.longest {
            let what = format!(
                "the record claims {captured} captured bytes, and no packet of this file can have \
                 more than {}",
                self.longest
            );
            return Err(input.malformed(record, what));
        }
        input.require(record_header + captured as usize, record)?;
        Ok(Some(self.take(input, &header)))
    }

    /// The next packet, if it is in memory already and nothing is wrong with it.
    #[inline]
    pub(super) fn next_at_hand<R>(&mut self, input: &mut Input<R>) -> Option<Packet> {
        let unread = input.unread();
        let header = self.header(unread)?;
        let captured = header.captured;
        let is_whole = unread.len() >= self.flavour.record_header + captured as usize;
        (captured <= self.longest && is_whole).then(|| self.take(input, &header))
    }

    /// What the record that begins here says of its packet.
    #[inline]
    fn header(&self, record: &[u8]) -> Option<Header> {
        let Flavour { order, unit_ns, .. } = self.flavour;
        let record = record.first_chunk::<16>()?;
        let field = |at| order.u32(record, at);
        let (seconds, fraction) = (field(0)?, field(4)?);
        let (first, second) = (field(8)?, field(12)?);
        let (captured, original) = match self.lengths {
            Lengths::OriginalFirst => (second, first),
            Lengths::SmallerIsCaptured if first > second => (second, first),
            _ => (first, second),
        };
        // u32::MAX seconds and u32::MAX microseconds are below 2^63 nanoseconds.
        let time_ns = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * unit_ns;
        Some(Header { time_ns, captured, original })
    }

    /// Moves past a record that is wholly in memory.
    #[inline]
    fn take<R>(&self, input: &mut Input<R>, header: &Header) -> Packet {
        let record_header = self.flavour.record_header;
        input.frames += 1;
        let start = input.consume(record_header + header.captured as usize).start + record_header;
        let (kept, original_len) = without_fcs(header.captured, header.original, self.fcs);
        Packet {
            number: input.frames,
            time_ns: header.time_ns,
            link: self.link,
            original_len,
            interface: None,
            data: start..start + kept as usize,
        }
    }
}

/// What a record says of its packet.
struct Header {
    time_ns: u64,
    captured: u32,
    original: u32,
}
