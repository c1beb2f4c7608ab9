//! The schema accepts what the tracer writes and refuses what the contract rules out.

use std::path::Path;
use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::event::samples;

const GOLDEN: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema/rst-tracer-1.schema.json");

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/events.md");

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    let options = jsonschema::options().should_validate_formats(true);
    options.build(&schema()).expect("the schema is a schema")
});

/// A valid reset event, changed by `change`.
fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut line = serde_json::to_value(samples::unread_data()).unwrap();
    change(&mut line);
    line
}

#[test]
fn the_checked_in_schema_is_the_one_of_the_types() {
    let generated = format!("{:#}\n", schema());
    if std::env::var_os("RST_TRACER_BLESS").is_some() {
        std::fs::create_dir_all(Path::new(GOLDEN).parent().unwrap()).unwrap();
        std::fs::write(GOLDEN, &generated).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    assert!(golden == generated, "docs/schema is stale: run the test with RST_TRACER_BLESS=1");
}

#[test]
fn the_reference_for_people_is_made_of_the_schema() {
    let (page, is_wanted) =
        (reference::page(&schema()), std::env::var_os("RST_TRACER_BLESS").is_some());
    if is_wanted {
        std::fs::write(REFERENCE, &page).unwrap();
    }
    let there = std::fs::read_to_string(REFERENCE).unwrap_or_default();
    assert!(there == page, "docs/events.md is stale: run the test with RST_TRACER_BLESS=1");
}

#[test]
fn the_schema_obeys_its_own_meta_schema() {
    jsonschema::draft202012::meta::validate(&schema()).unwrap();
}

#[test]
fn what_the_contract_rules_out_is_refused() {
    assert!(VALIDATOR.is_valid(&changed(|_| {})));
    let refused: [(&str, Value); 18] = [
        ("a null", changed(|v| v["interface"] = Value::Null)),
        ("a null inside", changed(|v| v["flow"]["rtt_us"] = Value::Null)),
        ("an unknown key", changed(|v| v["colour"] = json!("red"))),
        ("an unknown key inside", changed(|v| v["segment"]["colour"] = json!("red"))),
        ("a name outside its vocabulary", changed(|v| v["hook"] = json!("kprobe"))),
        ("an unknown cause", changed(|v| v["cause"] = json!("bad_luck"))),
        ("a cause of another class", changed(|v| v["class"] = json!("unknown"))),
        ("a missing key", changed(|v| drop(v.as_object_mut().unwrap().remove("time")))),
        ("another version", changed(|v| v["schema"] = json!("rst-tracer/2"))),
        ("an unknown type", changed(|v| v["type"] = json!("fin"))),
        ("a time without nanoseconds", changed(|v| v["time"] = json!("2026-11-22T09:42:25Z"))),
        ("flags out of order", changed(|v| v["segment"]["flags"] = json!("AR"))),
        ("an address that is none", changed(|v| v["src"]["ip"] = json!("10.0.0.256"))),
        ("a port that is none", changed(|v| v["src"]["port"] = json!(65536))),
        ("more than certain", changed(|v| v["confidence"] = json!(1.5))),
        ("an integer beyond 2^53", changed(|v| v["repeats"] = json!(1u64 << 53))),
        ("a client alone", changed(|v| drop(v.as_object_mut().unwrap().remove("server")))),
        ("a capture file without a frame", changed(|v| v["hook"] = json!("pcap"))),
    ];
    for (what, line) in refused {
        assert!(!VALIDATOR.is_valid(&line), "{what} was accepted");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_event_is_valid(events in prop::collection::vec(samples::event(), 4)) {
            for event in events {
            let line = serde_json::to_value(&event).unwrap();
            let errors: Vec<_> = VALIDATOR.iter_errors(&line).map(|e| e.to_string()).collect();
            prop_assert!(errors.is_empty(), "{errors:#?}\n{line:#}");
        }
    }
}
