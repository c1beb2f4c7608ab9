//! A policy over captures that others wrote: each reset is judged by the rule that matches it, and every rule's counts
//! are those of the events.

use std::collections::BTreeMap;

use rst_tracer_tests::{
    capture::Folder,
    shared_captures::{files_under, root},
    tracer::run,
};
use serde_json::Value;

const POLICY: &[u8] = br#"
[[rule]]
name = "refusals"
match = { class = ["connection_refused", "policy_enforcement"] }
expect = "denied"

[[rule]]
name = "on-the-way"
match = { origin = ["middlebox_suspected", "middlebox_proven"] }
expect = "never"

[[rule]]
name = "few"
match = { net = ["0.0.0.0/0", "::/0"], sent_by = ["client", "server"] }
at_most = 3
within = "10s"

[[rule]]
name = "rest"
expect = "harmless"
"#;

/// The rule that must decide, by the event alone.
fn decides(event: &Value) -> &'static str {
    let word = |key: &str| event[key].as_str().unwrap_or_default();
    match (word("class"), word("origin"), word("sent_by")) {
        ("connection_refused" | "policy_enforcement", ..) => "refusals",
        (_, "middlebox_suspected" | "middlebox_proven", _) => "on-the-way",
        (_, _, "client" | "server") => "few",
        _ => "rest",
    }
}

/// What is wrong between an event and its verdict.
fn complaint(event: &Value) -> Option<String> {
    let policy = &event["policy"];
    let verdict = policy["verdict"].as_str().unwrap_or_default();
    let answered = event["flow"]["server"]["packets"].as_u64().is_some_and(|n| n > 0);
    let is_firewalls = event["class"] == "policy_enforcement";
    let is_cut_on_the_way = event["origin"].as_str().is_some_and(|o| o.starts_with("middlebox"));
    let is_right = match policy["rule"].as_str() {
        Some(rule) if rule != decides(event) => false,
        Some("refusals") if is_firewalls => ["as_configured", "unclear"].contains(&verdict),
        Some("refusals") if is_cut_on_the_way => verdict == "unclear",
        Some("refusals") if answered => verdict == "violated",
        Some("refusals") => ["violated", "unclear"].contains(&verdict),
        Some("on-the-way") => verdict == "violated",
        Some("few") => ["expected", "violated"].contains(&verdict),
        Some("rest") => verdict == "expected",
        _ => false,
    };
    (!is_right).then(|| format!("{policy} of {event}"))
}

#[test]
fn every_reset_of_the_shared_set_is_judged_and_counted_once() {
    let Some(root) = root() else { return };
    let folder = Folder::new();
    let policy = folder.file("policy.toml", POLICY);
    let mut verdicts = BTreeMap::<String, u64>::new();
    for file in files_under(&root.join("pcaps")) {
        let file = file.to_str().expect("UTF-8");
        let ended = run(&["replay", file, "--format", "json", "--stats", "--policy", &policy]);
        let lines: Vec<Value> =
            ended.out.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let (resets, rest): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["type"] == "rst");
        let complaints: Vec<_> = resets.iter().filter_map(|event| complaint(event)).collect();
        assert_eq!(complaints, [""; 0], "{file}");
        let mut counts = BTreeMap::<String, u64>::new();
        for event in resets {
            let policy = &event["policy"];
            let [rule, verdict] =
                ["rule", "verdict"].map(|key| policy[key].as_str().expect("text"));
            *counts.entry(format!("{rule} {verdict}")).or_default() += 1;
        }
        // The first capture file of a run may end with another code: some are cut off.
        let stats = rest.iter().find(|line| line["type"] == "stats").expect("counters");
        for rule in stats["policy"].as_array().expect("rules") {
            for verdict in ["as_configured", "expected", "violated", "unclear"] {
                let name = format!("{} {verdict}", rule["rule"].as_str().expect("a name"));
                let told = rule[verdict].as_u64().unwrap_or_default();
                assert_eq!(told, counts.get(&name).copied().unwrap_or_default(), "{file}: {name}");
            }
        }
        let findings = rest.iter().filter(|line| line["kind"] == "policy_violation");
        let told: u64 = findings
            .filter(|finding| finding["state"] == "over")
            .map(|finding| finding["counts"]["rsts"].as_u64().expect("a number"))
            .sum();
        let violated = counts.iter().filter(|(name, _)| name.ends_with(" violated"));
        assert_eq!(told, violated.map(|(_, n)| n).sum::<u64>(), "{file}");
        for (name, n) in counts {
            *verdicts.entry(name).or_default() += n;
        }
    }
    eprintln!("{verdicts:#?}");
    assert!(verdicts.len() >= 5 && verdicts.values().sum::<u64>() > 100, "{verdicts:#?}");
}
