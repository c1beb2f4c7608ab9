//! Numbers with a fixed form on the wire: hundredths, and integers that every reader can hold.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::Text;

/// The largest integer in the contract, 2^53 - 1: beyond it a reader that keeps numbers as
/// IEEE doubles (jq, JavaScript) loses precision. Larger values are written as this one.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Serialises a count no larger than [`MAX_INTEGER`].
pub(super) fn bounded<S: Serializer>(count: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64((*count).min(MAX_INTEGER))
}

/// For a count that is left out where there is none.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
pub(super) fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// [`bounded`] for a key that may be absent.
pub(super) fn bounded_option<S: Serializer>(n: &Option<u64>, s: S) -> Result<S::Ok, S::Error> {
    n.map(|n| n.min(MAX_INTEGER)).serialize(s)
}

/// [`bounded`] for named counters.
pub(super) fn bounded_map<S: Serializer>(
    counts: &BTreeMap<Text, u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counts.iter().map(|(name, n)| (name, (*n).min(MAX_INTEGER))))
}

/// How sure a verdict is, in hundredths from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Confidence(u8);

impl Confidence {
    /// The nearest hundredth; what is below 1 never becomes 1, so that rounding makes nobody
    /// certain. Outside 0 to 1 it is clamped; NaN is 0.
    pub fn new(probability: f64) -> Self {
        let most = if probability < 1.0 { 99.0 } else { 100.0 };
        // NaN stays NaN through `clamp`, and a cast makes it 0.
        Self((probability * 100.0).round().clamp(0.0, most) as u8)
    }

    /// From 0 to 1.
    pub fn value(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// From 0 to 100.
    pub const fn percent(self) -> u8 {
        self.0
    }
}

/// How much a piece of evidence counts, in hundredths; negative speaks against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(i32);

impl Weight {
    /// The nearest hundredth, clamped to ±1000; NaN is 0.
    pub fn new(weight: f64) -> Self {
        Self((weight.clamp(-1000.0, 1000.0) * 100.0).round() as i32)
    }

    /// The weight as a number.
    pub fn value(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// The weight in hundredths.
    pub const fn hundredths(self) -> i32 {
        self.0
    }
}

/// Serde and schema of a number of hundredths.
macro_rules! decimal {
    ($name:ident, $schema:tt) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_f64(self.value())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = f64::deserialize(deserializer)?;
                let read = Self::new(value);
                if (read.value() - value).abs() > 0.011 {
                    let message = concat!(stringify!($name), " is out of range");
                    return Err(D::Error::custom(message));
                }
                Ok(read)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

decimal!(Confidence, { "type": "number", "minimum": 0, "maximum": 1 });
decimal!(Weight, { "type": "number", "minimum": -1000, "maximum": 1000 });
