//! Reading a line back.
//!
//! In: a JSON object with the keys `schema` and `type`. Out: the event. Where these two come first, as the tracer writes
//! them, the rest is read straight into its type; a line that somebody put in another order is taken apart first.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::{Event, Finding, RstEvent, SCHEMA, StatsEvent};

/// The keys that a line may have, of whatever type.
static KEYS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let schemas = [
        schemars::schema_for!(RstEvent),
        schemars::schema_for!(Finding),
        schemars::schema_for!(StatsEvent),
    ];
    let of_type = |schema: &schemars::Schema| {
        let properties = schema.get("properties").and_then(Value::as_object);
        properties.into_iter().flat_map(Map::keys).cloned().collect::<Vec<_>>()
    };
    let all = schemas.iter().flat_map(of_type);
    all.chain(["schema", "type"].map(str::to_owned)).collect()
});

/// What whoever runs the tracer has it say in every line, which is about no event.
const MARKS: [&str; 2] = ["tags", "labels"];

/// Reads a line to which a collector may have added keys of its own beside ours, as most do (a time of arrival,
/// the name of a host); they are left out, and the first of them is named.
///
/// # Errors
/// When it is none of our lines, or not of this schema version.
pub fn read_enriched(line: &[u8]) -> serde_json::Result<(Event, Option<String>)> {
    let strict = match serde_json::from_slice(line) {
        Ok(event) => return Ok((event, None)),
        Err(error) => error,
    };
    let Ok(mut object) = serde_json::from_slice::<Map<String, Value>>(line) else {
        return Err(strict);
    };
    let is_marked = MARKS.map(|key| object.shift_remove(key).is_some()).contains(&true);
    let foreign = object.keys().find(|key| !KEYS.contains(*key)).cloned();
    if foreign.is_none() && !is_marked {
        return Err(strict);
    }
    object.retain(|key, _| KEYS.contains(key));
    Ok((Event::deserialize(Value::Object(object))?, foreign))
}

impl<'de> Deserialize<'de> for Event {
    /// Reads a line of this schema version; another version, an unknown type or an unknown key
    /// is an error that names it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Line)
    }
}

struct Line;

impl<'de> Visitor<'de> for Line {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a line of rst-tracer, which is a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event, A::Error> {
        let mut object = Map::new();
        for expected in ["schema", "type"] {
            let Some((key, value)) = map.next_entry::<String, Value>()? else { break };
            let is_expected = key == expected;
            object.insert(key, value);
            if !is_expected {
                break;
            }
        }
        let is_in_order = object.len() == 2 && object.contains_key("type");
        if is_in_order {
            let kind = kind(&mut object)?;
            return body(&kind, MapAccessDeserializer::new(map));
        }
        while let Some((key, value)) = map.next_entry()? {
            object.insert(key, value);
        }
        let kind = kind(&mut object)?;
        body(&kind, Value::Object(object)).map_err(A::Error::custom)
    }
}

/// Takes the envelope out: the type of what is left.
fn kind<E: Error>(object: &mut Map<String, Value>) -> Result<String, E> {
    let mut take = |key| match object.shift_remove(key) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(E::custom(format_args!("the key `{key}` is missing or not a string"))),
    };
    let schema = take("schema")?;
    if schema != SCHEMA {
        let message = format_args!("this reader knows schema {SCHEMA}, the line has {schema}");
        return Err(E::custom(message));
    }
    take("type")
}

fn body<'de, D: Deserializer<'de>>(kind: &str, rest: D) -> Result<Event, D::Error> {
    match kind {
        "rst" => Deserialize::deserialize(rest).map(Event::Rst),
        "finding" => Deserialize::deserialize(rest).map(Event::Finding),
        "stats" => Deserialize::deserialize(rest).map(Event::Stats),
        _ => Err(D::Error::unknown_variant(kind, &["rst", "finding", "stats"])),
    }
}
