//! The block format: sections of blocks in any order, each packet naming its interface.
//!
//! In: the stream. Out: packets. Specification: draft-ietf-opsawg-pcapng.

use std::io::Read;

use super::CaptureError;
use super::block::{self, Block};
use super::input::Input;
use super::interface::{Interface, Options};
use super::order::Order;
use super::packet::{Packet, without_fcs};

/// Byte-order magic, version and section length besides.
const SMALLEST_SECTION: u32 = 28;
/// More interfaces than any host has; their descriptions are all that grows with the file.
const MOST_INTERFACES: usize = 65_536;

/// The type of a section header, which reads the same in both byte orders.
pub(super) const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const JOURNAL: u32 = 9;
const CUSTOM: u32 = 0x0bad;
const CUSTOM_NOT_COPIED: u32 = 0x4000_0bad;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const PACKET_FLAGS: u16 = 2;

/// A block capture, at some place in some section.
#[derive(Debug)]
pub(super) struct PcapNg {
    order: Order,
    /// All interfaces of the file; those of the section begin at `section`.
    interfaces: Vec<Interface>,
    section: usize,
    /// What a simple packet block, which has no time, is given.
    last_ns: u64,
}

impl PcapNg {
    /// Reads the first section header.
    pub(super) fn open<R: Read>(input: &mut Input<R>) -> Result<Self, CaptureError> {
        let mut file =
            Self { order: Order::Little, interfaces: Vec::new(), section: 0, last_ns: 0 };
        file.begin_section(input)?;
        Ok(file)
    }

    /// The name of an interface, counted over all sections; `None` if unknown or unnamed.
    pub(super) fn interface_name(&self, interface: u32) -> Option<&str> {
        self.interfaces.get(interface as usize)?.name.as_deref()
    }

    /// The next packet, or `None` where the file ends between two blocks.
    pub(super) fn next<R: Read>(
        &mut self,
        input: &mut Input<R>,
    ) -> Result<Option<Packet>, CaptureError> {
        while input.has(1)? {
            let offset = input.offset();
            let kind = input.u32(self.order, 0, offset)?;
            if kind == SECTION {
                self.begin_section(input)?;
                continue;
            }
            let length = input.u32(self.order, 4, offset)?;
            match kind {
                ENHANCED_PACKET | OBSOLETE_PACKET | SIMPLE_PACKET => {
                    let block = Block::buffer(input, self.order, offset, length)?;
                    return self.read_packet(input, kind, block).map(Some);
                }
                INTERFACE => {
                    let block = Block::buffer(input, self.order, offset, length)?;
                    self.describe_interface(input, block)?;
                }
                // Wireshark numbers these like packets, and our numbers must be its numbers.
                JOURNAL | CUSTOM | CUSTOM_NOT_COPIED => {
                    block::skip(input, self.order, offset, length)?;
                    input.frames += 1;
                }
                _ => block::skip(input, self.order, offset, length)?,
            }
        }
        Ok(None)
    }

    /// The next packet or what is wrong with it, if its block comes next and is in memory already.
    pub(super) fn next_at_hand<R: Read>(
        &mut self,
        input: &mut Input<R>,
    ) -> Option<Result<Packet, CaptureError>> {
        let (unread, offset) = (input.unread(), input.offset());
        let kind = self.order.u32(unread, 0)?;
        let length = self.order.u32(unread, 4)?;
        let is_packet = matches!(kind, ENHANCED_PACKET | OBSOLETE_PACKET | SIMPLE_PACKET);
        // Padding that some writers do not count included.
        let is_whole = unread.len() >= (length as usize).next_multiple_of(4);
        if !is_packet || !is_whole {
            return None;
        }
        let block = match Block::buffer(input, self.order, offset, length) {
            Ok(block) => block,
            Err(error) => return Some(Err(error)),
        };
        Some(self.read_packet(input, kind, block))
    }

    /// Reads a section header, which alone says the byte order and voids the interfaces before.
    /// The length of the section is not needed: its blocks are walked one by one.
    fn begin_section<R: Read>(&mut self, input: &mut Input<R>) -> Result<(), CaptureError> {
        let offset = input.offset();
        self.order = match input.u32(Order::Little, 8, offset)? {
            BYTE_ORDER_MAGIC => Order::Little,
            magic if magic == BYTE_ORDER_MAGIC.swap_bytes() => Order::Big,
            magic => {
                let what = format!("a section header has the byte-order magic {magic:#010x}");
                return Err(input.malformed(offset, what));
            }
        };
        let length = input.u32(self.order, 4, offset)?;
        if length < SMALLEST_SECTION {
            let what = format!("a section header of {length} bytes is too short");
            return Err(input.malformed(offset, what));
        }
        input.require(14, offset)?;
        let major = self.order.u16(input.unread(), 12).unwrap_or_default();
        if major != 1 {
            let what = format!("a section has pcapng version {major}, and only 1 is known");
            return Err(input.malformed(offset, what));
        }
        self.section = self.interfaces.len();
        block::skip(input, self.order, offset, length)
    }

    fn describe_interface<R: Read>(
        &mut self,
        input: &mut Input<R>,
        block: Block,
    ) -> Result<(), CaptureError> {
        if self.interfaces.len() == MOST_INTERFACES {
            let what = format!("it describes more than {MOST_INTERFACES} interfaces");
            return Err(input.malformed(block.offset, what));
        }
        let interface = Interface::parse(block.body(input), self.order)
            .map_err(|what| input.malformed(block.offset, what))?;
        self.interfaces.push(interface);
        input.consume(block.padded);
        Ok(())
    }

    fn read_packet<R: Read>(
        &mut self,
        input: &mut Input<R>,
        kind: u32,
        block: Block,
    ) -> Result<Packet, CaptureError> {
        let body = block.body(input);
        let parsed = match kind {
            SIMPLE_PACKET => self.parse_simple(body),
            _ => self.parse_timed(body, kind),
        };
        let mut packet = parsed.map_err(|what| input.malformed(block.offset, what))?;
        input.frames += 1;
        packet.number = input.frames;
        let body_at = input.consume(block.padded).start + Block::BODY;
        packet.data = body_at + packet.data.start..body_at + packet.data.end;
        self.last_ns = packet.time_ns;
        Ok(packet)
    }

    /// An enhanced packet, or its predecessor, which differs in the width of the interface only.
    #[inline]
    fn parse_timed(&self, body: &[u8], kind: u32) -> Result<Packet, String> {
        let order = self.order;
        let fields = || {
            let id = match kind {
                OBSOLETE_PACKET => u32::from(order.u16(body, 0)?),
                _ => order.u32(body, 0)?,
            };
            let ticks = u64::from(order.u32(body, 4)?) << 32 | u64::from(order.u32(body, 8)?);
            Some((id, ticks, order.u32(body, 12)?, order.u32(body, 16)?, body.get(20..)?))
        };
        let Some((id, ticks, captured, original, rest)) = fields() else {
            return Err("a packet block is too short for its header".into());
        };
        let (number, interface) = self.interface(id)?;
        if captured as usize > rest.len() {
            return Err(too_long(captured, rest.len()));
        }
        let options = rest.get((captured as usize).next_multiple_of(4)..).unwrap_or_default();
        let fcs = fcs_of_packet(options, order).unwrap_or(interface.fcs);
        let (kept, original_len) = without_fcs(captured, original, fcs);
        Ok(Packet {
            number: 0,
            time_ns: interface.clock.time_ns(ticks),
            link: interface.link,
            original_len,
            interface: Some(number),
            data: 20..20 + kept as usize,
        })
    }

    /// A simple packet: of the first interface, cut to its snapshot length, without a time.
    fn parse_simple(&self, body: &[u8]) -> Result<Packet, String> {
        let (Some(original), Some(rest)) = (self.order.u32(body, 0), body.get(4..)) else {
            return Err("a simple packet block is too short for its header".into());
        };
        let (number, interface) = self.interface(0)?;
        let captured = match interface.snaplen {
            0 => original,
            snaplen => original.min(snaplen),
        };
        if captured as usize > rest.len() {
            return Err(too_long(captured, rest.len()));
        }
        let (kept, original_len) = without_fcs(captured, original, interface.fcs);
        Ok(Packet {
            number: 0,
            time_ns: self.last_ns,
            link: interface.link,
            original_len,
            interface: Some(number),
            data: 4..4 + kept as usize,
        })
    }

    /// An interface of this section, and its number over the whole file.
    #[inline]
    fn interface(&self, id: u32) -> Result<(u32, &Interface), String> {
        let section = self.interfaces.get(self.section..).unwrap_or_default();
        match section.get(id as usize) {
            Some(interface) => Ok((self.section as u32 + id, interface)),
            None => Err(format!(
                "a packet is of interface {id}, and its section has described {} so far",
                section.len()
            )),
        }
    }
}

fn too_long(captured: u32, room: usize) -> String {
    format!("a packet claims {captured} captured bytes in a block with room for {room}")
}

/// The length of the frame check sequence in bytes, where the flags of a packet tell it
/// (draft-ietf-opsawg-pcapng 4.3.1, bits 5 to 8). A broken option harms nothing else.
#[inline]
fn fcs_of_packet(options: &[u8], order: Order) -> Option<u32> {
    let (_, flags) =
        Options::new(options, order).map_while(|o| o).find(|(code, _)| *code == PACKET_FLAGS)?;
    match order.u32(flags, 0)? >> 5 & 0xf {
        0 => None,
        length => Some(length),
    }
}
