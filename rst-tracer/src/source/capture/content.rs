//! What a file that is no capture is instead, judged by its first bytes.
//!
//! In: the first bytes. Out: a name for them, and what to do about it.

use std::fmt;

/// What the first bytes of something that is neither pcap nor pcapng are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// No byte at all.
    Empty,
    /// Compressed; `tool` writes what is inside to its standard output.
    Compressed {
        /// The name of the compression.
        format: &'static str,
        /// The command that undoes it.
        tool: &'static str,
    },
    /// A capture in a format of another program.
    Foreign(&'static str),
    /// One JSON object a line, as `--format json` writes it.
    Json,
    /// Some other text.
    Text,
    /// None of these: the first bytes, zeroes where there are fewer than four.
    Unknown([u8; 4]),
}

const SIGNATURES: &[(&[u8], Content)] = &[
    (b"\x1f\x8b", Content::Compressed { format: "gzip", tool: "gzip -dc" }),
    (b"\x28\xb5\x2f\xfd", Content::Compressed { format: "zstd", tool: "zstd -dc" }),
    (b"\xfd7zXZ\0", Content::Compressed { format: "xz", tool: "xz -dc" }),
    (b"BZh", Content::Compressed { format: "bzip2", tool: "bzip2 -dc" }),
    (b"\x04\x22\x4d\x18", Content::Compressed { format: "lz4", tool: "lz4 -dc" }),
    (b"PK\x03\x04", Content::Compressed { format: "zip", tool: "unzip -p" }),
    (b"snoop\0\0\0", Content::Foreign("snoop")),
    (b"GMBU", Content::Foreign("Network Monitor")),
    (b"RTSS", Content::Foreign("Network Monitor")),
    (b"XCP\0", Content::Foreign("Sniffer")),
    (b"TRSNIFF data", Content::Foreign("Sniffer")),
];

impl Content {
    /// So many bytes tell text from other things.
    pub(super) const TELLING: usize = 64;

    /// Names what begins with these bytes, which are known to begin no capture.
    pub(super) fn of(first: &[u8]) -> Self {
        if first.is_empty() {
            return Self::Empty;
        }
        if let Some((_, content)) = SIGNATURES.iter().find(|(magic, _)| first.starts_with(magic)) {
            return *content;
        }
        if is_text(first) {
            return if first.trim_ascii_start().starts_with(b"{") {
                Self::Json
            } else {
                Self::Text
            };
        }
        let mut start = [0; 4];
        let known = first.len().min(start.len());
        start[..known].copy_from_slice(&first[..known]);
        Self::Unknown(start)
    }
}

/// Whether the bytes read as UTF-8 without control characters, perhaps cut inside a character.
fn is_text(bytes: &[u8]) -> bool {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) if e.error_len().is_none() => {
            std::str::from_utf8(&bytes[..e.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && text.chars().all(|c| !c.is_control() || c.is_ascii_whitespace())
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "there is not one byte in it; capture again"),
            Self::Compressed { format, tool } => write!(
                f,
                "it is compressed with {format}; decompress it first, or pipe it: \
                 {tool} FILE | rst-tracer replay -"
            ),
            Self::Foreign(program) => write!(
                f,
                "it is a {program} capture; convert it first: editcap -F pcapng FILE NEW.pcapng"
            ),
            Self::Json => write!(
                f,
                "it is JSON text; replay reads pcap and pcapng, rst-tracer report reads events"
            ),
            Self::Text => write!(f, "it is text; replay reads pcap and pcapng"),
            Self::Unknown([a, b, c, d]) => write!(
                f,
                "it begins with {a:02x} {b:02x} {c:02x} {d:02x}, and neither pcap nor pcapng does; \
                 if Wireshark opens it, convert it first: editcap -F pcapng FILE NEW.pcapng"
            ),
        }
    }
}
