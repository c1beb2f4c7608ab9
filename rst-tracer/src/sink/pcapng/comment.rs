//! What is said beside the packets: the verdict as a comment, findings and counters as entries of
//! a journal.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::{BufMut, BytesMut};
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;

use crate::event::{Event, RstEvent, Severity, Timestamp};
use crate::sink::words::{self, clean};
use crate::sink::{LINE_LIMIT, fit, shorten};

/// A comment on a packet.
pub(super) fn option(text: String) -> EnhancedPacketOption<'static> {
    EnhancedPacketOption::Comment(Cow::Owned(text))
}

/// The verdict on a reset and all that speaks for it, less than [`LINE_LIMIT`] bytes.
pub(super) fn verdict(rst: &RstEvent) -> String {
    let whole = text(rst);
    if whole.len() < LINE_LIMIT {
        return whole;
    }
    let fits = |event: &Event| matches!(event, Event::Rst(rst) if text(rst).len() < LINE_LIMIT);
    match shorten(&Event::from(rst.clone()), fits) {
        Event::Rst(short) => text(&short),
        Event::Finding(_) | Event::Stats(_) => whole,
    }
}

fn text(rst: &RstEvent) -> String {
    let mut text = format!("rst-tracer: {}\n", words::verdict(rst));
    for evidence in &rst.evidence {
        // A String takes every write.
        let _ = writeln!(text, "{:+.1} {}", evidence.weight.value(), clean(&evidence.text));
    }
    for other in &rst.alternatives {
        let _ = writeln!(text, "otherwise {} {}%", other.cause, other.confidence.percent());
    }
    let _ = writeln!(
        text,
        "class {}, cause {}, confidence {}%, severity {}, stage {}, sent by {}, origin {}, effect {}",
        rst.class,
        rst.cause,
        rst.confidence.percent(),
        rst.severity,
        rst.stage,
        rst.sent_by,
        rst.origin,
        rst.effect,
    );
    if let Some(said) = &rst.payload_text {
        let _ = writeln!(text, "payload {}", clean(said));
    }
    if let Some(process) = &rst.process {
        let _ = writeln!(text, "process {}", words::process(process));
    }
    if let Some(reason) = rst.kernel.as_ref().and_then(|kernel| kernel.reason.as_deref()) {
        let _ = writeln!(text, "kernel {}", clean(reason));
    }
    if let Some(policy) = &rst.policy {
        let _ = writeln!(text, "policy {}", words::policy(policy));
    }
    let place = words::place(rst, false);
    let _ = write!(text, "seen {place} on {}", clean(&rst.host));
    if let Some(tunnel) = &rst.tunnel {
        let _ = write!(text, " inside {}", clean(tunnel));
    }
    let _ = write!(text, "\nid {}, community {}", clean(&rst.id), clean(&rst.community_id));
    // Events that the engine has not numbered have none.
    if rst.seq > 0 {
        let _ = write!(text, ", seq {}", rst.seq);
    }
    text
}

/// The first 255 bytes of a name, to whole characters.
pub(super) fn short(name: &str) -> &str {
    &name[..name.floor_char_boundary(255)]
}

/// A finding or counters, as the journal of systemd exports an entry; `RST_TRACER_EVENT` is the
/// event as `--format json` has it.
/// <https://systemd.io/JOURNAL_EXPORT_FORMATS/>
pub(super) fn journal_entry(event: &Event) -> String {
    let (time, host, priority, message) = match event {
        Event::Rst(rst) => (rst.time, &rst.host, priority(rst.severity), words::verdict(rst)),
        Event::Finding(finding) => {
            let message = format!("{}: {}", finding.kind.words(), clean(&finding.text));
            (finding.time, &finding.host, priority(finding.severity), message)
        }
        Event::Stats(stats) => {
            let (segments, rsts, events) = (stats.segments, stats.rsts, stats.events);
            let message = format!(
                "{segments} segments, {rsts} resets, {events} events, {} resets lost",
                stats.lost
            );
            (stats.time, &stats.host, 6, message)
        }
    };
    let Timestamp(nanoseconds) = time;
    let mut json = BytesMut::new();
    fit::line(event, &mut json, |event, out| drop(serde_json::to_writer(out.writer(), event)));
    format!(
        "__REALTIME_TIMESTAMP={}\nPRIORITY={priority}\nSYSLOG_IDENTIFIER=rst-tracer\n\
         _HOSTNAME={}\nMESSAGE={message}\nRST_TRACER_EVENT={}",
        nanoseconds / 1000,
        clean(host),
        String::from_utf8_lossy(&json),
    )
}

/// The priorities of syslog: 3 is an error, 4 a warning, 5 a notice, 6 information.
fn priority(severity: Severity) -> u8 {
    match severity {
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Info => 6,
    }
}
