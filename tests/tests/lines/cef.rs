//! CEF before a parser written from its rules alone, and against the events of `--format json`.
//!
//! "Implementing ArcSight Common Event Format (CEF)", version 25: the header's bars and
//! backslashes are escaped, the extension's equals signs, backslashes and ends of lines, and
//! nothing else.

mod expected;
mod grammar;

use rst_tracer::sink::{CefSink, Host};
use serde_json::Value;

use self::{expected::expected, grammar::Cef};
use super::compare::{differences, is_truncated, is_verdict};
use super::events;

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
    // Whoever ran the tracer has it, and no event.
    let is_id = |id: &String| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    found.extend(read.extension.remove("deviceExternalId").filter(|id| !is_id(id)));
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
        Some("rst") if expected::is_refusal(event) => ("TCP-RST".into(), "TCP connection refused"),
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

#[test]
fn events_of_every_kind_are_read_as_they_are() {
    let all = events::all();
    let lines = events::lines(&all, |out| CefSink::new(out).on(Host::read()));
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
        ("smac=02:00:00:00:00:0a", "smac=02:00:00:00:00"),
        ("smac=02:00:00:00:00:0a", "smac=02:00:00:00:00:0b"),
        ("97% sure", "96% sure"),
        (" cn1=64", " cn1=63"),
        ("+3.0 the", "+3.1 the"),
    ] {
        let planted = line.replacen(right, wrong, 1);
        assert_ne!(planted, line, "{right} is not there");
        assert!(!complaints(&planted, &event).is_empty(), "{wrong} is not noticed");
    }
}
