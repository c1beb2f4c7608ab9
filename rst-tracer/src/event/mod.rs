//! The event contract: what the tracer says about each reset, as Rust types.
//!
//! One [`Event`] is one line of output. The JSON form of these types is fixed and documented by
//! the schema that [`crate::sink::schema`] makes of them.

mod finding;
mod flags;
mod mac;
mod names;
mod number;
mod parts;
mod read;
mod rst;
#[cfg(test)]
pub(crate) mod samples;
mod schema;
mod stats;
mod taxonomy;
mod time;
mod vocabulary;

use std::borrow::Cow;

use serde::{Serialize, Serializer};

pub use finding::{Finding, Source};
pub use flags::Flags;
pub use mac::Mac;
pub use names::*;
pub use number::{Confidence, MAX_INTEGER, Weight};
pub use parts::*;
pub use read::read_enriched;
pub use rst::RstEvent;
pub use stats::{HookStats, OutputStats, RuleStats, StatsEvent};
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

    /// When it was: the reset, the conclusion, or the look at the counters.
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Rst(body) => body.time,
            Self::Finding(body) => body.time,
            Self::Stats(body) => body.time,
        }
    }

    /// Name of the observing host.
    pub fn host(&self) -> &str {
        match self {
            Self::Rst(body) => &body.host,
            Self::Finding(body) => &body.host,
            Self::Stats(body) => &body.host,
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

#[cfg(test)]
mod tests;
