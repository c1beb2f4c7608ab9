//! Open Cybersecurity Schema Framework 1.8, of which only that is used which 1.4 has already.
//! <https://schema.ocsf.io/1.8.0>
//!
//! A reset is Network Activity, a finding is a Detection Finding, and counters, for which there is no class,
//! are a Base Event. `src_endpoint` is the side that opened the connection if that is known, else the sender
//! of the reset. What has no attribute is in `unmapped`.

use serde_json::{Value, json};

use super::ecs::{distinct, severity};
use super::{knows_sides, mac, own, protocol, sides};
use crate::event::{
    Endpoint, Event, Finding, FindingKind, FindingState, Hook, KnownBy, LocalRole, Process,
    RstEvent, SentBy, Severity, Side, StatsEvent, Timestamp,
};
use crate::sink::{Host, Internal, words};

/// The schema that the attributes follow.
const VERSION: &str = "1.8.0";

/// A class of events, with its category.
struct ClassOf {
    uid: u32,
    name: &'static str,
    category: (u32, &'static str),
}

const BASE_EVENT: ClassOf = ClassOf { uid: 0, name: "Base Event", category: (0, "Uncategorized") };
const DETECTION_FINDING: ClassOf =
    ClassOf { uid: 2004, name: "Detection Finding", category: (2, "Findings") };
const NETWORK_ACTIVITY: ClassOf =
    ClassOf { uid: 4001, name: "Network Activity", category: (4, "Network Activity") };

/// The event as a document of this host.
pub(super) fn document(event: &Event, host: &Host) -> Value {
    let (mut document, feature) = match event {
        Event::Rst(event) => (rst(event, &host.internal), "resets"),
        Event::Finding(event) => (finding(event), "findings"),
        Event::Stats(event) => (stats(event), "statistics"),
    };
    document["metadata"]["product"]["feature"] = json!({ "name": feature });
    document["metadata"]["sequence"] = json!(event.seq());
    document["device"]["uid"] = json!(host.id);
    document["device"]["os"] = json!({
        "name": "Linux",
        "type_id": 200,
        "type": "Linux",
        "kernel_release": host.kernel,
    });
    // `tags` there are pairs, which a word alone is not.
    let pairs = host.marks.labels.iter().map(|(key, value)| format!("{key}:{value}"));
    let labels = host.marks.tags.iter().cloned().chain(pairs);
    document["metadata"]["labels"] = labels.collect::<Vec<_>>().into();
    document
}

fn rst(event: &RstEvent, internal: &Internal) -> Value {
    let activity = if words::is_refusal(event) { (5, "Refuse") } else { (3, "Reset") };
    let (src, dst) = ends(event);
    let mut document = envelope(&NETWORK_ACTIVITY, activity, event.severity, event.time);
    document["message"] = json!(words::verdict(event));
    document["metadata"] = metadata(
        event.time,
        &event.id,
        json!({
            "log_provider": match event.hook {
                Hook::Xdp => "xdp",
                Hook::TcIngress | Hook::TcEgress => "tc",
                Hook::Pcap => "pcap",
            },
            "event_code": event.cause,
        }),
    );
    if words::is_refusal(event) {
        (document["status_id"], document["status"]) = (json!(2), json!("Failure"));
    }
    document["status_code"] = json!(event.cause);
    document["status_detail"] = json!(event.cause.words());
    if let Some(flow) = event.flow {
        document["start_time"] = json!(ms(flow.start));
        document["end_time"] = json!(ms(event.time));
        document["duration"] = json!(flow.duration_ms);
    }
    if event.repeats > 0 {
        document["count"] = json!(event.repeats.saturating_add(1));
    }
    document["src_endpoint"] = json!(src);
    document["dst_endpoint"] = json!(dst);
    let (sender, receiver) = match src == event.src {
        true => ("src_endpoint", "dst_endpoint"),
        false => ("dst_endpoint", "src_endpoint"),
    };
    let [src_mac, dst_mac] = [event.segment.src_mac, event.segment.dst_mac].map(mac);
    document[sender]["mac"] = json!(src_mac);
    document[receiver]["mac"] = json!(dst_mac);
    document["connection_info"] = connection(event, internal);
    document["traffic"] = traffic(event);
    document["app_name"] = json!(protocol(event));
    document["device"] = device(&event.host);
    document["device"]["interface_name"] = json!(event.interface);
    document["device"]["interface_uid"] = json!(event.ifindex.map(|index| index.to_string()));
    document["observables"] = json!([
        observable("src_endpoint.ip", src),
        observable("dst_endpoint.ip", dst),
        src_mac.map(|mac| station(sender, mac)),
        dst_mac.map(|mac| station(receiver, mac)),
    ]);
    let mut rest = own::rst(event);
    rest["is_src_dst_assignment_known"] = json!(knows_sides(event));
    match &event.process {
        Some(process) if is_actor(process, event) => {
            document["actor"] = json!({ "process": actor(process) });
            // Of a pod that the node has a file for it is no UUID.
            let pod = process.pod_uid.as_ref().filter(|uid| !is_uuid(uid));
            rest["process"]["pod_uid"] = json!(pod);
        }
        Some(process) => rest["process"] = json!(process),
        None => {}
    }
    document["unmapped"] = rest;
    document
}

/// Source and destination endpoint: client and server if they are known, else those of the reset.
fn ends(event: &RstEvent) -> (Endpoint, Endpoint) {
    match (event.client, event.server) {
        (Some(client), Some(server)) if knows_sides(event) => (client, server),
        _ => (event.src, event.dst),
    }
}

fn connection(event: &RstEvent, internal: &Internal) -> Value {
    let is_loopback = event.src.ip.is_loopback() && event.dst.ip.is_loopback();
    let (direction_id, direction) = direction(event, internal);
    json!({
        "protocol_num": 6,
        "protocol_name": "tcp",
        "protocol_ver_id": if event.src.ip.is_ipv4() { 4 } else { 6 },
        "direction_id": direction_id,
        "direction": direction,
        "boundary_id": is_loopback.then_some(1),
        "boundary": is_loopback.then_some("Localhost"),
        "tcp_flags": event.segment.flags.0,
        "community_uid": event.community_id,
        "flag_history": flag_history(event),
    })
}

/// Of the connection, not of the reset.
fn direction(event: &RstEvent, internal: &Internal) -> (u8, &'static str) {
    let sent_by_client = event.sent_by == SentBy::Client;
    let ends = internal.ends(event).filter(|_| !words::is_within_host(event));
    match ends {
        Some([true, true]) => return (3, "Lateral"),
        Some([from_inside, to_inside]) if from_inside != to_inside && knows_sides(event) => {
            return if from_inside == sent_by_client { (2, "Outbound") } else { (1, "Inbound") };
        }
        _ => {}
    }
    let client_is_local = match event.local_role {
        // It has a number of its own from 1.7 on only.
        _ if words::is_within_host(event) => return (99, "Local"),
        _ if !knows_sides(event) => return (0, "Unknown"),
        LocalRole::Sender => sent_by_client,
        LocalRole::Receiver => !sent_by_client,
        LocalRole::Forwarder | LocalRole::Observer => return (0, "Unknown"),
    };
    if client_is_local { (2, "Outbound") } else { (1, "Inbound") }
}

/// Zeek's letters. Upper case is `src_endpoint`, so there are none where it is not the originator for sure.
fn flag_history(event: &RstEvent) -> Option<&str> {
    let reset = if event.sent_by == SentBy::Client { "R" } else { "r" };
    knows_sides(event).then(|| event.history.as_deref().unwrap_or(reset))
}

/// What was sent before the reset; `out` is from `src_endpoint` to `dst_endpoint`.
fn traffic(event: &RstEvent) -> Value {
    let (Some(of_src), Some(of_dst)) = sides(event) else { return Value::Null };
    let src_is_client = !knows_sides(event) || event.sent_by == SentBy::Client;
    let (sent, received): (Side, Side) =
        if src_is_client { (of_src, of_dst) } else { (of_dst, of_src) };
    json!({
        "bytes": sent.bytes.saturating_add(received.bytes),
        "bytes_out": sent.bytes,
        "bytes_in": received.bytes,
        "packets": sent.packets.saturating_add(received.packets),
        "packets_out": sent.packets,
        "packets_in": received.packets,
    })
}

/// Whether it is the process that reset: of the sender, not of the receiver. Who closed the socket is, wherever it stands;
/// on one host it may else be either's.
fn is_actor(process: &Process, event: &RstEvent) -> bool {
    process.known_by == KnownBy::ActiveClose
        || event.local_role == LocalRole::Sender && !words::is_within_host(event)
}

fn actor(process: &Process) -> Value {
    json!({
        "pid": process.pid,
        "name": process.name,
        "uid": process.entity_id,
        "created_time": process.start.map(ms),
        "created_time_dt": process.start,
        "file": process.executable.as_deref().map(file),
        "user": { "uid": process.uid.map(|uid| uid.to_string()) },
        // It may be known by its id only.
        "container": process.container_id.as_ref().map(|id| json!({
            "uid": id,
            "runtime": process.container_runtime,
            "orchestrator": process.pod_uid.as_ref().map(|_| "kubernetes"),
            "pod_uuid": process.pod_uid.as_ref().filter(|uid| is_uuid(uid)),
        })),
    })
}

fn is_uuid(uid: &str) -> bool {
    let is_hexadecimal = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    uid.split('-').all(is_hexadecimal) && uid.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}

/// A program by its path.
fn file(path: &str) -> Value {
    let name = path.rsplit('/').next();
    json!({ "name": name, "path": path, "type_id": 1, "type": "Regular File" })
}

fn finding(finding: &Finding) -> Value {
    let (activity, status) = match finding.state {
        FindingState::Begins => ((1, "Create"), (1, "New")),
        FindingState::GoesOn => ((2, "Update"), (2, "In Progress")),
        FindingState::Over => ((3, "Close"), (4, "Resolved")),
    };
    let mut document = envelope(&DETECTION_FINDING, activity, finding.severity, finding.time);
    document["message"] = json!(finding.kind.words());
    document["metadata"] = metadata(finding.time, &finding.id, Value::Null);
    document["is_alert"] = json!(true);
    (document["status_id"], document["status"]) = (json!(status.0), json!(status.1));
    let (start, end) = (ms(finding.start), ms(finding.end));
    (document["start_time"], document["end_time"]) = (json!(start), json!(end));
    document["duration"] = json!(end.saturating_sub(start));
    document["count"] = json!(finding.counts.get("rsts"));
    let (type_id, kind) = method(finding.kind);
    document["finding_info"] = json!({
        "uid": finding.id,
        "title": finding.kind.words(),
        "desc": finding.text,
        "types": [finding.kind],
        "first_seen_time": start,
        "last_seen_time": end,
        "analytic": {
            "uid": finding.kind,
            "name": finding.rule.as_deref().unwrap_or(finding.kind.words()),
            "version": env!("CARGO_PKG_VERSION"),
            "type_id": type_id,
            "type": kind,
        },
        "attacks": attacks(finding.kind),
        "data_sources": ["TCP resets"],
    });
    let evidence = |source: &crate::event::Source| {
        json!({
            "src_endpoint": { "ip": source.ip, "port": source.port },
            "data": { "resets": source.resets },
        })
    };
    document["evidences"] = finding.sources.iter().map(evidence).collect();
    document["device"] = device(&finding.host);
    let ips = distinct(finding.sources.iter().map(|source| source.ip));
    let named = |ip| json!({ "name": "evidences.src_endpoint.ip", "type_id": 2, "type": "IP Address", "value": ip });
    document["observables"] = ips.into_iter().map(named).collect();
    let mut rest = own::finding(finding);
    rest["sources"] = Value::Null;
    document["unmapped"] = rest;
    document
}

/// How the finding was made.
fn method(kind: FindingKind) -> (u8, &'static str) {
    use FindingKind::*;
    match kind {
        Surge | RstFlood | IdleTimeout => (3, "Statistical"),
        PortScan | InjectionCampaign | AcceptQueueOverflow | Restart | PolicyViolation => {
            (1, "Rule")
        }
    }
}

/// The technique of MITRE ATT&CK, where the finding proves one.
fn attacks(kind: FindingKind) -> Value {
    match kind {
        FindingKind::PortScan => json!([
            { "technique": { "uid": "T1046", "name": "Network Service Discovery" } },
        ]),
        _ => Value::Null,
    }
}

fn stats(stats: &StatsEvent) -> Value {
    let activity = (99, "Statistics");
    let mut document = envelope(&BASE_EVENT, activity, Severity::Info, stats.time);
    document["message"] = json!("what was seen, kept and lost since the start");
    document["metadata"] = metadata(stats.time, "", Value::Null);
    document["device"] = device(&stats.host);
    document["unmapped"] = own::stats(stats);
    document
}

/// What every document begins with.
fn envelope(
    class: &ClassOf,
    (activity_id, activity): (u32, &str),
    of: Severity,
    time: Timestamp,
) -> Value {
    // The activity 99 is called what it is, but its type is called Other.
    let of_type = if activity_id == 99 { "Other" } else { activity };
    json!({
        "class_uid": class.uid,
        "class_name": class.name,
        "category_uid": class.category.0,
        "category_name": class.category.1,
        "activity_id": activity_id,
        "activity_name": activity,
        "type_uid": class.uid * 100 + activity_id,
        "type_name": format!("{}: {of_type}", class.name),
        "severity_id": severity(of),
        "severity": match of {
            Severity::Info => "Informational",
            Severity::Low => "Low",
            Severity::Medium => "Medium",
            Severity::High => "High",
        },
        "time": ms(time),
        "time_dt": time,
    })
}

fn metadata(time: Timestamp, uid: &str, more: Value) -> Value {
    let mut metadata = json!({
        "version": VERSION,
        "product": {
            "name": "rst-tracer",
            "vendor_name": "rst-tracer",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "profiles": ["container", "datetime", "host"],
        "log_name": "rst_tracer.events",
        "original_time": time,
        "uid": Some(uid).filter(|uid| !uid.is_empty()),
    });
    if let (Some(metadata), Value::Object(more)) = (metadata.as_object_mut(), more) {
        metadata.extend(more);
    }
    metadata
}

/// The host that observed. What kind of device it is is not known.
fn device(host: &str) -> Value {
    json!({ "hostname": host, "type_id": 0, "type": "Unknown" })
}

fn observable(name: &str, end: Endpoint) -> Value {
    json!({ "name": name, "type_id": 2, "type": "IP Address", "value": end.ip })
}

fn station(end: &str, mac: String) -> Value {
    json!({ "name": format!("{end}.mac"), "type_id": 3, "type": "MAC Address", "value": mac })
}

fn ms(time: Timestamp) -> u64 {
    time.0 / 1_000_000
}
