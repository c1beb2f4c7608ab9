//! The event reference for people, made from the schema: `docs/events.md`.

use std::fmt::Write;

use serde_json::Value;

const HEAD: &str = "# Event reference\n\n\
    One line of `rst-tracer --format json`, as the schema (`rst-tracer schema`, \
    [docs/schema](schema/rst-tracer-1.schema.json)) has it; this page is made from it. A key whose value is not known \
    is left out; nothing is null. Integers are below 2^53, times are RFC 3339 UTC with nanoseconds, a line has less \
    than 4 KiB. Where other formats have these keys: [formats.md](formats.md). What the causes \
    mean: [causes.md](causes.md).\n";

/// The page.
pub(super) fn page(schema: &Value) -> String {
    let mut page = HEAD.to_owned();
    let Some(types) = schema["$defs"].as_object() else { return page };
    for (name, of) in types.iter().filter(|(name, _)| *name != "Taxonomy") {
        let text = section(name, of, schema);
        // What cannot fail: a String takes everything.
        let _ = write!(page, "\n## {name}\n\n{text}");
    }
    page
}

fn section(name: &str, of: &Value, schema: &Value) -> String {
    let mut text = String::new();
    if let Some(description) = of["description"].as_str() {
        let _ = writeln!(text, "{}\n", cell(description));
    }
    if let Some(keys) = of["properties"].as_object() {
        let required = of["required"].as_array();
        let is_always = |key: &str| {
            required.is_some_and(|keys| keys.iter().any(|always| always.as_str() == Some(key)))
        };
        text.push_str("| key | type | always | meaning |\n|---|---|---|---|\n");
        for (key, value) in keys {
            let always = if is_always(key) { "yes" } else { "" };
            let meaning = cell(meaning(value, schema));
            let _ = writeln!(text, "| `{key}` | {} | {always} | {meaning} |", kind(value));
        }
    } else if let Some(values) = of["oneOf"].as_array() {
        text.push_str("| value | meaning |\n|---|---|\n");
        for value in values {
            let word = value["const"].as_str().unwrap_or_default();
            let meaning = cell(value["description"].as_str().unwrap_or_default());
            let _ = writeln!(text, "| `{word}` | {meaning} |");
        }
    } else if let Some(values) = of["enum"].as_array() {
        let words: Vec<_> =
            values.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
        let _ = writeln!(text, "{}", words.join(", "));
    } else {
        unreachable!("{name} is neither an object nor a vocabulary: {of}");
    }
    text
}

/// What a key means: in its own words, or in those of its type.
fn meaning<'a>(value: &'a Value, schema: &'a Value) -> &'a str {
    let of_type = || schema.pointer(value["$ref"].as_str()?.strip_prefix('#')?)?.get("description");
    value.get("description").or_else(of_type).and_then(Value::as_str).unwrap_or_default()
}

/// The type of a key, in a word.
fn kind(value: &Value) -> String {
    if let Some(name) = value["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(fixed) = value["const"].as_str() {
        return format!("`\"{fixed}\"`");
    }
    match value["type"].as_str() {
        Some("array") => format!("list of {}", kind(&value["items"])),
        Some("string") if value["format"] == "date-time" => "time".into(),
        Some("object") if value["additionalProperties"]["type"] == "string" => {
            "texts by name".into()
        }
        Some("object") => "numbers by name".into(),
        Some(other) => other.into(),
        None => "address".into(),
    }
}

/// Text that does not end a cell of a table.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}
