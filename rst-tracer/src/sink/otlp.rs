//! OTLP: OpenTelemetry log records, as the JSON lines that its file exporter writes.
//!
//! In: an event. Out: one `{"resourceLogs":[…]}` a line, which a collector's `otlpjsonfile`
//! receiver reads. Attributes have the names of the semantic conventions where these have one,
//! else they begin with `rst_tracer`.
//! <https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/>

use std::io::{self, Write};

use bytes::{BufMut, BytesMut};
use serde_json::{Value, json};

use super::lines::Lines;
use super::{Host, LINE_LIMIT, Sink, fit, words};
use crate::event::{
    Direction, Endpoint, Event, Finding, HookStats, Kernel, LocalRole, MAX_INTEGER, Process,
    Recent, RstEvent, RuleStats, Severity, Side, StatsEvent, Timestamp,
};

/// A line has fewer bytes than this. The same facts take three times the room of plain JSON here;
/// container runtimes split lines at 16 KiB.
const LIMIT: usize = 2 * LINE_LIMIT;

/// Writes events as OpenTelemetry log records.
#[derive(Debug)]
pub struct OtlpSink<W> {
    lines: Lines<W>,
    host: Host,
}

impl<W: Write> OtlpSink<W> {
    /// A sink before this output.
    pub fn new(out: W) -> Self {
        Self { lines: Lines::new(out), host: Host::default() }
    }

    /// Tells of this host, too.
    pub fn on(self, host: Host) -> Self {
        Self { host, ..self }
    }
}

impl<W: Write> Sink for OtlpSink<W> {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        let write = |event: &Event, out: &mut BytesMut| body(event, &self.host, out);
        self.lines.push(|out| fit::line_below(LIMIT, event, out, write))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }
}

/// Appends the event as one JSON object, of whatever length.
fn body(event: &Event, host: &Host, out: &mut BytesMut) {
    let (name, mut record) = match event {
        Event::Rst(rst) => (&rst.host, of_rst(rst)),
        Event::Finding(finding) => (&finding.host, of_finding(finding)),
        Event::Stats(stats) => (&stats.host, of_stats(stats)),
    };
    if let (Some(seq), Some(attributes)) = (event.seq(), record["attributes"].as_array_mut()) {
        attributes.push(json!({ "key": "rst_tracer.seq", "value": int(seq) }));
    }
    let mut resource = Attributes::default();
    resource.text("service.name", "rst-tracer").text("service.version", VERSION);
    resource.text("service.instance.id", host.run.as_deref());
    resource.text("host.name", name.as_str()).text("host.id", host.id.as_deref());
    let kernel = host.kernel.as_ref().map(|release| format!("Linux {release}"));
    resource.text("os.type", "linux").text("os.description", kernel.as_deref());
    for (key, value) in &host.marks.labels {
        resource.text(key, value.as_str());
    }
    resource.texts("tags", host.marks.tags.iter().cloned());
    let line = json!({ "resourceLogs": [{
        "resource": { "attributes": resource.0 },
        "scopeLogs": [{
            "scope": { "name": "rst_tracer", "version": VERSION },
            "logRecords": [record],
        }],
    }]});
    // A buffer in memory takes every write, and a map of strings is JSON.
    drop(serde_json::to_writer(out.writer(), &line));
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn record(time: Timestamp, name: &str, severity: u8, body: &str, attributes: Attributes) -> Value {
    let nanoseconds = time.0.to_string();
    json!({
        "timeUnixNano": nanoseconds,
        "observedTimeUnixNano": nanoseconds,
        "severityNumber": severity,
        "eventName": name,
        "body": text(body),
        "attributes": attributes.0,
    })
}

/// The number of the log data model: 9 is INFO, 10 INFO2, 13 WARN, 17 ERROR.
fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 9,
        Severity::Low => 10,
        Severity::Medium => 13,
        Severity::High => 17,
    }
}

fn text(text: &str) -> Value {
    json!({ "stringValue": text })
}

/// Integers of 64 bits are strings in the JSON form of protocol buffers.
fn int(n: u64) -> Value {
    json!({ "intValue": n.min(MAX_INTEGER).to_string() })
}

fn list(values: impl IntoIterator<Item = Value>) -> Value {
    json!({ "arrayValue": { "values": values.into_iter().collect::<Vec<_>>() } })
}

/// The attributes of a record; what is not known is left out.
#[derive(Default)]
struct Attributes(Vec<Value>);

impl Attributes {
    fn value(&mut self, key: &str, value: Value) -> &mut Self {
        self.0.push(json!({ "key": key, "value": value }));
        self
    }

    fn text<'a>(&mut self, key: &str, value: impl Into<Option<&'a str>>) -> &mut Self {
        match value.into() {
            Some(value) => self.value(key, text(value)),
            None => self,
        }
    }

    fn int(&mut self, key: &str, value: Option<impl Into<u64>>) -> &mut Self {
        match value {
            Some(value) => self.value(key, int(value.into())),
            None => self,
        }
    }

    /// A list of texts that is left out when it is empty.
    fn texts(&mut self, key: &str, texts: impl IntoIterator<Item = String>) -> &mut Self {
        let values: Vec<_> = texts.into_iter().map(|item| text(&item)).collect();
        match values.is_empty() {
            true => self,
            false => self.value(key, list(values)),
        }
    }

    fn bool(&mut self, key: &str, value: impl Into<Option<bool>>) -> &mut Self {
        match value.into() {
            Some(value) => self.value(key, json!({ "boolValue": value })),
            None => self,
        }
    }

    /// `source.address` and `source.port`, and so on.
    fn end(&mut self, name: &str, end: Option<Endpoint>) -> &mut Self {
        if let Some(end) = end {
            self.text(&format!("{name}.address"), end.ip.to_string().as_str());
            self.int(&format!("{name}.port"), Some(end.port));
        }
        self
    }
}

fn of_rst(rst: &RstEvent) -> Value {
    let mut attributes = Attributes::default();
    network(rst, &mut attributes);
    verdict(rst, &mut attributes);
    headers(rst, &mut attributes);
    connection(rst, &mut attributes);
    if let Some(process) = &rst.process {
        owner(process, &mut attributes);
    }
    if let Some(kernel) = &rst.kernel {
        testimony(kernel, &mut attributes);
    }
    if let Some(policy) = &rst.policy {
        attributes
            .text("rst_tracer.policy.rule", &*policy.rule)
            .text("rst_tracer.policy.expect", policy.expect.id())
            .text("rst_tracer.policy.verdict", policy.verdict.id())
            .text("rst_tracer.policy.text", policy.text.as_deref());
    }
    let (name, message) = ("rst_tracer.tcp.reset", words::verdict(rst));
    record(rst.time, name, severity(rst.severity), &message, attributes)
}

/// Which packet it is, between whom, and where it was seen.
fn network(rst: &RstEvent, attributes: &mut Attributes) {
    let (local, peer) = match rst.local_role {
        LocalRole::Sender => (Some(rst.src), Some(rst.dst)),
        LocalRole::Receiver => (Some(rst.dst), Some(rst.src)),
        LocalRole::Forwarder | LocalRole::Observer => (None, None),
    };
    let direction = rst.direction.map(|direction| match direction {
        Direction::Ingress => "receive",
        Direction::Egress => "transmit",
    });
    let vlan = rst.vlan.iter().map(|id| int((*id).into()));
    attributes
        .text("log.record.uid", rst.id.as_str())
        .text("network.transport", "tcp")
        .text("network.type", if rst.src.ip.is_ipv4() { "ipv4" } else { "ipv6" })
        .text("network.interface.name", rst.interface.as_deref())
        .text("network.io.direction", direction)
        .end("network.local", local)
        .end("network.peer", peer)
        .end("source", Some(rst.src))
        .end("destination", Some(rst.dst))
        .end("client", rst.client)
        .end("server", rst.server)
        .text("file.path", rst.file.as_deref())
        .int("rst_tracer.frame", rst.frame)
        .int("rst_tracer.ifindex", rst.ifindex)
        .int("rst_tracer.netns", rst.netns)
        .text("rst_tracer.hook", rst.hook.id())
        .text("rst_tracer.local_role", rst.local_role.id())
        .text("rst_tracer.tunnel", rst.tunnel.as_deref())
        .text("rst_tracer.community_id", rst.community_id.as_str());
    if !rst.vlan.is_empty() {
        attributes.value("rst_tracer.vlan", list(vlan));
    }
}

fn verdict(rst: &RstEvent, attributes: &mut Attributes) {
    let evidence = rst.evidence.iter();
    let alternatives = rst.alternatives.iter();
    attributes
        .text("error.type", rst.cause.id())
        .text("rst_tracer.cause", rst.cause.id())
        .text("rst_tracer.class", rst.class.id())
        .value("rst_tracer.confidence", json!({ "doubleValue": rst.confidence.value() }))
        .text("rst_tracer.basis", rst.basis.id())
        .text("rst_tracer.severity", rst.severity.id())
        .text("rst_tracer.at_fault", rst.at_fault.id())
        .text("rst_tracer.sent_by", rst.sent_by.id())
        .text("rst_tracer.initiator", rst.initiator.id())
        .text("rst_tracer.origin", rst.origin.id())
        .text("rst_tracer.effect", rst.effect.id())
        .texts(
            "rst_tracer.evidence",
            evidence.map(|e| format!("{:+.1} {}", e.weight.value(), e.text)),
        )
        .texts(
            "rst_tracer.alternatives",
            alternatives.map(|other| format!("{} {}%", other.cause, other.confidence.percent())),
        )
        .text("rst_tracer.signature", rst.signature.as_deref())
        .int("rst_tracer.repeats", Some(rst.repeats))
        .bool("rst_tracer.truncated", rst.truncated.then_some(true));
}

/// The reset as its headers have it.
fn headers(rst: &RstEvent, attributes: &mut Attributes) {
    let segment = &rst.segment;
    attributes
        .text("rst_tracer.tcp.flags", segment.flags.to_string().as_str())
        .int("rst_tracer.tcp.seq", Some(segment.seq))
        .int("rst_tracer.tcp.ack", Some(segment.ack))
        .int("rst_tracer.tcp.window", Some(segment.window))
        .int("rst_tracer.tcp.payload_len", Some(segment.payload_len))
        .text("rst_tracer.tcp.payload_text", rst.payload_text.as_deref())
        .text("rst_tracer.tcp.mptcp_reason", rst.mptcp_reason.as_deref())
        .text("rst_tracer.ether.src_mac", segment.src_mac.map(|mac| mac.to_string()).as_deref())
        .text("rst_tracer.ether.dst_mac", segment.dst_mac.map(|mac| mac.to_string()).as_deref())
        .int("rst_tracer.ip.ttl", Some(segment.ttl))
        .int("rst_tracer.ip.id", segment.ip_id)
        .bool("rst_tracer.ip.df", segment.df)
        .int("rst_tracer.ip.tos", Some(segment.tos))
        .int("rst_tracer.ip.flow_label", segment.flow_label);
}

/// The connection as it stood before.
fn connection(rst: &RstEvent, attributes: &mut Attributes) {
    attributes
        .text("rst_tracer.stage", rst.stage.id())
        .text("rst_tracer.conn_state", rst.conn_state.map(|state| state.id()))
        .text("rst_tracer.history", rst.history.as_deref())
        .text("rst_tracer.app", &*rst.app);
    if let Some(flow) = &rst.flow {
        attributes
            .int("rst_tracer.flow.duration_ms", Some(flow.duration_ms))
            .int("rst_tracer.flow.idle_ms", Some(flow.idle_ms))
            .int("rst_tracer.flow.rtt_us", flow.rtt_us);
        for (speaker, side) in flow.sides() {
            attributes.value(&format!("rst_tracer.flow.{speaker}"), sent(side));
        }
    }
    attributes.texts("rst_tracer.recent", rst.recent.iter().map(rung));
}

/// What a side had sent.
fn sent(side: &Side) -> Value {
    let mut numbers = Attributes::default();
    numbers
        .int("packets", Some(side.packets))
        .int("bytes", Some(side.bytes))
        .int("retransmits", Some(side.retransmits))
        .int("ttl", side.ttl);
    json!({ "kvlistValue": { "values": numbers.0 } })
}

/// A segment before the reset in one text: an attribute for each number would take ten times the
/// room.
fn rung(r: &Recent) -> String {
    let Recent { ago_us, from, flags, seq, ack, len, window, ttl } = r;
    format!("-{ago_us} us {from} {flags} seq {seq} ack {ack} len {len} win {window} ttl {ttl}")
}

fn owner(process: &Process, attributes: &mut Attributes) {
    attributes
        .int("process.pid", Some(process.pid))
        .text("process.executable.name", process.name.as_str())
        .int("process.user.id", process.uid)
        .text("process.linux.cgroup", process.cgroup.as_deref())
        .text("process.executable.path", process.executable.as_deref())
        .text("process.creation.time", process.start.map(|start| start.to_string()).as_deref())
        .text("container.id", process.container_id.as_deref())
        .text("container.runtime.name", process.container_runtime.as_deref())
        .text("k8s.pod.uid", process.pod_uid.as_deref())
        .text("rst_tracer.process.entity_id", process.entity_id.as_deref())
        .text("rst_tracer.process.known_by", process.known_by.id());
}

fn testimony(kernel: &Kernel, attributes: &mut Attributes) {
    let state = kernel.state.as_deref().map(state);
    attributes
        .text("rst_tracer.kernel.reason", kernel.reason.as_deref())
        .text("network.connection.state", state)
        .int("rst_tracer.kernel.netns", kernel.netns);
}

/// The conventions' name of a state of the kernel's; one that they do not know stays as it is.
fn state(kernel: &str) -> &str {
    match kernel {
        "CLOSE" => "closed",
        "LISTEN" => "listen",
        "SYN_SENT" => "syn_sent",
        "SYN_RECV" | "NEW_SYN_RECV" => "syn_received",
        "ESTABLISHED" => "established",
        "FIN_WAIT1" => "fin_wait_1",
        "FIN_WAIT2" => "fin_wait_2",
        "CLOSE_WAIT" => "close_wait",
        "CLOSING" => "closing",
        "LAST_ACK" => "last_ack",
        "TIME_WAIT" => "time_wait",
        unknown => unknown,
    }
}

fn of_finding(finding: &Finding) -> Value {
    let mut attributes = Attributes::default();
    let sources = finding.sources.iter().map(|source| match source.port {
        Some(port) => format!("{} port {port}: {}", source.ip, source.resets),
        None => format!("{}: {}", source.ip, source.resets),
    });
    attributes
        .text("log.record.uid", finding.id.as_str())
        .text("network.transport", "tcp")
        .text("rst_tracer.finding.kind", finding.kind.id())
        .text("rst_tracer.finding.state", finding.state.id())
        .text("rst_tracer.finding.rule", finding.rule.as_deref())
        .text("rst_tracer.finding.start", finding.start.to_string().as_str())
        .text("rst_tracer.finding.end", finding.end.to_string().as_str())
        .text("rst_tracer.severity", finding.severity.id())
        .texts("rst_tracer.finding.sources", sources)
        .bool("rst_tracer.truncated", finding.truncated.then_some(true));
    if let Some(busiest) = finding.sources.first() {
        attributes.text("source.address", busiest.ip.to_string().as_str());
        attributes.int("source.port", busiest.port);
    }
    for (name, count) in &finding.counts {
        attributes.int(&format!("rst_tracer.finding.counts.{name}"), Some(*count));
    }
    let (name, severity) = ("rst_tracer.finding", severity(finding.severity));
    record(finding.time, name, severity, &finding.text, attributes)
}

fn of_stats(stats: &StatsEvent) -> Value {
    let mut attributes = Attributes::default();
    attributes
        .int("rst_tracer.stats.segments", Some(stats.segments))
        .int("rst_tracer.stats.rsts", Some(stats.rsts))
        .int("rst_tracer.stats.events", Some(stats.events))
        .int("rst_tracer.stats.merged", Some(stats.merged))
        .int("rst_tracer.stats.repeated", Some(stats.repeated))
        .int("rst_tracer.stats.filtered", Some(stats.filtered))
        .int("rst_tracer.stats.pending", Some(stats.pending))
        .int("rst_tracer.stats.suppressed", Some(stats.suppressed))
        .int("rst_tracer.stats.lost", Some(stats.lost))
        .int("rst_tracer.stats.malformed", Some(stats.malformed))
        .int("rst_tracer.stats.flows", Some(stats.flows))
        .int("rst_tracer.stats.evictions", Some(stats.evictions));
    attributes.bool("rst_tracer.stats.vlan_visible", stats.vlan_visible);
    if !stats.hooks.is_empty() {
        attributes.value("rst_tracer.stats.hooks", list(stats.hooks.iter().map(hook)));
    }
    if !stats.policy.is_empty() {
        attributes.value("rst_tracer.stats.policy", list(stats.policy.iter().map(rule)));
    }
    attributes.bool("rst_tracer.truncated", stats.truncated.then_some(true));
    record(stats.time, "rst_tracer.stats", 9, "what was seen, kept and lost so far", attributes)
}

fn rule(rule: &RuleStats) -> Value {
    let mut counters = Attributes::default();
    counters
        .text("rule", &*rule.rule)
        .text("expect", rule.expect.id())
        .int("rsts", Some(rule.rsts));
    for (verdict, n) in rule.verdicts().into_iter().filter(|(_, n)| *n > 0) {
        counters.int(verdict.id(), Some(n));
    }
    counters.text("last", rule.last.map(|last| last.to_string()).as_deref());
    json!({ "kvlistValue": { "values": counters.0 } })
}

fn hook(hook: &HookStats) -> Value {
    let mut counters = Attributes::default();
    counters
        .text("hook", hook.hook.id())
        .text("interface", hook.interface.as_deref())
        .int("segments", Some(hook.segments))
        .int("tracked", Some(hook.tracked));
    let named = [
        ("untracked", &hook.untracked),
        ("malformed", &hook.malformed),
        ("skipped", &hook.skipped),
    ];
    for (name, counts) in named {
        for (why, count) in counts {
            counters.int(&format!("{name}.{why}"), Some(*count));
        }
    }
    json!({ "kvlistValue": { "values": counters.0 } })
}

#[cfg(test)]
mod tests;
