//! EVE before a schema of Suricata's keys and types, and against the events of `--format json`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use rst_tracer::sink::EveSink;
use serde_json::{Map, Value, json};

use super::compare::{differences, flags, is_truncated};
use super::events;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(include_str!("eve.schema.json")).expect("JSON");
    jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema")
});

/// Complains about a line; `event` is the same in `--format json`.
pub(super) fn complaints(line: &str, event: &Value) -> Vec<String> {
    let read: Value = match serde_json::from_str(line) {
        Ok(read) => read,
        Err(error) => return vec![format!("no JSON: {error}")],
    };
    let mut found: Vec<_> =
        SCHEMA.iter_errors(&read).map(|e| format!("{}: {e}", e.instance_path())).collect();
    found.extend(absent_or_vast(&read));
    if line.len() + 1 >= 4096 {
        found.push(format!("{} bytes", line.len() + 1));
    }
    // What was left out of one line may stand in the other.
    if found.is_empty() && !is_truncated(event) && !line.contains("\"truncated\":true") {
        found = differences(&top(&read), &expected(event));
    }
    found
}

/// Nulls, and numbers that a double cannot hold.
fn absent_or_vast(value: &Value) -> Vec<String> {
    match value {
        Value::Null => vec!["a null".into()],
        Value::Number(n) if n.as_u64().is_some_and(|n| n >= 1 << 53) => vec![format!("{n}")],
        Value::Array(values) => values.iter().flat_map(absent_or_vast).collect(),
        Value::Object(object) => object.values().flat_map(absent_or_vast).collect(),
        _ => Vec::new(),
    }
}

fn top(value: &Value) -> BTreeMap<String, Value> {
    let object = value.as_object().expect("an object").iter();
    object.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// What a line must say of this event, made of its JSON alone.
fn expected(event: &Value) -> BTreeMap<String, Value> {
    let mut record = Map::new();
    let time = |time: &Value| format!("{}+0000", &time.as_str().expect("a time")[..26]);
    record.insert("timestamp".into(), time(&event["time"]).into());
    record.insert("host".into(), event["host"].clone());
    let mut rest = event.as_object().expect("an object").clone();
    for key in ["schema", "type", "time", "host"] {
        rest.shift_remove(key);
    }
    match event["type"].as_str() {
        Some("rst") => reset(event, rest, &mut record, time),
        Some("finding") => finding(event, rest, &mut record),
        _ => {
            record.insert("event_type".into(), json!("stats"));
            let stats = json!({
                "capture": { "kernel_drops": event["lost"] },
                "decoder": { "tcp": event["segments"], "invalid": event["malformed"] },
                "tcp": { "rst": event["rsts"] },
                "rst": rest,
            });
            record.insert("stats".into(), stats);
        }
    }
    top(&Value::Object(record))
}

fn reset(
    event: &Value,
    mut rest: Map<String, Value>,
    record: &mut Map<String, Value>,
    time: impl Fn(&Value) -> String,
) {
    record.insert("event_type".into(), json!("tcp_rst"));
    record.insert("flow_id".into(), flow_id(&event["community_id"]).into());
    for (key, name) in [
        ("interface", "in_iface"),
        ("file", "pcap_filename"),
        ("frame", "pcap_cnt"),
        ("vlan", "vlan"),
        ("community_id", "community_id"),
    ] {
        if let Some(value) = rest.shift_remove(key) {
            record.insert(name.into(), value);
        }
    }
    let mut end = |key: &str, side: &str, to: &mut Map<String, Value>| {
        rest.shift_remove(key).map(|end| {
            to.insert(format!("{side}_ip"), end["ip"].clone());
            to.insert(format!("{side}_port"), end["port"].clone());
        })
    };
    end("src", "src", record);
    end("dst", "dest", record);
    let mut flow = Map::new();
    if end("client", "src", &mut flow).and(end("server", "dest", &mut flow)).is_some() {
        if let Some(known) = event.get("flow") {
            let packets = [("pkts_toserver", "client"), ("pkts_toclient", "server")];
            let sides = packets.iter().filter(|(_, side)| known.get(side).is_some());
            flow.extend(sides.map(|(key, s)| ((*key).into(), known[s]["packets"].clone())));
            flow.insert("start".into(), time(&known["start"]).into());
        }
        record.insert("flow".into(), flow.into());
    }
    record.insert("proto".into(), json!("TCP"));
    let source = match event.get("tunnel").map(|tunnel| tunnel.as_str().expect("a name")) {
        None => Some("wire/pcap"),
        Some("gre") => Some("gre tunnel"),
        Some("vxlan") => Some("vxlan encapsulation"),
        Some("geneve") => Some("geneve encapsulation"),
        Some("ipip" | "6in4") => Some("ipv4 tunnel"),
        Some(_) => None,
    };
    source.map(|source| record.insert("pkt_src".into(), json!(source)));
    match event["sent_by"].as_str() {
        Some("client") => record.insert("direction".into(), json!("to_server")),
        Some("server") => record.insert("direction".into(), json!("to_client")),
        _ => None,
    };
    let app = event["app"].as_str().expect("a name");
    if !["incomplete", "insufficient-data", "not-applicable", "unknown-tcp"].contains(&app) {
        record.insert("app_proto".into(), json!(app));
    }
    record.insert("tcp".into(), tcp(flags(&event["segment"]["flags"])));
    let mut ether = serde_json::Map::new();
    for (ours, theirs) in [("src_mac", "src_mac"), ("dst_mac", "dest_mac")] {
        ether.extend(event["segment"].get(ours).map(|mac| (theirs.to_owned(), mac.clone())));
    }
    if !ether.is_empty() {
        record.insert("ether".into(), ether.into());
    }
    record.insert("rst".into(), rest.into());
}

fn tcp(flags: u8) -> Value {
    let mut tcp = Map::new();
    tcp.insert("tcp_flags".into(), format!("{flags:02x}").into());
    let names = ["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"];
    for (bit, name) in names.into_iter().enumerate() {
        if flags >> bit & 1 == 1 {
            tcp.insert(name.into(), json!(true));
        }
    }
    tcp.into()
}

/// It must be the same for the same connection; what it is does not matter, so the program is
/// asked, with another event.
fn flow_id(community_id: &Value) -> u64 {
    let mut other = events::all().swap_remove(1);
    other["community_id"] = community_id.clone();
    let line = events::lines(&[other], EveSink::new).remove(0);
    let read: Value = serde_json::from_str(&line).expect("JSON");
    read["flow_id"].as_u64().expect("a number")
}

fn finding(event: &Value, rest: Map<String, Value>, record: &mut Map<String, Value>) {
    record.insert("event_type".into(), json!("alert"));
    record.insert("proto".into(), json!("TCP"));
    if let Some(first) = event["sources"].get(0) {
        record.insert("src_ip".into(), first["ip"].clone());
        first.get("port").map(|port| record.insert("src_port".into(), port.clone()));
    }
    let (number, words, category) = match event["kind"].as_str().expect("a kind") {
        "surge" => (1, "surge of resets", "Misc activity"),
        "port_scan" => (2, "port scan", "Detection of a Network Scan"),
        "rst_flood" => (3, "flood of resets", "Detection of a Denial of Service Attack"),
        "injection_campaign" => (4, "injection campaign", "Potentially Bad Traffic"),
        "idle_timeout" => (5, "idle timeout", "Misc activity"),
        "accept_queue_overflow" => (6, "accept queue overflow", "Misc activity"),
        "restart" => (7, "service restart", "Misc activity"),
        "policy_violation" => (8, "against the policy", "Misc activity"),
        other => panic!("a new kind of finding needs a signature: {other}"),
    };
    let severity = match event["severity"].as_str() {
        Some("high") => 1,
        Some("medium") => 2,
        Some("low") => 3,
        _ => 4,
    };
    let alert = json!({
        "action": "allowed", "gid": 1, "signature_id": 1_000_000 + number, "rev": 1,
        "signature": format!("rst-tracer: {words}"), "category": category, "severity": severity,
    });
    record.insert("alert".into(), alert);
    record.insert("rst".into(), rest.into());
}

#[test]
fn events_of_every_kind_are_read_as_they_are() {
    let all = events::all();
    let lines = events::lines(&all, EveSink::new);
    assert_eq!(lines.len(), all.len());
    let complaints: Vec<_> =
        lines.iter().zip(&all).flat_map(|(line, event)| complaints(line, event)).collect();
    assert!(complaints.is_empty(), "{}", complaints[..complaints.len().min(9)].join("\n"));
    eprintln!("{} lines of EVE", lines.len());
}

#[test]
fn planted_errors_are_refused() {
    let event = events::all().remove(0);
    let line = events::lines(std::slice::from_ref(&event), EveSink::new).remove(0);
    for (right, wrong) in [
        ("+0000\",\"event", "Z\",\"event"),
        ("+0000\",\"event", "+00:00\",\"event"),
        (".123456+", "+"),
        ("\"flow_id\":", "\"flow_id\":9"),
        ("\"src_port\":443", "\"src_port\":\"443\""),
        ("\"src_port\":443", "\"src_port\":51234"),
        ("\"tcp_flags\":\"14\"", "\"tcp_flags\":\"0x14\""),
        ("\"tcp_flags\":\"14\"", "\"tcp_flags\":\"04\""),
        ("\"ack\":true", "\"syn\":true"),
        ("{\"src_mac\":", "{\"mac\":"),
        ("02:00:00:00:00:0a", "02-00-00-00-00-0A"),
        ("\"proto\":\"TCP\"", "\"proto\":\"tcp\""),
        ("\"in_iface\"", "\"interface\""),
        ("\"tunnel\":\"vxlan\"", "\"tunnel\":null"),
        ("\"direction\":\"to_client\"", "\"direction\":\"to_server\""),
        ("\"confidence\":0.97", "\"confidence\":0.96"),
        ("\"dest_ip\":\"10.0.0.5\"", "\"dest_ip\":\"10.0.0.500\""),
    ] {
        let planted = line.replacen(right, wrong, 1);
        assert_ne!(planted, line, "{right} is not there");
        assert!(!complaints(&planted, &event).is_empty(), "{wrong} is not noticed");
    }
}
