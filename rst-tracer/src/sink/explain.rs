//! The explanation under a line: verdict, evidence, alternatives, numbers, the last segments.
//!
//! Labels stand in one column, texts are wrapped to [`WIDTH`] columns.

use std::fmt::Write as _;

use super::ladder;
use super::paint::{Ink, Style};
use super::words::{self, clean, span};
use crate::event::{Finding, Flags, Flow, KnownBy, Recent, RstEvent, Segment, StatsEvent};

/// The widest line of an explanation, unless a single word is wider.
pub(super) const WIDTH: usize = 100;
const LABEL: usize = 14;

/// Appends the explanation of a reset.
pub(super) fn rst(event: &RstEvent, style: Style, out: &mut String) {
    let mut sheet = Sheet { out, style };
    sheet.field("Verdict", &words::verdict(event));
    for (i, evidence) in event.evidence.iter().enumerate() {
        let label = if i == 0 { "Evidence" } else { "" };
        sheet.item(label, &format!("{:+.1}", evidence.weight.value()), &clean(&evidence.text));
    }
    for (i, other) in event.alternatives.iter().enumerate() {
        let label = if i == 0 { "Otherwise" } else { "" };
        let text = format!("{} ({})", other.cause.words(), other.class.words());
        sheet.item(label, &format!("{}%", other.confidence.percent()), &text);
    }
    sheet.field("Reset", &segment(&event.segment));
    if let Some(text) = &event.payload_text {
        sheet.field("", &format!("its payload says “{}”", clean(text)));
    }
    if let Some(reason) = &event.mptcp_reason {
        sheet.field("", &format!("MPTCP reason: {}", clean(reason)));
    }
    match &event.flow {
        None => sheet.field("Connection", "nothing of it was seen before the reset"),
        Some(flow) => {
            sheet.field("Connection", &connection(event, flow));
            sheet.table(flow);
        }
    }
    if !event.recent.is_empty() {
        sheet.field("Last segments", &format!("the reset last; {}", numbering(&event.recent)));
        ladder::draw(event, style, sheet.out);
    }
    if let Some(process) = &event.process {
        let known_by = match process.known_by {
            KnownBy::ActiveClose => "it closed the socket",
            KnownBy::SocketOwner => "it owns the socket",
            KnownBy::Listener => "it owns the listening socket",
        };
        let end = words::end_of_process(event).map(|end| format!(" at the {end}"));
        let end = end.unwrap_or_default();
        let mut text = format!("{}{end}: {known_by}", words::process(process));
        append(&mut text, ", uid ", process.uid.map(|uid| uid.to_string()).as_deref());
        append(&mut text, ", ", process.executable.as_deref());
        let start = process.start.map(|start| format!("{}Z", &start.to_string()[..19]));
        append(&mut text, ", started ", start.as_deref());
        append(&mut text, ", ", process.cgroup.as_deref());
        append(&mut text, ", container ", process.container_id.as_deref());
        sheet.field("Process", &text);
    }
    if let Some(kernel) = &event.kernel {
        let mut text = format!("reason {}", clean(kernel.reason.as_deref().unwrap_or("not given")));
        append(&mut text, ", socket state ", kernel.state.as_deref());
        append(&mut text, ", in netns ", kernel.netns.map(|n| n.to_string()).as_deref());
        sheet.field("Kernel", &text);
    }
    if let Some(policy) = &event.policy {
        sheet.field("Policy", &words::policy(policy));
    }
    sheet.field("Seen", &seen(event));
    sheet.out.push('\n');
}

/// Appends the numbers behind a finding.
pub(super) fn finding(finding: &Finding, style: Style, out: &mut String) {
    let mut sheet = Sheet { out, style };
    let counts = finding.counts.iter().map(|(name, n)| format!("{} {n}", clean(name)));
    sheet.field("Counts", &counts.collect::<Vec<_>>().join(", "));
    for (i, source) in finding.sources.iter().enumerate() {
        let name = match source.port {
            Some(port) => std::net::SocketAddr::new(source.ip, port).to_string(),
            None => source.ip.to_string(),
        };
        sheet.field(
            if i == 0 { "Sources" } else { "" },
            &format!("{name}: {} resets", source.resets),
        );
    }
    sheet.out.push('\n');
}

/// Appends where the segments of each hook went.
pub(super) fn stats(stats: &StatsEvent, style: Style, out: &mut String) {
    let mut sheet = Sheet { out, style };
    for hook in &stats.hooks {
        let mut text = format!("{} segments: {} tracked", hook.segments, hook.tracked);
        for (why, n) in &hook.untracked {
            let _ = write!(text, ", {n} untracked ({})", clean(why));
        }
        for (why, n) in &hook.malformed {
            let _ = write!(text, "; {n} malformed ({})", clean(why));
        }
        for (what, n) in &hook.skipped {
            let _ = write!(text, "; {n} skipped ({})", clean(what));
        }
        sheet.field(hook.hook.id(), &format!("{}: {text}", clean(named(&hook.interface))));
    }
    for (i, rule) in stats.policy.iter().enumerate() {
        let label = if i == 0 { "Policy" } else { "" };
        sheet.field(label, &clean(&words::rule(rule)));
    }
    sheet.out.push('\n');
}

/// The header fields of the reset, raw.
fn segment(s: &Segment) -> String {
    let mut text =
        format!("{} seq {} ack {} win {} ttl {}", s.flags, s.seq, s.ack, s.window, s.ttl);
    append(&mut text, " id ", s.ip_id.map(|id| id.to_string()).as_deref());
    append(&mut text, " ", s.df.filter(|df| *df).map(|_| "DF"));
    append(&mut text, " flow label ", s.flow_label.map(|label| format!("{label:#x}")).as_deref());
    // A String takes every write.
    let _ = write!(text, " tos {:#04x}, {} bytes of payload", s.tos, s.payload_len);
    append(&mut text, ", from the station ", s.src_mac.map(|mac| mac.to_string()).as_deref());
    let to = if s.src_mac.is_some() { " to " } else { ", to the station " };
    append(&mut text, to, s.dst_mac.map(|mac| mac.to_string()).as_deref());
    text
}

fn connection(event: &RstEvent, flow: &Flow) -> String {
    let lasted = span(flow.duration_ms.saturating_mul(1000));
    let idle = span(flow.idle_ms.saturating_mul(1000));
    let mut text = format!("since {}, {lasted} long, silent for {idle}", flow.start);
    append(&mut text, ", round trip ", flow.rtt_us.map(|us| span(us.into())).as_deref());
    let _ = write!(text, "; {}, {}", event.stage.words(), clean(&event.app));
    append(&mut text, ", ", event.conn_state.map(|state| state.id()));
    append(&mut text, " ", event.history.as_deref());
    append(&mut text, ", signature ", event.signature.as_deref());
    text
}

fn numbering(recent: &[Recent]) -> &'static str {
    let has_syn = |r: &Recent| r.flags.has(Flags::SYN);
    match recent.iter().any(has_syn) {
        true => "numbers count from the SYN",
        false => "numbers count from the first segment shown",
    }
}

fn seen(event: &RstEvent) -> String {
    let mut text = format!("{}, {}", event.time, words::place(event, false));
    append(&mut text, " on ", told(&event.host));
    append(&mut text, ", inside ", event.tunnel.as_deref());
    for vlan in &event.vlan {
        let _ = write!(text, ", VLAN {vlan}");
    }
    for sighting in &event.sightings {
        let direction = sighting.direction.map_or(sighting.hook.id(), |d| d.id());
        let _ = write!(text, "; {} {direction}", clean(named(&sighting.interface)));
    }
    append(&mut text, "; id ", told(&event.id));
    append(&mut text, ", community ", told(&event.community_id));
    text
}

fn named(interface: &Option<String>) -> &str {
    interface.as_deref().unwrap_or("all interfaces")
}

/// A text, if there is one.
fn told(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// Appends what is known, after what leads to it.
fn append(text: &mut String, lead: &str, value: Option<&str>) {
    if let Some(value) = value {
        text.extend([lead, &clean(value)]);
    }
}

/// A page of labelled texts.
struct Sheet<'a> {
    out: &'a mut String,
    style: Style,
}

impl Sheet<'_> {
    /// A label and a text.
    fn field(&mut self, label: &str, text: &str) {
        self.wrapped(label, "", text);
    }

    /// A label, a number and a text.
    fn item(&mut self, label: &str, number: &str, text: &str) {
        self.wrapped(label, &format!("{number:>6}  "), text);
    }

    fn wrapped(&mut self, label: &str, lead: &str, text: &str) {
        self.style.paint(Ink::Dim, &format!("  {label:<LABEL$}"), self.out);
        self.out.push_str(lead);
        let indent = 2 + LABEL + lead.chars().count();
        let mut column = indent;
        for (i, word) in text.split(' ').enumerate() {
            let width = word.chars().count();
            if i > 0 && column + 1 + width > WIDTH {
                let _ = write!(self.out, "\n{:indent$}", "");
                column = indent;
            } else if i > 0 {
                self.out.push(' ');
                column += 1;
            }
            self.out.push_str(word);
            column += width;
        }
        self.out.push('\n');
    }

    /// What each side had sent.
    fn table(&mut self, flow: &Flow) {
        let head = format!("{:>26}{:>14}{:>13}{:>6}", "packets", "bytes", "retransmits", "ttl");
        self.field("", &head);
        for (name, side) in flow.sides() {
            let ttl = side.ttl.map_or("-".to_owned(), |ttl| ttl.to_string());
            let numbers = (side.packets, side.bytes, side.retransmits);
            let row = format!(
                "{:<12}{:>14}{:>14}{:>13}{ttl:>6}",
                name.id(),
                numbers.0,
                numbers.1,
                numbers.2
            );
            self.field("", &row);
        }
    }
}
