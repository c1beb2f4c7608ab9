//! Phrases that the text formats share: who, where, how long, and the verdict as a sentence.

use std::borrow::Cow;
use std::path::Path;

use crate::event::{
    AtFault, Basis, Cause, Class, ConnState, Effect, FindingKind, Hook, KnownBy, LocalRole, Origin,
    Policy, Process, RstEvent, RuleStats, SentBy, Severity, Stage, Timestamp,
};

/// A stranger's text made safe for a terminal: control characters and those that reorder or
/// hide text are shown as escapes.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{e0000}'..='\u{e007f}' | '\u{61c}')
    };
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match harmful(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// What a finding is like, by the descriptions of Suricata's `classification.config`.
pub(super) fn classification(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::PortScan => "Detection of a Network Scan",
        FindingKind::RstFlood => "Detection of a Denial of Service Attack",
        FindingKind::InjectionCampaign => "Potentially Bad Traffic",
        _ => "Misc activity",
    }
}

/// Whether the reset answers a SYN: nobody was connected, and nobody is now. Zeek says `REJ` of some connections
/// that had come further.
pub(crate) fn is_refusal(event: &RstEvent) -> bool {
    let is_early = matches!(event.stage, Stage::NoFlow | Stage::PostSyn);
    is_early && event.conn_state == Some(ConnState::Rej)
        || event.class == Class::ConnectionRefused && event.cause != Cause::ClientGaveUp
}

/// Time of day in UTC, to the millisecond.
pub(crate) fn clock(time: Timestamp) -> String {
    format!("{}Z", &time.to_string()[11..23])
}

/// A length of time, from microseconds.
pub(crate) fn span(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        1_000_000..100_000_000 => format!("{:.1} s", us as f64 / 1e6),
        100_000_000..7_200_000_000 => format!("{} s", us / 1_000_000),
        _ => format!("{:.1} h", us as f64 / 3.6e9),
    }
}

/// The severity, loud only when it is high.
pub(crate) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "HIGH",
        calm => calm.id(),
    }
}

/// Who reset whom, as far as it is known.
pub(crate) fn who(event: &RstEvent) -> &'static str {
    use Origin::{MiddleboxProven, MiddleboxSuspected};
    match (event.sent_by, event.origin) {
        (SentBy::Client, MiddleboxProven) => "forged → server",
        (SentBy::Server, MiddleboxProven) => "forged → client",
        (SentBy::Unknown, MiddleboxProven) => "forged",
        (SentBy::Unknown, MiddleboxSuspected) => "forged?",
        (SentBy::Client, MiddleboxSuspected) => "client? → server",
        (SentBy::Server, MiddleboxSuspected) => "server? → client",
        (SentBy::Client, _) => "client → server",
        (SentBy::Server, _) => "server → client",
        (SentBy::Unknown, _) => "sender unknown",
    }
}

/// Where it was seen: file and frame, or interface and direction.
pub(crate) fn place(event: &RstEvent, short: bool) -> String {
    if event.hook == Hook::Pcap {
        let file = event.file.as_deref().unwrap_or("capture");
        let name = match Path::new(file).file_name().and_then(|name| name.to_str()) {
            Some(name) if short => name,
            _ => file,
        };
        let frame = event.frame.map(|frame| format!(":{frame}")).unwrap_or_default();
        return format!("{}{frame}", clean(name));
    }
    let direction = event.direction.map_or(event.hook.id(), |direction| direction.id());
    match &event.interface {
        Some(interface) => format!("{} {direction}", clean(interface)),
        None => direction.to_owned(),
    }
}

/// `nginx[812]`.
pub(crate) fn process(process: &Process) -> String {
    format!("{}[{}]", clean(&process.name), process.pid)
}

/// `sender nginx[812]`: whose process it is, where that is certain.
pub(crate) fn end_and_process(event: &RstEvent) -> Option<String> {
    let name = process(event.process.as_ref()?);
    Some(match end_of_process(event) {
        Some(end) => format!("{end} {name}"),
        None => name,
    })
}

/// At which end of the reset the process is that the event names: `sender` or `receiver`. `None` where both ends may have
/// one on this host and nothing tells them apart.
pub(crate) fn end_of_process(event: &RstEvent) -> Option<&'static str> {
    let process = event.process.as_ref()?;
    let is_forged = matches!(event.origin, Origin::MiddleboxProven | Origin::MiddleboxSuspected);
    let speaks_elsewhere = event.kernel.as_ref().is_some_and(|kernel| kernel.netns.is_some());
    let end = match (process.known_by, event.sent_by, event.local_role) {
        (KnownBy::ActiveClose, ..) => "sender",
        // What listens is the server.
        (KnownBy::Listener, SentBy::Server, _) => "sender",
        (KnownBy::Listener, SentBy::Client, _) => "receiver",
        (KnownBy::SocketOwner, ..) if has_no_socket_at_source(event) => "receiver",
        _ if is_within_host(event) || speaks_elsewhere => return None,
        (_, _, LocalRole::Sender) => "sender",
        (_, _, LocalRole::Receiver) => "receiver",
        (_, _, LocalRole::Forwarder | LocalRole::Observer) => return None,
    };
    // In whose name it travels did not send it.
    (!is_forged || end == "receiver").then_some(end)
}

/// Whether nothing but the kernel is behind the reset: it says so, or a SYN was refused.
fn has_no_socket_at_source(event: &RstEvent) -> bool {
    let reason = event.kernel.as_ref().and_then(|kernel| kernel.reason.as_deref());
    let is_said = event.local_role == LocalRole::Sender && reason == Some("NO_SOCKET");
    is_said || event.stage == Stage::PostSyn && event.sent_by == SentBy::Server
}

/// Whether both ends are on this host.
pub(crate) fn is_within_host(event: &RstEvent) -> bool {
    event.src.ip.is_loopback()
        || event.src.ip == event.dst.ip
        || event.interface.as_deref() == Some("lo")
}

/// What a rule of the policy matched: `guests (denied): 12 resets, 11 as configured, 1 violated, last …`.
pub(crate) fn rule(rule: &RuleStats) -> String {
    let resets = match rule.rsts {
        0 => "no reset".to_owned(),
        1 => "1 reset".to_owned(),
        n => format!("{n} resets"),
    };
    let mut text = format!("{} ({}): {resets}", rule.rule, rule.expect);
    for (verdict, n) in rule.verdicts().into_iter().filter(|(_, n)| *n > 0) {
        text.push_str(&format!(", {n} {}", verdict.words()));
    }
    if let Some(last) = rule.last {
        text.push_str(&format!(", last {last}"));
    }
    text
}

/// What the policy says of a reset.
pub(crate) fn policy(policy: &Policy) -> String {
    let mut text = format!(
        "{} by the rule {} ({})",
        policy.verdict.words(),
        clean(&policy.rule),
        policy.expect.words()
    );
    if let Some(why) = &policy.text {
        text.extend([": ", &clean(why)]);
    }
    text
}

/// The verdict as sentences.
pub(crate) fn verdict(event: &RstEvent) -> String {
    let name = match event.sent_by {
        SentBy::Unknown => format!("{} (client or server is not known)", event.src),
        side => format!("the {side} ({})", event.src),
    };
    let by_this_host = event.local_role == LocalRole::Sender
        && matches!(event.origin, Origin::MiddleboxProven | Origin::MiddleboxSuspected);
    let mut said = match event.origin {
        _ if by_this_host => format!("This host sent it in the name of {name}"),
        Origin::Endpoint => capital(&format!("{name} sent it")),
        Origin::HostFirewall if event.local_role == LocalRole::Sender => {
            format!("This host's packet filter sent it in the name of {name}")
        }
        Origin::HostFirewall => format!("A packet filter on the host of {name} sent it"),
        Origin::MiddleboxProven => {
            format!("Something on the path sent it in the name of {name}, which did not")
        }
        Origin::MiddleboxSuspected => {
            format!("Probably something on the path sent it in the name of {name}")
        }
        Origin::Unknown => format!("It came in the name of {name}"),
    };
    said.push_str(&match event.cause {
        Cause::Unknown => "; the cause is not known.".to_owned(),
        Cause::NoConnectionSeen => {
            "; the cause is not known, because the start of the connection was not seen.".to_owned()
        }
        cause => format!(
            ": {} ({}), {}% sure from {}.",
            cause.words(),
            event.class.words(),
            event.confidence.percent(),
            match event.basis {
                Basis::Wire => "packets alone",
                Basis::WireKernel => "packets and the kernel",
            },
        ),
    });
    said.push_str(match event.effect {
        Effect::Accepted => " The receiver accepted it.",
        Effect::Challenged => " The receiver answered with a challenge ACK and went on.",
        Effect::Ignored => ignored(event),
        Effect::Unknown => "",
    });
    said.push_str(match event.at_fault {
        AtFault::Client => " Look at the client.",
        AtFault::Server => " Look at the server.",
        AtFault::Network if by_this_host => " Look at this host.",
        AtFault::Network => " Look at the network between them.",
        AtFault::Nobody => " Nothing is wrong.",
        AtFault::Unknown => "",
    });
    said
}

/// What became of a reset that was ignored: where it found no connection any more, nothing went on.
fn ignored(event: &RstEvent) -> &'static str {
    let kernel = event.kernel.as_ref().filter(|kernel| kernel.netns.is_none());
    let reason = kernel.and_then(|kernel| kernel.reason.as_deref());
    let no_socket = reason == Some("NO_SOCKET") && event.local_role == LocalRole::Receiver;
    match event.stage {
        Stage::NoFlow if no_socket => " The receiver knows no such connection.",
        _ if no_socket => " It found the connection ended already.",
        Stage::Closed => " The receiver ignored it.",
        _ => " The receiver ignored it and went on.",
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}
