//! Capture files as frames: pcap and pcapng, told apart by their first bytes.
//!
//! In: a byte stream that need not be seekable. Out: frames that borrow from one buffer.
//!
//! ```
//! use rst_tracer::source::capture::Capture;
//!
//! let header = *b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0";
//! let mut capture = Capture::open(header.as_slice())?;
//! while let Some(frame) = capture.next()? {
//!     println!("{}: {} bytes", frame.number, frame.data.len());
//! }
//! # Ok::<(), rst_tracer::source::capture::CaptureError>(())
//! ```

mod block;
mod clock;
mod content;
mod error;
mod input;
mod interface;
mod order;
mod packet;
mod pcap;
mod pcapng;
#[cfg(test)]
mod tests;

use std::io::Read;

use rst_tracer_common::wire::LinkType;

pub use content::Content;
pub use error::CaptureError;

use input::Input;
use packet::Packet;
use pcap::{Flavour, Pcap};
use pcapng::PcapNg;

/// One packet of a capture, without its frame check sequence where the file says it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Counted from 1 over the whole file, as Wireshark counts: custom and journal blocks of a
    /// pcapng, which are no packets, have their numbers too.
    pub number: u64,
    /// Nanoseconds since the Unix epoch; 0 for a time before it, `u64::MAX` for one that does not
    /// fit. A packet without a time has that of the packet before.
    pub time_ns: u64,
    /// What `data` begins with.
    pub link: LinkType,
    /// Bytes that the frame had on the wire: more than `data` has if the capture was cut to a
    /// snapshot length.
    pub original_len: u32,
    /// The bytes captured.
    pub data: &'a [u8],
    /// The interface of a pcapng packet, counted from 0 over all sections of the file.
    pub interface: Option<u32>,
}

/// A capture file being read.
#[derive(Debug)]
pub struct Capture<R> {
    input: Input<R>,
    format: Format,
    /// Set at the end and at the first error, after which nothing can be read.
    ended: bool,
    /// What was wrong behind the packets that are at hand.
    failed: Option<CaptureError>,
    /// Packets that are in memory together.
    at_hand: Vec<Packet>,
}

/// Frames of a capture that are in memory together.
#[derive(Debug)]
pub struct AtHand<'a, R>(&'a Capture<R>);

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    PcapNg(PcapNg),
}

impl<R: Read> Capture<R> {
    /// Reads the header. The reader needs no buffer of its own.
    ///
    /// # Errors
    /// [`CaptureError::NotACapture`] if the first bytes are neither of pcap nor of pcapng, and
    /// whatever else is wrong with the header.
    pub fn open(reader: R) -> Result<Self, CaptureError> {
        let mut input = Input::new(reader);
        input.has(4)?;
        let format = match input.unread().first_chunk() {
            Some(magic) if *magic == pcapng::SECTION.to_be_bytes() => {
                Format::PcapNg(PcapNg::open(&mut input)?)
            }
            Some(magic) if let Some(flavour) = Flavour::of(*magic) => {
                Format::Pcap(Pcap::open(&mut input, flavour)?)
            }
            _ => {
                input.has(Content::TELLING)?;
                let first = input.unread();
                let content = Content::of(&first[..first.len().min(Content::TELLING)]);
                return Err(CaptureError::NotACapture(content));
            }
        };
        let (ended, failed, at_hand) = Default::default();
        Ok(Self { input, format, ended, failed, at_hand })
    }

    /// The next frame, or `None` at the end. It waits only for the bytes of this frame, so that a
    /// pipe is read as it is written.
    ///
    /// # Errors
    /// [`CaptureError::CutOff`], [`CaptureError::Malformed`] or [`CaptureError::Io`], once; after
    /// that the capture is at its end.
    #[allow(clippy::should_implement_trait, reason = "a frame borrows from the capture")]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        Ok(self.packet()?.map(|packet| self.frame(&packet)))
    }

    /// The next frame and those behind it, up to `most`, that are in memory already; none at the end. It waits
    /// only for the bytes of the first.
    ///
    /// # Errors
    /// As [`next`](Self::next), when every frame before was handed over.
    pub fn next_at_hand(&mut self, most: usize) -> Result<AtHand<'_, R>, CaptureError> {
        self.at_hand.clear();
        if let Some(first) = self.packet()? {
            self.at_hand.push(first);
            while self.at_hand.len() < most {
                let packet = match &mut self.format {
                    Format::Pcap(file) => file.next_at_hand(&mut self.input).map(Ok),
                    Format::PcapNg(file) => file.next_at_hand(&mut self.input),
                };
                match packet {
                    Some(Ok(packet)) => self.at_hand.push(packet),
                    Some(Err(error)) => {
                        self.failed = Some(error);
                        break;
                    }
                    None => break,
                }
            }
        }
        Ok(AtHand(self))
    }

    fn packet(&mut self) -> Result<Option<Packet>, CaptureError> {
        if self.ended {
            return Ok(None);
        }
        let packet = match (self.failed.take(), &mut self.format) {
            (Some(error), _) => Err(error),
            (None, Format::Pcap(file)) => file.next(&mut self.input),
            (None, Format::PcapNg(file)) => file.next(&mut self.input),
        };
        self.ended = !matches!(packet, Ok(Some(_)));
        packet
    }
}

impl<R> Capture<R> {
    fn frame(&self, packet: &Packet) -> Frame<'_> {
        Frame {
            number: packet.number,
            time_ns: packet.time_ns,
            link: packet.link,
            original_len: packet.original_len,
            data: self.input.slice(packet.data.clone()),
            interface: packet.interface,
        }
    }

    /// The name of an interface as [`Frame::interface`] counts them, up to 255 bytes of what the
    /// file says. It comes from strangers: escape it before showing it.
    pub fn interface_name(&self, interface: u32) -> Option<&str> {
        match &self.format {
            Format::Pcap(_) => None,
            Format::PcapNg(file) => file.interface_name(interface),
        }
    }

    /// How many bytes of the stream have been made into frames or passed over, for progress.
    pub fn bytes_read(&self) -> u64 {
        self.input.offset()
    }
}

impl<'a, R> AtHand<'a, R> {
    /// Whether the capture is at its end.
    pub fn is_empty(&self) -> bool {
        self.0.at_hand.is_empty()
    }

    /// The frames, in order.
    pub fn frames(&self) -> impl ExactSizeIterator<Item = Frame<'a>> + use<'a, R> {
        let capture = self.0;
        capture.at_hand.iter().map(|packet| capture.frame(packet))
    }

    /// As [`Capture::interface_name`].
    pub fn interface_name(&self, interface: u32) -> Option<&'a str> {
        self.0.interface_name(interface)
    }

    /// How many bytes of the stream end with the last of these frames, for progress.
    pub fn bytes_read(&self) -> u64 {
        self.0.bytes_read()
    }
}
