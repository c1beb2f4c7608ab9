//! What a side said last, where that may say why the connection ends.
//!
//! In: the first bytes of the last segment of a side that began with a TLS alert record or an HTTP
//! status line. Out: what they mean, or nothing.

/// The last words of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastWords {
    /// A TLS alert record (RFC 5246 section 7.2). Those of TLS 1.3 look like data once its keys are
    /// agreed, and are not among them.
    TlsAlert {
        /// 1 (warning) or 2 (fatal); `None` when it is encrypted.
        level: Option<u8>,
        /// What for: 0 is `close_notify`, 40 `handshake_failure`; `None` when it is encrypted.
        description: Option<u8>,
    },
    /// The status of an HTTP/1 response (RFC 9112 section 4).
    HttpStatus(u16),
}

impl LastWords {
    /// Reads the first bytes of a segment.
    pub(super) fn read(words: &[u8]) -> Option<Self> {
        match *words {
            [21, 3, 0..=4, 0, 2, level @ 1..=2, description, ..] => {
                Some(Self::TlsAlert { level: Some(level), description: Some(description) })
            }
            // Level and description, a nonce or padding, and what authenticates them: 18 bytes with
            // ChaCha20-Poly1305, 80 with AES-CBC and SHA-384.
            [21, 3, 0..=4, 0, 17..=128, _, _, ..] => {
                Some(Self::TlsAlert { level: None, description: None })
            }
            [
                b'H',
                b'T',
                b'T',
                b'P',
                b'/',
                b'0'..=b'9',
                b'.',
                b'0'..=b'9',
                b' ',
                ref status @ ..,
            ] => http_status(status).map(Self::HttpStatus),
            _ => None,
        }
    }
}

fn http_status(text: &[u8]) -> Option<u16> {
    let (digits, behind) = text.split_first_chunk::<3>()?;
    let ends = matches!(behind.first(), None | Some(b' ' | b'\r' | b'\n'));
    let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (ends && (100..600).contains(&status)).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::LastWords::{self, HttpStatus, TlsAlert};

    #[test]
    fn a_plain_alert_says_its_level_and_why() {
        let failure = Some(TlsAlert { level: Some(2), description: Some(40) });
        assert_eq!(LastWords::read(&[21, 3, 3, 0, 2, 2, 40]), failure);
        let close = Some(TlsAlert { level: Some(1), description: Some(0) });
        assert_eq!(LastWords::read(&[21, 3, 1, 0, 2, 1, 0, 22, 3]), close);
    }

    #[test]
    fn an_encrypted_alert_says_only_that_it_is_one() {
        let hidden = Some(TlsAlert { level: None, description: None });
        assert_eq!(LastWords::read(&[21, 3, 3, 0, 26, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9, 9]), hidden);
    }

    #[test]
    fn a_status_line_says_its_status() {
        for (words, status) in [
            (&b"HTTP/1.1 413 Req"[..], Some(HttpStatus(413))),
            (b"HTTP/1.0 503\r\n", Some(HttpStatus(503))),
            (b"HTTP/1.1 200", Some(HttpStatus(200))),
            (b"HTTP/1.1 2000 OK", None),
            (b"HTTP/1.1 099 ", None),
            (b"HTTP/1.1 +20 OK", None),
            (b"HTTP/1.1 4", None),
            (b"HTTP/x.1 400 ", None),
        ] {
            assert_eq!(LastWords::read(words), status, "{}", words.escape_ascii());
        }
    }

    #[test]
    fn what_only_begins_like_an_alert_is_none() {
        for words in [[21, 3, 3, 0, 2, 9, 40], [21, 3, 9, 0, 2, 2, 40], [21, 3, 3, 77, 2, 2, 40]] {
            assert_eq!(LastWords::read(&words), None, "{words:?}");
        }
    }
}
