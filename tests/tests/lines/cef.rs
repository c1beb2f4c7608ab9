//! CEF before a parser written from its rules alone, and against the events of `--format json`.
//!
//! "Implementing ArcSight Common Event Format (CEF)", version 25: the header's bars and
//! backslashes are escaped, the extension's equals signs, backslashes and ends of lines, and
//! nothing else.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use rst_tracer::sink::CefSink;
use serde_json::Value;

use super::compare::{differences, is_truncated, is_verdict, nanoseconds, weight};
use super::events;

/// A line, its escapes undone.
#[derive(Debug, PartialEq)]
struct Cef {
    /// Version, vendor, product, version of the product, signature id, name, severity.
    header: Vec<String>,
    extension: BTreeMap<String, String>,
}

impl Cef {
    fn parse(line: &str) -> Result<Self, String> {
        if let Some(c) = line.chars().find(|c| c.is_control()) {
            return Err(format!("the control character {c:?}"));
        }
        let (header, extension) = split_header(line)?;
        let [version, .., severity] = &header[..] else { return Err("no header".into()) };
        if version != "CEF:0" {
            return Err(format!("version {version}"));
        }
        severity.parse().ok().filter(|n: &u8| *n <= 10).ok_or(format!("severity {severity}"))?;
        Ok(Self { header, extension: pairs(extension)? })
    }
}

/// Seven fields, and what follows them.
fn split_header(line: &str) -> Result<(Vec<String>, &str), String> {
    let (mut fields, mut field) = (Vec::new(), String::new());
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, escaped @ ('\\' | '|'))) => field.push(escaped),
                other => return Err(format!("an escape of {other:?} in the header")),
            },
            '|' => {
                fields.push(std::mem::take(&mut field));
                if fields.len() == 7 {
                    return Ok((fields, &line[at + 1..]));
                }
            }
            c => field.push(c),
        }
    }
    Err(format!("{} fields in the header", fields.len()))
}

/// The pairs of the extension. A key is the word before an equals sign that is not escaped; it
/// begins the extension or follows a blank, and a value ends before the blank before the next key.
fn pairs(extension: &str) -> Result<BTreeMap<String, String>, String> {
    let bytes = extension.as_bytes();
    let mut starts = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'=' => {
                let is_word = |c: char| c.is_ascii_alphanumeric();
                let key = extension[..at].trim_end_matches(is_word).len();
                if key == at || (key > 0 && bytes[key - 1] != b' ') {
                    return Err(format!("an equals sign without a key at {at}"));
                }
                starts.push((key, at));
            }
            _ => {}
        }
        at += 1;
    }
    if starts.first().is_none_or(|(key, _)| *key != 0) {
        return Err("the extension does not begin with a key".into());
    }
    let mut pairs = BTreeMap::new();
    for (i, (key, equals)) in starts.iter().enumerate() {
        let end = starts.get(i + 1).map_or(extension.len(), |(next, _)| next - 1);
        let name = extension[*key..*equals].to_owned();
        let value = extension.get(equals + 1..end).ok_or(format!("{name} has no value"))?;
        let value = unescaped(value)?;
        check(&name, &value)?;
        if pairs.insert(name.clone(), value).is_some() {
            return Err(format!("{name} twice"));
        }
    }
    let custom = ["cs", "cn", "cfp", "c6a", "flexString"];
    let is_custom = |key: &&String| {
        let number = custom.iter().find_map(|custom| key.strip_prefix(custom));
        number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
    };
    for key in pairs.keys().filter(is_custom) {
        let is_label = key.ends_with("Label");
        let twin = if is_label { key.replace("Label", "") } else { format!("{key}Label") };
        if !pairs.contains_key(&twin) {
            return Err(format!("{key} without {twin}"));
        }
    }
    Ok(pairs)
}

fn unescaped(value: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.push(match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some(escaped @ ('\\' | '=')) => escaped,
                other => return Err(format!("an escape of {other:?} in the extension")),
            }),
            '=' => return Err("an equals sign in a value".into()),
            c => plain.push(c),
        }
    }
    Ok(plain)
}

/// The most characters of a string of the dictionary.
fn longest(key: &str) -> usize {
    match key {
        "proto" | "app" => 31,
        "externalId" => 40,
        "act" => 63,
        "dvchost" => 100,
        "deviceInboundInterface" | "deviceOutboundInterface" | "flexString1" | "flexString2" => 128,
        "cs1" | "cs2" | "cs3" | "cs4" | "cs5" | "cs6" => 4000,
        _ => 1023,
    }
}

/// The dictionary: the type of a key, and its length.
fn check(key: &str, value: &str) -> Result<(), String> {
    let is_text = value.chars().count() <= longest(key);
    let is_right = match key {
        "src" | "dst" => value.parse::<Ipv4Addr>().is_ok(),
        "c6a2" | "c6a3" => value.parse::<Ipv6Addr>().is_ok(),
        "spt" | "dpt" => value.parse::<u16>().is_ok(),
        "deviceDirection" => ["0", "1"].contains(&value),
        "cnt" | "in" | "out" | "spid" | "dpid" => value.parse::<i32>().is_ok_and(|n| n >= 0),
        "rt" | "start" | "cn1" | "cn2" | "cn3" => value.parse::<i64>().is_ok(),
        "cfp1" => value.parse::<f32>().is_ok(),
        "proto"
        | "app"
        | "externalId"
        | "act"
        | "dvchost"
        | "deviceInboundInterface"
        | "deviceOutboundInterface"
        | "flexString1"
        | "flexString2"
        | "cat"
        | "reason"
        | "msg"
        | "deviceFacility"
        | "filePath"
        | "sproc"
        | "dproc"
        | "suid"
        | "duid"
        | "cs1"
        | "cs2"
        | "cs3"
        | "cs4"
        | "cs5"
        | "cs6" => is_text,
        key if key.ends_with("Label") => is_text,
        key => key.starts_with("rstTracer"),
    };
    is_right.then_some(()).ok_or(format!("{key} is {value:?}"))
}

/// Complains about a line; `event` is the same in `--format json`.
pub(super) fn complaints(line: &str, event: &Value) -> Vec<String> {
    let mut read = match Cef::parse(line) {
        Ok(read) => read,
        Err(error) => return vec![format!("{error}: {line}")],
    };
    let mut found = Vec::new();
    if line.len() + 1 >= 4096 {
        found.push(format!("{} bytes", line.len() + 1));
    }
    let [_, vendor, product, _, id, name, severity] = &read.header[..] else {
        return vec!["no header".into()];
    };
    let head = [vendor, product, id, name, severity].map(String::as_str);
    let wanted = header(event);
    if head != ["rst-tracer", "rst-tracer", &wanted.0, &wanted.1, &wanted.2] {
        found.push(format!("{head:?}, not {wanted:?}"));
    }
    if is_truncated(event) || read.extension.contains_key("rstTracerTruncated") {
        return found;
    }
    if event["type"] == "rst" {
        let message = read.extension.remove("msg").unwrap_or_default();
        if !is_verdict(&message, event) {
            found.push(format!("the message is {message}"));
        }
    }
    found.extend(differences(&read.extension, &expected(event)));
    found
}

fn header(event: &Value) -> (String, String, String) {
    let severity = match event["severity"].as_str() {
        Some("info") => "1",
        Some("low") => "3",
        Some("medium") => "5",
        Some("high") => "8",
        _ => "0",
    };
    let (id, name) = match event["type"].as_str() {
        Some("rst") if event["conn_state"] == "REJ" => ("TCP-RST".into(), "TCP connection refused"),
        Some("rst") => ("TCP-RST".into(), "TCP connection reset"),
        Some("finding") => {
            let kind = event["kind"].as_str().expect("a kind");
            let name = match kind {
                "surge" => "surge of resets",
                "port_scan" => "port scan",
                "rst_flood" => "flood of resets",
                "injection_campaign" => "injection campaign",
                "idle_timeout" => "idle timeout",
                "accept_queue_overflow" => "accept queue overflow",
                "restart" => "service restart",
                "policy_violation" => "against the policy",
                other => panic!("a new kind of finding: {other}"),
            };
            (format!("RST-FINDING-{}", kind.to_uppercase().replace('_', "-")), name)
        }
        _ => ("RST-STATS".into(), "rst-tracer statistics"),
    };
    (id, name.into(), severity.into())
}

/// What the extension must say of this event, made of its JSON alone.
fn expected(event: &Value) -> BTreeMap<String, String> {
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
    keys.put("act", if event["conn_state"] == "REJ" { "refused" } else { "reset" });
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
        owner(process, &event["local_role"], keys);
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
}

fn owner(process: &Value, role: &Value, keys: &mut Keys) {
    let side = match role.as_str() {
        Some("sender") => "s",
        Some("receiver") => "d",
        _ => return,
    };
    keys.of(&format!("{side}pid"), process.get("pid"));
    keys.of(&format!("{side}proc"), process.get("name"));
    keys.of(&format!("{side}uid"), process.get("uid"));
    keys.of("rstTracerContainerId", process.get("container_id"));
}

fn finding(event: &Value, keys: &mut Keys) {
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

#[test]
fn events_of_every_kind_are_read_as_they_are() {
    let all = events::all();
    let lines = events::lines(&all, CefSink::new);
    assert_eq!(lines.len(), all.len());
    let complaints: Vec<_> =
        lines.iter().zip(&all).flat_map(|(line, event)| complaints(line, event)).collect();
    assert!(complaints.is_empty(), "{}", complaints[..complaints.len().min(9)].join("\n"));
    eprintln!("{} lines of CEF", lines.len());
}

#[test]
fn the_examples_of_the_rules_are_understood() {
    let line = r"CEF:0|security|threat\|manager|1.0|100|trojan \\ stopped|10|src=10.0.0.1 act=blocked a \\ dst=1.1.1.1 msg=a\=b\nc";
    let read = Cef::parse(line).unwrap();
    assert_eq!(read.header[2], "threat|manager");
    assert_eq!(read.header[5], "trojan \\ stopped");
    assert_eq!(read.extension["act"], "blocked a \\");
    assert_eq!(read.extension["msg"], "a=b\nc");
}

#[test]
fn planted_errors_are_refused() {
    let event = events::all().remove(0);
    let line = events::lines(std::slice::from_ref(&event), CefSink::new).remove(0);
    for (right, wrong) in [
        ("CEF:0|", "CEF:1|"),
        ("|rst-tracer|", "|rst|tracer|"),
        ("|rst-tracer|", "|rst=tracer|"),
        ("|5|rt", "|11|rt"),
        ("|5|rt", "|8|rt"),
        ("sproc=nginx", "sproc=ng=inx"),
        ("sproc=nginx", "sproc=ng\\inx"),
        ("sproc=nginx", "sproc=ng\\|inx"),
        ("sproc=nginx", "sproc=nginx\n"),
        ("sproc=nginx", "sproc=nginx sproc=nginx"),
        ("sproc=nginx", "dproc=nginx"),
        ("cs1Label=communityId ", ""),
        ("src=10.0.0.9", "src=2001:db8::9"),
        ("spt=443", "spt=65536"),
        ("in=2147483647", "in=5000000000"),
        ("rt=1795340545123", "rt=1795340545124"),
        ("act=reset", "act=refused"),
        ("97% sure", "96% sure"),
        (" cn1=64", " cn1=63"),
        ("+3.0 the", "+3.1 the"),
    ] {
        let planted = line.replacen(right, wrong, 1);
        assert_ne!(planted, line, "{right} is not there");
        assert!(!complaints(&planted, &event).is_empty(), "{wrong} is not noticed");
    }
}
