//! Events of every kind, and the same with every string as a stranger would choose it.

use rst_tracer::event::Event;
use rst_tracer::sink::Sink;
use serde_json::{Value, json};

/// What strangers put into names and payloads. U+FFFD is what is left of invalid UTF-8.
const HOSTILE: [&str; 11] = [
    "a|b=c\\d\"e'f",
    "line one\nline two\r\nCEF:0|x|y|1|2|3|4|src=1.2.3.4",
    " leading and trailing ",
    "x src=6.6.6.6 act=allowed \\= \\",
    "|",
    "\u{1b}[2J\u{0}\u{7}\t\u{7f}\u{85}\u{9b}",
    "\u{202e}txt.exe\u{2028}\u{2029}\u{feff}\u{e0041}",
    "\u{fffd}\u{fffd} \u{10ffff} é 日本",
    "{\"resourceLogs\":[]}]}",
    "0123456789abcdefghijklmnopqrstuvwxyz-0123456789abcdefghijklmnopqrstuvwxyz-0123456789abcdef\
     ghijklmnopqrstuvwxyz-0123456789abcdefghijklmnopqrstuvwxyz",
    "",
];

fn reset() -> Value {
    json!({
        "schema": "rst-tracer/1", "type": "rst", "id": "0123456789abcdef0123456789abcdef",
        "time": "2026-11-22T09:42:25.123456789Z", "host": "web-1", "interface": "eth0",
        "ifindex": 2, "netns": 4026531840_u32, "hook": "tc_egress", "direction": "egress",
        "local_role": "sender",
        "src": { "ip": "10.0.0.9", "port": 443 }, "dst": { "ip": "10.0.0.5", "port": 51234 },
        "client": { "ip": "10.0.0.5", "port": 51234 }, "server": { "ip": "10.0.0.9", "port": 443 },
        "initiator": "syn", "sent_by": "server", "session_end_reason": "tcp-rst-from-server",
        "origin": "endpoint", "effect": "accepted", "stage": "post_data", "conn_state": "RSTR",
        "history": "ShADadR", "app": "tls", "class": "application_error",
        "cause": "closed_with_unread_data", "confidence": 0.97, "basis": "wire+kernel",
        "severity": "medium", "at_fault": "server",
        "evidence": [
            { "id": "kernel_reason", "text": "the kernel reset it", "weight": 3.0 },
            { "id": "unread", "text": "34 bytes were unread", "weight": -0.5 },
        ],
        "alternatives": [
            { "class": "normal_abortive_close", "cause": "linger0_close", "confidence": 0.02 },
        ],
        "signature": "PSH+ACK;Data → RST+ACK",
        "segment": {
            "flags": "RA", "seq": 4294967295_u32, "ack": 2, "window": 65535, "ttl": 64,
            "ip_id": 7, "df": true, "tos": 185, "payload_len": 12,
            "src_mac": "02:00:00:00:00:0a",
            "dst_mac": "02:00:00:00:00:0b",
        },
        "payload_text": "No tcp, no reset", "mptcp_reason": "lack of resources",
        "flow": {
            "start": "2026-11-22T09:42:25.111456789Z", "duration_ms": 12, "idle_ms": 3,
            "rtt_us": 210,
            "client": { "packets": 4, "bytes": 517, "retransmits": 1, "ttl": 64 },
            "server": { "packets": 3, "bytes": 5_000_000_000_u64, "retransmits": 0, "ttl": 57 },
        },
        "recent": [
            { "ago_us": 1200, "from": "client", "flags": "PA", "seq": 1, "ack": 1, "len": 517,
              "window": 502, "ttl": 64 },
            { "ago_us": 900, "from": "server", "flags": "A", "seq": 1, "ack": 518, "len": 70_000,
              "window": 0, "ttl": 57 },
            { "ago_us": 0, "from": "client", "flags": "FSRPAUEC", "seq": 518, "ack": 1, "len": 0,
              "window": 1, "ttl": 255 },
        ],
        "process": {
            "pid": 812, "name": "nginx", "known_by": "active_close", "uid": 33,
            "cgroup": "/system.slice/nginx.service", "container_id": "4f1d0c6a92b7",
            "container_runtime": "containerd", "pod_uid": "2f5a6f0e-5c1b-4f0e-9e55-3f1f8a1a7c11",
            "executable": "/usr/sbin/nginx", "start": "2026-11-20T08:00:00.250000000Z",
            "entity_id": "9b1c0d3e5f7a28464a6c8e0f1b3d5f70",
        },
        "kernel": { "reason": "TCP_ABORT_ON_CLOSE", "state": "CLOSE", "netns": 4026532000_u32 },
        "policy": {
            "rule": "guests = |databases|", "expect": "denied", "verdict": "violated",
            "text": "the connection got through",
        },
        "community_id": "1:LQU9qZlK+B5F3KDmev6m5PMibrg=", "vlan": [10, 20], "tunnel": "vxlan",
        "repeats": 3,
        "sightings": [{ "interface": "eth1", "hook": "xdp", "direction": "ingress" }],
    })
}

/// Of IPv6, of a capture, by a side that is not known.
fn unknown() -> Value {
    json!({
        "schema": "rst-tracer/1", "type": "rst", "id": "1123456789abcdef0123456789abcdef",
        "time": "1970-01-01T00:00:00.000000001Z", "host": "web-1", "hook": "pcap",
        "file": "a b.pcap", "frame": 9, "local_role": "observer",
        "src": { "ip": "2001:db8::9", "port": 1 }, "dst": { "ip": "::ffff:1.2.3.4", "port": 0 },
        "initiator": "unknown", "sent_by": "unknown", "session_end_reason": "unknown",
        "origin": "unknown", "effect": "unknown", "stage": "no_flow", "conn_state": "OTH",
        "app": "incomplete", "class": "unknown", "cause": "no_connection_seen",
        "confidence": 0.0, "basis": "wire", "severity": "info", "at_fault": "unknown",
        "evidence": [], "alternatives": [],
        "segment": {
            "flags": "R", "seq": 0, "ack": 0, "window": 0, "ttl": 0, "tos": 0,
            "flow_label": 1048575, "payload_len": 0,
        },
        "flow": {
            "start": "1970-01-01T00:00:00.000000000Z", "duration_ms": 0, "idle_ms": 0,
            "src": { "packets": 0, "bytes": 0, "retransmits": 0 },
            "dst": { "packets": 1, "bytes": 9, "retransmits": 0, "ttl": 3 },
        },
        "community_id": "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=", "repeats": 0,
    })
}

/// A SYN that was answered with a RST, and the answering host is the tracer's peer.
fn refusal() -> Value {
    let mut event = reset();
    event["conn_state"] = json!("REJ");
    event["local_role"] = json!("receiver");
    event["direction"] = json!("ingress");
    event["cause"] = json!("closed_port");
    event["class"] = json!("connection_refused");
    event["severity"] = json!("high");
    event
}

fn finding(kind: &str, severity: &str) -> Value {
    let mut finding = json!({
        "schema": "rst-tracer/1", "type": "finding", "id": "f-1",
        "time": "2026-11-22T09:42:25.123456789Z", "host": "web-1", "kind": kind, "state": "begins",
        "start": "2026-11-22T09:42:23.123456789Z", "end": "2026-11-22T09:42:25.123456789Z",
        "severity": severity, "text": "something shows over many resets",
        "counts": { "ports": 120, "hosts": 3 },
        "sources": [
            { "ip": "10.0.0.66", "port": 443, "resets": 118 },
            { "ip": "2001:db8::66", "resets": 5_000_000_000_u64 },
        ],
    });
    if kind == "policy_violation" {
        finding["rule"] = json!("guests = |databases|");
    }
    finding
}

fn stats() -> Value {
    let hook = json!({
        "hook": "xdp", "interface": "eth0", "segments": 1000, "tracked": 998,
        "untracked": { "set_full": 2 }, "malformed": { "short": 1 },
        "skipped": { "gtp_u": 5 },
    });
    json!({
        "schema": "rst-tracer/1", "type": "stats", "time": "2026-11-22T09:42:25.123456789Z",
        "host": "web-1", "segments": 1000, "rsts": 9, "events": 1, "merged": 2, "repeated": 1,
        "filtered": 1, "pending": 1, "suppressed": 1, "lost": 2, "malformed": 1, "flows": 40,
        "evictions": 3, "hooks": [hook],
        "policy": [
            { "rule": "guests = |databases|", "expect": "denied", "rsts": 3, "as_configured": 1,
              "violated": 1, "unclear": 1, "last": "2026-11-22T09:42:25.123456789Z" },
            { "rule": "unused", "expect": "never", "rsts": 0 },
        ],
    })
}

/// Strings that are no word of a closed vocabulary and no address: a stranger may choose them.
fn infect(value: &mut Value, text: &str) {
    const FREE: [&str; 15] = [
        "host",
        "interface",
        "file",
        "history",
        "app",
        "text",
        "signature",
        "payload_text",
        "mptcp_reason",
        "name",
        "cgroup",
        "tunnel",
        "executable",
        "container_runtime",
        "pod_uid",
    ];
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(free) if FREE.contains(&key.as_str()) => *free = text.to_owned(),
                    value => infect(value, text),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| infect(value, text)),
        _ => {}
    }
}

/// All of them, as `--format json` has them.
pub(super) fn all() -> Vec<Value> {
    let kinds = [
        "surge",
        "port_scan",
        "rst_flood",
        "injection_campaign",
        "idle_timeout",
        "accept_queue_overflow",
        "restart",
        "policy_violation",
    ];
    let severities = ["info", "low", "medium", "high"].into_iter().cycle();
    let plain = [reset(), unknown(), refusal(), stats()].into_iter();
    let plain = plain.chain(kinds.into_iter().zip(severities).map(|(k, s)| finding(k, s)));
    let plain: Vec<_> = plain.collect();
    let mut all = plain.clone();
    for text in HOSTILE {
        all.extend(plain.iter().cloned().map(|mut event| {
            infect(&mut event, text);
            event
        }));
    }
    for (event, number) in all.iter_mut().zip(1..) {
        event["seq"] = json!(number);
    }
    all
}

/// What a sink writes of these events.
pub(super) fn written<S: Sink>(events: &[Value], sink: impl FnOnce(Shared) -> S) -> Vec<u8> {
    let out = Shared::default();
    let mut sink = sink(out.clone());
    for event in events {
        let event: Event = serde_json::from_value(event.clone()).expect("an event of the contract");
        sink.write(&event).expect("memory takes it");
    }
    sink.flush().expect("memory takes it");
    let written = out.0.lock().expect("no panic");
    written.clone()
}

/// An output in memory.
#[derive(Clone, Default)]
pub(super) struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a sink writes, line by line.
pub(super) fn lines<S: Sink>(events: &[Value], sink: impl FnOnce(Shared) -> S) -> Vec<String> {
    let text = String::from_utf8(written(events, sink)).expect("UTF-8");
    assert!(text.ends_with('\n'));
    // Not `lines()`, which would hide a carriage return.
    text.strip_suffix('\n').expect("a last line").split('\n').map(str::to_owned).collect()
}
