//! pcapng: each reset and its last segments as packets, for Wireshark.
//!
//! In: an event. Out: the segments of the flight recorder and then the reset, as far as their
//! headers are known, each with a comment; the verdict and its evidence are the comment of the
//! reset. Findings and counters are journal entries, which Wireshark shows between the packets.
//! <https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcapng/>

mod comment;
mod packet;

use std::borrow::Cow;
use std::io::{self, Write};
use std::mem;
use std::time::Duration;

use bytes::BufMut;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::pcapng::blocks::systemd_journal_export::SystemdJournalExportBlock;
use pcap_file::pcapng::{PcapNgBlock, PcapNgWriter};
use pcap_file::{DataLink, PcapError, PcapResult};

use super::Sink;
use super::lines::Lines;
use crate::event::{Direction, Event, RstEvent, Timestamp};
use packet::Packet;

/// With so many interfaces a new section begins, which knows none.
const MOST_INTERFACES: usize = 256;

/// Writes resets as packets. A file that is appended to stays valid: the first thing written is
/// the header of a new section. So is what is written after each flush, or as soon as much has been
/// written: wherever an output loses something or goes on in another file, the next piece is whole.
pub struct PcapNgSink<W> {
    blocks: Lines<W>,
    file: PcapNgWriter<Vec<u8>>,
    /// The names of the section's interfaces, by their numbers.
    interfaces: Vec<String>,
    /// Whether the section is still to be begun.
    is_between: bool,
}

impl<W: Write> PcapNgSink<W> {
    /// A sink before this output.
    pub fn new(out: W) -> Self {
        Self { blocks: Lines::new(out), file: begin(), interfaces: Vec::new(), is_between: false }
    }

    /// Hands the blocks written so far to the buffer before the output.
    fn hand_over(&mut self) -> io::Result<()> {
        let Self { blocks, file, .. } = self;
        if file.get_ref().is_empty() {
            return Ok(());
        }
        blocks.push(|out| out.put_slice(&mem::take(file.get_mut())))
    }

    fn rst(&mut self, rst: &RstEvent) -> PcapResult<()> {
        let interface = self.interface(rst)?;
        let note = format!("flight recorder of {}", rst.id);
        for recent in &rst.recent {
            let (from, to) = match rst.endpoint(recent.from) == Some(rst.dst) {
                true => (rst.dst, rst.src),
                false => (rst.src, rst.dst),
            };
            let ago = recent.ago_us.saturating_mul(1000);
            let packet = Packet::recorded(from, to, recent);
            let time = Timestamp(rst.time.0.saturating_sub(ago));
            self.packet(interface, time, &packet, vec![comment::option(note.clone())])?;
        }
        let mut options = vec![comment::option(comment::verdict(rst))];
        options.extend(rst.direction.map(flags));
        self.packet(interface, rst.time, &Packet::reset(rst), options)
    }

    fn packet(
        &mut self,
        interface_id: u32,
        time: Timestamp,
        packet: &Packet,
        options: Vec<EnhancedPacketOption<'_>>,
    ) -> PcapResult<()> {
        let block = EnhancedPacketBlock {
            interface_id,
            timestamp: Duration::from_nanos(time.0),
            original_len: packet.original_len(),
            data: Cow::Owned(packet.headers()),
            options,
        };
        self.file.write_block(&block.into_block()).map(drop)
    }

    /// The number of the interface that saw it, which is described when it is new.
    fn interface(&mut self, rst: &RstEvent) -> PcapResult<u32> {
        let name = rst.interface.as_deref().or(rst.file.as_deref()).unwrap_or(rst.hook.id());
        let known = self.interfaces.iter().position(|known| known == name);
        let number = known.map_or_else(|| self.describe(name), Ok)?;
        u32::try_from(number).map_err(|_| PcapError::InvalidField("more interfaces than numbers"))
    }

    fn describe(&mut self, name: &str) -> PcapResult<usize> {
        if self.interfaces.len() >= MOST_INTERFACES {
            self.interfaces.clear();
            self.file.write_block(&section().into_block())?;
        }
        let options = vec![
            InterfaceDescriptionOption::IfName(Cow::Borrowed(comment::short(name))),
            InterfaceDescriptionOption::IfTsResol(9), // 10^-9 s
        ];
        let (linktype, snaplen) = (DataLink::RAW, 0);
        let block = InterfaceDescriptionBlock { linktype, snaplen, options };
        self.file.write_block(&block.into_block())?;
        self.interfaces.push(name.to_owned());
        Ok(self.interfaces.len() - 1)
    }

    fn journal(&mut self, event: &Event) -> PcapResult<()> {
        let journal_entry = Cow::Owned(comment::journal_entry(event).into_bytes());
        let block = SystemdJournalExportBlock { journal_entry };
        self.file.write_block(&block.into_block()).map(drop)
    }
}

/// A section, with its header written.
fn begin() -> PcapNgWriter<Vec<u8>> {
    match PcapNgWriter::with_section_header(Vec::new(), section()) {
        Ok(file) => file,
        Err(error) => unreachable!("memory takes every write: {error}"),
    }
}

impl<W: Write> Sink for PcapNgSink<W> {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        self.hand_over()?;
        if self.blocks.is_full() {
            self.flush()?;
        }
        if mem::take(&mut self.is_between) {
            self.file = begin();
            self.interfaces.clear();
        }
        match event {
            Event::Rst(rst) => self.rst(rst),
            Event::Finding(_) | Event::Stats(_) => self.journal(event),
        }
        .map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hand_over()?;
        self.is_between = true;
        self.blocks.flush()
    }
}

fn section() -> SectionHeaderBlock<'static> {
    let program = concat!("rst-tracer ", env!("CARGO_PKG_VERSION"));
    let options = vec![SectionHeaderOption::UserApplication(Cow::Borrowed(program))];
    SectionHeaderBlock { options, ..Default::default() }
}

/// The direction in the two lowest bits: 1 is inbound, 2 outbound.
fn flags(direction: Direction) -> EnhancedPacketOption<'static> {
    EnhancedPacketOption::Flags(match direction {
        Direction::Ingress => 1,
        Direction::Egress => 2,
    })
}

#[cfg(test)]
mod tests;
