//! The TCP RST diagnostic payload of the IETF's tcpm group, in the two forms that its drafts had.
//!
//! In: payload bytes. Out: a reason, or nothing when they are not exactly one of the forms: the
//! draft wants what is malformed to be ignored.
//!
//! draft-ietf-tcpm-rst-diagnostic-payload: eight bytes, `33 AA`, a code and an enterprise number.
//! draft-boucadair-tcpm-rst-diagnostic-payload (before): a CBOR sequence of 12345 and a map of
//! 1: code, 2: enterprise number, 3: text.

/// A reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostic {
    /// Number of the reason.
    pub code: Option<u64>,
    /// Whose numbers they are (an IANA private enterprise number); 0 is the common registry.
    pub enterprise: u64,
    /// The reason in the sender's words, control characters escaped.
    pub text: Option<String>,
}

/// The registry "TCP Failure Causes" of the draft, from 1.
const CODES: [&str; 17] = [
    "illegal option",
    "desynchronised state",
    "new data after CLOSE",
    "ABORT by its user",
    "unexpected ACK in a state that is not synchronised",
    "unexpected SYN in the window",
    "unexpected security compartment",
    "malformed message",
    "not authorised",
    "resource exceeded",
    "network failure",
    "reset received from the peer",
    "destination unreachable",
    "connection timeout",
    "too much outstanding data",
    "unacceptable performance",
    "middlebox interference",
];

impl Diagnostic {
    /// Reads a payload, or its beginning when it is not whole.
    pub fn read(bytes: &[u8], is_whole: bool) -> Option<Self> {
        match bytes {
            [0x33, 0xaa, high, low, enterprise @ ..] if is_whole => {
                let enterprise = u32::from_be_bytes(enterprise.try_into().ok()?);
                let code = u16::from_be_bytes([*high, *low]);
                let (code, enterprise) = (Some(u64::from(code)), u64::from(enterprise));
                (code != Some(0)).then_some(Self { code, enterprise, text: None })
            }
            // 12345 stands for the number of the RFC to be.
            [0x19, 0x30, 0x39, map @ ..] => Self::read_map(map, is_whole),
            _ => None,
        }
    }

    fn read_map(bytes: &[u8], is_whole: bool) -> Option<Self> {
        const MAP: u8 = 5;
        let mut cbor = Cbor { rest: bytes, is_whole };
        let (major, entries) = cbor.head()?;
        if major != MAP || entries > 3 {
            return None;
        }
        let (mut code, mut enterprise, mut text) = (None, None, None);
        for _ in 0..entries {
            let is_new = match cbor.unsigned()? {
                1 => code.replace(cbor.unsigned()?).is_none(),
                2 => enterprise.replace(cbor.unsigned()?).is_none(),
                3 => text.replace(cbor.text()?).is_none(),
                _ => false,
            };
            if !is_new {
                return None;
            }
        }
        let is_complete = cbor.rest.is_empty() && (code.is_some() || text.is_some());
        is_complete.then(|| Self { code, enterprise: enterprise.unwrap_or(0), text })
    }

    /// The code of the common registry in words.
    pub fn meaning(&self) -> Option<&'static str> {
        let code = self.code.filter(|_| self.enterprise == 0)?;
        CODES.get(usize::try_from(code.checked_sub(1)?).ok()?).copied()
    }

    /// The reason in words.
    pub fn words(&self) -> String {
        let code = match (self.code, self.meaning()) {
            (Some(code), Some(meaning)) => format!("reason {code}: {meaning}"),
            (Some(code), None) if self.enterprise == 0 => format!("reason {code}"),
            (Some(code), None) => format!("reason {code} of enterprise {}", self.enterprise),
            (None, _) => String::new(),
        };
        match &self.text {
            Some(text) if code.is_empty() => text.clone(),
            Some(text) => format!("{code}: {text}"),
            None => code,
        }
    }
}

/// As much of CBOR (RFC 8949) as the map may hold: unsigned integers and text of a stated length.
struct Cbor<'a> {
    rest: &'a [u8],
    is_whole: bool,
}

impl<'a> Cbor<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(taken)
    }

    /// Major type and argument of an item (RFC 8949 section 3).
    fn head(&mut self) -> Option<(u8, u64)> {
        let first = self.take(1)?[0];
        let (major, additional) = (first >> 5, first & 0x1f);
        let argument = match additional {
            0..24 => u64::from(additional),
            24..28 => {
                let bytes = self.take(1 << (additional - 24))?;
                bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
            }
            // Reserved, or of indefinite length.
            _ => return None,
        };
        Some((major, argument))
    }

    fn unsigned(&mut self) -> Option<u64> {
        self.head().and_then(|(major, number)| (major == 0).then_some(number))
    }

    /// A text; of one that was cut off, what is there.
    fn text(&mut self) -> Option<String> {
        const TEXT: u8 = 3;
        let (major, len) = self.head()?;
        let len = usize::try_from(len).ok().filter(|_| major == TEXT)?;
        let is_cut = !self.is_whole && len > self.rest.len();
        let bytes = self.take(if is_cut { self.rest.len() } else { len })?;
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) if is_cut && error.error_len().is_none() => {
                std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?
            }
            Err(_) => return None,
        };
        let mut shown = String::with_capacity(text.len());
        for c in text.chars() {
            if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
        }
        Some(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Option<Diagnostic> {
        Diagnostic::read(bytes, true)
    }

    #[test]
    fn the_eight_bytes_of_the_present_draft_are_read() {
        let said = read(&[0x33, 0xaa, 0, 1, 0, 0, 0, 0]).unwrap();
        assert_eq!(said.words(), "reason 1: illegal option");
        let vendor = read(&[0x33, 0xaa, 0x04, 0xd2, 0, 0, 0x7e, 0xd9]).unwrap();
        assert_eq!(vendor.words(), "reason 1234 of enterprise 32473");
        assert_eq!(read(&[0x33, 0xaa, 0, 0, 0, 0, 0, 0]), None, "0 must not be used");
        assert_eq!(read(&[0x33, 0xaa, 0, 1, 0, 0]), None, "cut off");
        assert_eq!(read(&[0x33, 0xaa, 0, 1, 0, 0, 0, 0, 0]), None, "too long");
    }

    #[test]
    fn the_cbor_of_the_earlier_draft_is_read() {
        let said = read(b"\x19\x30\x39\xa1\x01\x02").unwrap();
        assert_eq!(said.words(), "reason 2: desynchronised state");
        let text = read(b"\x19\x30\x39\xa1\x03\x65hello").unwrap();
        assert_eq!((text.words().as_str(), text.code), ("hello", None));
        let vendor = read(b"\x19\x30\x39\xa2\x01\x19\x04\xd2\x02\x19\x7e\xd9").unwrap();
        assert_eq!(vendor.words(), "reason 1234 of enterprise 32473");
        assert_eq!(vendor.meaning(), None);
    }

    #[test]
    fn what_is_not_exactly_of_that_shape_is_ignored() {
        for bytes in [
            &b"\x19\x30\x39"[..],
            b"\x19\x30\x39\xa0",
            b"\x19\x30\x39\xa1\x02\x05",
            b"\x19\x30\x39\xa1\x01\x02\x00",
            b"\x19\x30\x39\xa2\x01\x02\x01\x03",
            b"\x19\x30\x39\xa1\x04\x02",
            b"\x19\x30\x39\xa1\x01\x61x",
            b"\x19\x30\x39\xbf\x01\x02\xff",
            b"\x19\x30\x39\xa1\x03\x62\xff\xfe",
            b"\x19\x30\x39\xa1\x03\x7b\xff\xff\xff\xff\xff\xff\xff\xffx",
            b"\x19\x30\x38\xa1\x01\x02",
        ] {
            assert_eq!(read(bytes), None, "{bytes:02x?}");
        }
    }

    #[test]
    fn a_text_that_was_cut_off_is_shown_as_far_as_it_goes() {
        let bytes = "\x19\x30\x39\u{0}".as_bytes();
        let mut bytes = bytes[..3].to_vec();
        bytes.extend(b"\xa1\x03\x78\x20caf\xc3");
        assert_eq!(Diagnostic::read(&bytes, false).unwrap().words(), "caf");
        assert_eq!(Diagnostic::read(&bytes, true), None);
        let evil = read(b"\x19\x30\x39\xa1\x03\x64\x1b[2J").unwrap();
        assert_eq!(evil.words(), "\\u{1b}[2J");
    }
}
