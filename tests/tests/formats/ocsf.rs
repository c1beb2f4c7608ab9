//! OCSF: the JSON Schemas of all versions that the format claims, and what they do not say.

use std::{collections::BTreeMap, sync::LazyLock};

use jsonschema::Validator;
use serde_json::{Value, json};

use super::checks::FORMATS;
use super::samples;

const SCHEMAS: [(&str, &str); 5] = [
    ("1.4.0", include_str!("../../schemas/ocsf/1.4.0.json")),
    ("1.5.0", include_str!("../../schemas/ocsf/1.5.0.json")),
    ("1.6.0", include_str!("../../schemas/ocsf/1.6.0.json")),
    ("1.7.0", include_str!("../../schemas/ocsf/1.7.0.json")),
    ("1.8.0", include_str!("../../schemas/ocsf/1.8.0.json")),
];

/// Each class that the format uses, by its number.
const CLASSES: [(u64, &str); 3] =
    [(0, "base_event"), (2004, "detection_finding"), (4001, "network_activity")];

/// The validators of a class in every version.
static VALIDATORS: LazyLock<BTreeMap<u64, Vec<(&str, Validator)>>> = LazyLock::new(|| {
    let mut all: BTreeMap<u64, Vec<_>> = BTreeMap::new();
    for (version, text) in SCHEMAS {
        let schemas: Value = serde_json::from_str(text).expect("the schemas are JSON");
        for (uid, name) in CLASSES {
            let mut schema = schemas["classes"][name].clone();
            schema["$defs"] = schemas["$defs"].clone();
            let validator = jsonschema::validator_for(&schema).expect("a schema");
            all.entry(uid).or_default().push((version, validator));
        }
    }
    all
});

/// What is wrong with a document.
pub(super) fn complaints(document: &Value) -> Vec<String> {
    let number = |key: &str| document[key].as_u64();
    let Some(validators) = number("class_uid").and_then(|class| VALIDATORS.get(&class)) else {
        return vec![format!("the class {} is not known", document["class_uid"])];
    };
    let mut found = Vec::new();
    for (version, validator) in validators {
        let errors = validator.iter_errors(document);
        found.extend(errors.map(|e| format!("{version}: {}: {e}", e.instance_path())));
    }
    // The schemas take any type of the class with any activity.
    let sum = number("class_uid").zip(number("activity_id")).map(|(c, a)| c * 100 + a);
    if number("type_uid") != sum {
        found.push(format!("type_uid is {}, not {sum:?}", document["type_uid"]));
    }
    if document["category_uid"] != json!(number("class_uid").map(|class| class / 1000)) {
        found.push(format!("category_uid is {}", document["category_uid"]));
    }
    found
}

/// A valid document, changed by `change`.
fn changed(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let line = FORMATS[1].lines(vec![samples::unread_data()]).remove(0);
    let mut document = serde_json::from_str(&line).expect("JSON");
    change(&mut document);
    complaints(&document)
}

#[test]
fn every_planted_error_is_found_in_every_version() {
    assert_eq!(changed(|_| {}), [""; 0]);
    let planted: [(&str, Vec<String>); 12] = [
        ("a null", changed(|d| d["app_name"] = Value::Null)),
        ("an unknown key", changed(|d| d["colour"] = json!("red"))),
        ("an unknown key inside", changed(|d| d["src_endpoint"]["colour"] = json!("red"))),
        ("a bad address", changed(|d| d["src_endpoint"]["ip"] = json!("10.0.0"))),
        ("a bad port", changed(|d| d["src_endpoint"]["port"] = json!(65536))),
        ("a bad activity", changed(|d| d["activity_id"] = json!(8))),
        ("a type of another class", changed(|d| d["type_uid"] = json!(400_203))),
        ("a bad severity", changed(|d| d["severity_id"] = json!(7))),
        ("a bad time", changed(|d| d["time_dt"] = json!("22 Nov 2026"))),
        ("text for a number", changed(|d| d["time"] = json!("2026-11-22T09:42:25Z"))),
        (
            "no endpoint",
            changed(|d| {
                let document = d.as_object_mut().unwrap();
                document.retain(|key, _| !key.ends_with("_endpoint"));
            }),
        ),
        (
            "no direction",
            changed(|d| {
                let connection = d["connection_info"].as_object_mut().unwrap();
                connection.remove("direction_id");
            }),
        ),
    ];
    for (what, found) in planted {
        for (version, _) in SCHEMAS {
            assert!(found.iter().any(|f| f.starts_with(version)), "{version}: {what}: {found:?}");
        }
    }
}

#[test]
fn a_type_of_another_activity_and_a_category_of_another_class_are_found() {
    for (key, value, word) in [
        ("type_uid", 400_105, "type_uid is 400105"),
        ("class_uid", 9, "class 9 is not known"),
        ("category_uid", 2, "category_uid is 2"),
    ] {
        let found = changed(|d| d[key] = json!(value));
        assert!(found.iter().any(|f| f.contains(word)), "{key}: {found:?}");
    }
}
