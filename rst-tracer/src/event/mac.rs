//! Hardware addresses, written as most tools do: `02:00:00:00:00:01`.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// How long the text of an address is.
const LENGTH: usize = 17;

/// An Ethernet address of 48 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// `02:00:00:00:00:01`, as bytes.
    pub const fn text(self) -> [u8; LENGTH] {
        self.written(b':', b"0123456789abcdef")
    }

    /// `02-00-00-00-00-0A`: with hyphens and in capitals, as RFC 7042 has it.
    pub const fn with_hyphens(self) -> [u8; LENGTH] {
        self.written(b'-', b"0123456789ABCDEF")
    }

    const fn written(self, between: u8, digits: &[u8; 16]) -> [u8; LENGTH] {
        let mut text = [between; LENGTH];
        let mut at = 0;
        while at < 6 {
            let byte = self.0[at] as usize;
            text[3 * at] = digits[byte >> 4];
            text[3 * at + 1] = digits[byte & 15];
            at += 1;
        }
        text
    }

    /// Reads what [`Mac::text`] writes, in capitals too.
    fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 6];
        let mut pairs = text.split(':');
        for byte in &mut bytes {
            let pair = pairs.next()?;
            let is_pair = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            *byte = u8::from_str_radix(pair, 16).ok().filter(|_| is_pair)?;
        }
        pairs.next().is_none().then_some(Self(bytes))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().iter().try_for_each(|&byte| write!(f, "{}", char::from(byte)))
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom(format_args!("`{text}` is no hardware address")))
    }
}

impl JsonSchema for Mac {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Mac".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{2}(:[0-9a-f]{2}){5}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::Mac;

    #[test]
    fn an_address_is_written_and_read() {
        let mac = Mac([0x02, 0, 0x5e, 0x10, 0xff, 0x0a]);
        assert_eq!(mac.to_string(), "02:00:5e:10:ff:0a");
        assert_eq!(&mac.with_hyphens(), b"02-00-5E-10-FF-0A");
        for text in ["02:00:5e:10:ff:0a", "02:00:5E:10:FF:0A"] {
            assert_eq!(Mac::parse(text), Some(mac));
        }
        for text in
            ["", "02:00:5e:10:ff", "02:00:5e:10:ff:0a:00", "2:0:5e:10:ff:a", "02:00:5e:10:ff:+a"]
        {
            assert_eq!(Mac::parse(text), None, "{text}");
        }
    }
}
