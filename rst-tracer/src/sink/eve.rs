//! EVE: JSON lines with the names of Suricata's event log, for what reads that log already.
//!
//! In: an event. Out: one object a line: a reset as `tcp_rst`, a finding as `alert`, counters as
//! `stats`. What EVE has no name for stands in one object `rst`, by the names of `--format json`.
//! <https://docs.suricata.io/en/latest/output/eve/eve-json-format.html>

use std::io::{self, Write};

use bytes::{BufMut, BytesMut};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha1::{Digest, Sha1};

use super::lines::Lines;
use super::{Sink, fit, words};
use crate::event::{
    Endpoint, Event, Finding, Flags, MAX_INTEGER, RstEvent, SentBy, Severity, StatsEvent, Timestamp,
};

/// The signature ids of findings begin here: the first numbers are free for local use.
/// <https://docs.suricata.io/en/latest/rule-management/public-sids.html>
const FIRST_SIGNATURE: u32 = 1_000_001;

/// What EVE calls otherwise, and what the envelope of `--format json` says.
const NAMED_OTHERWISE: [&str; 14] = [
    "schema",
    "type",
    "time",
    "host",
    "interface",
    "file",
    "frame",
    "src",
    "dst",
    "client",
    "server",
    "community_id",
    "vlan",
    "truncated",
];

/// Writes events as Suricata would.
#[derive(Debug)]
pub struct EveSink<W> {
    lines: Lines<W>,
}

impl<W: Write> EveSink<W> {
    /// A sink before this output.
    pub fn new(out: W) -> Self {
        Self { lines: Lines::new(out) }
    }
}

impl<W: Write> Sink for EveSink<W> {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        self.lines.push(|out| fit::line(event, out, body))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }
}

/// Appends the event as one JSON object, of whatever length.
fn body(event: &Event, out: &mut BytesMut) {
    let record = match event {
        Event::Rst(rst) => of_rst(rst, rest(event)),
        Event::Finding(finding) => of_finding(finding, rest(event)),
        Event::Stats(stats) => of_stats(stats, rest(event)),
    };
    // A buffer in memory takes every write, and a map of strings is JSON.
    drop(serde_json::to_writer(out.writer(), &record));
}

/// A JSON object that is being filled; what is not known is left out.
#[derive(Serialize)]
struct Record(Map<String, Value>);

impl Record {
    /// What every line begins with.
    fn new(time: Timestamp, event_type: &str, host: &str) -> Self {
        let mut record = Self(Map::new());
        record.key("timestamp", timestamp(time)).key("event_type", event_type).key("host", host);
        record
    }

    fn key(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    fn if_known(&mut self, name: &str, value: Option<impl Into<Value>>) -> &mut Self {
        match value {
            Some(value) => self.key(name, value),
            None => self,
        }
    }

    /// An end of a packet or of a flow: `src_ip` and `src_port`, `dest_ip` and `dest_port`.
    fn end(&mut self, side: &str, end: Endpoint) -> &mut Self {
        self.key(&format!("{side}_ip"), end.ip.to_string());
        self.key(&format!("{side}_port"), end.port)
    }
}

/// What EVE has no name for, by our names.
fn rest(event: &Event) -> Map<String, Value> {
    let Ok(Value::Object(mut rest)) = serde_json::to_value(event) else {
        return Map::new();
    };
    rest.retain(|key, value| {
        !NAMED_OTHERWISE.contains(&key.as_str()) || (key == "truncated" && value == true)
    });
    rest
}

fn of_rst(rst: &RstEvent, rest: Map<String, Value>) -> Record {
    let mut record = Record::new(rst.time, "tcp_rst", &rst.host);
    record
        .key("flow_id", flow_id(&rst.community_id))
        .if_known("in_iface", rst.interface.as_deref())
        .if_known("pcap_cnt", rst.frame.map(|frame| frame.min(MAX_INTEGER)))
        .if_known("pcap_filename", rst.file.as_deref())
        .if_known("vlan", (!rst.vlan.is_empty()).then(|| rst.vlan.clone()))
        .end("src", rst.src)
        .end("dest", rst.dst)
        .key("proto", "TCP")
        .if_known("pkt_src", pkt_src(rst.tunnel.as_deref()))
        .if_known("direction", direction(rst.sent_by))
        .if_known("app_proto", app_proto(&rst.app))
        .key("community_id", rst.community_id.as_str())
        .if_known("flow", flow(rst))
        .key("tcp", tcp(rst.segment.flags))
        .if_known("ether", ether(rst))
        .key("rst", rest);
    record
}

/// The stations that the frame came from and was for, as far as they are known.
fn ether(rst: &RstEvent) -> Option<Value> {
    let mut stations = Map::new();
    for (key, mac) in [("src_mac", rst.segment.src_mac), ("dest_mac", rst.segment.dst_mac)] {
        stations.extend(mac.map(|mac| (key.to_owned(), json!(mac))));
    }
    (!stations.is_empty()).then_some(Value::Object(stations))
}

fn of_finding(finding: &Finding, rest: Map<String, Value>) -> Record {
    let mut record = Record::new(finding.time, "alert", &finding.host);
    if let Some(busiest) = finding.sources.first() {
        record.key("src_ip", busiest.ip.to_string()).if_known("src_port", busiest.port);
    }
    record.key("proto", "TCP");
    let alert = json!({
        "action": "allowed",
        "gid": 1,
        "signature_id": FIRST_SIGNATURE + finding.kind as u32,
        "rev": 1,
        "signature": format!("rst-tracer: {}", finding.kind.words()),
        "category": words::classification(finding.kind),
        "severity": priority(finding.severity),
    });
    record.key("alert", alert).key("rst", rest);
    record
}

fn of_stats(stats: &StatsEvent, rest: Map<String, Value>) -> Record {
    let count = |n: u64| n.min(MAX_INTEGER);
    let mut record = Record::new(stats.time, "stats", &stats.host);
    let stats = json!({
        "capture": { "kernel_drops": count(stats.lost) },
        "decoder": { "tcp": count(stats.segments), "invalid": count(stats.malformed) },
        "tcp": { "rst": count(stats.rsts) },
        "rst": rest,
    });
    record.key("stats", stats);
    record
}

/// `2026-11-22T09:42:25.123456+0000`: microseconds, and the zone without a colon.
fn timestamp(time: Timestamp) -> String {
    format!("{}+0000", &time.to_string()[..26])
}

/// The same number for every reset between the same ends, small enough for a double.
fn flow_id(community_id: &str) -> u64 {
    let hash = Sha1::digest(community_id);
    hash[..8].iter().fold(0, |id, byte| id << 8 | u64::from(*byte)) >> 11
}

/// Where the packet was: Suricata decodes what a tunnel carries as one of its own.
fn pkt_src(tunnel: Option<&str>) -> Option<&'static str> {
    match tunnel {
        None => Some("wire/pcap"),
        Some("gre") => Some("gre tunnel"),
        Some("ipip" | "6in4") => Some("ipv4 tunnel"),
        Some("vxlan") => Some("vxlan encapsulation"),
        Some("geneve") => Some("geneve encapsulation"),
        Some(_) => None,
    }
}

fn direction(sent_by: SentBy) -> Option<&'static str> {
    match sent_by {
        SentBy::Client => Some("to_server"),
        SentBy::Server => Some("to_client"),
        SentBy::Unknown => None,
    }
}

/// The protocol; ours has names for not knowing it, theirs leaves it out.
fn app_proto(app: &str) -> Option<&str> {
    let unknown = ["incomplete", "insufficient-data", "not-applicable", "unknown-tcp"];
    (!unknown.contains(&app)).then_some(app)
}

/// The connection from client to server. Bytes are left to `rst`: Suricata counts whole packets
/// and we count payload.
fn flow(rst: &RstEvent) -> Option<Value> {
    let mut flow = Record(Map::new());
    flow.end("src", rst.client?).end("dest", rst.server?);
    if let Some(known) = &rst.flow {
        let packets = |side: Option<crate::event::Side>| side.map(|s| s.packets.min(MAX_INTEGER));
        flow.if_known("pkts_toserver", packets(known.client))
            .if_known("pkts_toclient", packets(known.server))
            .key("start", timestamp(known.start));
    }
    Some(Value::Object(flow.0))
}

/// The flags in hexadecimal, and each that is set by its name.
fn tcp(flags: Flags) -> Value {
    let names = [
        ("fin", Flags::FIN),
        ("syn", Flags::SYN),
        ("rst", Flags::RST),
        ("psh", Flags::PSH),
        ("ack", Flags::ACK),
        ("urg", Flags::URG),
        ("ecn", Flags::ECE),
        ("cwr", Flags::CWR),
    ];
    let mut tcp = Record(Map::new());
    tcp.key("tcp_flags", format!("{:02x}", flags.0));
    for (name, _) in names.into_iter().filter(|(_, flag)| flags.has(*flag)) {
        tcp.key(name, true);
    }
    Value::Object(tcp.0)
}

/// Suricata's priorities: 1 is the most urgent, 4 not suspicious.
fn priority(severity: Severity) -> u8 {
    match severity {
        Severity::High => 1,
        Severity::Medium => 2,
        Severity::Low => 3,
        Severity::Info => 4,
    }
}

#[cfg(test)]
mod tests;
