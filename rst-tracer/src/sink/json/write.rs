//! The grammar of JSON: values and objects appended to a byte buffer, as `serde_json` writes them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use bytes::{BufMut, BytesMut};

use crate::event::{Confidence, Flags, MAX_INTEGER, Text, Timestamp, Weight};

/// Something with a JSON form.
pub(super) trait Encode {
    /// Appends the JSON form.
    fn encode(&self, out: &mut BytesMut);
}

/// An object that is being written; `close` ends it.
pub(super) struct Object<'a> {
    out: &'a mut BytesMut,
    empty: bool,
}

impl<'a> Object<'a> {
    pub(super) fn open(out: &'a mut BytesMut) -> Self {
        out.put_u8(b'{');
        Self { out, empty: true }
    }

    /// A key and its value. The key must need no escape.
    pub(super) fn key<T: Encode + ?Sized>(&mut self, key: &str, value: &T) -> &mut Self {
        self.name(key);
        value.encode(self.out);
        self
    }

    /// A key whose value is a fixed word that needs no escape.
    pub(super) fn word(&mut self, key: &str, word: &str) -> &mut Self {
        self.name(key);
        self.out.put_u8(b'"');
        self.out.put_slice(word.as_bytes());
        self.out.put_u8(b'"');
        self
    }

    /// A key that is left out when nothing is known.
    pub(super) fn maybe<T: Encode>(&mut self, key: &str, value: &Option<T>) -> &mut Self {
        if let Some(value) = value {
            self.key(key, value);
        }
        self
    }

    /// A list that is left out when it is empty.
    pub(super) fn list<T: Encode>(&mut self, key: &str, values: &[T]) -> &mut Self {
        if !values.is_empty() {
            self.key(key, values);
        }
        self
    }

    /// A key that is present only when true.
    pub(super) fn mark(&mut self, key: &str, set: bool) -> &mut Self {
        if set {
            self.key(key, &true);
        }
        self
    }

    pub(super) fn close(&mut self) {
        self.out.put_u8(b'}');
    }

    fn name(&mut self, key: &str) {
        self.out.put_slice(if self.empty { b"\"" } else { b",\"" });
        self.out.put_slice(key.as_bytes());
        self.out.put_slice(b"\":");
        self.empty = false;
    }
}

impl Encode for str {
    /// RFC 8259 7: the quotation mark, the backslash and the control characters are escaped.
    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b'"');
        let mut rest = self.as_bytes();
        while let Some(at) = rest.iter().position(|b| matches!(b, 0..0x20 | b'"' | b'\\')) {
            out.put_slice(&rest[..at]);
            escape(rest[at], out);
            rest = &rest[at + 1..];
        }
        out.put_slice(rest);
        out.put_u8(b'"');
    }
}

fn escape(byte: u8, out: &mut BytesMut) {
    let short = match byte {
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        b'"' | b'\\' => byte,
        _ => {
            let hex = |nibble: u8| b"0123456789abcdef"[usize::from(nibble & 15)];
            out.put_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte)]);
            return;
        }
    };
    out.put_slice(&[b'\\', short]);
}

impl Encode for String {
    fn encode(&self, out: &mut BytesMut) {
        self.as_str().encode(out);
    }
}

impl Encode for Text {
    fn encode(&self, out: &mut BytesMut) {
        str::encode(self, out);
    }
}

impl Encode for bool {
    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(if *self { b"true" } else { b"false" });
    }
}

impl Encode for u64 {
    /// At most [`MAX_INTEGER`].
    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(itoa::Buffer::new().format((*self).min(MAX_INTEGER)).as_bytes());
    }
}

macro_rules! encode_integer {
    ($($integer:ty)+) => {
        $(impl Encode for $integer {
            fn encode(&self, out: &mut BytesMut) {
                out.put_slice(itoa::Buffer::new().format(*self).as_bytes());
            }
        })+
    };
}
encode_integer!(u8 u16 u32);

impl Encode for Confidence {
    fn encode(&self, out: &mut BytesMut) {
        hundredths(self.percent().into(), out);
    }
}

impl Encode for Weight {
    fn encode(&self, out: &mut BytesMut) {
        hundredths(self.hundredths(), out);
    }
}

/// The shortest decimal with at least one digit after the point: `3.0`, `0.5`, `-0.05`.
fn hundredths(n: i32, out: &mut BytesMut) {
    if n < 0 {
        out.put_u8(b'-');
    }
    let (whole, part) = (n.unsigned_abs() / 100, (n.unsigned_abs() % 100) as u8);
    whole.encode(out);
    out.put_slice(&[b'.', b'0' + part / 10]);
    if part % 10 != 0 {
        out.put_u8(b'0' + part % 10);
    }
}

impl Encode for Timestamp {
    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b'"');
        out.put_slice(&self.rfc3339());
        out.put_u8(b'"');
    }
}

impl Encode for Flags {
    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b'"');
        self.letters().for_each(|letter| out.put_u8(letter));
        out.put_u8(b'"');
    }
}

impl Encode for IpAddr {
    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b'"');
        match self {
            Self::V4(ip) => {
                for (i, octet) in ip.octets().iter().enumerate() {
                    if i > 0 {
                        out.put_u8(b'.');
                    }
                    octet.encode(out);
                }
            }
            // A buffer in memory takes every write: only an allocation could fail, and aborts.
            Self::V6(ip) => drop(write!(out, "{ip}")),
        }
        out.put_u8(b'"');
    }
}

impl<T: Encode> Encode for [T] {
    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b'[');
        for (i, item) in self.iter().enumerate() {
            if i > 0 {
                out.put_u8(b',');
            }
            item.encode(out);
        }
        out.put_u8(b']');
    }
}

impl Encode for BTreeMap<Text, u64> {
    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b'{');
        for (i, (name, count)) in self.iter().enumerate() {
            if i > 0 {
                out.put_u8(b',');
            }
            name.encode(out);
            out.put_u8(b':');
            count.encode(out);
        }
        out.put_u8(b'}');
    }
}
