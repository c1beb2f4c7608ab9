//! What the extension must say of an event.
//!
//! In: a line of `--format json`. Out: keys and values, by the table of docs/formats.md.

use std::collections::BTreeMap;

use serde_json::Value;

use super::grammar::longest;
use crate::compare::{nanoseconds, weight};

/// What the extension must say of this event, made of its JSON alone.
pub(super) fn expected(event: &Value) -> BTreeMap<String, String> {
    let mut keys = Keys(BTreeMap::new());
    keys.put("rt", &(nanoseconds(&event["time"]) / 1_000_000).to_string());
    keys.of("externalId", event.get("id")).of("dvchost", event.get("host"));
    keys.of("rstTracerSeq", event.get("seq"));
    match event["type"].as_str() {
        Some("rst") => reset(event, &mut keys),
        Some("finding") => finding(event, &mut keys),
        _ => stats(event, &mut keys),
    }
    keys.0
}

struct Keys(BTreeMap<String, String>);

impl Keys {
    fn put(&mut self, key: &str, value: &str) -> &mut Self {
        if !value.is_empty() {
            self.0.insert(key.into(), shown(value).chars().take(longest(key)).collect());
        }
        self
    }

    fn of(&mut self, key: &str, value: Option<&Value>) -> &mut Self {
        match value {
            None => self,
            Some(Value::String(text)) => self.put(key, text),
            Some(other) => self.put(key, &other.to_string()),
        }
    }

    fn labelled(&mut self, key: &str, label: &str, value: Option<&Value>) -> &mut Self {
        self.of(key, value);
        if self.0.contains_key(key) {
            self.put(&format!("{key}Label"), label);
        }
        self
    }

    fn end(&mut self, end: &Value, v4: &str, (v6, label): (&str, &str), port: &str) -> &mut Self {
        match end["ip"].as_str().expect("an address").contains(':') {
            true => self.labelled(v6, label, end.get("ip")),
            false => self.of(v4, end.get("ip")),
        }
        .of(port, end.get("port"))
    }
}

const V6_SRC: (&str, &str) = ("c6a2", "Source IPv6 Address");
const V6_DST: (&str, &str) = ("c6a3", "Destination IPv6 Address");

/// What harms a terminal or ends a line is shown by its number.
fn shown(text: &str) -> String {
    let harms = |c: char| {
        let hidden = [0x200b..=0x200f, 0x2028..=0x202e, 0x2060..=0x206f, 0xe0000..=0xe007f];
        let is_hidden = hidden.iter().any(|range| range.contains(&u32::from(c)));
        !['\n', '\r'].contains(&c) && (c.is_control() || is_hidden || c == '\u{feff}')
    };
    text.chars()
        .map(|c| match c {
            '\t' => "\\t".into(),
            c if harms(c) => format!("\\u{{{:x}}}", u32::from(c)),
            c => c.to_string(),
        })
        .collect()
}

/// Whether a SYN was answered, as ECS and OCSF have it, too.
pub(super) fn is_refusal(event: &Value) -> bool {
    let is_early = event["stage"] == "no_flow" || event["stage"] == "post_syn";
    is_early && event["conn_state"] == "REJ"
        || event["class"] == "connection_refused" && event["cause"] != "client_gave_up"
}

fn reset(event: &Value, keys: &mut Keys) {
    let interface = match event["direction"].as_str() {
        Some("egress") => {
            keys.put("deviceDirection", "1");
            "deviceOutboundInterface"
        }
        Some("ingress") => {
            keys.put("deviceDirection", "0");
            "deviceInboundInterface"
        }
        _ => "deviceInboundInterface",
    };
    keys.of(interface, event.get("interface")).of("deviceFacility", event.get("hook"));
    keys.of("filePath", event.get("file")).put("proto", "TCP").of("app", event.get("app"));
    keys.end(&event["src"], "src", V6_SRC, "spt").end(&event["dst"], "dst", V6_DST, "dpt");
    keys.of("smac", event["segment"].get("src_mac"));
    keys.of("dmac", event["segment"].get("dst_mac"));
    keys.put("act", if is_refusal(event) { "refused" } else { "reset" });
    keys.of("cat", event.get("class")).of("reason", event.get("cause"));
    let repeats = event["repeats"].as_u64().expect("a number");
    keys.put("cnt", &(repeats + 1).min(i32::MAX as u64).to_string());
    if let Some(flow) = event.get("flow") {
        keys.put("start", &(nanoseconds(&flow["start"]) / 1_000_000).to_string());
        for (key, end) in [("in", "src"), ("out", "dst")] {
            let sides = ["client", "server", "src", "dst"].into_iter();
            let mut sides = sides.filter(|side| flow.get(side).is_some());
            if let Some(side) = sides.find(|side| event[side] == event[end]) {
                let bytes = flow[side]["bytes"].as_u64().expect("a number");
                keys.put(key, &bytes.min(i32::MAX as u64).to_string());
            }
        }
    }
    if let Some(process) = event.get("process") {
        owner(process, event, keys);
    }
    let pieces = event["evidence"].as_array().expect("a list").iter();
    let pieces = pieces.map(|e| format!("{} {}", weight(e), e["text"].as_str().expect("text")));
    let pieces = Value::from(pieces.collect::<Vec<_>>().join("; "));
    let segment = &event["segment"];
    keys.labelled("cs1", "communityId", event.get("community_id"))
        .labelled("cs2", "tcpFlags", segment.get("flags"))
        .labelled("cs3", "evidence", Some(&pieces))
        .labelled("cs4", "history", event.get("history"))
        .labelled("cs5", "sentBy", event.get("sent_by"))
        .labelled("cs6", "origin", event.get("origin"))
        .labelled("cn1", "ttl", segment.get("ttl"))
        .labelled("cn2", "seq", segment.get("seq"))
        .labelled("cn3", "ack", segment.get("ack"));
    let confidence = event["confidence"].as_f64().expect("a number");
    keys.put("cfp1", &confidence.to_string()).put("cfp1Label", "confidence");
    keys.labelled("flexString1", "stage", event.get("stage"))
        .labelled("flexString2", "atFault", event.get("at_fault"))
        .of("rstTracerEffect", event.get("effect"))
        .of("rstTracerBasis", event.get("basis"))
        .of("rstTracerInitiator", event.get("initiator"))
        .of("rstTracerConnState", event.get("conn_state"))
        .of("rstTracerSignature", event.get("signature"))
        .of("rstTracerWindow", segment.get("window"))
        .of("rstTracerPayloadLen", segment.get("payload_len"))
        .of("rstTracerPayloadText", event.get("payload_text"))
        .of("rstTracerFrame", event.get("frame"))
        .of("rstTracerTunnel", event.get("tunnel"));
    let vlan = event.get("vlan").and_then(Value::as_array).into_iter().flatten();
    let vlan = vlan.map(Value::to_string).collect::<Vec<_>>().join(", ");
    keys.put("rstTracerVlan", &vlan);
    if let Some(kernel) = event.get("kernel") {
        keys.of("rstTracerKernelReason", kernel.get("reason"));
        keys.of("rstTracerKernelState", kernel.get("state"));
    }
    if let Some(policy) = event.get("policy") {
        keys.of("rstTracerRule", policy.get("rule"));
        keys.of("rstTracerPolicyVerdict", policy.get("verdict"));
    }
}

/// The process at its end of the reset, where that is certain; else at the end that is this host.
fn owner(process: &Value, event: &Value, keys: &mut Keys) {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (by, from, role) =
        (word(&process["known_by"]), word(&event["sent_by"]), word(&event["local_role"]));
    let no_socket = role == "sender" && event["kernel"]["reason"] == "NO_SOCKET"
        || event["stage"] == "post_syn" && from == "server";
    let certain = match (by.as_str(), from.as_str()) {
        ("active_close", _) | ("listener", "server") => Some("s"),
        ("listener", "client") => Some("d"),
        ("socket_owner", _) if no_socket => Some("d"),
        _ => None,
    };
    let is_forged = word(&event["origin"]).starts_with("middlebox");
    let side = match (certain.filter(|end| !is_forged || *end == "d"), role.as_str()) {
        (Some(end), _) => end,
        (None, "sender") => "s",
        (None, "receiver") => "d",
        _ => return,
    };
    keys.of(&format!("{side}pid"), process.get("pid"));
    keys.of(&format!("{side}proc"), process.get("name"));
    keys.of(&format!("{side}uid"), process.get("uid"));
    keys.of("rstTracerContainerId", process.get("container_id"))
        .of("rstTracerPodUid", process.get("pod_uid"))
        .of("rstTracerExecutable", process.get("executable"))
        .of("rstTracerProcessStart", process.get("start"));
}

fn finding(event: &Value, keys: &mut Keys) {
    for key in ["start", "end"] {
        keys.put(key, &(nanoseconds(&event[key]) / 1_000_000).to_string());
    }
    keys.of("rstTracerState", event.get("state")).of("rstTracerRule", event.get("rule"));
    keys.put("cat", "finding").of("msg", event.get("text"));
    let sources = event["sources"].as_array().expect("a list");
    if let Some(first) = sources.first() {
        keys.end(first, "src", V6_SRC, "spt");
        let resets = first["resets"].as_u64().expect("a number");
        keys.put("cnt", &resets.min(i32::MAX as u64).to_string());
    }
    let plain = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
    let counts = event["counts"].as_object().expect("numbers").iter();
    let mut counts: Vec<_> = counts.map(|(name, n)| format!("{name} {n}")).collect();
    counts.sort();
    let sources = sources.iter().map(|s| format!("{} {}", plain(&s["ip"]), s["resets"]));
    let sources = Value::from(sources.collect::<Vec<_>>().join(", "));
    keys.labelled("cs1", "counts", Some(&counts.join(", ").into()));
    keys.labelled("cs2", "sources", Some(&sources));
}

fn stats(event: &Value, keys: &mut Keys) {
    keys.put("cat", "statistics");
    for (key, name) in [
        ("segments", "Segments"),
        ("rsts", "Rsts"),
        ("events", "Events"),
        ("merged", "Merged"),
        ("repeated", "Repeated"),
        ("filtered", "Filtered"),
        ("pending", "Pending"),
        ("suppressed", "Suppressed"),
        ("lost", "Lost"),
        ("malformed", "Malformed"),
        ("flows", "Flows"),
        ("evictions", "Evictions"),
    ] {
        keys.of(&format!("rstTracer{name}"), event.get(key));
    }
}
