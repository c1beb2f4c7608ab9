//! The JSON Schema of a line, made from the event types, so that it cannot disagree with them.
//!
//! Out: draft 2020-12. What the types cannot say (keys that come together, the class of each
//! cause) is added here.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::event::{Cause, Class, Finding, MAX_INTEGER, RstEvent, SCHEMA, StatsEvent};

/// The schema of one line of `--format json`.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let bodies = [
        (generator.subschema_for::<RstEvent>(), "rst"),
        (generator.subschema_for::<Finding>(), "finding"),
        (generator.subschema_for::<StatsEvent>(), "stats"),
    ];
    let mut defs = generator.take_definitions(true);
    for (reference, kind) in &bodies {
        let name = reference.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next());
        if let Some(body) = name.and_then(|name| defs.get_mut(name)) {
            wrap(body, kind);
        }
    }
    add_rules(&mut defs);
    let mut root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:rst-tracer:event:1",
        "title": "rst-tracer event, version 1",
        "description": "One line of `rst-tracer --format json`. A key whose value is not known \
                        is left out; nothing is null. Integers are below 2^53, times are \
                        RFC 3339 UTC with nanoseconds, and a line has less than 4 KiB.",
        "oneOf": bodies.map(|(reference, _)| reference.to_value()),
        "$defs": defs,
    });
    tidy(&mut root);
    root
}

/// Puts the envelope around a body's keys.
fn wrap(body: &mut Value, kind: &str) {
    let envelope = [("schema", SCHEMA), ("type", kind)];
    if let Some(Value::Object(keys)) = body.get_mut("properties") {
        let fixed = envelope.map(|(key, value)| (key.to_owned(), json!({ "const": value })));
        let rest = std::mem::take(keys);
        keys.extend(fixed.into_iter().chain(rest).chain(marks()));
    }
    if let Some(Value::Array(required)) = body.get_mut("required") {
        required.splice(0..0, envelope.map(|(key, _)| json!(key)));
    }
}

/// What whoever runs the tracer has it say in every line.
fn marks() -> [(String, Value); 2] {
    let text = json!({ "type": "string", "minLength": 1 });
    let tags = json!({
        "description": "What `--tag` says.",
        "type": "array",
        "items": text,
        "minItems": 1,
    });
    let labels = json!({
        "description": "What `--label` says, by its keys.",
        "type": "object",
        "propertyNames": { "pattern": "^[A-Za-z0-9_-]{1,64}$" },
        "additionalProperties": text,
        "minProperties": 1,
    });
    [("tags".into(), tags), ("labels".into(), labels)]
}

/// What holds between keys.
fn add_rules(defs: &mut Map<String, Value>) {
    let of_class = |class: &Class| {
        let causes: Vec<_> = Cause::ALL.iter().filter(|c| c.class() == *class).collect();
        json!({
            "if": { "properties": { "class": { "const": class } } },
            "then": { "properties": { "cause": { "enum": causes } } },
        })
    };
    let taxonomy: Vec<_> = Class::ALL.iter().map(of_class).collect();
    defs.insert("Taxonomy".into(), json!({ "allOf": taxonomy }));
    let taxonomy = json!({ "$ref": "#/$defs/Taxonomy" });
    if let Some(rst) = defs.get_mut("RstEvent") {
        rst["dependentRequired"] = json!({ "client": ["server"], "server": ["client"] });
        rst["allOf"] = json!([
            taxonomy,
            {
                "if": { "properties": { "hook": { "const": "pcap" } } },
                "then": { "required": ["file", "frame"] },
                "else": { "properties": { "file": false, "frame": false } },
            },
        ]);
    }
    if let Some(alternative) = defs.get_mut("Alternative") {
        alternative["allOf"] = json!([taxonomy]);
    }
    if let Some(flow) = defs.get_mut("Flow") {
        flow["oneOf"] =
            json!([{ "required": ["client", "server"] }, { "required": ["src", "dst"] }]);
    }
}

/// Removes what the contract rules out (null, defaults) and the names of Rust's integer types,
/// whose bounds are said in numbers instead.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(object) => {
            object.shift_remove("default");
            if let Some(Value::String(text)) = object.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            let integer = match object.get("format").and_then(Value::as_str) {
                Some("uint8") => Some(u64::from(u8::MAX)),
                Some("uint16") => Some(u64::from(u16::MAX)),
                Some("uint32") => Some(u64::from(u32::MAX)),
                Some("uint64") => Some(MAX_INTEGER),
                _ => None,
            };
            if let Some(maximum) = integer {
                object.shift_remove("format");
                object.insert("maximum".into(), maximum.into());
            }
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|t| t != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|c| c.get("type").is_none_or(|t| t != "null"));
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    object.shift_remove("anyOf");
                    object.extend(only);
                }
            }
            object.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
