//! TCP segments. The default is a segment of the client; [`Tcp::back`] turns it around.

use super::{Layer, protocol};

/// The client's port.
pub const CLIENT_PORT: u16 = 40_000;
/// The server's port.
pub const SERVER_PORT: u16 = 443;

/// Control bits, as in the header's fourteenth byte.
pub mod flags {
    #![allow(missing_docs, reason = "named as in RFC 9293")]
    pub const FIN: u8 = 1;
    pub const SYN: u8 = 2;
    pub const RST: u8 = 4;
    pub const PSH: u8 = 8;
    pub const ACK: u8 = 16;
}

/// A TCP segment to be.
#[derive(Clone, Debug)]
pub struct Tcp {
    /// Source port.
    pub from: u16,
    /// Destination port.
    pub to: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment field.
    pub ack: u32,
    /// Control bits.
    pub flags: u8,
    /// Window.
    pub window: u16,
    /// The reserved bits beside the data offset.
    pub reserved: u8,
    /// Options; a multiple of four bytes, or `words` has to lie.
    pub options: Vec<u8>,
    /// Header length in words of four bytes, if not what the options make it.
    pub words: Option<u8>,
    /// Payload.
    pub payload: Vec<u8>,
}

impl Default for Tcp {
    fn default() -> Self {
        Self {
            from: CLIENT_PORT,
            to: SERVER_PORT,
            seq: 1000,
            ack: 2000,
            flags: flags::ACK,
            window: 512,
            reserved: 0,
            options: Vec::new(),
            words: None,
            payload: Vec::new(),
        }
    }
}

/// A RST of the client.
pub fn rst() -> Tcp {
    Tcp { flags: flags::RST | flags::ACK, ..Tcp::default() }
}

/// The bytes of a segment.
pub fn tcp(segment: Tcp) -> Layer {
    segment.layer()
}

impl Tcp {
    /// The same segment with its ports exchanged: from the server.
    pub fn back(self) -> Self {
        Self { from: self.to, to: self.from, ..self }
    }

    /// Header and payload.
    pub fn layer(&self) -> Layer {
        let words = self.words.unwrap_or_else(|| 5 + self.options.len().div_ceil(4) as u8);
        let mut bytes = Vec::with_capacity(60 + self.payload.len());
        bytes.extend(self.from.to_be_bytes());
        bytes.extend(self.to.to_be_bytes());
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.ack.to_be_bytes());
        bytes.extend([words << 4 | self.reserved & 0x0f, self.flags]);
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0; 4]); // Checksum and urgent pointer.
        bytes.extend(&self.options);
        bytes.extend(&self.payload);
        Layer { bytes, protocol: protocol::TCP, ether_type: 0 }
    }
}
