//! CEF: ArcSight's Common Event Format, version 0, one event a line.
//!
//! In: an event. Out: a header of fixed fields and an extension of `key=value`. Keys that CEF's
//! dictionary does not have begin with `rstTracer`.

use std::fmt::{Display, Write as _};
use std::io::{self, Write};
use std::net::IpAddr;

use bytes::{BufMut, BytesMut};

use super::lines::Lines;
use super::words::{self, clean};
use super::{Host, Sink, fit};
use crate::event::{
    Direction, Endpoint, Event, Evidence, Finding, Flow, LocalRole, Process, RstEvent, Severity,
    Side, StatsEvent, Timestamp,
};

/// Writes events in CEF.
#[derive(Debug)]
pub struct CefSink<W> {
    lines: Lines<W>,
    host: Host,
}

impl<W: Write> CefSink<W> {
    /// A sink before this output.
    pub fn new(out: W) -> Self {
        Self { lines: Lines::new(out), host: Host::default() }
    }

    /// Tells of this host, too.
    pub fn on(self, host: Host) -> Self {
        Self { host, ..self }
    }
}

impl<W: Write> Sink for CefSink<W> {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        self.lines.push(|out| fit::line(event, out, |event, out| body(event, &self.host, out)))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }
}

/// Appends the event, of whatever length.
fn body(event: &Event, host: &Host, out: &mut BytesMut) {
    let text = match event {
        Event::Rst(rst) => of_rst(rst),
        Event::Finding(finding) => of_finding(finding),
        Event::Stats(stats) => of_stats(stats),
    };
    out.put_slice(text.as_bytes());
    if let Some(id) = &host.id {
        out.put_slice(format!(" deviceExternalId={id}").as_bytes());
    }
    if let Some(seq) = event.seq() {
        out.put_slice(format!(" rstTracerSeq={seq}").as_bytes());
    }
}

fn of_rst(rst: &RstEvent) -> String {
    let (name, act) = match words::is_refusal(rst) {
        true => ("TCP connection refused", "refused"),
        false => ("TCP connection reset", "reset"),
    };
    let mut line = Extension::after(&header("TCP-RST", name, severity(rst.severity)));
    line.key("rt", milliseconds(rst.time)).key("externalId", &rst.id).key("dvchost", &rst.host);
    place(rst, &mut line);
    line.end(&SRC, rst.src.ip, Some(rst.src.port)).end(&DST, rst.dst.ip, Some(rst.dst.port));
    line.if_known("smac", rst.segment.src_mac).if_known("dmac", rst.segment.dst_mac);
    line.key("proto", "TCP").key("app", &rst.app).key("act", act);
    line.key("cat", rst.class.id()).key("reason", rst.cause.id()).key("msg", words::verdict(rst));
    line.key("cnt", integer(rst.repeats.saturating_add(1)));
    if let Some(flow) = &rst.flow {
        let [from_src, from_dst] = sides(rst, flow);
        line.key("start", milliseconds(flow.start));
        line.if_known("in", from_src.map(|side| integer(side.bytes)));
        line.if_known("out", from_dst.map(|side| integer(side.bytes)));
    }
    if let Some(process) = &rst.process {
        owner(process, words::end_of_process(rst), rst.local_role, &mut line);
    }
    line.labelled("cs1", "communityId", &rst.community_id);
    line.labelled("cs2", "tcpFlags", rst.segment.flags);
    line.labelled("cs3", "evidence", evidence(&rst.evidence));
    line.labelled("cs4", "history", rst.history.as_deref().unwrap_or_default());
    line.labelled("cs5", "sentBy", rst.sent_by).labelled("cs6", "origin", rst.origin);
    line.labelled("cn1", "ttl", rst.segment.ttl).labelled("cn2", "seq", rst.segment.seq);
    line.labelled("cn3", "ack", rst.segment.ack);
    line.labelled("cfp1", "confidence", rst.confidence.value());
    line.labelled("flexString1", "stage", rst.stage);
    line.labelled("flexString2", "atFault", rst.at_fault);
    details(rst, &mut line);
    line.text
}

/// What the dictionary has no key for.
fn details(rst: &RstEvent, line: &mut Extension) {
    let kernel = rst.kernel.as_ref();
    line.key("rstTracerEffect", rst.effect)
        .key("rstTracerBasis", rst.basis)
        .key("rstTracerInitiator", rst.initiator)
        .if_known("rstTracerConnState", rst.conn_state)
        .if_known("rstTracerSignature", rst.signature.as_deref())
        .key("rstTracerWindow", rst.segment.window)
        .key("rstTracerPayloadLen", rst.segment.payload_len)
        .if_known("rstTracerPayloadText", rst.payload_text.as_deref())
        .if_known("rstTracerFrame", rst.frame)
        .key("rstTracerVlan", listed(&rst.vlan))
        .if_known("rstTracerTunnel", rst.tunnel.as_deref())
        .if_known("rstTracerKernelReason", kernel.and_then(|kernel| kernel.reason.as_deref()))
        .if_known("rstTracerKernelState", kernel.and_then(|kernel| kernel.state.as_deref()))
        .if_known("rstTracerRule", rst.policy.as_ref().map(|policy| &policy.rule))
        .if_known("rstTracerPolicyVerdict", rst.policy.as_ref().map(|policy| policy.verdict))
        .if_known("rstTracerTruncated", rst.truncated.then_some(true));
}

fn of_finding(finding: &Finding) -> String {
    let id = format!("RST-FINDING-{}", finding.kind.id().to_uppercase().replace('_', "-"));
    let header = header(&id, finding.kind.words(), severity(finding.severity));
    let mut line = Extension::after(&header);
    line.key("rt", milliseconds(finding.time)).key("externalId", &finding.id);
    line.key("start", milliseconds(finding.start)).key("end", milliseconds(finding.end));
    line.key("rstTracerState", finding.state).if_known("rstTracerRule", finding.rule.as_deref());
    line.key("dvchost", &finding.host).key("cat", "finding").key("msg", &finding.text);
    if let Some(busiest) = finding.sources.first() {
        line.end(&SRC, busiest.ip, busiest.port).key("cnt", integer(busiest.resets));
    }
    let counts = finding.counts.iter().map(|(name, n)| format!("{name} {n}"));
    line.labelled("cs1", "counts", listed(counts));
    let sources = finding.sources.iter().map(|source| format!("{} {}", source.ip, source.resets));
    line.labelled("cs2", "sources", listed(sources));
    line.if_known("rstTracerTruncated", finding.truncated.then_some(true));
    line.text
}

fn of_stats(stats: &StatsEvent) -> String {
    let mut line = Extension::after(&header("RST-STATS", "rst-tracer statistics", 0));
    line.key("rt", milliseconds(stats.time)).key("dvchost", &stats.host).key("cat", "statistics");
    line.key("rstTracerSegments", stats.segments)
        .key("rstTracerRsts", stats.rsts)
        .key("rstTracerEvents", stats.events)
        .key("rstTracerMerged", stats.merged)
        .key("rstTracerRepeated", stats.repeated)
        .key("rstTracerFiltered", stats.filtered)
        .key("rstTracerPending", stats.pending)
        .key("rstTracerSuppressed", stats.suppressed)
        .key("rstTracerLost", stats.lost)
        .key("rstTracerMalformed", stats.malformed)
        .key("rstTracerFlows", stats.flows)
        .key("rstTracerEvictions", stats.evictions);
    line.text
}

/// The header. Only our own fixed words stand in it, and they are escaped all the same.
fn header(id: &str, name: &str, severity: u8) -> String {
    let fields = ["rst-tracer", "rst-tracer", env!("CARGO_PKG_VERSION"), id, name];
    let mut header = "CEF:0".to_owned();
    for field in fields {
        header.push('|');
        for c in clean(field).chars() {
            if matches!(c, '|' | '\\') {
                header.push('\\');
            }
            header.push(c);
        }
    }
    // A String takes every write.
    let _ = write!(header, "|{severity}|");
    header
}

/// A line whose extension grows.
struct Extension {
    text: String,
    has_keys: bool,
}

/// The keys of an end: IPv4 address, IPv6 address with its label, port.
struct EndKeys {
    v4: &'static str,
    v6: &'static str,
    label: &'static str,
    port: &'static str,
}

/// Version 0 takes IPv4 addresses only in `src` and `dst`.
const SRC: EndKeys = EndKeys { v4: "src", v6: "c6a2", label: "Source IPv6 Address", port: "spt" };
const DST: EndKeys =
    EndKeys { v4: "dst", v6: "c6a3", label: "Destination IPv6 Address", port: "dpt" };

impl Extension {
    fn after(header: &str) -> Self {
        let mut text = String::with_capacity(1024);
        text.push_str(header);
        Self { text, has_keys: false }
    }

    /// A key and its value; an empty value is left out.
    fn key(&mut self, key: &str, value: impl Display) -> &mut Self {
        let value = value.to_string();
        if !value.is_empty() {
            if std::mem::replace(&mut self.has_keys, true) {
                self.text.push(' ');
            }
            self.text.extend([key, "="]);
            let shown = harmless(&value);
            let end = shown.char_indices().nth(longest(key)).map_or(shown.len(), |(at, _)| at);
            escape(&shown[..end], &mut self.text);
        }
        self
    }

    fn if_known(&mut self, key: &str, value: Option<impl Display>) -> &mut Self {
        match value {
            Some(value) => self.key(key, value),
            None => self,
        }
    }

    /// A field for whatever it is labelled as.
    fn labelled(&mut self, key: &str, label: &str, value: impl Display) -> &mut Self {
        let value = value.to_string();
        if !value.is_empty() {
            self.key(&format!("{key}Label"), label).key(key, value);
        }
        self
    }

    fn end(&mut self, keys: &EndKeys, ip: IpAddr, port: Option<u16>) -> &mut Self {
        match ip {
            IpAddr::V4(ip) => self.key(keys.v4, ip),
            IpAddr::V6(ip) => self.labelled(keys.v6, keys.label, ip),
        }
        .if_known(keys.port, port)
    }
}

/// The most characters that the dictionary allows in the value of a key.
fn longest(key: &str) -> usize {
    match key {
        "app" | "proto" => 31,
        "externalId" => 40,
        "act" => 63,
        "dvchost" => 100,
        "deviceInboundInterface" | "deviceOutboundInterface" | "flexString1" | "flexString2" => 128,
        "cs1" | "cs2" | "cs3" | "cs4" | "cs5" | "cs6" => 4000,
        _ => 1023,
    }
}

/// The text with what controls a terminal, or ends a line without being a line feed or a carriage
/// return, shown as escapes of Rust.
fn harmless(text: &str) -> String {
    let lines = text.split_inclusive(['\n', '\r']).map(|line| {
        let rest = line.trim_end_matches(['\n', '\r']);
        [&clean(rest), &line[rest.len()..]].concat()
    });
    lines.collect()
}

/// Appends a value of the extension. CEF escapes the backslash, the equals sign and ends of lines,
/// and nothing else.
fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\\' | '=' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
}

/// Where it was seen.
fn place(rst: &RstEvent, line: &mut Extension) {
    let (key, direction) = match rst.direction {
        Some(Direction::Egress) => ("deviceOutboundInterface", Some(1)),
        Some(Direction::Ingress) => ("deviceInboundInterface", Some(0)),
        None => ("deviceInboundInterface", None),
    };
    line.if_known("deviceDirection", direction).if_known(key, rst.interface.as_deref());
    line.key("deviceFacility", rst.hook).if_known("filePath", rst.file.as_deref());
}

/// The local process at its end; where that is not certain on the side that is local, a forwarder's or an observer's on
/// neither.
fn owner(process: &Process, end: Option<&str>, role: LocalRole, line: &mut Extension) {
    let [pid, name, uid] = match (end, role) {
        (Some("receiver"), _) | (None, LocalRole::Receiver) => ["dpid", "dproc", "duid"],
        (Some(_), _) | (None, LocalRole::Sender) => ["spid", "sproc", "suid"],
        (None, LocalRole::Forwarder | LocalRole::Observer) => return,
    };
    line.key(pid, process.pid).key(name, &process.name).if_known(uid, process.uid);
    line.if_known("rstTracerExecutable", process.executable.as_deref())
        .if_known("rstTracerProcessStart", process.start)
        .if_known("rstTracerContainerId", process.container_id.as_deref())
        .if_known("rstTracerPodUid", process.pod_uid.as_deref());
}

/// What the reset's source and its destination had sent.
fn sides<'a>(rst: &RstEvent, flow: &'a Flow) -> [Option<&'a Side>; 2] {
    let of = |end: Endpoint| {
        let mut sides = flow.sides();
        sides.find(|(speaker, _)| rst.endpoint(*speaker) == Some(end)).map(|(_, side)| side)
    };
    [of(rst.src), of(rst.dst)]
}

/// Each piece with its weight, the strongest first.
fn evidence(evidence: &[Evidence]) -> String {
    let pieces = evidence.iter().map(|e| format!("{:+.1} {}", e.weight.value(), e.text));
    pieces.collect::<Vec<_>>().join("; ")
}

/// Joined by commas.
fn listed(items: impl IntoIterator<Item = impl Display>) -> String {
    let items = items.into_iter().map(|item| item.to_string());
    items.collect::<Vec<_>>().join(", ")
}

fn milliseconds(time: Timestamp) -> u64 {
    time.0 / 1_000_000
}

/// The dictionary's integers have 32 bits.
fn integer(n: u64) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// From 0 to 10: low is up to 3, medium up to 6, high up to 8.
fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 1,
        Severity::Low => 3,
        Severity::Medium => 5,
        Severity::High => 8,
    }
}

#[cfg(test)]
mod tests;
