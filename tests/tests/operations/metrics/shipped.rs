//! What is shipped for the metrics names only what there is: alerts, dashboard, documentation.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use super::{mixed, settled, traced};
use rst_tracer_tests::scrape::Page;

pub(super) const RULES: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../contrib/prometheus/rst-tracer.rules.yml");
pub(super) const RULES_TEST: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../contrib/prometheus/rst-tracer.rules.test.yml");
const DASHBOARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../contrib/grafana/rst-tracer.json");
const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../contrib/config/policy.toml");
const DOCUMENTATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The words in a text that look like metrics of ours.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("rst_tracer_")).collect()
}

/// Every value of this key, however deep.
fn each<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(key).and_then(Value::as_str));
            object.values().for_each(|value| each(value, key, found));
        }
        Value::Array(array) => array.iter().for_each(|value| each(value, key, found)),
        _ => {}
    }
}

/// The queries of the dashboard, its variables filled in.
pub(super) fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).expect("JSON");
    let mut found = Vec::new();
    each(&dashboard, "expr", &mut found);
    assert!(found.len() >= 10, "{found:#?}");
    let filled = |query: &&str| {
        query.replace("$__rate_interval", "5m").replace("$__range", "1h").replace("$instance", ".*")
    };
    found.iter().map(filled).collect()
}

/// A row of the documentation: name, type, labels.
fn rows(text: &str) -> Vec<(&str, &str, BTreeSet<&str>)> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [name, kind, labels, _meaning] = cells[..] else { panic!("not four cells: {row}") };
        // Between each second pair of backticks.
        let labels = labels.split('`').skip(1).step_by(2).collect();
        (name.trim_end_matches('`'), kind, labels)
    })
    .collect()
}

#[test]
fn alerts_dashboard_and_documentation_name_what_the_tracer_exports() {
    let Some((pair, tracer, address)) = traced(&["--no-flow-rate", "20", "--policy", POLICY])
    else {
        return;
    };
    let resets = mixed(&pair);
    let page = settled(&pair, address, resets);
    tracer.interrupt().assert_code(0);

    let names = page.names();
    let (rules, rules_test) = (read(RULES), read(RULES_TEST));
    let queries = queries().join(" ");
    for text in [&rules, &rules_test, &queries] {
        for name in named(text) {
            assert!(names.contains(name), "{name} is not exported: {}", page.text);
        }
    }
    documents(&page);
}

/// Holds the documentation against what was exported, both ways.
fn documents(page: &Page) {
    let text = read(DOCUMENTATION);
    let rows = rows(&text);
    let documented: BTreeSet<_> = rows.iter().map(|(name, kind, _)| (*name, *kind)).collect();
    let exported: BTreeSet<_> = page.kinds().into_iter().collect();
    assert_eq!(documented, exported);
    for (name, kind, labels) in &rows {
        let name = if *kind == "histogram" { format!("{name}_count") } else { (*name).to_owned() };
        assert_eq!(*labels, page.labels(&name), "{name}");
    }
    // What is named in the text is there, too.
    for name in named(&text) {
        assert!(page.names().contains(name) || page.kinds().contains_key(name), "{name}");
    }
}
