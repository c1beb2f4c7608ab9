//! The event contract: what the tracer says about each reset, as Rust types.
//!
//! One [`Event`] is one line of output. The JSON form of these types is fixed and documented by
//! the schema that [`crate::sink::schema`] makes of them.

mod finding;
mod flags;
mod names;
mod number;
mod parts;
mod rst;
#[cfg(test)]
pub(crate) mod samples;
mod schema;
mod stats;
mod taxonomy;
mod time;
mod vocabulary;

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

pub use finding::{Finding, Source};
pub use flags::Flags;
pub use names::*;
pub use number::{Confidence, MAX_INTEGER, Weight};
pub use parts::*;
pub use rst::RstEvent;
pub use stats::{HookStats, OutputStats, StatsEvent};
pub use taxonomy::{Cause, Class};
pub use time::Timestamp;
pub use vocabulary::UnknownName;

/// The value of the key `schema` in every line.
pub const SCHEMA: &str = "rst-tracer/1";

/// Words that are mostly fixed in the program and sometimes made at run time.
pub type Text = Cow<'static, str>;

/// One line of output.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A TCP reset and its explanation (`"type":"rst"`).
    Rst(Box<RstEvent>),
    /// Something that shows only over many resets (`"type":"finding"`).
    Finding(Box<Finding>),
    /// What was seen, kept and lost so far (`"type":"stats"`).
    Stats(Box<StatsEvent>),
}

impl Event {
    /// The number of the line; `None` where nobody counts.
    pub fn seq(&self) -> Option<u64> {
        let seq = match self {
            Self::Rst(body) => body.seq,
            Self::Finding(body) => body.seq,
            Self::Stats(body) => body.seq,
        };
        Some(seq).filter(|seq| *seq > 0)
    }

    /// Gives the line its number.
    pub fn number(&mut self, seq: u64) {
        match self {
            Self::Rst(body) => body.seq = seq,
            Self::Finding(body) => body.seq = seq,
            Self::Stats(body) => body.seq = seq,
        }
    }

    /// The value of the key `type`.
    pub fn type_id(&self) -> &'static str {
        match self {
            Self::Rst(_) => "rst",
            Self::Finding(_) => "finding",
            Self::Stats(_) => "stats",
        }
    }
}

impl From<RstEvent> for Event {
    fn from(event: RstEvent) -> Self {
        Self::Rst(Box::new(event))
    }
}

impl From<Finding> for Event {
    fn from(finding: Finding) -> Self {
        Self::Finding(Box::new(finding))
    }
}

impl From<StatsEvent> for Event {
    fn from(stats: StatsEvent) -> Self {
        Self::Stats(Box::new(stats))
    }
}

/// The envelope that every body travels in.
#[derive(Serialize)]
struct Line<'a, T> {
    schema: &'static str,
    r#type: &'static str,
    #[serde(flatten)]
    body: &'a T,
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (schema, r#type) = (SCHEMA, self.type_id());
        match self {
            Self::Rst(body) => Line { schema, r#type, body }.serialize(serializer),
            Self::Finding(body) => Line { schema, r#type, body }.serialize(serializer),
            Self::Stats(body) => Line { schema, r#type, body }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Event {
    /// Reads a line of this schema version; another version, an unknown type or an unknown key
    /// is an error that names it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Map::deserialize(deserializer)?;
        let mut take = |key| match object.shift_remove(key) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(D::Error::custom(format_args!("the key `{key}` is missing or not a string"))),
        };
        let schema = take("schema")?;
        if schema != SCHEMA {
            let message = format_args!("this reader knows schema {SCHEMA}, the line has {schema}");
            return Err(D::Error::custom(message));
        }
        let kind = take("type")?;
        let body = Value::Object(object);
        match kind.as_str() {
            "rst" => serde_json::from_value(body).map(Self::Rst),
            "finding" => serde_json::from_value(body).map(Self::Finding),
            "stats" => serde_json::from_value(body).map(Self::Stats),
            _ => return Err(D::Error::unknown_variant(&kind, &["rst", "finding", "stats"])),
        }
        .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
