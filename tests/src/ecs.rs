//! Holds documents against the Elastic Common Schema: the table of its fields in `schemas/ecs`.
//!
//! In: a document. Out: what is wrong with it. One object, `Rst`, is our own and may hold anything but nulls.

use std::{collections::BTreeMap, net::IpAddr, sync::LazyLock};

use regex::Regex;
use rst_tracer::event::MAX_INTEGER;
use serde_json::{Map, Value};

const TABLE: &str = include_str!("../schemas/ecs/fields.json");
/// The object for what the schema has no field for.
const OWN: &str = "Rst";

/// What the schema says of a field.
struct Field {
    kind: String,
    is_array: bool,
    pattern: Option<Regex>,
    /// Values of a closed list.
    values: Option<Vec<String>>,
    /// Event types by value of the field, for `event.category`.
    types: BTreeMap<String, Vec<String>>,
}

static FIELDS: LazyLock<BTreeMap<String, Field>> = LazyLock::new(|| {
    let rows: Map<String, Value> = serde_json::from_str(TABLE).expect("the table is JSON");
    rows.into_iter().map(|(name, row)| (name, Field::of(&row))).collect()
});

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|v| Some(v.as_str()?.to_owned())).collect()
}

impl Field {
    fn of(row: &Value) -> Self {
        let allowed = row["allowed"].as_object();
        let with_types = |(value, types): (&String, &Value)| (value.clone(), strings(types));
        Self {
            kind: row["type"].as_str().expect("a type").to_owned(),
            is_array: row["array"] == true,
            pattern: row["pattern"].as_str().map(|text| Regex::new(text).expect("a pattern")),
            values: allowed
                .map(|allowed| allowed.keys().cloned().collect())
                .or_else(|| row["expected"].is_array().then(|| strings(&row["expected"]))),
            types: allowed.into_iter().flatten().map(with_types).collect(),
        }
    }

    fn complaint(&self, value: &Value) -> Option<String> {
        let has_type = match self.kind.as_str() {
            "keyword" | "constant_keyword" | "wildcard" | "match_only_text" => value.is_string(),
            "long" | "integer" => value.as_i64().is_some_and(|n| n.unsigned_abs() <= MAX_INTEGER),
            "float" | "double" | "scaled_float" => value.is_number(),
            "boolean" => value.is_boolean(),
            "date" => value.as_str().is_some_and(is_time),
            "ip" => value.as_str().is_some_and(|text| text.parse::<IpAddr>().is_ok()),
            _ => value.is_object(),
        };
        let text = value.as_str().unwrap_or_default();
        if !has_type {
            return Some(format!("{value} is no {}", self.kind));
        }
        if self.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(text)) {
            return Some(format!("{value} does not match the pattern"));
        }
        let is_known = self.values.as_ref().is_none_or(|values| values.iter().any(|v| v == text));
        (!is_known).then(|| format!("{value} is not among the allowed values"))
    }
}

/// RFC 3339 in UTC.
fn is_time(text: &str) -> bool {
    static TIME: LazyLock<Regex> = LazyLock::new(|| {
        let pattern =
            r"^\d{4}-(0\d|1[0-2])-([0-2]\d|3[01])T([01]\d|2[0-3])(:[0-5]\d){2}(\.\d{1,9})?Z$";
        Regex::new(pattern).expect("a pattern")
    });
    TIME.is_match(text)
}

/// What is wrong with a document.
pub fn complaints(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for required in ["@timestamp", "ecs"] {
        if document.get(required).is_none() {
            found.push(format!("{required} is missing"));
        }
    }
    match document.as_object() {
        Some(object) => fields("", object, &mut found),
        None => found.push("not an object".to_owned()),
    }
    types_of_event(&document["event"], &mut found);
    found
}

/// Every field of an object whose own name is `prefix`.
fn fields(prefix: &str, object: &Map<String, Value>, found: &mut Vec<String>) {
    for (key, value) in object {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        if name == OWN {
            nulls(&name, value, found);
            continue;
        }
        let inner = format!("{name}.");
        let has_inner = || FIELDS.keys().any(|field| field.starts_with(&inner));
        match (FIELDS.get(&name), value) {
            _ if key.contains('.') => found.push(format!("{name}: a dot in a name")),
            (_, Value::Object(object)) if has_inner() => fields(&name, object, found),
            (Some(field), value) => one(&name, field, value, found),
            (None, _) => found.push(format!("{name}: no such field")),
        }
    }
}

fn one(name: &str, field: &Field, value: &Value, found: &mut Vec<String>) {
    let items = match (field.is_array, value) {
        (true, Value::Array(items)) => items.as_slice(),
        (true, _) => return found.push(format!("{name}: not an array")),
        (false, value) => std::slice::from_ref(value),
    };
    let complaints = items.iter().filter_map(|item| field.complaint(item));
    found.extend(complaints.map(|what| format!("{name}: {what}")));
}

fn nulls(name: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Null => found.push(format!("{name}: null")),
        Value::Array(items) => items.iter().for_each(|item| nulls(name, item, found)),
        Value::Object(object) => {
            object.iter().for_each(|(key, item)| nulls(&format!("{name}.{key}"), item, found));
        }
        _ => {}
    }
}

/// Every type of the event must go with every category.
fn types_of_event(event: &Value, found: &mut Vec<String>) {
    for category in strings(&event["category"]) {
        let Some(types) = FIELDS["event.category"].types.get(&category) else { continue };
        for of_event in strings(&event["type"]) {
            if !types.contains(&of_event) {
                found.push(format!("event.type: {of_event} does not go with {category}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn good() -> Value {
        json!({
            "@timestamp": "2026-11-22T09:42:25.123456789Z",
            "ecs": { "version": "9.4.0" },
            "event": {
                "kind": "event", "category": ["network"], "type": ["connection", "end"],
                "duration": 5, "risk_score": 1.5,
            },
            "source": { "ip": "2001:db8::1", "port": 443, "mac": "02-00-00-00-00-01" },
            "network": { "direction": "egress" },
            "related": { "ip": ["10.0.0.1"] },
            "Rst": { "tcp": { "flags": "RA" }, "recent": [{ "seq": 1 }] },
        })
    }

    #[test]
    fn the_table_is_that_of_the_whole_schema() {
        assert_eq!(FIELDS.len(), 2605);
        let kinds =
            ["keyword", "constant_keyword", "wildcard", "match_only_text", "long", "integer"];
        let others = ["float", "double", "scaled_float", "boolean", "date", "ip"];
        let objects = ["object", "flattened", "nested", "geo_point"];
        let known = [&kinds[..], &others, &objects].concat();
        assert!(FIELDS.values().all(|field| known.contains(&field.kind.as_str())));
    }

    #[test]
    fn a_good_document_is_accepted() {
        assert_eq!(complaints(&good()), [""; 0]);
    }

    /// Each plants one error.
    #[test]
    fn every_planted_error_is_found() {
        let planted: [(&str, Value, &str); 22] = [
            ("/event/kind", json!("signals"), "not among the allowed"),
            ("/event/category", json!("network"), "not an array"),
            ("/event/category", json!(["networks"]), "not among the allowed"),
            ("/event/category", json!(["network", "intrusion_detection"]), "does not go with"),
            ("/event/type", json!(["connection", "user"]), "does not go with"),
            ("/event/duration", json!("5"), "is no long"),
            ("/event/duration", json!(5.5), "is no long"),
            ("/event/duration", json!(u64::MAX), "is no long"),
            ("/event/risk_score", json!("high"), "is no float"),
            ("/event/kind", json!(null), "is no keyword"),
            ("/source/ip", json!("10.0.0.256"), "is no ip"),
            ("/source/ip", json!(["10.0.0.1"]), "is no ip"),
            ("/source/port", json!({ "tcp": 1 }), "is no long"),
            ("/source/mac", json!("02:00:00:00:00:01"), "does not match"),
            ("/source/mac", json!("02-00-00-00-00-0a"), "does not match"),
            ("/source", json!("10.0.0.1"), "no such field"),
            ("/network/direction", json!("out"), "not among the allowed"),
            ("/related/ip", json!("10.0.0.1"), "not an array"),
            ("/related/ip", json!(["10.0.0.1", "web-1"]), "is no ip"),
            ("/@timestamp", json!("2026-11-22 09:42:25"), "is no date"),
            ("/@timestamp", json!(1_795_340_545_123_u64), "is no date"),
            ("/Rst/recent", json!([{ "seq": null }]), "Rst.recent.seq: null"),
        ];
        for (place, value, word) in planted {
            let mut document = good();
            *document.pointer_mut(place).unwrap_or_else(|| panic!("no {place}")) = value;
            let found = complaints(&document);
            assert!(found.iter().any(|what| what.contains(word)), "{place}: {found:?}");
        }
    }

    #[test]
    fn what_the_schema_does_not_know_is_found() {
        for (name, value) in [
            ("rst", json!({ "tcp": 1 })),
            ("tcp", json!({ "flags": "RA" })),
            ("source.ip", json!("10.0.0.1")),
            ("event", json!({ "colour": "red" })),
            ("message", json!(["two", "lines"])),
            ("process", json!({ "pid": 1, "owner": 2 })),
        ] {
            let mut document = good();
            document[name] = value;
            assert_ne!(complaints(&document), [""; 0], "{name} was accepted");
        }
        for required in ["@timestamp", "ecs"] {
            let mut document = good();
            document.as_object_mut().unwrap().remove(required);
            assert_eq!(complaints(&document), [format!("{required} is missing")]);
        }
    }
}
