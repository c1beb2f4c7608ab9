//! The grammar of JSON: values and objects appended to a byte buffer, as `serde_json` writes them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use bytes::{BufMut, BytesMut};

use crate::event::{
    AtFault, Basis, Cause, Class, Confidence, ConnState, Direction, Effect, Expect, FindingKind,
    FindingState, Flags, Hook, Initiator, KnownBy, LocalRole, MAX_INTEGER, Mac, Origin,
    PolicyVerdict, SentBy, SessionEndReason, Severity, Speaker, Stage, Text, Timestamp, Weight,
};

/// Something with a JSON form.
pub(super) trait Encode {
    /// Appends the JSON form.
    fn encode(&self, out: &mut BytesMut);

    /// Whether nothing is known, so that the key is left out too.
    fn is_absent(&self) -> bool {
        false
    }
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

    /// A key and its value. The key comes as `,"key":`, to be appended in one piece.
    pub(super) fn key<T: Encode + ?Sized>(&mut self, key: &'static str, value: &T) -> &mut Self {
        if !value.is_absent() {
            let comma = usize::from(self.empty);
            self.out.put_slice(&key.as_bytes()[comma..]);
            self.empty = false;
            value.encode(self.out);
        }
        self
    }

    /// A list that is left out when it is empty.
    pub(super) fn if_any<T: Encode>(&mut self, key: &'static str, values: &Vec<T>) {
        if !values.is_empty() {
            self.key(key, values);
        }
    }

    /// Counts that are left out when there are none.
    pub(super) fn if_counted(&mut self, key: &'static str, counts: &BTreeMap<Text, u64>) {
        if !counts.is_empty() {
            self.key(key, counts);
        }
    }

    /// A number that is left out when it is zero.
    pub(super) fn if_some(&mut self, key: &'static str, number: &u64) {
        if *number != 0 {
            self.key(key, number);
        }
    }

    /// A key that is left out when false.
    pub(super) fn if_set(&mut self, key: &'static str, set: &bool) {
        if *set {
            self.key(key, set);
        }
    }

    pub(super) fn close(self) {
        self.out.put_u8(b'}');
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut BytesMut) {
        if let Some(value) = self {
            value.encode(out);
        }
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl Encode for str {
    /// RFC 8259 7: the quotation mark, the backslash and the control characters are escaped.
    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b'"');
        let mut rest = self.as_bytes();
        while let Some(at) = first_unsafe(rest) {
            out.put_slice(&rest[..at]);
            escape(rest[at], out);
            rest = &rest[at + 1..];
        }
        out.put_slice(rest);
        out.put_u8(b'"');
    }
}

fn is_unsafe(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Where the first byte stands that must be escaped. Sixteen bytes are looked at together,
/// without a branch in between, which compilers turn into vector instructions.
fn first_unsafe(bytes: &[u8]) -> Option<usize> {
    let is_safe = |chunk: &&[u8]| !chunk.iter().fold(false, |found, b| found | is_unsafe(*b));
    let safe = bytes.chunks_exact(16).take_while(is_safe).count() * 16;
    bytes[safe..].iter().position(|b| is_unsafe(*b)).map(|at| safe + at)
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

macro_rules! encode_name {
    ($($name:ident)+) => {
        $(impl Encode for $name {
            fn encode(&self, out: &mut BytesMut) {
                out.put_u8(b'"');
                out.put_slice(self.id().as_bytes());
                out.put_u8(b'"');
            }
        })+
    };
}
encode_name!(AtFault Basis Cause Class ConnState Direction Effect Expect FindingKind FindingState Hook);
encode_name!(Initiator KnownBy LocalRole Origin PolicyVerdict SentBy SessionEndReason Severity Speaker);
encode_name!(Stage);

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

impl Encode for Mac {
    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b'"');
        out.put_slice(&self.text());
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

impl<T: Encode> Encode for Vec<T> {
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
