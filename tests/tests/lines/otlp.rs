//! OTLP before OpenTelemetry's own types, and against the events of `--format json`.
//!
//! Those types take keys that they do not know; so what they took is written again and must have
//! everything that stood in the line.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use opentelemetry_proto::tonic::logs::v1::LogsData;
use rst_tracer::sink::{Host, Marks, OtlpSink};
use serde_json::{Map, Value, json};

use super::compare::{differences, is_truncated, is_verdict, nanoseconds, weight};
use super::events;

/// Where of `read` something is that is not in `again`, with the same value.
fn lost(read: &Value, again: &Value, path: &str) -> Vec<String> {
    match (read, again) {
        (Value::Object(read), Value::Object(again)) => read
            .iter()
            .flat_map(|(key, value)| {
                let path = format!("{path}/{key}");
                match again.get(key) {
                    Some(again) => lost(value, again, &path),
                    None => vec![format!("{path} is not known")],
                }
            })
            .collect(),
        (Value::Array(read), Value::Array(again)) if read.len() == again.len() => {
            let pairs = read.iter().zip(again).enumerate();
            pairs.flat_map(|(i, (read, again))| lost(read, again, &format!("{path}/{i}"))).collect()
        }
        (read, again) if read == again => Vec::new(),
        (read, again) => vec![format!("{path} is {read}, and was taken for {again}")],
    }
}

/// The line as OpenTelemetry reads it.
fn read(line: &str) -> Result<Value, Vec<String>> {
    let plain: Value = serde_json::from_str(line).map_err(|e| vec![format!("no JSON: {e}")])?;
    let logs: LogsData = serde_json::from_str(line).map_err(|e| vec![format!("no logs: {e}")])?;
    let again = serde_json::to_value(&logs).map_err(|e| vec![e.to_string()])?;
    let mut found = lost(&plain, &again, "");
    found.extend(integers(&plain));
    if found.is_empty() { Ok(plain) } else { Err(found) }
}

/// Integers of 64 bits that are no strings: not every reader takes them.
fn integers(value: &Value) -> Vec<String> {
    match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(key, value)| match key.as_str() {
                "intValue" | "timeUnixNano" | "observedTimeUnixNano" if !value.is_string() => {
                    vec![format!("{key} is {value}")]
                }
                _ => integers(value),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(integers).collect(),
        _ => Vec::new(),
    }
}

/// A value as plain JSON.
fn plain(value: &Value) -> Value {
    let (kind, value) = value.as_object().and_then(|o| o.iter().next()).expect("a value");
    let inner = || value["values"].as_array().expect("a list");
    match kind.as_str() {
        "intValue" => json!(value.as_str().and_then(|n| n.parse::<i64>().ok()).expect("a number")),
        "arrayValue" => inner().iter().map(plain).collect(),
        "kvlistValue" => {
            let pairs = attributes(inner()).expect("each key once");
            Value::Object(pairs.into_iter().collect())
        }
        _ => value.clone(),
    }
}

/// Attributes by key, each once.
fn attributes(list: &[Value]) -> Result<BTreeMap<String, Value>, String> {
    let mut attributes = BTreeMap::new();
    for attribute in list {
        let key = attribute["key"].as_str().expect("a key").to_owned();
        if attributes.insert(key.clone(), plain(&attribute["value"])).is_some() {
            return Err(format!("{key} twice"));
        }
    }
    Ok(attributes)
}

/// Complains about a line; `event` is the same in `--format json`.
pub(super) fn complaints(line: &str, event: &Value) -> Vec<String> {
    let read = match read(line) {
        Ok(read) => read,
        Err(found) => return found,
    };
    let mut found = Vec::new();
    if line.len() + 1 >= 8192 {
        found.push(format!("{} bytes", line.len() + 1));
    }
    let log = &read["resourceLogs"][0];
    let record = &log["scopeLogs"][0]["logRecords"][0];
    let list = |value: &Value| attributes(value["attributes"].as_array().expect("attributes"));
    let (resource, actual) = match (list(&log["resource"]), list(record)) {
        (Ok(resource), Ok(actual)) => (resource, actual),
        (Err(twice), _) | (_, Err(twice)) => return vec![twice],
    };
    let time = json!(nanoseconds(&event["time"]).to_string());
    if record["timeUnixNano"] != time || record["observedTimeUnixNano"] != time {
        found.push(format!("the time is {}", record["timeUnixNano"]));
    }
    if is_truncated(event) || actual.contains_key("rst_tracer.truncated") {
        return found;
    }
    let is_linux = resource["os.type"] == "linux";
    let is_id = |id: &Value| id.as_str().is_some_and(|id| id.len() == 32);
    let ids = ["service.instance.id", "host.id"].into_iter().filter_map(|key| resource.get(key));
    found.extend(ids.filter(|id| !is_id(id)).map(Value::to_string));
    if resource["service.name"] != "rst-tracer"
        || resource["host.name"] != event["host"]
        || !is_linux
    {
        found.push(format!("the resource is {resource:?}"));
    }
    if resource["env"] != "prod" || resource["tags"] != json!(["edge", "eu west"]) {
        found.push(format!("tags and labels are not in the resource {resource:?}"));
    }
    let body = record["body"]["stringValue"].as_str().expect("a text");
    let (name, is_right) = match event["type"].as_str() {
        Some("rst") => ("rst_tracer.tcp.reset", is_verdict(body, event)),
        Some("finding") => ("rst_tracer.finding", event["text"] == body),
        _ => ("rst_tracer.stats", true),
    };
    let severity = match event["severity"].as_str() {
        Some("high") => 17,
        Some("medium") => 13,
        Some("low") => 10,
        _ => 9,
    };
    if record["eventName"] != name || record["severityNumber"] != severity || !is_right {
        found.push(format!("{record} is not the head of {name}, severity {severity}"));
    }
    found.extend(differences(&actual, &expected(event)));
    found
}

/// The attributes that an event must have, made of its JSON alone.
fn expected(event: &Value) -> BTreeMap<String, Value> {
    let mut keys = Keys(BTreeMap::new());
    keys.of(event, &[("seq", "rst_tracer.seq")]);
    match event["type"].as_str() {
        Some("rst") => reset(event, &mut keys),
        Some("finding") => finding(event, &mut keys),
        _ => stats(event, &mut keys),
    }
    keys.0
}

struct Keys(BTreeMap<String, Value>);

impl Keys {
    fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.into(), value.into());
    }

    /// The values of `from` that are there, by other names.
    fn of(&mut self, from: &Value, names: &[(&str, &str)]) {
        for (key, name) in names {
            if let Some(value) = from.get(key) {
                self.put(name, value.clone());
            }
        }
    }

    /// The same with `rst_tracer` and a prefix before the name.
    fn ours(&mut self, from: &Value, prefix: &str, names: &[&str]) {
        for key in names {
            if let Some(value) = from.get(key) {
                self.put(&format!("rst_tracer{prefix}.{key}"), value.clone());
            }
        }
    }

    fn end(&mut self, end: Option<&Value>, name: &str) {
        if let Some(end) = end {
            self.put(&format!("{name}.address"), end["ip"].clone());
            self.put(&format!("{name}.port"), end["port"].clone());
        }
    }

    /// A list that is left out when it is empty.
    fn list(&mut self, key: &str, texts: Vec<String>) {
        if !texts.is_empty() {
            self.put(key, texts);
        }
    }
}

fn reset(event: &Value, keys: &mut Keys) {
    let is_v6 = event["src"]["ip"].as_str().expect("an address").contains(':');
    keys.put("network.transport", "tcp");
    keys.put("network.type", if is_v6 { "ipv6" } else { "ipv4" });
    keys.of(
        event,
        &[
            ("id", "log.record.uid"),
            ("interface", "network.interface.name"),
            ("file", "file.path"),
            ("cause", "error.type"),
        ],
    );
    match event["direction"].as_str() {
        Some("ingress") => keys.put("network.io.direction", "receive"),
        Some("egress") => keys.put("network.io.direction", "transmit"),
        _ => {}
    }
    for (key, name) in
        [("src", "source"), ("dst", "destination"), ("client", "client"), ("server", "server")]
    {
        keys.end(event.get(key), name);
    }
    let (local, peer) = match event["local_role"].as_str() {
        Some("sender") => (event.get("src"), event.get("dst")),
        Some("receiver") => (event.get("dst"), event.get("src")),
        _ => (None, None),
    };
    keys.end(local, "network.local");
    keys.end(peer, "network.peer");
    #[rustfmt::skip] // Many short words.
    keys.ours(event, "", &[
        "frame", "ifindex", "netns", "hook", "local_role", "tunnel", "community_id", "vlan", "class", "cause",
        "confidence", "basis", "severity", "at_fault", "sent_by", "initiator", "origin", "effect",
        "signature", "repeats", "stage", "conn_state", "history", "app",
    ]);
    let list = |key: &str| event.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let evidence =
        list("evidence").iter().map(|e| format!("{} {}", weight(e), text(&e["text"]))).collect();
    keys.list("rst_tracer.evidence", evidence);
    let percent = |other: &Value| (other["confidence"].as_f64().expect("a number") * 100.0).round();
    let others = list("alternatives")
        .iter()
        .map(|o| format!("{} {}%", text(&o["cause"]), percent(o)))
        .collect();
    keys.list("rst_tracer.alternatives", others);
    keys.list("rst_tracer.recent", list("recent").iter().map(rung).collect());
    let segment = &event["segment"];
    keys.ours(segment, ".tcp", &["flags", "seq", "ack", "window", "payload_len"]);
    keys.ours(event, ".tcp", &["payload_text", "mptcp_reason"]);
    keys.ours(segment, ".ip", &["ttl", "df", "tos", "flow_label"]);
    keys.of(segment, &[("ip_id", "rst_tracer.ip.id"), ("src_mac", "rst_tracer.ether.src_mac")]);
    keys.of(segment, &[("dst_mac", "rst_tracer.ether.dst_mac")]);
    if let Some(flow) = event.get("flow") {
        let names = ["duration_ms", "idle_ms", "rtt_us", "client", "server", "src", "dst"];
        keys.ours(flow, ".flow", &names);
    }
    if let Some(process) = event.get("process") {
        keys.of(
            process,
            &[
                ("pid", "process.pid"),
                ("name", "process.executable.name"),
                ("uid", "process.user.id"),
                ("cgroup", "process.linux.cgroup"),
                ("executable", "process.executable.path"),
                ("start", "process.creation.time"),
                ("container_id", "container.id"),
                ("container_runtime", "container.runtime.name"),
                ("pod_uid", "k8s.pod.uid"),
                ("entity_id", "rst_tracer.process.entity_id"),
                ("known_by", "rst_tracer.process.known_by"),
            ],
        );
    }
    if let Some(policy) = event.get("policy") {
        keys.ours(policy, ".policy", &["rule", "expect", "verdict", "text"]);
    }
    if let Some(kernel) = event.get("kernel") {
        keys.ours(kernel, ".kernel", &["reason", "netns"]);
        if let Some(state) = kernel.get("state").and_then(Value::as_str) {
            let state = match state {
                "CLOSE" => "closed".to_owned(),
                "SYN_RECV" | "NEW_SYN_RECV" => "syn_received".to_owned(),
                "FIN_WAIT1" => "fin_wait_1".to_owned(),
                "FIN_WAIT2" => "fin_wait_2".to_owned(),
                other => other.to_lowercase(),
            };
            keys.put("network.connection.state", state);
        }
    }
}

fn rung(r: &Value) -> String {
    let word = |key: &str| r[key].as_str().expect("a word");
    let number = |key: &str| r[key].as_u64().expect("a number");
    format!(
        "-{} us {} {} seq {} ack {} len {} win {} ttl {}",
        number("ago_us"),
        word("from"),
        word("flags"),
        number("seq"),
        number("ack"),
        number("len"),
        number("window"),
        number("ttl")
    )
}

fn finding(event: &Value, keys: &mut Keys) {
    keys.put("network.transport", "tcp");
    keys.of(
        event,
        &[
            ("id", "log.record.uid"),
            ("kind", "rst_tracer.finding.kind"),
            ("state", "rst_tracer.finding.state"),
            ("rule", "rst_tracer.finding.rule"),
            ("start", "rst_tracer.finding.start"),
            ("end", "rst_tracer.finding.end"),
            ("severity", "rst_tracer.severity"),
        ],
    );
    let sources = event["sources"].as_array().expect("a list");
    if let Some(first) = sources.first() {
        keys.of(first, &[("ip", "source.address"), ("port", "source.port")]);
    }
    let text = |source: &Value| {
        let port = source.get("port").map(|port| format!(" port {port}")).unwrap_or_default();
        format!("{}{port}: {}", source["ip"].as_str().expect("an address"), source["resets"])
    };
    keys.list("rst_tracer.finding.sources", sources.iter().map(text).collect());
    for (name, count) in event["counts"].as_object().expect("numbers") {
        keys.put(&format!("rst_tracer.finding.counts.{name}"), count.clone());
    }
}

fn stats(event: &Value, keys: &mut Keys) {
    #[rustfmt::skip] // Many short words.
    keys.ours(event, ".stats", &[
        "segments", "rsts", "events", "merged", "repeated", "filtered", "pending", "suppressed",
        "lost", "malformed", "flows", "evictions", "policy",
    ]);
    let hook = |hook: &Value| {
        let mut flat = Map::new();
        for (key, value) in hook.as_object().expect("an object") {
            match value {
                Value::Object(counts) => {
                    flat.extend(counts.iter().map(|(why, n)| (format!("{key}.{why}"), n.clone())))
                }
                value => drop(flat.insert(key.clone(), value.clone())),
            }
        }
        Value::Object(flat)
    };
    let hooks: Vec<_> = event["hooks"].as_array().expect("a list").iter().map(hook).collect();
    if !hooks.is_empty() {
        keys.put("rst_tracer.stats.hooks", hooks);
    }
}

/// This host, and what else is to be said, with more labels of these names.
fn host(more: RangeInclusive<char>) -> Host {
    let tags = ["edge", "eu west"].map(str::to_owned).to_vec();
    let more = more.map(|key| (key.to_string(), "1".to_owned()));
    let labels = [("env".to_owned(), "prod".to_owned())].into_iter().chain(more).collect();
    let marks = Marks::new(tags, labels);
    Host { marks: marks.expect("they are allowed"), ..Host::read() }
}

#[test]
fn events_of_every_kind_are_read_as_they_are() {
    let all = events::all();
    // Many short ones take the most room.
    let lines = events::lines(&all, |out| OtlpSink::new(out).on(host('a'..='z')));
    assert_eq!(lines.len(), all.len());
    let complaints: Vec<_> =
        lines.iter().zip(&all).flat_map(|(line, event)| complaints(line, event)).collect();
    assert!(complaints.is_empty(), "{}", complaints[..complaints.len().min(9)].join("\n"));
    eprintln!("{} lines of OTLP", lines.len());
}

#[test]
fn planted_errors_are_refused() {
    let event = events::all().remove(0);
    let of = std::slice::from_ref(&event);
    let line = events::lines(of, |out| OtlpSink::new(out).on(host('a'..='b'))).remove(0);
    for (right, wrong) in [
        ("resourceLogs", "resourcelogs"),
        ("scopeLogs", "scopeSpans"),
        ("\"eventName\"", "\"event_type\""),
        ("rst_tracer.tcp.reset", "rst_tracer.reset"),
        ("timeUnixNano\":\"1795340545123456789\"", "timeUnixNano\":\"1795340545123456788\""),
        ("timeUnixNano\":\"1795340545123456789\"", "timeUnixNano\":1795340545123456789"),
        ("\"severityNumber\":13", "\"severityNumber\":9"),
        ("\"severityNumber\":13", "\"severityNumber\":\"13\""),
        ("\"intValue\":\"443\"", "\"intValue\":443"),
        ("\"intValue\":\"443\"", "\"intValue\":\"x\""),
        ("\"intValue\":\"443\"", "\"integerValue\":\"443\""),
        ("\"intValue\":\"443\"", "\"intValue\":\"444\""),
        ("{\"boolValue\":true}", "{\"boolValue\":\"true\"}"),
        ("\"key\":\"source.port\"", "\"key\":\"source.address\""),
        ("transmit", "receive"),
        ("97% sure", "96% sure"),
        ("}]}", "}]"),
    ] {
        let planted = line.replacen(right, wrong, 1);
        assert_ne!(planted, line, "{right} is not there");
        assert!(!complaints(&planted, &event).is_empty(), "{wrong} is not noticed");
    }
}
