//! Elastic Common Schema 9.4. <https://www.elastic.co/docs/reference/ecs>
//!
//! `source` is the sender of the reset, as its header has it; `client` and `server` are there only if a
//! handshake or a listening socket told them. What the schema has no field for is in `Rst`: a name that begins
//! with a capital never collides with a field of the schema.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{knows_sides, mac, own, protocol, sides};
use crate::event::{
    Direction, Effect, Endpoint, Event, Finding, FindingKind, Hook, Process, RstEvent, Severity,
    Side, Stage, StatsEvent, Timestamp,
};
use crate::sink::{Host, Internal, words};

/// The schema that the fields follow.
const VERSION: &str = "9.4.0";
/// The one data stream of all lines: its name must not differ between them.
const DATASET: &str = "rst_tracer.events";

/// The event as a document that is written at this time, on this host.
pub(super) fn document(event: &Event, created: Timestamp, host: &Host) -> Value {
    let mut document = match event {
        Event::Rst(event) => rst(event, &host.internal),
        Event::Finding(event) => finding(event),
        Event::Stats(event) => stats(event),
    };
    document["event"]["created"] = json!(created);
    document["event"]["sequence"] = json!(event.seq());
    document["host"]["id"] = json!(host.id);
    document["host"]["os"] = json!({ "type": "linux", "kernel": host.kernel });
    document["tags"] = json!(host.marks.tags);
    document["labels"] = host.marks.labels();
    document
}

fn rst(event: &RstEvent, internal: &Internal) -> Value {
    let (source, destination) = sides(event);
    let knows_sides = knows_sides(event);
    let role = |end: Option<Endpoint>| {
        let end = end.filter(|_| knows_sides)?;
        Some(if end == event.src { from(event, source) } else { to(event, destination) })
    };
    let [outer, inner] =
        [0, 1].map(|n| event.vlan.get(n).map(|id| json!({ "id": id.to_string() })));
    let process = event.process.as_ref();
    let mut document = common(event.time, &event.host, "event");
    fill(
        &mut document,
        json!({
            "message": words::verdict(event),
            "event": happened(event),
            "source": from(event, source),
            "destination": to(event, destination),
            "client": role(event.client),
            "server": role(event.server),
            "network": {
                "transport": "tcp",
                "iana_number": "6",
                "type": if event.src.ip.is_ipv4() { "ipv4" } else { "ipv6" },
                "protocol": protocol(event),
                "direction": direction(event, internal),
                "community_id": event.community_id,
                "bytes": both(source, destination, |side| side.bytes),
                "packets": both(source, destination, |side| side.packets),
                "vlan": outer,
                "inner": { "vlan": inner },
            },
            "observer": place(event),
            "related": { "ip": distinct([event.src.ip, event.dst.ip]) },
            "process": process.map(program),
            "container": process.map(|process| json!({
                "id": process.container_id,
                "runtime": process.container_runtime,
            })),
            "orchestrator": process.and_then(|process| process.pod_uid.as_ref()).map(|uid| json!({
                "type": "kubernetes",
                "resource": { "type": "pod", "id": uid },
            })),
            "rule": event.policy.as_ref().map(|policy| json!({ "name": policy.rule })),
            "Rst": own::rst(event),
        }),
    );
    if event.direction.is_none() {
        document["Rst"]["interface"] = json!(event.interface);
    }
    document
}

/// From the source to the destination: at the interface, or at the perimeter where it is known what is inside, as
/// Elastic's `network_direction` has it.
fn direction(event: &RstEvent, internal: &Internal) -> Option<&'static str> {
    Some(match internal.ends(event) {
        None => return event.direction.map(Direction::id),
        Some([true, true]) => "internal",
        Some([true, false]) => "outbound",
        Some([false, true]) => "inbound",
        Some([false, false]) => "external",
    })
}

fn program(process: &Process) -> Value {
    json!({
        "pid": process.pid,
        "name": process.name,
        "executable": process.executable,
        "start": process.start,
        "entity_id": process.entity_id,
        "user": { "id": process.uid.map(|uid| uid.to_string()) },
    })
}

/// What happened, when, and how it ended.
fn happened(event: &RstEvent) -> Value {
    let is_refusal = words::is_refusal(event);
    let lives_on = matches!(event.effect, Effect::Challenged | Effect::Ignored);
    let types: &[&str] = match () {
        () if is_refusal => &["connection", "start", "denied"],
        // It ended nothing.
        () if lives_on || event.stage == Stage::Closed => &["connection", "info"],
        () => &["connection", "end"],
    };
    let start = event.flow.map(|flow| flow.start);
    json!({
        "id": event.id,
        "category": ["network"],
        "type": types,
        "action": if is_refusal { "tcp-refused" } else { "tcp-reset" },
        "outcome": if is_refusal { "failure" } else { "unknown" },
        "reason": event.class,
        "code": event.cause,
        "severity": severity(event.severity),
        "provider": match event.hook {
            Hook::Xdp => "xdp",
            Hook::TcIngress | Hook::TcEgress => "tc",
            Hook::Pcap => "pcap",
        },
        "start": start,
        "end": start.map(|_| event.time),
        "duration": start.map(|start| event.time.0.saturating_sub(start.0)),
    })
}

fn side(end: Endpoint, sent: Option<Side>) -> Value {
    json!({
        "address": end.ip,
        "ip": end.ip,
        "port": end.port,
        "bytes": sent.map(|side| side.bytes),
        "packets": sent.map(|side| side.packets),
    })
}

/// The side that the reset came from, with the address that its link has for it.
fn from(event: &RstEvent, sent: Option<Side>) -> Value {
    let mut side = side(event.src, sent);
    side["mac"] = json!(mac(event.segment.src_mac));
    side
}

/// The side that it went to, likewise.
fn to(event: &RstEvent, sent: Option<Side>) -> Value {
    let mut side = side(event.dst, sent);
    side["mac"] = json!(mac(event.segment.dst_mac));
    side
}

fn both(one: Option<Side>, other: Option<Side>, count: fn(&Side) -> u64) -> Option<u64> {
    Some(count(&one?).saturating_add(count(&other?)))
}

/// Where the observer saw it. A capture file may name an interface without a direction: then it is in `Rst`.
fn place(event: &RstEvent) -> Value {
    let place = json!({
        "interface": {
            "id": event.ifindex.map(|index| index.to_string()),
            "name": event.interface,
        },
        "vlan": { "id": event.vlan.first().map(|id| id.to_string()) },
    });
    match event.direction {
        Some(Direction::Ingress) => json!({ "ingress": place }),
        Some(Direction::Egress) => json!({ "egress": place }),
        None => Value::Null,
    }
}

fn finding(finding: &Finding) -> Value {
    let ips = || finding.sources.iter().map(|source| source.ip);
    // Where there are several, none of them is *the* source.
    let only = match finding.sources[..] {
        [only] => json!({ "address": only.ip, "ip": only.ip, "port": only.port }),
        _ => Value::Null,
    };
    let mut document = common(finding.time, &finding.host, "alert");
    fill(
        &mut document,
        json!({
            "message": finding.text,
            "event": {
                "id": finding.id,
                "category": categories(finding.kind),
                "type": ["info"],
                "action": action(finding.kind),
                "code": finding.kind,
                "severity": severity(finding.severity),
                "risk_score": risk(finding.severity),
                "start": finding.start,
                "end": finding.end,
                "duration": finding.end.0.saturating_sub(finding.start.0),
            },
            "rule": {
                "id": finding.kind,
                "name": finding.rule.as_deref().unwrap_or(finding.kind.words()),
                "version": env!("CARGO_PKG_VERSION"),
                "category": words::classification(finding.kind),
            },
            "threat": technique(finding.kind),
            "source": only,
            "related": { "ip": distinct(ips()) },
            "Rst": own::finding(finding),
        }),
    );
    document
}

/// A service that restarts is no intrusion.
fn categories(kind: FindingKind) -> &'static [&'static str] {
    use FindingKind::*;
    match kind {
        Surge | PortScan | RstFlood | InjectionCampaign | PolicyViolation => {
            &["network", "intrusion_detection"]
        }
        IdleTimeout | AcceptQueueOverflow | Restart => &["network"],
    }
}

fn action(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Surge => "rst-surge",
        FindingKind::PortScan => "rst-scan",
        FindingKind::RstFlood => "rst-flood",
        FindingKind::InjectionCampaign => "rst-injection-suspected",
        FindingKind::IdleTimeout => "rst-idle-timeout",
        FindingKind::AcceptQueueOverflow => "rst-accept-queue-overflow",
        FindingKind::Restart => "rst-service-restart",
        FindingKind::PolicyViolation => "rst-policy-violation",
    }
}

/// The technique of MITRE ATT&CK, where the finding proves one: a flood may have other reasons than an attack.
fn technique(kind: FindingKind) -> Value {
    match kind {
        FindingKind::PortScan => json!({
            "framework": "MITRE ATT&CK",
            "technique": { "id": ["T1046"], "name": ["Network Service Discovery"] },
        }),
        _ => Value::Null,
    }
}

fn stats(stats: &StatsEvent) -> Value {
    let mut document = common(stats.time, &stats.host, "metric");
    fill(
        &mut document,
        json!({
            "event": { "category": ["network"], "type": ["info"], "action": "rst-tracer-stats" },
            "Rst": own::stats(stats),
        }),
    );
    document
}

/// What every document has.
fn common(time: Timestamp, host: &str, kind: &str) -> Value {
    json!({
        "@timestamp": time,
        "ecs": { "version": VERSION },
        "message": null,
        "event": { "kind": kind, "module": "rst_tracer", "dataset": DATASET },
        "data_stream": { "type": "logs", "dataset": DATASET, "namespace": "default" },
        "host": { "name": host, "hostname": host },
        "observer": {
            "type": "sensor",
            "vendor": "rst-tracer",
            "product": "rst-tracer",
            "version": env!("CARGO_PKG_VERSION"),
            "hostname": host,
            "name": host,
        },
        "related": { "hosts": [host] },
    })
}

/// Adds keys, into objects that are there already.
fn fill(document: &mut Value, more: Value) {
    match (document, more) {
        (Value::Object(document), Value::Object(more)) => {
            for (key, value) in more {
                fill(document.entry(key).or_insert(Value::Null), value);
            }
        }
        // What is not known leaves what is there.
        (_, Value::Null) => {}
        (place, value) => *place = value,
    }
}

/// The steps of OCSF, so that the numbers of both formats are the same.
pub(super) fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
    }
}

/// What Elastic's own detection rules score at each severity.
fn risk(severity: Severity) -> Option<f64> {
    match severity {
        Severity::Info => None,
        Severity::Low => Some(21.0),
        Severity::Medium => Some(47.0),
        Severity::High => Some(73.0),
    }
}

/// Each address once.
pub(super) fn distinct(ips: impl IntoIterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut seen = Vec::new();
    for ip in ips {
        if !seen.contains(&ip) {
            seen.push(ip);
        }
    }
    seen
}
