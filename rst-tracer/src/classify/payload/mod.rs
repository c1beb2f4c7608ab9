//! What a reset says in its payload: some middleboxes, and TCPs that follow a draft, give a reason.
//!
//! In: the payload bytes, which come from strangers. Out: what they are, in words that are safe to
//! print. RFC 9293 section 3.5.3 (SHLD-2) lets a reset carry data.

mod big_ip;
mod diagnostic;
mod rule;

use std::borrow::Cow;

pub use diagnostic::Diagnostic;
pub(super) use rule::RULES;

use rst_tracer_common::event::Rst;

use crate::event::Cause;

/// What a payload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// There is none.
    Empty,
    /// The reason that F5 BIG-IP writes with `tm.rstcause.pkt`, and the cause that it names.
    BigIp(String, Option<Cause>),
    /// The bytes of a known injector, and whose they are.
    Injector(&'static str),
    /// A reason as draft-ietf-tcpm-rst-diagnostic-payload has it.
    Diagnostic(Diagnostic),
    /// Printable text.
    Text(String),
    /// Something else.
    Opaque,
}

/// Payloads by which injectors are known, and whose they are.
///
/// The ten bytes: provincial firewall of Henan ("A Wall Behind A Wall", IEEE S&P 2025). The words:
/// Weaver, Sommer and Paxson, "Detecting Forged TCP Reset Packets", NDSS 2009.
const INJECTORS: [(&[u8], &str); 2] = [
    (&[1, 2, 3, 4, 5, 6, 7, 8, 9, 0], "the provincial firewall of Henan"),
    (b"Go Away, We're Not Home", "an injector that writes “Go Away, We're Not Home”"),
];

impl Payload {
    /// The payload of a reset.
    pub fn of(rst: &Rst) -> Self {
        let kept = (rst.payload_len as usize).min(rst.payload.len());
        let is_whole = rst.head.segment.tcp.payload_len as usize <= kept;
        Self::read(&rst.payload[..kept], is_whole)
    }

    /// Reads a payload, or its beginning when it is not whole.
    pub fn read(bytes: &[u8], is_whole: bool) -> Self {
        if bytes.is_empty() {
            return Self::Empty;
        }
        if let Some((_, whose)) = INJECTORS.iter().find(|(known, _)| is_injector(bytes, known)) {
            return Self::Injector(whose);
        }
        if let Some(diagnostic) = Diagnostic::read(bytes, is_whole) {
            return Self::Diagnostic(diagnostic);
        }
        let Some(text) = printable(bytes) else { return Self::Opaque };
        match big_ip::cause(&text) {
            Some(cause) => Self::BigIp(text, cause),
            None => Self::Text(text),
        }
    }

    /// Its words, if it has any: without a control character, whoever wrote them.
    pub fn words(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::BigIp(text, _) | Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Diagnostic(diagnostic) => Some(Cow::Owned(diagnostic.words())),
            Self::Injector(_) | Self::Empty | Self::Opaque => None,
        }
    }
}

fn is_injector(bytes: &[u8], known: &[u8]) -> bool {
    // Text may differ in its end, numbers may not.
    if known[0] < b' ' { bytes == known } else { bytes.starts_with(known) }
}

/// The bytes as text, if they are printable ASCII; line ends and padding at the end are dropped,
/// and those inside become blanks.
fn printable(bytes: &[u8]) -> Option<String> {
    let padding = |byte: &u8| matches!(byte, 0 | b' ' | b'\t' | b'\r' | b'\n');
    let end = bytes.iter().rposition(|byte| !padding(byte))? + 1;
    let text = bytes[..end].trim_ascii_start();
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n');
    let shown = |byte: &u8| if byte.is_ascii_control() { ' ' } else { char::from(*byte) };
    text.iter().all(is_text).then(|| text.iter().map(shown).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_shown_without_its_padding_and_never_with_control_characters() {
        let read = |bytes: &[u8]| Payload::read(bytes, true);
        assert_eq!(read(b"go away\r\n\0\0"), Payload::Text("go away".into()));
        assert_eq!(read(b"two\r\nlines"), Payload::Text("two  lines".into()));
        assert_eq!(read(b"\x1b[2Jboo"), Payload::Opaque);
        assert_eq!(read(b"\0\0\0"), Payload::Opaque);
        assert_eq!(read(b""), Payload::Empty);
    }

    #[test]
    fn the_bytes_of_an_injector_are_known_only_as_they_are() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 0];
        assert!(matches!(Payload::read(&bytes, true), Payload::Injector(_)));
        assert_eq!(Payload::read(&bytes[..9], true), Payload::Opaque);
        assert!(matches!(Payload::read(b"Go Away, We're Not Home!", true), Payload::Injector(_)));
    }

    proptest! {
        #[test]
        fn no_payload_breaks_the_reader_or_a_terminal(
            bytes in proptest::collection::vec(any::<u8>(), 0..80), is_whole: bool,
        ) {
            let payload = Payload::read(&bytes, is_whole);
            let words = payload.words().unwrap_or_default();
            prop_assert!(!words.contains(char::is_control));
        }
    }
}
