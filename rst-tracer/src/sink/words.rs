//! Phrases that the text formats share: who, where, how long, and the verdict as a sentence.

use std::borrow::Cow;
use std::path::Path;

use crate::event::{
    AtFault, Basis, Cause, Effect, Hook, LocalRole, Origin, Process, RstEvent, SentBy, Severity,
    Timestamp,
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
        Effect::Ignored => " The receiver ignored it and went on.",
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

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}
